"""Deterministic attention models as lists of heads, and whether they are gradient flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fpsolve.errors import InputError
from fpsolve.models.base import Model, checked_matrix
from fpsolve.models.multi_head import MultiHead
from fpsolve.models.noisy_transformer import NoisyTransformer
from fpsolve.models.self_attention import SelfAttention
from fpsolve.models.spectral_selection import SpectralSelection
from fpsolve.models.unnormalised import UnnormalisedSelfAttention
from fpsolve.sphere.harmonics import Real


class Head(NamedTuple):
    """One head, P_x w V F(βAx), or w V (MF)(βAx) without its denominator; A and V of shape () or (d, d)."""

    beta: float
    key_query: Real
    value: Real
    weight: float
    normalised: bool

    @property
    def scores(self) -> Real:
        """B = βA."""
        return self.beta * self.key_query


def heads_of(model: Model) -> list[Head]:
    """The heads of a deterministic attention model. Raises InputError for systems that are not of this form."""
    read = _HEADS.get(type(model))
    if read is None:
        known = ", ".join(kind.__name__ for kind in _HEADS)
        raise InputError("model", type(model).__name__, "its drift has no exact derivative here", f"use one of {known}")
    return [
        Head(model.beta, _scalar_if_multiple(a), _scalar_if_multiple(v), float(weight), normalised)
        for a, v, weight, normalised in read(model)
    ]


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


_Parts = list[tuple[Any, Any, float, bool]]

_HEADS: dict[type[Model], Callable[[Any], _Parts]] = {
    NoisyTransformer: lambda m: [(1.0, 1.0, 1.0, m.kind == "sa")],
    SelfAttention: lambda m: [(m.key_query, m.value, 1.0, True)],
    UnnormalisedSelfAttention: lambda m: [(m.key_query, m.value, 1.0, False)],
    SpectralSelection: lambda m: [(m.matrix, m.matrix, 1.0, True)],
    MultiHead: lambda m: [(head.key_query, head.value, head.weight, m.normalised) for head in m.heads],
}
