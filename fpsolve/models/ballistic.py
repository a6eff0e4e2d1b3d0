"""Ballistic limits of random transformers: the mean layer as an ODE, and with its first correction in the step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fpsolve._kernels.softmax import softmax_second
from fpsolve.attention.kernel import sampling_circle, sampling_grid
from fpsolve.attention.laws import DIMENSIONS, Cutoffs, KeyQueryLaw, radius_weights
from fpsolve.attention.source import MomentSource, PointSource, Source
from fpsolve.errors import InputError
from fpsolve.memory import check_memory
from fpsolve.models.base import (
    Model,
    apply_matrix,
    checked_degree,
    checked_matrix,
    checked_number,
    checked_same_size,
    frozen_matrix,
)
from fpsolve.models.self_attention import attention, attention_field
from fpsolve.models.weight_arguments import WeightLaw, as_law, checked_law
from fpsolve.models.weights import Gaussian, MatrixLaw, averaging_matrices, is_rotation_invariant
from fpsolve.sphere.harmonics import Real
from fpsolve.sphere.scattered import SpherePoints
from fpsolve.transport.velocity import AmbientField, Sites, Velocity, sites_of

EXACT_PAIRS = 1_000_000
"""On S² the derivative of the softmax is summed over pairs of targets and points up to so many of them."""

SHIFT = 5e-3
"""Distance by which a measure is moved for the central difference of fourth order, beyond that; over 1 + β."""


class MeanHeads(Model):
    """What both limits share: the mean layer V̄ E_A F_μ(βAx) of a law of A; their arguments.

    beta: β ≥ 0. value: V̄, a number or (d, d). key_query: the law of A, by name ``identity``, ``gaussian`` (iid entries
    of deviation key_query_std), ``product`` (A = WW'ᵀ, both factors so) or ``uniform``; or any law of
    ``fp.transformer``, a sampler (generator, d) -> (d, d), a fixed number or matrix. diffusion: ν. draws, seed: where
    there is no quadrature E_A is the mean over ``draws`` matrices, drawn once with ``seed``: an error of the order
    1/√draws, for which see :meth:`mean_attention_at`. Any d. Raises InputError for bad values.
    """

    value: ArrayLike
    key_query: WeightLaw
    key_query_std: float
    draws: int
    seed: int

    reference: ClassVar[str] = "arXiv:2604.01978"

    def __post_init__(self) -> None:
        for name in ("beta", "diffusion", "key_query_std"):
            checked_number(name, getattr(self, name))
        for name in ("draws", "seed"):
            checked_degree(name, getattr(self, name))
        if self.draws < 2:
            raise InputError("draws", self.draws, "a mean and its error take two", "pass draws=256")
        check_memory("draws", self.draws, 256)
        object.__setattr__(self, "value", frozen_matrix("value", self.value))
        object.__setattr__(self, "key_query", checked_law("key_query", self.key_query, self.key_query_std))
        checked_same_size(self.fixed_matrices)

    @property
    def law(self) -> MatrixLaw:
        """The law of A."""
        return as_law("key_query", self.key_query, self.key_query_std)

    @property
    def fixed_matrices(self) -> Sequence[tuple[str, Real]]:
        matrices = (("value", self.value), ("key_query", self.law.mean))
        return [(name, checked_matrix(name, matrix)) for name, matrix in matrices]

    def check(self, measure: Any) -> None:
        super().check(measure)
        self.law.check(measure.dimension)

    def heads(self, d: int) -> Sequence[Real]:
        """The matrices A whose mean stands for E_A, each of shape () or (d, d)."""
        if not self.law.is_random:
            return [checked_matrix("key_query", self.law.mean)]
        return list(averaging_matrices(self.law, self.draws, self.seed, d))

    def attention_mean(self, source: Source, sites: Sites) -> Real:
        """The mean of F_μ(βAx) over the heads, shape (..., d)."""
        heads = self.heads(source.dimension)
        return np.asarray(sum(attention(source, self.beta * A, sites)[1] for A in heads) / len(heads))

    def mean_attention_at(self, source: Source, x: Real) -> tuple[Real, Real]:
        """E_A F_μ(βAx) at the rows of x by the drawn matrices, and its standard error; shapes (n, d)."""
        heads, sites = self.heads(source.dimension), sites_of(np.ascontiguousarray(x))
        values = np.stack([attention(source, self.beta * A, sites)[1] for A in heads])
        deviation = values.std(0, ddof=1) if len(heads) > 1 else np.zeros(values.shape[1:])
        return values.mean(0), deviation / np.sqrt(len(heads))


@dataclass(frozen=True)
class Ballistic(MeanHeads):
    """dx = P_x V̄ E_A F_μ(βAx) dt [+ each token's own noise]: layers of mean value matrix V̄, infinitely many, η → 0.

    Time is t = ηL; arguments as for :class:`MeanHeads`. For the centred Gaussian laws E_A F_μ(βAx) is one vector for
    all x, Ax ~ N(0, σ_A² I) whatever x is: by quadrature for d = 2 and d = 3, otherwise over ``draws``.
    :cite:`homogenized2026`
    """

    beta: float
    value: ArrayLike = 1.0
    key_query: WeightLaw = "identity"
    key_query_std: float = 1.0
    diffusion: float = 0.0
    draws: int = 256
    seed: int = 0

    summary: ClassVar[str] = "ballistic limit of random transformers: the drift of the mean layer"

    def drift_field(self, source: Source) -> Velocity:
        value = checked_matrix("value", self.value)
        if is_rotation_invariant(self.law):
            constant = apply_matrix(value, self.mean_attention(source))
            return AmbientField(lambda sites: constant)
        largest = max(self.heads(source.dimension), key=lambda A: float(np.linalg.norm(A)))
        return attention_field(
            self.beta * largest, lambda sites: apply_matrix(value, self.attention_mean(source, sites))
        )

    def mean_attention(self, source: Source) -> Real:
        """E_A F_μ(βAx) of the centred Gaussian laws, shape (d,): the law of Ax, |x| = 1, is the same for all x."""
        law, d = self.law, source.dimension
        if not is_rotation_invariant(law):
            raise InputError("key_query", self.key_query, "E_A F(βAx) depends on x", "use mean_attention_at(source, x)")
        if d not in DIMENSIONS:
            return source.F(self.beta * averaging_matrices(law, self.draws, self.seed, d)[:, :, 0]).mean(0)
        kind = "gaussian" if isinstance(law, Gaussian) else "product"
        return _radial_mean(KeyQueryLaw(kind, law.std, d), self.beta, source)


def _radial_mean(law: KeyQueryLaw, beta: float, source: Source) -> Real:
    """E F_μ(βAx) by quadrature in |Ax| and the direction of Ax, d = 2, 3; shape (d,)."""
    cutoffs = Cutoffs.for_tolerance(law, beta)
    grid: Any = (sampling_circle if law.d == 2 else sampling_grid)(cutoffs.degree)
    total, radii = np.zeros(law.d), cutoffs.mesh(law, beta).radii
    for radius, weight in zip(radii, radius_weights(law, beta, cutoffs), strict=True):
        f = source.F_sphere(float(radius), grid)[1]
        total += weight * np.array([grid.integral(np.ascontiguousarray(f[..., a])) for a in range(law.d)])
    return total


@dataclass(frozen=True)
class ModifiedBallistic(MeanHeads):
    """dx = [b - η⟨x,b̄⟩P_x b̄ - (η/2) P_x ∇_b b] dt, b̄ = V̄ E_A F_μ(βAx), b = P_x b̄, ∇_b in the joint state (x, μ).

    The equation that layers x ← N(x + η b̄) of step η follow to O(η²) over finite times t = ηL, where the plain limit
    is O(η): the modified limit of random transformers (η²L/H → 0, η³L → 0). As P_x ∇_b b = P_x V̄ ṁ - ⟨x,b̄⟩b, ṁ the
    rate of m(x) = E_A F_μ(βAx) along b, the drift is b - (η/2)⟨x,b̄⟩b - (η/2) P_x V̄ ṁ.

    step: η ≥ 0; the other arguments as for :class:`MeanHeads`, any fixed A, and random A over its ``draws`` matrices,
    whose layers it follows to O(η²) and the law's up to the error of the mean. :cite:`homogenized2026`
    """

    beta: float
    value: ArrayLike = 1.0
    step: float = 0.1
    diffusion: float = 0.0
    key_query: WeightLaw = "identity"
    key_query_std: float = 1.0
    draws: int = 256
    seed: int = 0

    summary: ClassVar[str] = "ballistic limit of random transformers with the first correction in the step"

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_number("step", self.step)

    def drift_field(self, source: Source) -> Velocity:
        value, heads = checked_matrix("value", self.value), self.heads(source.dimension)
        x, weights = _points(source)
        moving = Moving(x, weights, self._plain(source, value, sites_of(x))[1], self.beta)

        def drift(sites: Sites) -> Real:
            flat = sites_of(np.ascontiguousarray(sites.x.reshape(-1, source.dimension)))
            radial, b = self._plain(source, value, flat)
            rate = np.asarray(sum(moving.attention_rate(flat.x, b, A) for A in heads) / len(heads))
            turned = apply_matrix(value, rate)
            return (b - 0.5 * self.step * (radial[:, None] * b + turned)).reshape(sites.x.shape)

        return AmbientField(drift)

    def _plain(self, source: Source, value: Real, sites: Sites) -> tuple[Real, Real]:
        """⟨x, b̄⟩ and b = P_x b̄ at points, shapes (n,) and (n, d)."""
        ambient = apply_matrix(value, self.attention_mean(source, sites))
        radial = np.einsum("na,na->n", sites.x, ambient)
        return radial, ambient - radial[:, None] * sites.x


def _points(source: Any) -> tuple[Real, Real]:
    """The points of a source, or a positive quadrature of it."""
    where = source if isinstance(source, PointSource) else getattr(source, "points", None)
    if where is None:
        raise InputError("measure", type(source).__name__, "has no points to be moved", "use a cloud or a density")
    return where.x, where.weights


IDENTITY = np.array(1.0)
"""A = I."""


class Moving:
    """Weighted points ``x`` (N, d) with velocities ``rate`` (N, d); how their attention barycentres change."""

    def __init__(self, x: Real, weights: Real, rate: Real, beta: float) -> None:
        self.x, self.weights, self.rate, self.beta = x, weights, rate, beta

    def attention_rate(self, targets: Real, speeds: Real, A: Real = IDENTITY) -> Real:
        """ṁ, m = F_μ(βAx), where both the targets (n, d), by ``speeds``, and the points move; shape (n, d)."""
        if targets.shape[1] == 3 and len(targets) * len(self.x) > EXACT_PAIRS:
            return self.by_difference(targets, speeds, A)
        targets, speeds = apply_matrix(A, targets), apply_matrix(A, speeds)
        step = max(1, 2**20 // (2 * targets.shape[1]) ** 2)
        parts = [slice(start, start + step) for start in range(0, len(targets), step)]
        return np.concatenate([self.exact(targets[part], speeds[part]) for part in parts])

    def exact(self, targets: Real, speeds: Real) -> Real:
        """ṁ = E_p ẏ + β [Cov_p(y) u̇ + Cov_p(y, ẏ) u], p the attention of u = Ax: the softmax differentiated.

        ``targets`` are u, ``speeds`` u̇ = Aẋ.
        """
        d = targets.shape[1]
        g = np.column_stack([self.beta * targets, np.zeros_like(targets)])
        _, first, second = softmax_second(g, np.column_stack([self.x, self.rate]), self.weights)
        y, y_rate = first[:, :d], first[:, d:]
        pulled = np.einsum("nab,nb->na", second[:, :d], np.column_stack([speeds, targets]))
        exponent = np.einsum("na,na->n", y, speeds) + np.einsum("na,na->n", y_rate, targets)
        return y_rate + self.beta * (pulled - exponent[:, None] * y)

    def by_difference(self, targets: Real, speeds: Real, A: Real = IDENTITY) -> Real:
        """The same on S² by moments of the measure moved forth and back, O(n + N), error O(SHIFT⁴)."""
        fastest = max(float(np.sqrt(np.einsum("na,na->n", v, v).max())) for v in (speeds, self.rate))
        steepest = 1 + self.beta * float(np.linalg.norm(A))
        total, unit = np.zeros_like(targets), SHIFT / (steepest * max(fastest, 1e-300))
        if fastest == 0:
            return total
        for shift, factor in ((1, 2 / 3), (-1, -2 / 3), (2, -1 / 12), (-2, 1 / 12)):
            time = shift * unit
            moved = _moments(_unit(self.x + time * self.rate), self.weights)
            f = attention(moved, self.beta * A, SpherePoints(_unit(targets + time * speeds)))[1]
            total += factor / unit * f
        return total


def _moments(x: Real, weights: Real) -> MomentSource:
    at = SpherePoints(x)
    return MomentSource(lambda degree: at.moments(weights, degree), lambda: (x, weights), accuracy=at.accuracy)


def _unit(x: Real) -> Real:
    return x / np.sqrt(np.einsum("na,na->n", x, x))[:, None]
