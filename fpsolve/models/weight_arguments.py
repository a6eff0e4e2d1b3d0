"""What arguments accept as the law of a weight matrix: a law, its name, a fixed matrix or a sampler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.errors import InputError, unknown_name
from fpsolve.models.base import frozen_matrix
from fpsolve.models.weights import Fixed, Gaussian, MatrixLaw, Product, Sampled, Sampler, Uniform
from fpsolve.plain.annotations import Name

WeightLaw = Name | float | ArrayLike | Sampler | MatrixLaw
"""What arguments accept: a law, its name, a fixed number or matrix, or a sampler."""

NAMED: dict[str, Callable[[float], MatrixLaw]] = {
    "identity": lambda std: Fixed(mean=1.0),
    "gaussian": lambda std: Gaussian(std),
    "product": lambda std: Product(std),
    "uniform": lambda std: Uniform(float(np.sqrt(3)) * std),
}
"""Laws by name, of iid entries (of the factors, for ``product``) of a given deviation."""


def as_law(argument: str, value: Any, std: float) -> MatrixLaw:
    """A law from a law, a name (of deviation ``std``), a fixed number or matrix, or a sampler.

    Raises InputError for anything else.
    """
    if isinstance(value, MatrixLaw):
        return value
    if isinstance(value, str):
        if value not in NAMED:
            raise unknown_name(argument, value, NAMED)
        return NAMED[value](std)
    if isinstance(value, type):
        remedy = f"pass an instance, {argument}=fp.transformer.Gaussian(0.5) for example"
        raise InputError(argument, value.__name__, "a class, not a law", remedy)
    if callable(value):
        return Sampled(value)
    return Fixed(mean=frozen_matrix(argument, value))


def checked_law(argument: str, value: Any, std: float) -> WeightLaw:
    """A name in ``NAMED`` as it is, a fixed matrix in hashable form, anything else as the law it stands for.

    Raises InputError for what is neither, and for a deviation other than one (the default) of a law that has its own.
    """
    law = as_law(argument, value, std)
    if isinstance(value, str):
        return value
    if std != 1:
        problem = f"{argument} is a law with its own deviation or none"
        raise InputError(f"{argument}_std", std, problem, f'leave it out, or use {argument}="gaussian"')
    return law.mean if isinstance(law, Fixed) else law
