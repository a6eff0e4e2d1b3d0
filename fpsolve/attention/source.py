"""Sources: what a measure tells its own dynamics, M_μ(g) = ∫ e^{g·y} μ(dy) and F_μ = ∇_g log M_μ.

On S² both come from low-degree moments, M(rω) = 4π Σ i_ℓ(r) ρ_ℓm Y_ℓm(ω); the sum cancels far from a concentrated μ,
so every value is compared with the accuracy of the sum and, where that does not do, taken by log-sum-exp over
points. A density that is truncated at round-off of its peak determines F to 1e-9 only where M e^{-r} is above about
1e-5 of its largest value; beyond, the safe route takes what is not resolved to be empty. |F| ≤ 1 everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import ref

import numpy as np

from fpsolve._kernels import _fields
from fpsolve.attention import off_sphere
from fpsolve.attention.bessel import TINY, moment_degree, plane_wave, plane_wave_derivative
from fpsolve.attention.direct import PointSource, Source, TiledSource
from fpsolve.attention.log_series import LogSeries
from fpsolve.attention.thinning import FINE, NEGLIGIBLE, Series, ThinnedSets, on_rings, resampled
from fpsolve.cached import cached_property, lru_cache, read_only
from fpsolve.sphere._shtns import BOUND, address
from fpsolve.sphere.geometry import SPHERE, Geometry, geometry
from fpsolve.sphere.grid import Grid
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.sphere.scattered import HIGHEST_DEGREE, Points, SpherePoints

TOLERANCE = 4e-10
"""Absolute accuracy asked of F (|F| ≤ 1)."""

SMOOTH_TOLERANCE = 1e-6
"""Relative accuracy of M where only a few degrees of log M count: the spectra of the noise."""

ACCURACY = 1e-14
"""Accuracy of a density's moments relative to its mass, as far as the sum of moments knows."""

SECONDS_A_SYNTHESIS = 5e-5, 6e-11
"""Cost a + b n ℓ² of moments of degree ℓ at n scattered sites."""

LONGEST = 1 + 1e-9
"""|F|² of every measure, and |Cov F|², up to round-off."""

MOST_LATITUDES = 128
"""On finer grids second derivatives along θ and φ, which grow as 1/sin² θ and cancel, would lose too many digits."""

SMALL = 1e-2
"""Smaller spheres are left to the moments of the coordinates, where nothing cancels."""

DEGREES = (24, 32, 48, 64, 96, 128, 192, 256, 384)
"""Moments are computed up to the first of these that suffices, once each for a measure."""

__all__ = ["MomentSource", "PointSource", "Source", "TiledSource", "by_moments"]


class _OnGrid(NamedTuple):
    """e^{-r}M, F and (∇² log M)F on a grid, and whether no point of it needs to be looked at again."""

    m: Real
    f: Real
    product: Real
    good: bool


