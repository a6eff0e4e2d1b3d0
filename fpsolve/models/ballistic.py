"""Ballistic limits of random transformers: the mean layer as an ODE, and with its first correction in the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from fpsolve._kernels.softmax import softmax_second
from fpsolve.attention.kernel import sampling_grid
from fpsolve.attention.laws import Cutoffs, KeyQueryLaw, radius_weights
from fpsolve.attention.source import MomentSource, PointSource, Source
from fpsolve.errors import InputError, unknown_name
from fpsolve.models.base import Model, apply_matrix, checked_matrix, checked_number, frozen_matrix
from fpsolve.sphere.harmonics import Real
from fpsolve.sphere.scattered import SpherePoints
from fpsolve.transport.velocity import AmbientField, Sites, Velocity, sites_of

KEY_QUERY_LAWS = ("identity", "gaussian", "product")

EXACT_PAIRS = 1_000_000
"""On S² the derivative of the softmax is summed over pairs of targets and points up to so many of them."""

SHIFT = 5e-3
"""Distance by which a measure is moved for the central difference of fourth order, beyond that; over 1 + β."""


@dataclass(frozen=True)
class Ballistic(Model):
    """dx = P_x V̄ E_A F_μ(βAx) dt [+ each token's own noise]: layers of mean value matrix V̄, infinitely many, η → 0.

    Time is t = ηL. beta: β ≥ 0. value: V̄, a number or (d, d). key_query: the law of A, ``identity`` (any d),
    ``gaussian`` (iid entries of deviation key_query_std) or ``product`` (A = WW'ᵀ, both factors so), d = 3: then
    E_A F_μ(βAx) is one vector for all x. diffusion: ν. Raises InputError for bad values. :cite:`homogenized2026`
    """

    beta: float
    value: ArrayLike = 1.0
    key_query: Literal["identity", "gaussian", "product"] = "identity"
    key_query_std: float = 1.0
    diffusion: float = 0.0

    summary: ClassVar[str] = "ballistic limit of random transformers: the drift of the mean layer"
    reference: ClassVar[str] = "arXiv:2604.01978"

    def __post_init__(self) -> None:
        if self.key_query not in KEY_QUERY_LAWS:
            raise unknown_name("key_query", self.key_query, KEY_QUERY_LAWS)
        for name in ("beta", "diffusion", "key_query_std"):
            checked_number(name, getattr(self, name))
        object.__setattr__(self, "value", frozen_matrix("value", self.value))

    @property
    def dimension(self) -> int | None:
        return None if self.key_query == "identity" else 3

    def drift_field(self, source: Source) -> Velocity:
        value = checked_matrix("value", self.value)
        if self.key_query == "identity":
            return AmbientField(lambda sites: apply_matrix(value, source.F_sphere(self.beta, sites)[1]))
        if source.dimension != 3:
            raise InputError("key_query", self.key_query, f"needs d = 3, not {source.dimension}", 'use "identity"')
        constant = apply_matrix(value, self.mean_attention(source))
        return AmbientField(lambda sites: constant)

    def mean_attention(self, source: Source) -> Real:
        """E_A F_μ(βAx) of the Gaussian laws, shape (3,): the law of Ax, |x| = 1, is the same for all x."""
        law = KeyQueryLaw(self.key_query, self.key_query_std)
        cutoffs = Cutoffs.for_tolerance(law, self.beta)
        grid, total = sampling_grid(cutoffs.degree), np.zeros(3)
        radii = cutoffs.mesh(law, self.beta).radii
        for radius, weight in zip(radii, radius_weights(law, self.beta, cutoffs), strict=True):
            f = source.F_sphere(float(radius), grid)[1]
            total += weight * np.array([grid.integral(np.ascontiguousarray(f[..., a])) for a in range(3)])
        return total


@dataclass(frozen=True)
class ModifiedBallistic(Model):
    """dx = [b - η⟨x,b̄⟩P_x b̄ - (η/2) P_x ∇_b b] dt, b̄ = V̄ F_μ(βx), b = P_x b̄, ∇_b in the joint state (x, μ).

    The equation that layers x ← N(x + η b̄) of step η follow to O(η²) over finite times t = ηL, where the plain limit
    is O(η): the modified limit of random transformers (η²L/H → 0, η³L → 0). As P_x ∇_b b = P_x V̄ ṁ - ⟨x,b̄⟩b, ṁ the
    rate of m(x) = F_μ(βx) along b, the drift is b - (η/2)⟨x,b̄⟩b - (η/2) P_x V̄ ṁ.

    beta: β ≥ 0. value: V̄, a number or (d, d). step: η ≥ 0. A = I, any d. Raises InputError for bad values.
    :cite:`homogenized2026`
    """

    beta: float
    value: ArrayLike = 1.0
    step: float = 0.1
    diffusion: float = 0.0

    summary: ClassVar[str] = "ballistic limit of random transformers with the first correction in the step"
    reference: ClassVar[str] = "arXiv:2604.01978"

    def __post_init__(self) -> None:
        for name in ("beta", "step", "diffusion"):
            checked_number(name, getattr(self, name))
        object.__setattr__(self, "value", frozen_matrix("value", self.value))

    def drift_field(self, source: Source) -> Velocity:
        value = checked_matrix("value", self.value)
        x, weights = _points(source)
        moving = Moving(x, weights, self._plain(source, value, sites_of(x))[1], self.beta)

        def drift(sites: Sites) -> Real:
            flat = sites_of(np.ascontiguousarray(sites.x.reshape(-1, source.dimension)))
            radial, b = self._plain(source, value, flat)
            turned = apply_matrix(value, moving.attention_rate(flat.x, b))
            return (b - 0.5 * self.step * (radial[:, None] * b + turned)).reshape(sites.x.shape)

        return AmbientField(drift)

    def _plain(self, source: Source, value: Real, sites: Sites) -> tuple[Real, Real]:
        """⟨x, b̄⟩ and b = P_x b̄ at points, shapes (n,) and (n, d)."""
        ambient = apply_matrix(value, source.F_sphere(self.beta, sites)[1])
        radial = np.einsum("na,na->n", sites.x, ambient)
        return radial, ambient - radial[:, None] * sites.x


def _points(source: Any) -> tuple[Real, Real]:
    """The points of a source, or a positive quadrature of it."""
    where = source if isinstance(source, PointSource) else getattr(source, "points", None)
    if where is None:
        raise InputError("measure", type(source).__name__, "has no points to be moved", "use a cloud or a density")
    return where.x, where.weights


class Moving:
    """Weighted points ``x`` (N, d) with velocities ``rate`` (N, d); how their attention barycentres change."""

    def __init__(self, x: Real, weights: Real, rate: Real, beta: float) -> None:
        self.x, self.weights, self.rate, self.beta = x, weights, rate, beta

    def attention_rate(self, targets: Real, speeds: Real) -> Real:
        """ṁ, m = F_μ(βx), where both the targets (n, d), by ``speeds``, and the points move; shape (n, d)."""
        if targets.shape[1] == 3 and len(targets) * len(self.x) > EXACT_PAIRS:
            return self.by_difference(targets, speeds)
        step = max(1, 2**20 // (2 * targets.shape[1]) ** 2)
        parts = [slice(start, start + step) for start in range(0, len(targets), step)]
        return np.concatenate([self.exact(targets[part], speeds[part]) for part in parts])

    def exact(self, targets: Real, speeds: Real) -> Real:
        """ṁ = E_p ẏ + β [Cov_p(y) ẋ + Cov_p(y, ẏ) x], p the attention of x: the softmax differentiated."""
        d = targets.shape[1]
        g = np.column_stack([self.beta * targets, np.zeros_like(targets)])
        _, first, second = softmax_second(g, np.column_stack([self.x, self.rate]), self.weights)
        y, y_rate = first[:, :d], first[:, d:]
        pulled = np.einsum("nab,nb->na", second[:, :d], np.column_stack([speeds, targets]))
        exponent = np.einsum("na,na->n", y, speeds) + np.einsum("na,na->n", y_rate, targets)
        return y_rate + self.beta * (pulled - exponent[:, None] * y)

    def by_difference(self, targets: Real, speeds: Real) -> Real:
        """The same on S² by moments of the measure moved forth and back, O(n + N), error O(SHIFT⁴)."""
        fastest = max(float(np.sqrt(np.einsum("na,na->n", v, v).max())) for v in (speeds, self.rate))
        total, unit = np.zeros_like(targets), SHIFT / ((1 + self.beta) * max(fastest, 1e-300))
        if fastest == 0:
            return total
        for shift, factor in ((1, 2 / 3), (-1, -2 / 3), (2, -1 / 12), (-2, 1 / 12)):
            time = shift * unit
            moved = _moments(_unit(self.x + time * self.rate), self.weights)
            f = moved.F_sphere(self.beta, SpherePoints(_unit(targets + time * speeds)))[1]
            total += factor / unit * f
        return total


def _moments(x: Real, weights: Real) -> MomentSource:
    at = SpherePoints(x)
    return MomentSource(lambda degree: at.moments(weights, degree), lambda: (x, weights), accuracy=at.accuracy)


def _unit(x: Real) -> Real:
    return x / np.sqrt(np.einsum("na,na->n", x, x))[:, None]
