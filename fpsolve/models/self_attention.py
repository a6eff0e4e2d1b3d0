"""Deterministic self-attention: the ballistic limit, a continuity equation with drift P_x V F_μ(βAx)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import ArrayLike

from fpsolve.attention.source import Source
from fpsolve.models.base import Model, apply_matrix, checked_matrix, checked_number, frozen_matrix
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import AmbientField, Sites, Velocity


@dataclass(frozen=True)
class SelfAttention(Model):
    """dx = P_x V F_μ(βAx) dt [+ each token's own noise]: one head with fixed weights ("SA").

    beta: β ≥ 0. value: V, key_query: A, each a number or a (d, d) matrix. diffusion: ν. Raises InputError for bad values.
    """

    beta: float
    value: ArrayLike = 1.0
    key_query: ArrayLike = 1.0
    diffusion: float = 0.0

    summary: ClassVar[str] = "deterministic softmax self-attention with fixed weights"
    reference: ClassVar[str] = "arXiv:2504.14697"

    def __post_init__(self) -> None:
        for name in ("beta", "diffusion"):
            checked_number(name, getattr(self, name))
        for name in ("value", "key_query"):
            object.__setattr__(self, name, frozen_matrix(name, getattr(self, name)))

    def drift_field(self, source: Source) -> Velocity:
        value = checked_matrix("value", self.value)
        return AmbientField(lambda sites: apply_matrix(value, self._attention(source, sites)))

    def _attention(self, source: Source, sites: Sites) -> Real:
        """F_μ(βAx); on a sphere when A is a positive number."""
        matrix = self.beta * checked_matrix("key_query", self.key_query)
        if matrix.ndim == 0 and matrix >= 0:
            return source.F_sphere(float(matrix), sites)[1]
        g = apply_matrix(matrix, sites.x).reshape(-1, source.dimension)
        return source.F(g).reshape(sites.x.shape)
