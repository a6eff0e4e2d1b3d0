r"""Few points that stand for a measure in M(g), |g| ≤ radius, to about 1e-6 of M(g) itself in every direction.

For the spectra of the noise, where low degrees of log M count. Two ways:

* a density is sampled on a Gauss grid that integrates degree L_ρ + L_r, where L_ρ and L_r are the degrees that ρ and
  e^{g·y} end at. What is left of e^{g·y}ρ(y), wherever its peak lies, has the width of both together, so the error
  stays relative to M(g); far fewer points than ρ's own grid has are above round-off of its peak.
* points are gathered in tiles with fewer Chebyshev nodes than :mod:`fpsolve.attention.proxies` takes.

The twin is the direct sum over all points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ducc0
import numpy as np
from numpy.typing import NDArray

from fpsolve._kernels.rings import LARGEST_RADIUS, RingSources
from fpsolve.attention.bessel import moment_degree
from fpsolve.attention.coarse_sphere import CoarseGrid, coarse_grid, product_sites, rings
from fpsolve.attention.log_series import LogSeries
from fpsolve.attention.proxies import Index, log_of_signed_sum, sorted_into_tiles, tiles_of
from fpsolve.cached import cached_property, lru_cache
from fpsolve.sphere.harmonics import Coefficients, Real, power, resized

SMOOTH, FINE = (1e-10, 1e-7), (1e-13, 1e-12)
"""What is left out of ρ and of e^{g·y} beyond the degrees that the sampling grid integrates: M to 1e-6, to 1e-10."""

ROUND_OFF = 1e-14
"""Coefficients of a density, and its values against their peak, are known to this."""

REACH, NODES = 4.0, 16
"""The largest |g| times the half-width of a tile, and Chebyshev points along an edge: errors below 1e-6."""

CLUMP_LEVELS, CLUMPS = (16, 8, 5, 3, 2, 1), 16
"""Tilings tried for clumps, and how many clumps are few."""

PRUNE_FROM = 2e6
"""Fewer pairs of targets and points are summed whole, in one call of the kernel."""

LONGITUDES = (24, 48, 72, 84, 108, 156, 240, 312, 360)
"""Numbers of longitudes with divisors near 20, 28, 36, 44, 52, 66 and 74; then multiples of 240."""

NEGLIGIBLE = 17.0
"""Clumps below e^{-17} = 4e-8 of M are left out."""


Series = tuple[Coefficients, int]
"""(f, p): a density is f^p, f = Σ f_ℓm Y_ℓm."""


@dataclass(frozen=True, eq=False)
class Thinned:
    """Points ``x`` (n, 3) with ``weights`` (n,) of either sign, in clumps that begin at ``starts``."""

    x: Real
    weights: Real
    starts: Index

    def log_M(self, g: Real) -> Real:
        """log M(g), g (n, 3); with many pairs only of the clumps that matter to each g."""
        if len(g) * len(self.x) <= PRUNE_FROM or len(self.starts) == 1:
            return log_of_signed_sum(g, self.x, self.weights)
        matters = self._matters(g)
        total = np.full(len(g), -np.inf)
        ends = np.append(self.starts[1:], len(self.x))
        for start, end, relevant in zip(self.starts, ends, matters, strict=True):
            if relevant.any():
                part = log_of_signed_sum(g[relevant], self.x[start:end], self.weights[start:end])
                total[relevant] = np.logaddexp(total[relevant], part)
        return total

    def _matters(self, g: Real) -> NDArray[np.bool_]:
        """By p e^{g·c} ≤ M_clump(g) ≤ p e^{g·c + |g|ρ}, p the mass, c the centroid, ρ the radius; (clumps, n)."""
        log_mass, centroid, radius = self._bounds
        lower = log_mass[:, None] + np.einsum("ca,na->cn", centroid, g)
        upper = lower + radius[:, None] * np.sqrt(np.einsum("na,na->n", g, g))
        return np.asarray(upper > lower.max(axis=0) - NEGLIGIBLE)

    @cached_property
    def _bounds(self) -> tuple[Real, Real, Real]:
        mass = np.add.reduceat(self.weights, self.starts)
        centroid = np.add.reduceat(self.weights[:, None] * self.x, self.starts) / mass[:, None]
        off = self.x - np.repeat(centroid, np.diff(np.append(self.starts, len(self.x))), axis=0)
        return np.log(mass), centroid, np.sqrt(np.maximum.reduceat(np.einsum("na,na->n", off, off), self.starts))


def in_clumps(x: Real, weights: Real, places: Real | None = None) -> Thinned:
    """The points in the tiles, of the finest of ``CLUMP_LEVELS`` that makes few clumps, of their ``places``.

    Those that stand for one measure by weights of either sign have one place.
    """
    places = x if places is None else places
    for level in CLUMP_LEVELS:
        tile, _ = tiles_of(places, level)
        order = np.argsort(tile, kind="stable")
        starts = np.flatnonzero(np.append(True, np.diff(tile[order]) > 0))
        if len(starts) <= CLUMPS:
            break
    return Thinned(x[order], weights[order], starts)


def resampled(density: Series | LogSeries, radius: float, tolerances: tuple[float, float]) -> tuple[Real, Real]:
    """Points (n, 3) and positive weights of sum one: ρ on the coarsest Gauss grid that serves |g| ≤ ``radius``.

    Of a log density all of them, with the sum that they have.
    """
    if isinstance(density, LogSeries):
        return density.quadrature(radius, tolerances[1])
    known, total = _degrees(density, radius, tolerances)
    shape = total // 2 + 1, total + 1 + (total + 1) % 2
    mass = _masses(density, known, shape)
    kept = mass > 0
    return product_sites(*shape)[0][kept], mass[kept]


def in_rings(density: Series | LogSeries, radius: float, tolerances: tuple[float, float]) -> RingSources:
    """The same on a grid whose longitudes have divisors."""
    if isinstance(density, LogSeries):
        total = density.degree(radius, tolerances[1])
        return RingSources(density.masses((total // 2 + 1, longitudes(total + 1))))
    known, total = _degrees(density, radius, tolerances)
    return RingSources(_masses(density, known, (total // 2 + 1, longitudes(total + 1))))


def on_rings(grid: CoarseGrid, rings: RingSources) -> CoarseGrid | None:
    """The coarse grid with the next number of longitudes that divides that of the rings; None where they have fewer."""
    nphi = divisor(rings.weights.shape[1], grid.shape[1])
    return None if nphi is None else coarse_grid(grid.degree, grid.margin, nphi)


@lru_cache(maxsize=256)
def divisor(count: int, least: int) -> int | None:
    """The least divisor of ``count`` that is at least ``least``; None where there is none."""
    return next((count // k for k in range(count // least, 0, -1) if count % k == 0), None)


def longitudes(least: int) -> int:
    """At least so many, with divisors a little above the numbers of longitudes of coarse grids."""
    return next((count for count in LONGITUDES if count >= least), 240 * -(-least // 240))


def _degrees(density: Series, radius: float, tolerances: tuple[float, float]) -> tuple[int, int]:
    """The degree to which f is known, and that which a grid must integrate."""
    coefficients, exponent = density
    bound = amplitudes_beyond(coefficients)
    degree, known = (int(np.sum(bound > part * bound[0])) - 1 for part in (tolerances[0], 0.1 * ROUND_OFF))
    return known, exponent * degree + moment_degree(radius, tolerances[1])


def amplitudes_beyond(coefficients: Coefficients) -> Real:
    """Σ_{k≥ℓ} √((2k+1) Σ_m |f_km|²) for every degree ℓ: √4π times a bound on what the degrees from ℓ on add to f."""
    spectrum = power(coefficients)
    return np.cumsum(np.sqrt((2 * np.arange(len(spectrum)) + 1) * spectrum)[::-1])[::-1]


def _masses(density: Series, known: int, shape: tuple[int, int]) -> Real:
    """ρ times the quadrature weights of a Gauss grid, of sum one, zero where ρ is not above its error."""
    coefficients, exponent = density
    alm = np.ascontiguousarray(resized(coefficients, known))[None]
    field = ducc0.sht.synthesis(alm=alm, lmax=known, spin=0, nthreads=1, **rings(*shape))[0].reshape(shape)
    mass = np.where(above_error(field), product_sites(*shape)[1] * field**exponent, 0.0)
    return np.asarray(mass / mass.sum())


def above_error(values: Real) -> NDArray[np.bool_]:
    """Where ρ or ψ stands above round-off of its peak, and above lobes like the negative ones (at most a hundredth)."""
    return np.asarray(values > lost_below(values))


def lost_below(values: Real) -> float:
    """Round-off of the peak of ρ or ψ, or twice its negative lobes, at most a hundredth of the peak."""
    highest, lowest = float(values.max()), float(values.min())
    return float(np.clip(-2 * lowest, ROUND_OFF * highest, 1e-2 * highest))


class ThinnedSets:
    """The thinned sets of one measure, made when they are asked for and kept.

    ``points()`` gives points and weights, ``density``, where there is one, (f, p) with ρ = f^p or a ``LogSeries``.
    """

    def __init__(
        self, points: Callable[[], tuple[Real, Real]], density: Callable[[], Series | LogSeries] | None
    ) -> None:
        self._points, self._density = points, density
        self._sets: dict[tuple[float, int], Thinned] = {}
        self._rings: dict[tuple[float, int], RingSources] = {}

    def serving(self, radius: float, widest: float) -> Thinned:
        """A set for |g| ≤ ``radius``, one of those for ``widest``, a third of it, a ninth of it and so on."""
        return self._set(widest, _step(radius, widest))

    def rings(self, radius: float, widest: float) -> RingSources | None:
        """The same in rings, where there is a density and the radius allows it."""
        if self._density is None or radius > LARGEST_RADIUS:
            return None
        key = widest, _step(radius, widest)
        if key not in self._rings:
            served = min(widest / 3.0 ** key[1], LARGEST_RADIUS)
            self._rings[key] = in_rings(self._density(), served, SMOOTH)
        return self._rings[key]

    def _set(self, widest: float, step: int) -> Thinned:
        if (widest, step) not in self._sets:
            make = self._from_points if self._density is None else self._from_density
            self._sets[widest, step] = make(widest, step)
        return self._sets[widest, step]

    def _from_density(self, widest: float, step: int) -> Thinned:
        assert self._density is not None
        return in_clumps(*resampled(self._density(), widest / 3.0**step, SMOOTH))

    def _from_points(self, widest: float, step: int) -> Thinned:
        """Coarser and coarser tiles, each set from the one before; the coarsest tiling has three along an edge."""
        level = tiling(widest)
        if step == 0:
            return thinned_points(*self._points(), level)
        finer = self._set(widest, step - 1)
        return finer if level < 3 ** (step + 1) else thinned_points(finer.x, finer.weights, level // 3**step)


def _step(radius: float, widest: float) -> int:
    """The k for which widest / 3^k is the least that is at least the radius."""
    return max(0, int(np.log(widest / radius) / np.log(3.0)))


def thinned_points(x: Real, weights: Real, level: int) -> Thinned:
    """The points, those of full tiles replaced by the tile's nodes, for |g| ≤ 4 ``level`` REACH / π."""
    tiles = sorted_into_tiles(x, weights, level, NODES)
    nodes, shares, rank = tiles.proxies
    return in_clumps(nodes, shares, tiles.x[tiles.starts][rank])


def tiling(radius: float) -> int:
    """The level of `thinned_points` that serves ``radius``: a multiple of 9, so that coarser tilings hold its tiles."""
    return 9 * int(np.ceil(max(radius, 1.0) * np.pi / (36 * REACH)))
