"""Ballistic limits of random transformers: the mean layer as an ODE, and with its first correction in the step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fpsolve._kernels.softmax import softmax_second
from fpsolve.attention.floor import Heads
from fpsolve.attention.laws import DIMENSIONS
from fpsolve.attention.source import MomentSource, PointSource, Source
from fpsolve.errors import InputError, SamplingWarning, check_integer
from fpsolve.memory import check_memory
from fpsolve.models.about_an_axis import DIFFERENCES, SHIFT, modified_about_an_axis
from fpsolve.models.base import (
    Model,
    apply_matrix,
    checked_matrix,
    checked_number,
    checked_same_size,
    frozen_matrix,
    spectral_norm,
)
from fpsolve.models.conditioning import Mean, axial_mean, drawn_vectors, gaussian_mean, radial_mean
from fpsolve.models.self_attention import attention, attention_field
from fpsolve.models.weight_arguments import WeightLaw, as_law, checked_law
from fpsolve.models.weights import (
    Gaussian,
    MatrixLaw,
    Product,
    averaging_matrices,
    is_rotation_invariant,
    isotropic_law,
    queries_of,
)
from fpsolve.sphere.harmonics import Real
from fpsolve.sphere.scattered import SpherePoints
from fpsolve.surroundings import warn
from fpsolve.transport.velocity import AmbientField, Sites, Velocity, sites_of

EXACT_PAIRS = 1_000_000
"""On S² the derivative of the softmax is summed over pairs of targets and points up to so many of them."""

LOOKED_AT = 64
"""Points at which the error of a drift that depends on x is estimated."""

FEW = 128
"""Moved points of S² are summed directly up to so many."""


class MeanHeads(Model):
    """What both limits share: the mean layer V̄ E_A F_μ(βAx) of a law of A, V independent of A; their arguments.

    beta: β ≥ 0. value: V̄, a number or (d, d). key_query: the law of A, by name ``identity``, ``gaussian`` (iid entries
    of deviation key_query_std), ``product`` (A = WW'ᵀ, both factors so) or ``uniform``; or any law of
    ``fp.transformer``, a sampler (generator, d) -> (d, d), a fixed number or matrix. diffusion: ν. Any d.

    How E_A is taken (:attr:`sampling_error` says what error is left):

    * fixed A: exactly;
    * centred Gaussian and product laws: E_A F_μ(βAx) is one vector for all x (:mod:`fpsolve.models.conditioning`), by
      quadrature for d = 2, 3, in higher d by quasi-Monte Carlo until its standard error is below ``tolerance``, a root
      mean square norm, or 2^16 points (fewer in high d) are spent in each of 8 replicates; ``draws`` has no part in it;
    * Gaussian and product laws with a mean: the mean over ``draws`` quasi-random vectors Gx, the same for all x;
    * other laws (uniform, samplers): the mean over ``draws`` matrices, an error of the order 1/√draws.

    A run whose drift is off by more than ``tolerance`` at its start says so (SamplingWarning), however it is taken.
    seed: of the draws and scramblings, which are the same in a whole run. Raises InputError for bad values.
    """

    value: ArrayLike
    key_query: WeightLaw
    key_query_std: float
    draws: int
    seed: int
    tolerance: float

    reference: ClassVar[str] = "arXiv:2604.01978"

    def __post_init__(self) -> None:
        for name in ("beta", "diffusion", "key_query_std"):
            checked_number(name, getattr(self, name))
        checked_number("tolerance", self.tolerance, positive=True)
        check_integer("draws", self.draws, 0)
        check_integer("seed", self.seed, 0, (1 << 64) - 1)
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
        if not measure.is_axial:
            self.law.check(measure.dimension)

    def check_axial(self, measure: Any) -> None:
        super().check_axial(measure)
        if self.law.is_random and not is_rotation_invariant(self.law):
            problem = "E_A F(βAx) of this law is not known to keep the symmetry about an axis"
            remedy = 'use a number, or a Gaussian or product law of mean zero, or measure="cloud"'
            raise InputError("key_query", self.key_query, problem, remedy)

    def prepared(self, measure: Any) -> Model:
        error = self.sampling_error(measure.source)
        if error is not None and error > self.tolerance:
            most = is_rotation_invariant(self.law)
            points, remedy = ("all points that are taken", "") if most else (f"draws = {self.draws}", "draws or ")
            text = f"the drift has a standard error of {error:.2g}, above its tolerance {self.tolerance:.2g}, with "
            text += f"{points}. The variable drift_error of the result follows it; raise {remedy}tolerance"
            warn(text, SamplingWarning)
        return self

    def heads(self, d: int) -> Sequence[Real]:
        """The matrices A whose mean stands for E_A, each of shape () or (d, d), where the law is drawn as matrices."""
        if not self.law.is_random:
            return [checked_matrix("key_query", self.law.mean)]
        return list(averaging_matrices(self.law, self.draws, self.seed, d))

    def queries(self, d: int) -> Heads:
        return queries_of(self.law, self.beta, d)

    def mean_attention(self, source: Source) -> Real:
        """E_A F_μ(βAx) of the centred Gaussian and product laws, shape (d,): one vector for all x of the sphere.

        Raises InputError for other laws.
        """
        return self._one_vector(source).value

    def mean_attention_at(self, source: Source, x: Real) -> tuple[Real, Real]:
        """E_A F_μ(βAx) at the rows of x, and its standard error, zero where there is none; shapes (n, d)."""
        x = np.ascontiguousarray(x)
        if is_rotation_invariant(self.law):
            mean = self._one_vector(source)
            return np.tile(mean.value, (len(x), 1)), np.tile(mean.error, (len(x), 1))
        values = np.stack(list(self._each(source, sites_of(x))))
        if len(values) == 1:
            return values[0], np.zeros_like(values[0])
        return values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))

    def sampling_error(self, source: Source) -> float | None:
        """The standard error of the drift b = P_x V̄ E_A F_μ(βAx) that sampling leaves; None where nothing is sampled.

        The root mean square norm, ‖V̄‖ times that of E_A F_μ(βAx), the largest at up to 64 points of the measure where
        it depends on x.
        """
        exact = source.axial or source.dimension in DIMENSIONS
        if not self.law.is_random or (is_rotation_invariant(self.law) and exact):
            return None
        x, _ = _points(source)
        _, error = self.mean_attention_at(source, x[:: -(-len(x) // LOOKED_AT)])
        value = checked_matrix("value", self.value)
        size = spectral_norm(value)
        return float(size * np.sqrt((error**2).sum(1).max()))

    def attention_mean(self, source: Source, sites: Sites) -> Real:
        """E_A F_μ(βAx) at sites, shape (..., d)."""
        if is_rotation_invariant(self.law):
            return np.broadcast_to(self.mean_attention(source), sites.x.shape)
        total, count = np.zeros(sites.x.shape), 0
        for values in self._each(source, sites):
            total, count = total + values, count + 1
        return total / count

    def _each(self, source: Source, sites: Sites) -> Iterator[Real]:
        """F_μ(βAx) for one A after the other; for Gaussian laws with a mean, means over the vectors of a replicate."""
        law, d = self.law, source.dimension
        if not isinstance(law, Gaussian | Product):
            for A in self.heads(d):
                yield attention(source, self.beta * A, sites)[1]
            return
        fixed = apply_matrix(self.beta * checked_matrix("key_query", law.mean), sites.x.reshape(-1, d))
        for vectors in drawn_vectors(law, d, self.seed, self.draws):
            values = sum((source.F(fixed + self.beta * one) for one in vectors), np.zeros_like(fixed))
            yield (values / len(vectors)).reshape(sites.x.shape)

    def _one_vector(self, source: Source) -> Mean:
        """E_A F_μ(βAx) where it is one vector, with its error."""
        law, d = self.law, source.dimension
        if not is_rotation_invariant(law):
            raise InputError("key_query", self.key_query, "E_A F(βAx) depends on x", "use mean_attention_at(source, x)")
        if source.axial:
            return Mean(axial_mean(law, self.beta, source), np.zeros(2), 0)
        if d in DIMENSIONS:
            return Mean(radial_mean(isotropic_law(law, d), self.beta, source), np.zeros(d), 0)
        return gaussian_mean(law, d, self.seed, lambda g: source.F(self.beta * g), self.tolerance)


@dataclass(frozen=True)
class Ballistic(MeanHeads):
    """dx = P_x V̄ E_A F_μ(βAx) dt [+ each token's own noise]: layers of mean value matrix V̄, infinitely many, η → 0.

    Time is t = ηL; arguments as for :class:`MeanHeads`. :cite:`homogenized2026`
    """

    beta: float
    value: ArrayLike = 1.0
    key_query: WeightLaw = "identity"
    key_query_std: float = 1.0
    diffusion: float = 0.0
    draws: int = 256
    seed: int = 0
    tolerance: float = 3e-4

    summary: ClassVar[str] = "ballistic limit of random transformers: the drift of the mean layer"
    axial: ClassVar[bool] = True

    def drift_field(self, source: Source) -> Velocity:
        value, law = checked_matrix("value", self.value), self.law
        if is_rotation_invariant(law):
            constant = apply_matrix(value, self.mean_attention(source))
            return AmbientField(lambda sites: constant)
        if isinstance(law, Gaussian | Product):
            return AmbientField(lambda sites: apply_matrix(value, self.attention_mean(source, sites)))
        largest = max(self.heads(source.dimension), key=lambda A: float(np.linalg.norm(A)))
        return attention_field(
            self.beta * largest, lambda sites: apply_matrix(value, self.attention_mean(source, sites))
        )


@dataclass(frozen=True)
class ModifiedBallistic(MeanHeads):
    """dx = [b - η⟨x,b̄⟩P_x b̄ - (η/2) P_x ∇_b b] dt, b̄ = V̄ E_A F_μ(βAx), b = P_x b̄, ∇_b in the joint state (x, μ).

    The equation that layers x ← N(x + η b̄) of step η follow to O(η²) over finite times t = ηL, where the plain limit
    is O(η): the modified limit of random transformers (η²L/H → 0, η³L → 0). As P_x ∇_b b = P_x V̄ ṁ - ⟨x,b̄⟩b, ṁ the
    rate of m(x) = E_A F_μ(βAx) along b, the drift is b - (η/2)⟨x,b̄⟩b - (η/2) P_x V̄ ṁ.

    Where E_A F_μ(βAx) is one vector for all x (:class:`MeanHeads`), so is ṁ = d/ds E_A F_{μ_s}(βAx), μ_s moved along b;
    for Gaussian laws with a mean Ā, ṁ = E DF(u)[u̇] at u = Āx + Gx, u̇ = Āẋ, as Gẋ is independent of Gx.

    step: η ≥ 0; the other arguments as for :class:`MeanHeads`. Laws that are drawn as matrices are followed to O(η²)
    with the drawn mean in place of E_A. :cite:`homogenized2026`
    """

    beta: float
    value: ArrayLike = 1.0
    step: float = 0.1
    diffusion: float = 0.0
    key_query: WeightLaw = "identity"
    key_query_std: float = 1.0
    draws: int = 256
    seed: int = 0
    tolerance: float = 3e-4

    summary: ClassVar[str] = "ballistic limit of random transformers with the first correction in the step"
    alone: ClassVar[str] = "its correction in the step is quadratic in the whole drift and does not add"
    axial: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_number("step", self.step)

    def drift_field(self, source: Source) -> Velocity:
        value = checked_matrix("value", self.value)
        if source.axial:
            return modified_about_an_axis(self, source, value)
        x, weights = _points(source)
        moving = Moving(x, weights, self._plain(source, value, sites_of(x))[1], self.beta)
        one = self._one_rate(source, moving, value) if is_rotation_invariant(self.law) else None

        def drift(sites: Sites) -> Real:
            flat = sites_of(np.ascontiguousarray(sites.x.reshape(-1, source.dimension)))
            radial, b = self._plain(source, value, flat)
            turned = apply_matrix(value, self._rate(moving, flat.x, b) if one is None else one)
            return (b - 0.5 * self.step * (radial[:, None] * b + turned)).reshape(sites.x.shape)

        return AmbientField(drift)

    def _rate(self, moving: Moving, x: Real, b: Real) -> Real:
        """ṁ at moving points x (n, d) of speeds b."""
        law, d = self.law, x.shape[1]
        if not isinstance(law, Gaussian | Product):
            heads = self.heads(d)
            return np.asarray(sum(moving.attention_rate(x, b, A) for A in heads) / len(heads))
        mean = checked_matrix("key_query", law.mean)
        fixed, speeds = apply_matrix(mean, x), apply_matrix(mean, b)
        vectors = drawn_vectors(law, d, self.seed, self.draws).reshape(-1, d)
        return np.asarray(sum(moving.rate_at(fixed + one, speeds) for one in vectors) / len(vectors))

    def _one_rate(self, source: Source, moving: Moving, value: Real) -> Real:
        """ṁ where it is one vector: a central difference of E_A F with the same points in all four places."""
        law: Any = self.law
        d, strength = source.dimension, float(np.linalg.norm(value))
        parts = moving.displaced(np.sqrt(d) * float(law.entry_std(d)))
        if self.step == 0 or strength == 0 or not parts:
            return np.zeros(d)
        if d in DIMENSIONS:
            conditioned = isotropic_law(law, d)
            return np.asarray(sum(f * radial_mean(conditioned, self.beta, there) for f, _, there in parts))

        def rate(g: Real) -> Real:
            return np.asarray(sum(factor * there.F(self.beta * g) for factor, _, there in parts))

        return gaussian_mean(law, d, self.seed, rate, self.tolerance / (0.5 * self.step * strength)).value

    def _plain(self, source: Source, value: Real, sites: Sites) -> tuple[Real, Real]:
        """⟨x, b̄⟩ and b = P_x b̄ at points, shapes (n,) and (n, d)."""
        ambient = apply_matrix(value, self.attention_mean(source, sites))
        radial = np.einsum("na,na->n", sites.x, ambient)
        return radial, ambient - radial[:, None] * sites.x


def _points(source: Any) -> tuple[Real, Real]:
    """The points of a source, or a positive quadrature of it."""
    where = source.points
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
        return self.rate_at(apply_matrix(A, targets), apply_matrix(A, speeds))

    def rate_at(self, targets: Real, speeds: Real) -> Real:
        """The same at targets u = Ax, of any length, of speeds u̇ = Aẋ."""
        if targets.shape[1] == 3 and len(targets) * len(self.x) > EXACT_PAIRS:
            longest = max(1.0, float(np.sqrt(np.einsum("na,na->n", targets, targets).max())))
            shifted = self.displaced(longest, float(np.sqrt(np.einsum("na,na->n", speeds, speeds).max())))
            values = (factor * there.F(self.beta * (targets + time * speeds)) for factor, time, there in shifted)
            return np.asarray(sum(values, np.zeros_like(targets)))
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
        total, fastest = np.zeros_like(targets), float(np.sqrt(np.einsum("na,na->n", speeds, speeds).max()))
        for factor, time, there in self.displaced(float(np.linalg.norm(A)), fastest):
            total += factor * attention(there, self.beta * A, SpherePoints(_unit(targets + time * speeds)))[1]
        return total

    def displaced(self, steep: float, fastest: float = 0.0) -> list[tuple[float, float, Source]]:
        """(factor, time, source) of the measure moved: Σ factor · f(source) is df/dt to O(SHIFT⁴), empty at rest.

        ``steep``: the size of u = Ax in F_μ(βu). ``fastest``: speed of what else moves.
        """
        fastest = max(fastest, float(np.sqrt(np.einsum("na,na->n", self.rate, self.rate).max())))
        if fastest == 0:
            return []
        unit = SHIFT / ((1 + self.beta * steep) * fastest)
        return [(factor / unit, shift * unit, self._at(shift * unit)) for shift, factor in DIFFERENCES]

    def _at(self, time: float) -> Source:
        """The measure after a time."""
        moved = _unit(self.x + time * self.rate)
        if moved.shape[1] == 3 and len(moved) > FEW:
            return _moments(moved, self.weights)
        return PointSource(moved, self.weights)


def _moments(x: Real, weights: Real) -> MomentSource:
    at = SpherePoints(x)
    return MomentSource(lambda degree: at.moments(weights, degree), lambda: (x, weights), accuracy=at.accuracy)


def _unit(x: Real) -> Real:
    return x / np.sqrt(np.einsum("na,na->n", x, x))[:, None]