class MomentSource(Source):
    """A source on S² or S¹ that sums moments, and falls back on points where the sum cancels.

    ``moments(degree)`` gives ρ_ℓm; ``points()`` gives a positive quadrature ``(x, weights)`` of μ; ``accuracy`` is
    that of the moments relative to their mass; moments above ``highest`` vanish. ``density()`` gives (f, p), ρ = f^p,
    of a band-limited f, or a :class:`LogSeries`: safe routes on S² then take few points; by default (ρ, 1) where there
    are ``coarse_points``. ``rtol``: accuracy of a step of the measure, which spectra of the noise follow.
    """

    def __init__(
        self,
        moments: Callable[[int], Coefficients],
        points: Callable[[], tuple[Real, Real]],
        accuracy: float = ACCURACY,
        highest: int | None = None,
        geometry: Geometry = SPHERE,
        coarse_points: Callable[[], tuple[Real, Real]] | None = None,
        density: Callable[[], Series | LogSeries] | None = None,
        rtol: float = SMOOTH_TOLERANCE,
    ) -> None:
        self._coarse_points = coarse_points
        self.geometry, self.dimension = geometry, geometry.dimension
        self._moments, self._points, self.accuracy, self.rtol = moments, points, accuracy, rtol
        self.highest = highest
        self._known: dict[int, Coefficients] = {}
        self._last: dict[tuple[float, int], _OnGrid] = {}
        self._resampled: dict[int, PointSource] = {}
        if density is None and coarse_points is not None and highest is not None:
            density = lambda: (moments(highest), 1)  # noqa: E731
        self.density = density

    @cached_property
    def _thinned(self) -> ThinnedSets:
        me = ref(self)  # a cycle would keep states until they are collected
        return ThinnedSets(lambda: _points_of(me()), self.density)

    def moments(self, degree: int) -> Coefficients:
        """ρ_ℓm up to ``degree``.

        Those of one rung are never cut from a higher one, which may have been made on a finer grid: what has been asked
        before, by an observer or another thread, changes no bit.
        """
        rung = next((d for d in DEGREES if d >= degree), degree)
        if rung not in self._known:
            self._known[rung] = self._moments(rung)
        return self.geometry.resized(self._known[rung], degree)

    @cached_property
    def points(self) -> PointSource:
        """The safe route."""
        return TiledSource(*self._points()) if self.dimension == 3 else PointSource(*self._points())

    def safe(self, radius: float) -> PointSource:
        """The safe route for |g| ≤ ``radius``: a density on the coarsest grid that serves, if that has fewer points."""
        if self.density is None or self.dimension == 2:
            return self.points
        step = max(0, int(np.ceil(2 * np.log2(max(radius, 1e-3)))))
        if step not in self._resampled:
            density = self.density()
            fewer = TiledSource(*resampled(density, 2 ** (step / 2), FINE))
            best = isinstance(density, LogSeries) or len(fewer.x) < len(self.points.x)
            self._resampled[step] = fewer if best else self.points
        return self._resampled[step]

    @cached_property
    def coarse_points(self) -> PointSource:
        """The safe route for smooth functions of log M: a thinner quadrature, where the measure has one."""
        return self.points if self._coarse_points is None else PointSource(*self._coarse_points())

    def log_M_by_moments(self, radius: float, fine: Any) -> Real | None:
        """log M on a sphere to about 1e-6 by moments alone; None where they do not serve all of it."""
        weighted = self._weighted(radius)
        if not _fits(fine, self.geometry.degree_of(weighted)):
            return None
        m = fine.scalar(weighted)
        return None if self._cancelled(m, weighted, fine, SMOOTH_TOLERANCE).any() else np.log(m) + radius

    def log_M_smooth(self, radius: float, sites: Any, widest: float) -> tuple[Real, Any]:
        """log M(radius·x) to about 1e-6, for spectra of smooth functions, on a coarse grid or one like it, which is it.

        By a small quadrature, or by moments where they are cheaper and do not cancel; ``widest``: the largest radius
        that will be asked for.
        """
        rings = self._thinned.rings(radius, widest) if self.dimension == 3 else None
        finer = None if rings is None else on_rings(sites, rings)
        if rings is not None and finer is not None:
            return rings.log_M(radius, finer.shape, NEGLIGIBLE), finer
        return self._log_M_at(radius, sites.points, widest).reshape(sites.shape), sites

    def _log_M_at(self, radius: float, sites: Points, widest: float) -> Real:
        thin = self.coarse_points if self.dimension == 2 else self._thinned.serving(radius, widest)
        degree = self.degree_of_moments(radius)
        by_moments = SECONDS_A_SYNTHESIS[0] + SECONDS_A_SYNTHESIS[1] * len(sites.x) * degree**2
        if len(sites.x) * len(thin.x) * off_sphere.SECONDS_A_PAIR <= by_moments:
            return thin.log_M(radius * sites.x)
        weighted = self._weighted(radius)
        m = sites.scalar(weighted)  # type: ignore[attr-defined]
        bad = self._cancelled(m, weighted, sites, SMOOTH_TOLERANCE)
        log_m = np.log(np.where(bad, 1.0, m)) + radius
        if bad.any():
            log_m[bad] = thin.log_M(radius * sites.x[bad])
        return log_m

    @cached_property
    def mean(self) -> Real:
        return self.geometry.mean_vector(self.moments(1))

    def degree_of_moments(self, radius: float) -> int:
        """The degree at which the series in ℓ has ended, by the Bessel functions or by the moments."""
        degree = moment_degree(radius)
        return degree if self.highest is None else min(degree, self.highest)

    def log_M_sphere(self, radius: float, sites: Any) -> Real:
        if not _fits(sites, self.degree_of_moments(radius)):
            return self.log_M_sphere(radius, self._scattered(sites)).reshape(sites.shape)
        weighted = self._weighted(radius)
        m = sites.scalar(weighted)
        bad = self._cancelled(m, weighted, sites)
        with np.errstate(invalid="ignore", divide="ignore"):
            log_m = np.log(m) + radius
        if bad.any():
            log_m[bad] = self.safe(radius).evaluate(radius * sites.x[bad])[0]
        return log_m

    def F_sphere(self, radius: float, sites: Any) -> tuple[Real, Real]:
        degree = self.degree_of_moments(radius)
        if not _fits(sites, degree):
            return _reshaped(self.F_sphere(radius, self._scattered(sites)), sites)
        if radius < TINY:  # M = 1 + g·mean + O(r²): F is the mean
            return np.zeros(sites.shape), np.broadcast_to(self.mean, sites.x.shape).copy()
        if _compiled(sites, radius):
            m, f, _, good = self._attention(radius, sites, False)
            if good:
                log_m = m.copy()
                _fields.logarithms(log_m.ravel(), radius)
                return log_m, f
        else:
            slopes = _wave_factors(self.dimension, radius, degree, True)
            m, radial, gradient = sites.jet(self._weighted(radius), slopes * self.moments(degree))
            with np.errstate(invalid="ignore", divide="ignore"):
                f = (radial[..., None] * sites.x + gradient / radius) / m[..., None]
        bad = self._cancelled(m, self._weighted(radius), sites) | _too_long(f)
        with np.errstate(invalid="ignore", divide="ignore"):
            log_m = np.log(m) + radius
        if bad.any():
            f = np.array(f)
            log_m[bad], f[bad] = self.safe(radius).evaluate(radius * sites.x[bad])
        return log_m, f

    def hessian_F_sphere(self, radius: float, sites: Any) -> tuple[Real, Real]:
        degree = self.degree_of_moments(radius)
        if not _fits(sites, degree):
            flat = self.hessian_F_sphere(radius, self._scattered(sites))
            return flat[0].reshape(sites.x.shape), flat[1].reshape(sites.x.shape)
        if _compiled(sites, radius) and sites.nlat <= MOST_LATITUDES:
            m, f, product, good = self._attention(radius, sites, True)
            if good:
                return f, product
        else:
            m, f, product = self._by_coordinates(radius, sites)
        bad = self._cancelled(m, self._weighted(radius), sites) | _too_long(f) | _too_long(product)
        if bad.any():
            f, product = np.array(f), np.array(product)
            f[bad], product[bad] = self.safe(radius).hessian_F_sphere(radius, Points(sites.x[bad]))
        return f, product

    def _attention(self, radius: float, grid: Grid, second: bool) -> _OnGrid:
        """e^{-r}M, F and, with ``second``, (∇² log M)F on a sphere in one compiled call; the last ones are kept."""
        kept = self._last.get((radius, id(grid)))
        if kept is None or (second and not kept.product.size):
            degree, x = self.degree_of_moments(radius), grid.x
            value, slope = (_wave_factors(3, radius, degree, which) * self.moments(degree) for which in (False, True))
            m, f = np.empty(grid.shape), np.empty(x.shape)
            product = np.empty(x.shape if second else (0, 0, 3))
            at, flat = address(grid.plan(degree)), (-1, 3)
            least, *sizes = _fields.attention(
                at, degree, radius, value, slope, *grid.flat, m.ravel(), f.reshape(flat), product.reshape(flat)
            )
            good = least > self.accuracy / TOLERANCE and max(sizes) <= LONGEST
            kept = _OnGrid(m, f, product, good)
            self._last = {(radius, id(grid)): read_only(kept)}
        return kept

    def _by_coordinates(self, radius: float, sites: Any) -> tuple[Real, Real, Real]:
        """e^{-r}M, F and (∇² log M)F by the moments of the coordinates and of their products."""
        degree = self.degree_of_moments(radius)
        resized, times_coordinates = self.geometry.resized, self.geometry.times_coordinates
        factors = _wave_factors(self.dimension, radius, degree)
        first = times_coordinates(self.moments(degree + 2))
        m = sites.scalar(factors * self.moments(degree))
        with np.errstate(invalid="ignore", divide="ignore"):
            f = np.stack([sites.scalar(factors * resized(row, degree)) for row in first], -1) / m[..., None]
            product = -f * np.einsum("...a,...a", f, f)[..., None]
            for a in range(self.dimension):
                second = times_coordinates(first[a])
                for b in range(a, self.dimension):
                    entry = sites.scalar(factors * resized(second[b], degree)) / m
                    product[..., a] += entry * f[..., b]
                    if b > a:
                        product[..., b] += entry * f[..., a]
        return m, f, product

    def evaluate(self, g: Real) -> tuple[Real, Real]:
        radii = np.sqrt(np.einsum("na,na->n", g, g))
        if not np.isfinite(radii).all():
            return self.points.evaluate(g)  # which refuses what is not finite
        common = float(radii.mean()) if len(g) else 0.0
        if common > 0 and np.ptp(radii) <= 1e-13 * common:
            return self.F_sphere(common, self.geometry.points(g / common))
        if self.dimension != 3 or not len(g):
            return self.points.evaluate(g)
        safe = self.safe(float(radii.max()))
        if not self._worth_moments(g, radii, len(safe.x)):
            return safe.evaluate(g)
        return self._evaluate_off_sphere(g, radii)

    def _worth_moments(self, g: Real, radii: Real, count: int) -> bool:
        """Whether moments, with ``count`` points where they cancel, cost less than these points alone."""
        by_points = len(g) * count * off_sphere.SECONDS_A_PAIR
        degree = self.degree_of_moments(float(radii.max()))
        by_moments = off_sphere.seconds(len(g), degree)
        if by_moments > by_points or degree > HIGHEST_DEGREE:
            return False
        some = slice(None, None, off_sphere.SAMPLED)
        m, _, largest = self._sums_off_sphere(g[some], radii[some])
        return bool(by_moments < self._reliable(m, largest).mean() * by_points)

    def _evaluate_off_sphere(self, g: Real, radii: Real) -> tuple[Real, Real]:
        """The sums by moments, and by points where these cancel."""
        m, gradient, largest = self._sums_off_sphere(g, radii)
        bad = ~self._reliable(m, largest)
        with np.errstate(invalid="ignore", divide="ignore"):
            log_m, f = np.log(m) + radii, gradient / m[:, None]
        bad |= _too_long(f)
        if bad.any():
            log_m[bad], f[bad] = self.safe(float(radii.max())).evaluate(g[bad])
        return log_m, f

    def _sums_off_sphere(self, g: Real, radii: Real) -> tuple[Real, Real, Real]:
        """e^{-r} M, e^{-r} ∇M and a bound on the former over the sphere of each point."""
        highest = max(1, self.degree_of_moments(float(radii.max())))
        return off_sphere.sums(g, radii, self.moments(highest), self.degree_of_moments)

    def _reliable(self, m: Real, largest: Any) -> Any:
        """Where the error of e^{-r}M, the accuracy times its largest value, is small against it."""
        return m > max(self.accuracy, SpherePoints.accuracy) / TOLERANCE * largest

    def _weighted(self, radius: float) -> Coefficients:
        """Coefficients of e^{-r} M(rω): 4π e^{-r} i_ℓ(r) ρ_ℓm."""
        degree = self.degree_of_moments(radius)
        return _wave_factors(self.dimension, radius, degree) * self.moments(degree)

    def _scattered(self, sites: Any) -> Points:
        """The sites of a grid as points."""
        return self.geometry.points(sites.x.reshape(-1, self.dimension))

    def _cancelled(self, m: Real, weighted: Coefficients, sites: Any, tolerance: float = TOLERANCE) -> Any:
        """Where the error of e^{-r}M, the accuracy times a bound on its largest value, is not small against it.

        The bound is over the sphere (the sites may all lie where M is small): Σ_ℓ √((2ℓ+1) Σ_m|c_ℓm|² / 4π).
        """
        accuracy = max(self.accuracy, sites.accuracy) if isinstance(sites, Points) else self.accuracy
        spectrum = self.geometry.power(weighted)
        orders = 2 * np.arange(len(spectrum)) + 1 if self.dimension == 3 else np.full(len(spectrum), 2)
        largest = np.sum(np.sqrt(orders * spectrum / self.geometry.area))
        return ~(m > accuracy / tolerance * largest)


