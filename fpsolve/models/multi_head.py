"""Several heads with fixed weights, and the gradient flow of their total energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.attention.source import Source
from fpsolve.errors import InputError
from fpsolve.models.base import (
    Head,
    Model,
    apply_matrix,
    checked_matrix,
    checked_number,
    checked_same_size,
    frozen_matrix,
)
from fpsolve.models.self_attention import attention_field
from fpsolve.models.unnormalised import checked_exponent, head_attention
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import Sites, Velocity


@dataclass(frozen=True)
class MultiHead(Model):
    r"""dx = P_x Σ_h w_h V_h F_μ(βA_h x) dt, or without denominators P_x Σ_h w_h V_h (M F)_μ(βA_h x) dt.

    beta: β ≥ 0. key_query: A_1, …, A_H, value: V_1, …, V_H, each a number or a (d, d) matrix. weights: w_h, one each by
    default. normalised: whether heads keep their softmax denominators. diffusion: ν.
    :meth:`gradient_flow` makes the heads whose flow increases Σ_h w_h (1/2β)∬e^{β⟨x,A_h y⟩} fastest
    :cite:`multihead2026`. Raises InputError for bad values and for numbers of matrices that differ.
    """

    beta: float
    key_query: Sequence[ArrayLike]
    value: Sequence[ArrayLike]
    weights: Sequence[float] | None = None
    normalised: bool = True
    diffusion: float = 0.0

    summary: ClassVar[str] = "several fixed heads, or the gradient flow of their total energy"
    reference: ClassVar[str] = "arXiv:2605.04279"
    axial: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("beta", "diffusion"):
            checked_number(name, getattr(self, name))
        for name in ("key_query", "value"):
            object.__setattr__(self, name, _frozen_matrices(name, getattr(self, name)))
        count = len(self.key_query)
        weights = _frozen_weights([1.0] * count if self.weights is None else self.weights)
        object.__setattr__(self, "weights", weights)
        for name in ("value", "weights"):
            if len(getattr(self, name)) != count:
                problem = f"{len(getattr(self, name))} given for {count} key-query matrices"
                raise InputError(name, getattr(self, name), problem, "pass one for each head")
        checked_same_size(self.fixed_matrices)
        if not self.normalised:
            for head in self.fixed_heads:
                checked_exponent(head.scores)

    @classmethod
    def gradient_flow(
        cls,
        beta: float,
        key_query: Sequence[ArrayLike],
        weights: Sequence[float] | None = None,
        diffusion: float = 0.0,
    ) -> MultiHead:
        r"""The flow dx = P_x ∇(δE/δμ) dt of E[μ] = Σ_h w_h (1/2β)∬e^{β⟨x,A_h y⟩}μ(dx)μ(dy), for any matrices A_h.

        The first variation is Σ w_h (1/2β)∫(e^{β⟨x,A_h y⟩} + e^{β⟨A_h x,y⟩})μ(dy), so that its gradient is
        Σ w_h/2 [A_h (MF)(βA_hᵀx) + A_hᵀ (MF)(βA_h x)]: two heads for each A_h, with values A_hᵀ and A_h, or one of
        value A_h when it is symmetric. Then dE/dt = ∫|v|²dμ, v the speed (ν = 0).
        """
        matrices = [checked_matrix("key_query", a) for a in _checked_sequence("key_query", key_query)]
        scale = [1.0] * len(matrices) if weights is None else list(weights)
        if len(scale) != len(matrices):
            raise InputError("weights", scale, f"{len(matrices)} matrices are given", "pass one for each head")
        heads = []
        for a, w in zip(matrices, scale, strict=True):
            heads += [(a, a, w)] if np.array_equal(a, a.T) else [(a, a.T, w / 2), (a.T, a, w / 2)]
        keys, values, shares = zip(*heads, strict=True)
        return cls(beta, keys, values, shares, normalised=False, diffusion=diffusion)

    @property
    def fixed_heads(self) -> list[Head]:
        """The heads as arrays."""
        assert self.weights is not None
        triples = zip(self.key_query, self.value, self.weights, strict=True)
        return [
            Head(self.beta, checked_matrix("key_query", a), checked_matrix("value", v), w, self.normalised)
            for a, v, w in triples
        ]

    @property
    def fixed_matrices(self) -> Sequence[tuple[str, Real]]:
        names = ("key_query", "value")
        return [(name, checked_matrix(name, matrix)) for name in names for matrix in getattr(self, name)]

    def drift_field(self, source: Source) -> Velocity:
        fields = [self.head_field(source, index) for index in range(len(self.fixed_heads))]
        return sum(fields[1:], fields[0])

    def head_field(self, source: Source, index: int) -> Velocity:
        """The part of one head in the drift, weight included."""
        head = self.fixed_heads[index]
        return attention_field(head.scores, lambda sites: self._output(head, source, sites))

    def _output(self, head: Head, source: Source, sites: Sites) -> Real:
        return head.weight * apply_matrix(head.value, head_attention(source, head.scores, sites, head.normalised))


def _checked_sequence(argument: str, matrices: Sequence[ArrayLike]) -> list[ArrayLike]:
    """A non-empty list of numbers or matrices."""
    if isinstance(matrices, str) or not hasattr(matrices, "__len__") or not len(matrices):
        raise InputError(argument, matrices, "must be a list of matrices", "pass one number or (d, d) matrix a head")
    return list(matrices)


def _frozen_matrices(argument: str, matrices: Sequence[ArrayLike]) -> tuple[object, ...]:
    return tuple(frozen_matrix(argument, matrix) for matrix in _checked_sequence(argument, matrices))


def _frozen_weights(weights: Sequence[float]) -> tuple[float, ...]:
    """Weights may be negative: a head that repels."""
    try:
        values = np.asarray(weights, float)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InputError("weights", weights, "must be a list of finite numbers", "pass one for each head")
    return tuple(values.tolist())
