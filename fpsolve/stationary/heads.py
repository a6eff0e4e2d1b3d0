"""Deterministic attention models as lists of heads, and whether they are gradient flows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpsolve.errors import InputError
from fpsolve.models import MODELS
from fpsolve.models.base import Head, Model, checked_matrix
from fpsolve.sphere.harmonics import Real


def heads_of(model: Model) -> list[Head]:
    """The heads of a deterministic attention model. Raises InputError for systems that are not of this form."""
    heads = model.fixed_heads
    if not heads:
        known = ", ".join(name for name, kind in MODELS.items() if kind.fixed_heads is not Model.fixed_heads)
        raise InputError("model", type(model).__name__, "its drift has no exact derivative here", f"use one of {known}")
    plain = [(_scalar_if_multiple(head.key_query), _scalar_if_multiple(head.value)) for head in heads]
    return [head._replace(key_query=a, value=v) for head, (a, v) in zip(heads, plain, strict=True)]


def is_gradient_flow(heads: list[Head]) -> bool:
    """Whether the drift is P_x∇ of the first variation of Σ w (1/2β)∬e^{β⟨Ax,y⟩}.

    So it is without denominators when V = Aᵀ in every head and the heads are closed under A ↦ Aᵀ.
    """

    def is_transpose(a: Head, b: Head) -> bool:
        return a.weight == b.weight and np.array_equal(a.key_query, b.key_query.T)

    return all(
        not head.normalised
        and head.beta > 0
        and np.array_equal(head.value, head.key_query.T)
        and any(is_transpose(head, other) for other in heads)
        for head in heads
    )


def _scalar_if_multiple(matrix: Any) -> Real:
    """c for c I: its kernel is diagonal in harmonics."""
    array = checked_matrix("matrix", matrix)
    if array.ndim == 2 and np.array_equal(array, array[0, 0] * np.eye(len(array))):
        return np.asarray(array[0, 0])
    return array
