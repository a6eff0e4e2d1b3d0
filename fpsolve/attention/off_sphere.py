r"""Moment sums at points g of varying length: interpolation in |g| of what is synthesised on a few spheres.

A fixed key-query matrix A ≠ I takes g = βAx off the sphere. Along a ray e^{-r} M(rω) = ∫ e^{-r(1-ω·y)} μ(dy) mixes
e^{-rs}, s ∈ [0, 2], so that K Chebyshev radii r_k of an interval [c-h, c+h] have, uniformly in μ and ω, the error

    |e^{-r}M - Σ_k L_k(r) e^{-r_k} M(r_k ω)| ≤ h^K / (2^{K-1} K!) · max_s s^K e^{-(c-h)s},

and the same holds for e^{-r} ∇M = ∫ y e^{-r(1-ω·y)} μ(dy). Radii are cut into bands, equal in √r (at larger r only
small s matter), and each band is synthesised at its own directions alone. The twin is the direct sum over points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import lgamma, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpsolve.attention.bessel import plane_wave, plane_wave_derivative
from fpsolve.sphere.geometry import Geometry
from fpsolve.sphere.harmonics import Coefficients, Real

ACCURACY = 2e-15
"""Error of the interpolation, relative to the largest possible e^{-r} M, one."""

BAND = 0.8
"""Width of a band in √r: about 4 at r = 6, 10 at r = 40; narrower saves radii and costs calls."""

SMALLEST = 1e-15
"""Radii are raised to this: M(0) = 1 and F(0) = ∫ y dμ are met to round-off there."""

SECONDS_A_POINT, SECONDS_A_CALL, SECONDS_A_DEGREE = 1.9e-7, 1.5e-4, 1.8e-7
"""Cost of one radius (M and ∇M): for each point, and fixed, a + b ℓ² (measured; ratios matter, not the machine)."""

SAMPLED = 16
"""One direction in so many is tried for cancellation before a band is summed."""

SECONDS_A_PAIR = 1.4e-9
"""Cost of one pair of the direct sum."""


@dataclass(frozen=True, eq=False)
class Band:
    """Points whose radii share an interval: ``members`` (their indices) and the Chebyshev ``nodes`` of the interval."""

    members: NDArray[np.int64]
    nodes: Real

    def lagrange(self, radii: Real) -> Real:
        """L_k(r), shape (K, n), by the barycentric formula for Chebyshev points of the first kind."""
        count = len(self.nodes)
        angles = (2 * np.arange(count) + 1) * np.pi / (2 * count)
        weights = np.sin(angles) * (-1.0) ** np.arange(count)
        gaps = radii[None, :] - self.nodes[:, None]
        hit = gaps == 0
        terms = weights[:, None] / np.where(hit, 1.0, gaps)
        terms = np.where(hit.any(axis=0), hit, terms)
        return terms / terms.sum(axis=0)


def directions(g: Real, radii: Real) -> Real:
    """g/|g|, and some unit vector where g = 0; shape (n, d)."""
    axis = np.eye(g.shape[1])[-1]
    return np.where(radii[:, None] > 0, g / np.where(radii > 0, radii, 1.0)[:, None], axis)


def bands(radii: Real) -> list[Band]:
    """Bands of ``radii`` (n,) of equal width in √r, those without points left out."""
    roots = np.sqrt(np.maximum(radii, SMALLEST))
    lowest, highest = float(roots.min()), float(roots.max())
    count = max(1, int(np.ceil((highest - lowest) / BAND)))
    edges = np.linspace(lowest, highest, count + 1)
    which = np.searchsorted(edges[1:-1], roots)
    groups = [(k, np.flatnonzero(which == k)) for k in range(count)]
    return [Band(members, chebyshev(edges[k] ** 2, edges[k + 1] ** 2)) for k, members in groups if len(members)]


def chebyshev(lowest: float, highest: float) -> Real:
    """The Chebyshev radii of an interval, as many as ``ACCURACY`` takes."""
    centre, half = (lowest + highest) / 2, (highest - lowest) / 2
    count = 1
    while half > 0 and _log_error(count, half, lowest) > log(ACCURACY):
        count += 1
    angles = (2 * np.arange(count) + 1) * np.pi / (2 * count)
    return centre + half * np.cos(angles)


def _log_error(count: int, half: float, lowest: float) -> float:
    """The logarithm of the bound; s^K e^{-rs} is largest at s = K/r, or at the end s = 2."""
    s = min(2.0, count / max(lowest, 1e-300))
    return count * log(half * s) - lowest * s - (count - 1) * log(2) - lgamma(count + 1)


def seconds(part: Band, degree: Callable[[float], int]) -> float:
    """What a band costs, for the choice between this and the direct sum."""
    call = SECONDS_A_CALL + SECONDS_A_DEGREE * degree(float(part.nodes.max())) ** 2
    return len(part.nodes) * (call + SECONDS_A_POINT * len(part.members))


def interpolated(
    part: Band, moments: Callable[[float], Coefficients], here: Geometry, sites: Any, radii: Real
) -> tuple[Real, Real]:
    """e^{-r} M, shape (n,), and e^{-r} ∇M, shape (n, d), at r ω for the directions ω = ``sites`` of one band.

    ``moments(r)`` gives the moments up to the degree that matters at r.
    """
    m, gradient = np.zeros(sites.shape), np.zeros(sites.x.shape)
    for r, share in zip(part.nodes, part.lagrange(radii), strict=True):
        rho = moments(float(r))
        degree = here.degree_of(rho)
        weighted = here.area * here.by_degree(plane_wave(here.dimension, degree, float(r)), degree) * rho
        slopes = here.area * here.by_degree(plane_wave_derivative(here.dimension, degree, float(r)), degree) * rho
        m += share * sites.scalar(weighted)
        along = sites.scalar(slopes)[:, None] * sites.x
        gradient += share[:, None] * (along + sites.to_ambient(sites.gradient(weighted / r)))
    return m, gradient
