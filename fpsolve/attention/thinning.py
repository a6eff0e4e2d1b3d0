r"""Few points that stand for a measure in M(g), |g| ≤ radius, to about 1e-6 of M(g) itself in every direction.

For the spectra of the noise, where low degrees of log M count. Two ways:

* a density is sampled on a Gauss grid that integrates degree L_ρ + L_r, where L_ρ and L_r are the degrees that ρ and
  e^{g·y} end at. What is left of e^{g·y}ρ(y), wherever its peak lies, has the width of both together, so the error
  stays relative to M(g); far fewer points than ρ's own grid has are above round-off of its peak.
* points are gathered in tiles with fewer Chebyshev nodes than :mod:`fpsolve.attention.proxies` takes.

The twin is the direct sum over all points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import ducc0
import numpy as np
from numpy.typing import NDArray

from fpsolve.attention.bessel import moment_degree
from fpsolve.attention.coarse_sphere import product_sites, rings
from fpsolve.attention.proxies import Index, log_of_signed_sum, sorted_into_tiles, tiles_of
from fpsolve.sphere.harmonics import Coefficients, Real, power, resized

DENSITY_TOLERANCE, WAVE_TOLERANCE = 1e-10, 1e-7
"""What is left out of ρ and of e^{g·y} beyond the degrees that the sampling grid integrates."""

ROUND_OFF = 1e-14
"""Coefficients of a density, and its values against their peak, are known to this."""

REACH, NODES = 4.0, 16
"""The largest |g| times the half-width of a tile, and Chebyshev points along an edge: errors below 1e-6."""

CLUMP_LEVELS, CLUMPS = (16, 8, 5, 3, 2, 1), 16
"""Tilings tried for clumps, and how many clumps are few."""

PRUNE_FROM = 2e6
"""Fewer pairs of targets and points are summed whole, in one call of the kernel."""

NEGLIGIBLE = 17.0
"""Clumps below e^{-17} = 4e-8 of M are left out."""


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
        for start, end, here in zip(self.starts, ends, matters, strict=True):
            if here.any():
                part = log_of_signed_sum(g[here], self.x[start:end], self.weights[start:end])
                total[here] = np.logaddexp(total[here], part)
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


def thinned_density(coefficients: Coefficients, radius: float) -> Thinned:
    """A positive quadrature of ρ = Σ ρ_ℓm Y_ℓm for |g| ≤ ``radius``."""
    spectrum = power(coefficients)
    bound = np.cumsum(np.sqrt((2 * np.arange(len(spectrum)) + 1) * spectrum)[::-1])[::-1]
    degree, known = (int(np.sum(bound > part * bound[0])) - 1 for part in (DENSITY_TOLERANCE, 0.1 * ROUND_OFF))
    total = degree + moment_degree(radius, WAVE_TOLERANCE)
    shape = total // 2 + 1, total + 1 + (total + 1) % 2
    alm = np.ascontiguousarray(resized(coefficients, known))[None]
    values = ducc0.sht.synthesis(alm=alm, lmax=known, spin=0, nthreads=1, **rings(*shape))[0].reshape(shape)
    x, weights = product_sites(*shape)
    kept = above_error(values)
    mass = (weights * values)[kept]
    return in_clumps(x[kept], mass / mass.sum())


def above_error(values: Real) -> NDArray[np.bool_]:
    """Where ρ stands above round-off of its peak, and above lobes like the negative ones (at most a hundredth)."""
    highest, lowest = float(values.max()), float(values.min())
    return np.asarray(values > np.clip(-2 * lowest, ROUND_OFF * highest, 1e-2 * highest))


def thinned_points(x: Real, weights: Real, level: int) -> Thinned:
    """The points, those of full tiles replaced by the tile's nodes, for |g| ≤ 4 ``level`` REACH / π."""
    tiles = sorted_into_tiles(x, weights, level, NODES)
    nodes, shares, rank = tiles.proxies
    return in_clumps(nodes, shares, tiles.x[tiles.starts][rank])


def tiling(radius: float) -> int:
    """The level of `thinned_points` that serves ``radius``: a multiple of 9, so that coarser tilings hold its tiles."""
    return 9 * int(np.ceil(max(radius, 1.0) * np.pi / (36 * REACH)))