def by_moments(source: PointSource) -> MomentSource:
    """Points of S² by their moments, which spectra take sooner than attention at few points does."""
    x, weights = source.x, source.weights
    sites: Any = geometry(3).points(x)
    return MomentSource(lambda degree: sites.moments(weights, degree), lambda: (x, weights), sites.accuracy)


@lru_cache(maxsize=256)
def _wave_factors(d: int, radius: float, degree: int, derivative: bool = False) -> Real:
    """4π e^{-r} i_ℓ(r) (2π e^{-r} I_m(r) for d = 2), or with i'_ℓ, in index order (read-only).

    Kept, since a law asks for the same radii at every step.
    """
    sphere = geometry(d)
    return sphere.by_degree(wave_factors_by_degree(d, radius, degree, derivative), degree)


def wave_factors_by_degree(d: int, radius: float, degree: int, derivative: bool = False) -> Real:
    """4π e^{-r} i_ℓ(r) (2π e^{-r} I_m(r) for d = 2), or with i'_ℓ, for each degree, (degree+1,)."""
    wave = plane_wave_derivative if derivative else plane_wave
    return geometry(d).area * wave(d, degree, radius)


def _compiled(sites: Any, radius: float) -> bool:
    """Whether attention on these sites is one compiled call, which divides by the radius squared."""
    return BOUND and isinstance(sites, Grid) and radius >= SMALL


def _points_of(source: MomentSource | None) -> tuple[Real, Real]:
    assert source is not None
    return source.points.x, source.points.weights


def _too_long(f: Real) -> Any:
    """Where |F| or |Cov F| is above one, which no measure has: a density rings there and its lobes show."""
    return ~(np.einsum("...a,...a", f, f) <= LONGEST)


def _fits(sites: Any, degree: int) -> bool:
    """Whether a field of this degree can be synthesised at the sites directly."""
    return isinstance(sites, Points) or sites.holds(degree)


def _reshaped(values: tuple[Real, Real], sites: Any) -> tuple[Real, Real]:
    return values[0].reshape(sites.shape), values[1].reshape(sites.x.shape)
