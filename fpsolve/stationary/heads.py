"""Deterministic models as heads and outer drifts, and whether they are gradient flows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpsolve.errors import InputError
from fpsolve.models import MODELS
from fpsolve.models.base import Head, Model, checked_matrix
from fpsolve.sphere.harmonics import Real


def parts_of(model: Model) -> tuple[list[Head], list[Model]]:
    """The heads of a deterministic model and its terms of outer drifts. Raises InputError where it has other parts."""
    heads: list[Head] = []
    outer: list[Model] = []
    for term in model.terms:
        if term.is_outer:
            outer.append(term)
        elif term.fixed_heads:
            heads += term.fixed_heads
        elif type(term).drift_field is not Model.drift_field:
            known = [name for name, kind in MODELS.items() if kind.fixed_heads is not Model.fixed_heads]
            remedy = f"use one of {', '.join([*known, 'PerceptronDrift'])}"
            raise InputError("model", type(term).__name__, "its drift has no exact derivative here", remedy)
    if not heads and not outer:
        raise InputError("model", type(model).__name__, "it has no drift", "use fp.models.SelfAttention, for example")
    plain = [(_scalar_if_multiple(head.key_query), _scalar_if_multiple(head.value)) for head in heads]
    return [head._replace(key_query=a, value=v) for head, (a, v) in zip(heads, plain, strict=True)], outer


def is_gradient_flow(heads: list[Head]) -> bool:
    """Whether the drift is P_x∇ of the first variation of Σ w (1/2β)∬e^{β⟨Ax,y⟩}.

    So it is without denominators and in its own time when V = Aᵀ in every head and the heads are closed under A ↦ Aᵀ.
    """

    def is_transpose(a: Head, b: Head) -> bool:
        return (a.weight, a.beta) == (b.weight, b.beta) and np.array_equal(a.key_query, b.key_query.T)

    return all(
        not head.normalised
        and head.log_unit == 0
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
