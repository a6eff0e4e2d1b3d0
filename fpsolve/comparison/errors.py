r"""How far two measures are apart: low moments, maximum mean discrepancy and W_2.

Moments of degree ≤ L are compared by ‖ρ - ρ'‖/‖ρ'‖, ‖ρ‖² = Σ_{ℓ≤L} Σ_m |ρ_ℓm|². For N iid points of a law ρ'

    E‖ρ - ρ'‖² = [(L+1)²/4π - ‖ρ'‖²]/N on S²,    [(2L+1)/2π - ‖ρ'‖²]/N on S¹.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from fpsolve.attention.bessel import moment_degree, plane_wave
from fpsolve.defects import is_resolved
from fpsolve.measures.base import Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.observe.wasserstein import wasserstein
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import Coefficients, Real

CELLS = 2000
"""Measures of more points are gathered into so many cells before W_2 is taken."""

MOVED_MOMENTS = 1e-2
"""A density whose positive part misses its low moments by more than this, relatively, has no W_2."""

LOW_DEGREE = 8
"""The moments meant."""


def moment_error(moments: Coefficients, reference: Coefficients, degree: int, d: int) -> float:
    """‖ρ - ρ'‖/‖ρ'‖ over the degrees 0 to ``degree``; moments in index order, of any truncation."""
    sphere = geometry(d)
    difference, size = (sphere.resized(c, degree) for c in (_difference(moments, reference, d), reference))
    return float(np.sqrt(sphere.power(difference).sum() / sphere.power(size).sum()))


def discrepancy_degree(kappa: float) -> int:
    """The degree at which the moments of the kernel e^{κ(⟨x,y⟩-1)} have ended."""
    return moment_degree(kappa)


def discrepancy(moments: Coefficients, reference: Coefficients, kappa: float, d: int) -> float:
    """Maximum mean discrepancy for k(x,y) = e^{κ(⟨x,y⟩-1)} = e^{-κ|x-y|²/2}, the Gaussian kernel of width κ^{-1/2}.

    MMD² = ∬ k (μ-μ')(μ-μ') = |S^{d-1}| Σ_ℓ c_ℓ(κ) Σ_m |ρ_ℓm - ρ'_ℓm|², c_ℓ = e^{-κ} i_ℓ(κ) on S² and e^{-κ} I_ℓ(κ) on
    S¹, all positive: zero for equal measures alone. Moments up to :func:`discrepancy_degree`; O(N) for N points.
    """
    sphere = geometry(d)
    spectrum = sphere.power(_difference(moments, reference, d))
    return float(np.sqrt(sphere.area * np.sum(plane_wave(d, len(spectrum) - 1, kappa) * spectrum)))


def direct_discrepancy(first: Cloud, second: Cloud, kappa: float) -> float:
    """The same by the double sum over points, O(N²): the readable twin."""
    x, weights = np.concatenate([first.x, second.x]), np.concatenate([first.weights, -second.weights])
    kernel = np.exp(kappa * (x @ x.T - 1))
    return float(np.sqrt(max(weights @ kernel @ weights, 0.0)))


def transport_distance(first: Measure, second: Measure, cells: int = CELLS) -> tuple[float, float]:
    """W_2 between two measures and its resolution, a bound on the error; both NaN where :func:`as_points` has none.

    Exact (resolution 0) for clouds of at most ``cells`` points. More points are gathered: each goes to the nearest of
    ``cells`` centres, which hold equal shares of the second measure, and a cell becomes its barycentre. The resolution
    is the sum of both measures' root mean square distances to their barycentres and of what :func:`as_points` moves.
    """
    placed = [as_points(measure) for measure in (first, second)]
    moved = sum(bound for _, bound in placed)
    clouds = [cloud for cloud, _ in placed]
    if not np.isfinite(moved):
        return np.nan, np.nan
    if max(len(cloud.x) for cloud in clouds) <= cells:
        return wasserstein(*clouds), moved
    centres = equal_mass_centres(clouds[1].x, clouds[1].weights, cells)
    gathered = [_gathered(cloud, centres) if len(cloud.x) > cells else (cloud, 0.0) for cloud in clouds]
    return wasserstein(gathered[0][0], gathered[1][0]), moved + gathered[0][1] + gathered[1][1]


def as_points(measure: Measure) -> tuple[Cloud, float]:
    """A cloud as it is; a density as its positive part on the grid; and a bound on the W_2 that this moves.

    The bound is :func:`grid_spacing` and, for the mass ε = ∫ρ⁻ that is moved by at most the diameter 2, 2√ε. It is
    infinite where the density is under-resolved, or the negative part has more than ``MOVED_MOMENTS`` of its moments.
    """
    if measure.points is not None:
        return Cloud(measure.points, measure.masses), 0.0
    density: Any = measure
    grid, signed = density.grid, density.grid.weights * density.values
    kept = signed > 0
    cloud = Cloud(np.ascontiguousarray(grid.x[kept]), signed[kept] / signed[kept].sum())
    moments: Any = cloud.moments(LOW_DEGREE)
    off = moment_error(moments, density.moments(LOW_DEGREE), LOW_DEGREE, density.dimension)
    if not is_resolved(density) or off > MOVED_MOMENTS:
        return cloud, np.inf
    lost = float(-signed[~kept].sum() / signed.sum())
    return cloud, float(np.sqrt(cloud.weights @ grid_spacing(grid)[kept] ** 2)) + 2 * float(np.sqrt(lost))


def grid_spacing(grid: Any) -> Real:
    """The distance of a grid's points to the farthest point of their cells, of shape ``grid.shape``.

    On the circle half the spacing. On the sphere a cell is half the spacing to either side in φ, and in θ lies between
    latitudes that give it the area of its weight; these separate the Gauss points. A density that varies within a cell
    shifts its mass by the square of this, for which the farthest point, √3 of the root mean square, leaves room.
    """
    if len(grid.shape) == 1:
        return np.full(grid.shape, np.pi / grid.n)
    order = np.argsort(-grid.cos_theta, axis=None, kind="stable")[:: grid.nphi]
    ring = grid.weights.ravel()[order] * grid.nphi / (2 * np.pi)
    edges = np.arccos(np.clip(1 - np.append(0, np.cumsum(ring)), -1, 1))
    theta = np.arccos(grid.cos_theta.ravel()[order])
    half = np.maximum(theta - edges[:-1], edges[1:] - theta)
    rank = np.searchsorted(theta, np.arccos(grid.cos_theta) - 1e-9)
    return np.asarray(np.hypot(half[rank], grid.sin_theta * np.pi / grid.nphi))


def equal_mass_centres(x: Real, weights: Real, cells: int) -> Real:
    """Barycentres of ``cells`` parts of about equal mass, by halving along the longest axis; shape (≤ cells, d)."""
    if cells <= 1 or len(x) == 1:
        return _unit(weights @ x)[None]
    axis = int(np.argmax(np.ptp(x, axis=0)))
    order = np.argsort(x[:, axis], kind="stable")
    mass = np.cumsum(weights[order])
    left = cells // 2
    cut = int(np.clip(np.searchsorted(mass, mass[-1] * left / cells), 1, len(x) - 1))
    halves = ((order[:cut], left), (order[cut:], cells - left))
    return np.concatenate([equal_mass_centres(x[part], weights[part], count) for part, count in halves])


def _gathered(cloud: Cloud, centres: Real) -> tuple[Cloud, float]:
    """Barycentres of the cells on the sphere, and the root mean square distance of the points to them."""
    cell = cKDTree(centres).query(cloud.x)[1]
    masses, *columns = (_binned(cell, values, len(centres)) for values in (cloud.weights, *(cloud.weights * cloud.x.T)))
    sums = np.stack(columns, -1)
    kept = masses > 0
    barycentres = np.zeros_like(sums)
    barycentres[kept] = _unit(sums[kept])
    moved = cloud.x - barycentres[cell]
    spread = float(np.sqrt(cloud.weights @ np.einsum("na,na->n", moved, moved)))
    return Cloud(barycentres[kept], masses[kept] / masses.sum()), spread


def _binned(cell: Any, values: Real, cells: int) -> Real:
    return np.bincount(cell, values, cells).astype(float)


def _unit(x: Real) -> Real:
    return np.asarray(x / np.sqrt(np.einsum("...a,...a", x, x))[..., None])


def _difference(moments: Coefficients, reference: Coefficients, d: int) -> Coefficients:
    """ρ - ρ' up to the higher of the two truncations."""
    sphere = geometry(d)
    degree = max(sphere.degree_of(moments), sphere.degree_of(reference))
    return sphere.resized(moments, degree) - sphere.resized(reference, degree)
