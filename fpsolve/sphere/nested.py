"""Quadratures by every second and every fourth node of a grid, which tell how far its own is to be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial.legendre import legvander

from fpsolve.cached import lru_cache
from fpsolve.sphere.harmonics import Real

STRIDES = (2, 4)
"""Every second node, and every fourth."""

LARGEST_OF = 8
"""Errors are those of the moments ℓ = 1, …, 8."""


@lru_cache(maxsize=4)
def nested_weights(grid: Any) -> Real:
    """Weights of the coarser quadratures of a grid of S² or S¹, zero where they have no node, ``(2, *grid.shape)``.

    On latitudes they are interpolatory: exact for all polynomials in cos θ whose degree is below the number of nodes
    that are left. Every second Gauss node is a good node still: weights stay positive (tested).
    """
    return np.stack([_every(stride, grid) for stride in STRIDES])


def _every(stride: int, grid: Any) -> Real:
    if len(grid.shape) == 1:
        return _spaced(grid.n, stride) * grid.weights
    heights, row = np.unique(grid.cos_theta, return_inverse=True)
    along = np.zeros(grid.nlat)
    along[::stride] = interpolatory(heights[::stride])
    column = np.rint(grid.phi * grid.nphi / (2 * np.pi)).astype(int)
    around = _spaced(grid.nphi, stride) * (2 * np.pi / grid.nphi)
    weights: Real = along[row.reshape(grid.shape)] * around[column]
    return weights


def _spaced(n: int, stride: int) -> Real:
    """What a uniform weight is multiplied by: n nodes on a circle, every ``stride``-th where that divides n."""
    stride = next(step for step in (stride, 2, 1) if n % step == 0)
    factors = np.zeros(n)
    factors[::stride] = stride
    return factors


def interpolatory(nodes: Real) -> Real:
    """Weights on [-1, 1] that integrate the Legendre polynomials of degrees below the number of nodes."""
    table = legvander(nodes, len(nodes) - 1).T * np.sqrt(np.arange(len(nodes)) + 0.5)[:, None]
    integrals = np.zeros(len(nodes))
    integrals[0] = np.sqrt(2.0)
    found: Real = np.linalg.solve(table, integrals)
    return found


def nested_masses(grid: Any, values: Real) -> Real:
    """The masses of both coarser quadratures of a density's ``values`` on the grid, each of mass one, (2, *shape).

    Where one sees nothing of the density at all its masses are zero, and its error is large.
    """
    masses = nested_weights(grid) * values
    total = masses.reshape(len(masses), -1).sum(axis=1).reshape(-1, *(1,) * values.ndim)
    return masses / np.where(total > 0, total, 1.0)


def error_of(moments: list[Any], sphere: Any) -> float:
    """An estimate of the error of the first of three sets of moments ℓ ≤ 8, by all nodes, every second, every fourth.

    With D(a, b) = max_ℓ √(|S^{d-1}|/n_ℓ Σ_m |a_ℓm - b_ℓm|²), n_ℓ harmonics of degree ℓ, so that ℓ = 1 counts as |Δm|:
    D(1, 2)·min(1, D(1, 2)/D(2, 4)). Halving the spacing reduces the error again by the last factor at least, where it
    falls algebraically or faster. Of a law about an axis D is max_ℓ |E P_ℓ(u)/P_ℓ(1) - …|, the same.
    """
    return extrapolated(_distance(moments[0], moments[1], sphere), _distance(moments[1], moments[2], sphere))


def extrapolated(halves: float, quarters: float) -> float:
    """The error of a quadrature from its distance to that by every second node, and of that to every fourth."""
    return halves * min(1.0, halves / quarters) if quarters > 0 else halves


def _distance(one: Any, other: Any, sphere: Any) -> float:
    power = sphere.power(one - other)
    count = np.bincount(sphere.real_degrees_orders(len(power) - 1)[0])
    return float(np.sqrt(sphere.area * (power / count)[1:].max()))
