"""Laws of a head's weight matrices, drawn at addresses (seed, member, layer, head).

The laws are those of :mod:`fpsolve.models.weights`. The value and the key-query matrices have a Philox stream each, a
head its own sequence, and layers follow one another in it. So a matrix depends on its address alone, and more heads or
layers only append.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fpsolve.errors import InputError
from fpsolve.models.base import checked_matrix, checked_number
from fpsolve.models.unnormalised import checked_exponent
from fpsolve.models.weight_arguments import NAMED, WeightLaw, as_law
from fpsolve.models.weights import (
    BLOCK_WORDS,
    Fixed,
    Gaussian,
    MatrixLaw,
    Product,
    Sampled,
    Sampler,
    Uniform,
    is_rotation_invariant,
)
from fpsolve.noise._philox import Address, Purpose
from fpsolve.noise.path import TERM_BITS
from fpsolve.sphere.harmonics import Real
from fpsolve.values import Checked

__all__ = [
    "BLOCK_WORDS",
    "KEY_QUERY",
    "NAMED",
    "VALUE",
    "Fixed",
    "Gaussian",
    "HeadLaw",
    "MatrixLaw",
    "Product",
    "Sampled",
    "Sampler",
    "Uniform",
    "WeightLaw",
    "as_law",
    "matrices",
    "matrices_of",
]

VALUE, KEY_QUERY = 100, 101
"""Philox streams of V and A, apart from those of Brownian paths."""


def matrices(law: MatrixLaw, stream: int, seed: int, members: range, heads: int, depth: int, d: int) -> Iterator[Real]:
    """For each layer its matrices, (members, heads, d, d), or (1, 1, d, d) where they are all the same."""
    mean = law.mean_matrix(d)
    if not law.is_random:
        for _ in range(depth):
            yield mean[None, None]
        return
    block = law.layers_in_block(d)
    for start in range(0, depth, block):
        count = min(block, depth - start)
        drawn = np.empty((count, len(members), heads, d, d))
        for m, member in enumerate(members):
            for head in range(heads):
                at = Address(seed, member, stream, Purpose.NORMAL, head, start // block)
                drawn[:, m, head] = law.draw(at, d, count)
        drawn += mean
        yield from drawn


@dataclass(frozen=True)
class HeadLaw(metaclass=Checked):
    """The law of one head, V m_A(x), m_A(x) = F_μ(βAx): inverse temperature, value matrix V, key-query matrix A.

    beta: β ≥ 0. value, key_query: laws of V and A, each a MatrixLaw, a name (``identity``, ``gaussian``, ``product``,
    ``uniform``), a fixed number or matrix, or a sampler (generator, d) -> (d, d). value_std (1/√d by default) and
    key_query_std (1 by default): deviations of a named law's entries (of the factors' entries for ``product``).
    normalised: whether attention keeps its denominator; without it m_A(x) = ∫ y e^{β⟨Ax,y⟩} μ(dy) ("USA").
    Raises InputError for bad values, and without denominators for a fixed A with β|A| > 700, where e^{β|A|} overflows.
    """

    beta: float
    value: WeightLaw = "gaussian"
    key_query: WeightLaw = "identity"
    value_std: float | None = None
    key_query_std: float | None = None
    normalised: bool = True

    def __post_init__(self) -> None:
        checked_number("beta", self.beta)
        for name in ("value", "key_query"):
            given, std = getattr(self, name), getattr(self, f"{name}_std")
            law = as_law(name, given, 1.0)
            if std is not None:
                checked_number(f"{name}_std", std)
                if not isinstance(given, str) or not law.is_random:
                    problem = f"{name} is {type(law).__name__}, which has its own deviation or none"
                    raise InputError(f"{name}_std", std, problem, f'leave it out, or use {name}="gaussian"')
            if not isinstance(given, str):
                object.__setattr__(self, name, law)
        if not self.normalised and not self.key_query_law().is_random:
            checked_exponent(self.beta * checked_matrix("key_query", self.key_query_law().mean))

    def value_law(self, d: int) -> MatrixLaw:
        """The law of V in dimension d."""
        return as_law("value", self.value, 1 / float(np.sqrt(d)) if self.value_std is None else self.value_std)

    def key_query_law(self) -> MatrixLaw:
        """The law of A."""
        return as_law("key_query", self.key_query, 1.0 if self.key_query_std is None else self.key_query_std)

    @property
    def is_isotropic(self) -> bool:
        """Whether the law of A is known to be invariant under rotations: K_μ(x,y) = k_μ(⟨x,y⟩)."""
        return is_rotation_invariant(self.key_query_law())


def matrices_of(
    law: HeadLaw, seed: int, members: range, heads: int, depth: int, d: int, place: int = 0
) -> Iterator[tuple[Real, Real]]:
    """For each layer V and A of the heads, shapes as :func:`matrices`; ``place``: of the block in its layer."""
    own = place << TERM_BITS
    laws = ((law.value_law(d), VALUE + own), (law.key_query_law(), KEY_QUERY + own))
    return zip(*(matrices(one, at, seed, members, heads, depth, d) for one, at in laws), strict=True)
