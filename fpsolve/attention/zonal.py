r"""Sources of laws that are symmetric about an axis e of R^d: functions of the height u = ⟨x, e⟩, in every d ≥ 2.

By moments c_ℓ = ∫ P_ℓ(u) dμ, with the multipliers λ_ℓ of :mod:`fpsolve.attention.multipliers`,

    M(rx) = λ_0(r) Σ (λ_ℓ/λ_0)(r) c_ℓ P_ℓ(u),    ∂_r λ_ℓ = λ_ℓ (ℓ/r + λ_{ℓ+1}/λ_ℓ);

by points at angles θ_j from the axis, with the multiplier λ^{(d-1)}_0 of the sphere one dimension lower, which is what
the mean of e^{r⟨x,y⟩} over the directions of y across the axis makes,

    M(rx) = Σ_j w_j e^{r cos θ cos θ_j} λ^{(d-1)}_0(r sin θ sin θ_j).

Every term of the second sum is positive: it is safe for every r. The first cancels far from a concentrated μ; there,
and only there, the second takes over. Vectors have two components, across the axis and along it
(:mod:`fpsolve.sphere.gegenbauer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fpsolve.attention.bessel import TINY
from fpsolve.attention.direct import Source
from fpsolve.attention.multipliers import log_multiplier, ratios, table
from fpsolve.attention.source import TOLERANCE
from fpsolve.attention.thinning import above_error
from fpsolve.cached import cached_property, lru_cache, read_only
from fpsolve.errors import InputError
from fpsolve.sphere.gegenbauer import ZonalGrid, ZonalPoints, recurrence, zonal_grid
from fpsolve.sphere.harmonics import Real

ROUND_OFF = 1e-16
"""The least error of a coefficient, in parts of their norm."""

ACCURACY = 1e-15
"""Accuracy of the coefficients of a density, relative to their norm."""

PAIRS = 1 << 15
"""Pairs of targets and points that are summed at once: what is held of them stays in the caches, twice as fast."""

KERNEL = 1e-14
"""The part of e^{r⟨x,y⟩} at x = y that degrees beyond :func:`kernel_degree` carry."""


class AxialSource(Source):
    """What both sources share: how vectors and points on a sphere are taken."""

    axial = True

    def __init__(self, d: int) -> None:
        self.dimension = d

    @property
    def points(self) -> None:
        """None: points of R^d are not kept."""
        return None

    def log_M_sphere(self, radius: float, sites: Any) -> Real:
        return self.F_sphere(radius, sites)[0]

    def hessian_F_sphere(self, radius: float, sites: Any) -> tuple[Real, Real]:
        raise InputError("model", "noise", "its correction is not known for zonal laws", "use a deterministic model")

    def evaluate(self, g: Real) -> tuple[Real, Real]:
        """(log M, F) at g = (across, along), shape (n, 2), of any lengths."""
        radii = np.sqrt(np.einsum("na,na->n", g, g))
        theta = np.arctan2(g[:, 0], g[:, 1])
        common = float(radii.mean()) if len(g) else 0.0
        if np.ptp(radii) <= 1e-13 * common:
            return self.F_sphere(common, ZonalPoints(self.dimension, theta))
        log_m, f = np.zeros(len(g)), np.zeros((len(g), 2))
        for k, radius in enumerate(radii.tolist()):
            log_m[k : k + 1], f[k : k + 1] = self.F_sphere(radius, ZonalPoints(self.dimension, theta[k : k + 1]))
        return log_m, f

    def circles(self, radius: float) -> AxialPoints:
        """Circles of latitude with positive masses that stand for μ where |g| ≤ ``radius``."""
        raise NotImplementedError

    def spherical_mean(self, radius: float, grid: ZonalGrid) -> Real:
        """∫F(rω) dω over the uniform law, shape (2,): along the axis."""
        along = self.F_sphere(radius, grid)[1][:, 1]
        return np.array([0.0, grid.integral(along)])


class AxialPoints(AxialSource):
    """A source that sums over angles ``theta`` with ``weights``, O(n N)."""

    def __init__(self, d: int, theta: Real, weights: Real) -> None:
        super().__init__(d)
        self.theta, self.weights = theta, weights

    @cached_property
    def mean(self) -> Real:
        return np.array([0.0, float(np.einsum("n,n->", self.weights, np.cos(self.theta)))])

    def circles(self, radius: float) -> AxialPoints:
        return self

    def F_sphere(self, radius: float, sites: Any) -> tuple[Real, Real]:
        block = max(1, PAIRS // len(self.theta))
        parts = [sites.theta[k : k + block] for k in range(0, len(sites.theta), block)]
        log_m, f = zip(*(self._block(radius, part) for part in parts), strict=True)
        return np.concatenate(log_m), np.concatenate(f)

    def _block(self, radius: float, theta: Real) -> tuple[Real, Real]:
        c, s = np.cos(self.theta), np.sin(self.theta)
        across, along = np.sin(theta)[:, None], np.cos(theta)[:, None]
        logs, ratio = table(self.dimension - 1, float(radius))(radius * np.abs(across) * np.abs(s))
        with np.errstate(divide="ignore"):
            logs = logs + radius * along * c + np.log(self.weights)
        top = logs.max(axis=1)
        share = np.exp(logs - top[:, None])
        total = share.sum(axis=1)
        f_along = np.einsum("nm,m->n", share, c) / total
        f_across = np.sign(across[:, 0]) * np.einsum("nm,nm,m->n", share, ratio, s) / total
        return top + np.log(total), np.stack([f_across, f_along], -1)


class AxialMoments(AxialSource):
    """A source by the moments ``c`` of a density, with the points of its positive part where their sum cancels."""

    def __init__(self, d: int, c: Real) -> None:
        super().__init__(d)
        self.c = c
        self._safe: dict[int, AxialPoints] = {}

    @cached_property
    def mean(self) -> Real:
        return np.array([0.0, float(self.c[1]) / np.sqrt(self.dimension)])

    def F_sphere(self, radius: float, sites: Any) -> tuple[Real, Real]:
        if radius < TINY:
            return np.zeros(sites.shape), np.broadcast_to(self.mean, sites.x.shape).copy()
        lmax = len(self.c) - 1
        waves = waves_at(sites, lmax, radius)
        m, slope = np.einsum("nl,l->n", waves.value, self.c), np.einsum("nl,l->n", waves.slope, self.c)
        radial = np.einsum("nl,l->n", waves.value, self.c * waves.radial)
        bad = ~(m > ACCURACY / TOLERANCE * _norm(self.c) * waves.size)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            f = (radial / m)[:, None] * sites.x + sites.to_ambient(slope / (radius * m))
            log_m = np.log(m) + waves.log_first
            bad |= ~(np.einsum("na,na->n", f, f) <= 1 + 1e-9)
        if bad.any():
            log_m[bad], f[bad] = self.circles(radius).F_sphere(radius, ZonalPoints(self.dimension, sites.theta[bad]))
        return log_m, f

    def circles(self, radius: float) -> AxialPoints:
        """The positive part of the density on a grid that is fine enough for e^{g·y}, |g| ≤ ``radius``."""
        step = max(0, int(np.ceil(2 * np.log2(max(radius, 1.0)))))
        if step not in self._safe:
            d, lmax = self.dimension, len(self.c) - 1
            least = (lmax + kernel_degree(d, 2 ** (step / 2))) // 2 + 2
            grid = zonal_grid(d, lmax, max(least, zonal_grid(d, lmax).n))
            self._safe[step] = AxialPoints(d, *positive(grid, self.c))
        return self._safe[step]


class Waves:
    """(λ_ℓ/λ_0) P_ℓ at sites, shape (n, L+1), and what goes with it.

    value: itself; slope: with ∂_θ P_ℓ; radial: ∂_r log λ_ℓ; log_first: log λ_0; size: its norm over ℓ.
    """

    def __init__(self, sites: ZonalPoints, lmax: int, radius: float) -> None:
        a, b = ratios(sites.d, lmax, radius), recurrence(sites.d, lmax)
        value, rise = (np.zeros((len(sites.theta), lmax + 1)) for _ in range(2))
        value[:, 0] = 1.0
        for ell in range(lmax):
            falls = b[ell] * a[ell - 1] if ell else 0.0
            before, rose = (value[:, ell - 1], rise[:, ell - 1]) if ell else (0.0, 0.0)
            value[:, ell + 1] = a[ell] * (sites.u * value[:, ell] - falls * before) / b[ell + 1]
            rise[:, ell + 1] = a[ell] * (value[:, ell] + sites.u * rise[:, ell] - falls * rose) / b[ell + 1]
        self.value, self.slope = read_only(value), read_only(-sites.sine[:, None] * rise)
        self.radial = np.arange(lmax + 1) / radius + a
        self.log_first = float(log_multiplier(sites.d, np.array(radius))[0])
        self.size = np.sqrt(np.einsum("nl,nl->n", value, value))


class AxialFloor:
    """What lies below the accuracy of a density ``c``, as far attention multiplies it.

    An error δ of the coefficients, ``rtol`` of their norm, and their last tenth, which stands for what is left out,
    change M(βax) by up to δ √Σ((λ_ℓ/λ_0) P_ℓ(u))², summed over the degrees that err: the part ζ(u) of M, or of its mean
    where it is no denominator. The estimate is the mean of min(1, ζ) over x ~ μ.
    """

    is_truncation = False

    def __init__(self, source: AxialMoments, grid: ZonalGrid, masses: Real, rtol: float) -> None:
        self._source, self._grid = source, grid
        self._masses = np.maximum(masses, 0.0) / np.maximum(masses, 0.0).sum()
        c = source.c
        self._first = int(0.9 * (len(c) - 1)) + 1
        self._errors = max(ROUND_OFF, rtol) * _norm(c), _norm(c[self._first :])

    def seen_by(self, heads: Any) -> float:
        """The largest estimate for heads of a number A each; zero for others."""
        known = [one for one in heads if np.ndim(one.scores) == 0] if isinstance(heads, Sequence) else []
        return max((self._of(one) for one in known if one.scores != 0), default=0.0)

    def _of(self, head: Any) -> float:
        radius = abs(float(head.scores))
        waves = waves_at(self._grid, len(self._source.c) - 1, radius)
        m = np.exp(self._source.F_sphere(radius, self._grid)[0] - waves.log_first)
        if not head.normalised:
            m = np.full_like(m, float(np.einsum("n,n->", self._masses, m)))
        last = waves.value[:, self._first :]
        parts = [self._errors[0] * waves.size, self._errors[1] * np.sqrt(np.einsum("nl,nl->n", last, last))]
        by_rtol, by_degree = (float(np.einsum("n,n->", self._masses, np.minimum(1.0, part / m))) for part in parts)
        self.is_truncation = by_degree > by_rtol
        return max(by_rtol, by_degree)


def _norm(c: Real) -> float:
    return float(np.sqrt(np.einsum("l,l->", c, c)))


@lru_cache(maxsize=256)
def _waves(d: int, lmax: int, n: int, degree: int, radius: float) -> Waves:
    return Waves(zonal_grid(d, lmax, n), degree, radius)


def waves_at(sites: ZonalPoints, degree: int, radius: float) -> Waves:
    """Those of a grid are kept: a run asks for the same at every stage."""
    if isinstance(sites, ZonalGrid):
        return _waves(sites.d, sites.lmax, sites.n, degree, radius)
    return Waves(sites, degree, radius)


def positive(grid: ZonalGrid, c: Real) -> tuple[Real, Real]:
    """Angles and masses of Σ c_ℓ P_ℓ where √w ρ stands above round-off and above lobes like its negative ones."""
    scaled = grid.scaled(c)
    kept = above_error(scaled)
    masses = (grid.root * scaled)[kept]
    return grid.theta[kept], masses / masses.sum()


@lru_cache(maxsize=256)
def kernel_degree(d: int, radius: float) -> int:
    """The degree beyond which e^{r⟨x,y⟩} carries less than ``KERNEL`` of its largest value: Σ λ_ℓ P_ℓ(1)² = e^r."""
    highest = 32 + int(2 * radius) if radius < 50 else 32 + int(14 * np.sqrt(radius))
    a, ell = ratios(d, highest, radius), np.arange(highest)
    with np.errstate(divide="ignore", invalid="ignore"):  # P_{ℓ+1}(1)²/P_ℓ(1)², numbers of harmonics
        later = np.log((2 * ell + d) * (ell + d - 2) / ((2 * ell + d - 2) * (ell + 1)))
    steps = np.where(ell == 0, np.log(d), 0.0 if d == 2 else later)
    logs = np.concatenate([[0.0], np.cumsum(steps + np.log(np.maximum(a[:-1], 1e-300)))])
    logs += float(log_multiplier(d, np.array(radius))[0]) - radius
    tails = np.cumsum(np.exp(logs)[::-1])[::-1]
    return int(np.argmax(np.append(tails, 0.0) <= KERNEL))
