"""Deep Stochastic Transformers: value noise with a fixed key-query matrix :cite:`deepstochastic2026`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.attention.floor import Heads
from fpsolve.attention.source import MomentSource, Source
from fpsolve.models.base import Calculus, Head, Model, WithValueStd, apply_matrix, checked_matrix, checked_number
from fpsolve.models.drawn_heads import hessian_F
from fpsolve.models.self_attention import attention, attention_field, mean_square_attention
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import Sites, Velocity, ZeroField

STEP = 1e-2
"""Of the central difference along F; |F| ≤ 1, so that its error is STEP⁴/30 times a fifth derivative."""

DIRECT_PAIRS = 2e6
"""Up to so many pairs of targets and points second moments are summed directly."""


CORRECTION_TOLERANCE = 1e-8
"""Part of the correction that a coarse grid may leave out: of twice the noise's degree, it costs most."""


@dataclass(frozen=True)
class DeepStochasticTransformer(WithValueStd, Model):
    r"""dx = P_x V̄ F_μ(βAx) dt + ε P_x dW_μ(x), dW_μ(x) = dV F_μ(βAx), A fixed, V of independent Brownian entries.

    Common noise of covariance K_μ(x,y) I, K_μ(x,y) = value_std² ⟨F_μ(βAx), F_μ(βAy)⟩: the diffusive limit of layers
    whose values are redrawn and whose key-query matrix is not. With the chain rule through A the Itô-to-Stratonovich
    term is

        -(ε²/4)∇K_μ(x,x) = -(ε²/2) value_std² β P_x Aᵀ (∇² log M_μ · F_μ)(βAx).

    beta: β ≥ 0. value_std: deviation of V's entries, 1/√d by default. key_query: A, a number or any (d, d) matrix.
    noise: ε; with ε = 1 time is diffusive time η²L/H. drift: mean value matrix V̄, a number or (d, d). diffusion: ν. Any
    d, any measure; A = 1 is :class:`~fpsolve.models.Homogenized` with ``key_query="identity"``. Two tokens: see
    :func:`fpsolve.theory.value_noise_overlap`. Raises InputError for bad values and matrices of different sizes.
    """

    beta: float
    value_std: float | None = None
    key_query: ArrayLike = 1.0
    noise: float = 1.0
    drift: ArrayLike = 0.0
    diffusion: float = 0.0

    summary: ClassVar[str] = "value noise with a fixed key-query matrix, any A, any d"
    reference: ClassVar[str] = "arXiv:2601.21942"
    matrix_names: ClassVar[tuple[str, ...]] = ("key_query", "drift")

    def __post_init__(self) -> None:
        for name in ("beta", "noise", "diffusion"):
            checked_number(name, getattr(self, name))
        if self.value_std is not None:
            checked_number("value_std", self.value_std)
        self._freeze_matrices()

    @property
    def calculus(self) -> Calculus:
        return "ito" if self.is_stochastic else "any"

    @property
    def interaction(self) -> Sequence[tuple[float, Real]]:
        return ((1.0, checked_matrix("key_query", self.key_query)),)

    def queries(self, d: int) -> Heads:
        return (Head(self.beta, checked_matrix("key_query", self.key_query), np.array(1.0)),)

    def noise_level(self, source: Source) -> float | None:
        return mean_square_attention(source, self._scores) if self.is_stochastic else None

    def channels(self, d: int) -> int:
        return d * d

    def drift_field(self, source: Source) -> Velocity:
        mean_value = checked_matrix("drift", self.drift)
        if not mean_value.any():
            return ZeroField()
        return attention_field(self._scores, lambda at: apply_matrix(mean_value, self._attention(source, at), "drift"))

    def correction_field(self, source: Source) -> Velocity:
        """-(ε²/2) value_std² P_x Bᵀ (∇² log M F)(Bx), B = βA."""
        scores, factor = self._scores, -0.5 * (self.noise * self.value_deviation(source.dimension)) ** 2
        if factor == 0 or not scores.any():
            return ZeroField()
        back = factor * scores.T
        return attention_field(
            scores, lambda sites: apply_matrix(back, attention_hessian(source, scores, sites)), CORRECTION_TOLERANCE
        )

    def noise_field(self, source: Source, increment: Real) -> Velocity:
        if not self.is_stochastic:
            return ZeroField()
        d = source.dimension
        values = self.noise * self.value_deviation(d) * increment.reshape(d, d)
        return attention_field(self._scores, lambda sites: apply_matrix(values, self._attention(source, sites)))

    def covariance(self, source: Source, x: Real, y: Real) -> Real:
        """K_μ(x,y) for rows of x and y, shape (n,); ε not included."""
        f, g = (source.F(apply_matrix(self._scores, at, "key_query")) for at in (x, y))
        return self.value_deviation(source.dimension) ** 2 * np.einsum("na,na->n", f, g)

    @property
    def _scores(self) -> Real:
        return np.asarray(self.beta * checked_matrix("key_query", self.key_query))

    def _attention(self, source: Source, sites: Sites) -> Real:
        return attention(source, self._scores, sites)[1]


def attention_hessian(source: Source, scores: Real, sites: Sites) -> Real:
    """(∇² log M · F)(Bx) at the sites, B = ``scores`` of shape () or (d, d): half the gradient of |F|²; (..., d)."""
    if scores.ndim == 0 and scores >= 0:
        return source.hessian_F_sphere(float(scores), sites)[1]
    g = np.ascontiguousarray(apply_matrix(scores, sites.x, "key_query").reshape(-1, source.dimension))
    if isinstance(source, MomentSource) and source.dimension == 3 and len(g) * len(source.points.x) > DIRECT_PAIRS:
        return hessian_along_F(source, g).reshape(sites.x.shape)
    return hessian_F(source, g).reshape(sites.x.shape)


def hessian_along_F(source: Source, g: Real, h: float = STEP) -> Real:
    """∇² log M · F at points g (n, d): the derivative of F along F, by a central difference of fourth order."""
    f = source.F(g)
    ahead, behind, far_ahead, far_behind = (source.F(g + shift * h * f) for shift in (1, -1, 2, -2))
    return (8 * (ahead - behind) - (far_ahead - far_behind)) / (12 * h)
