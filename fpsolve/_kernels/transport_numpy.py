"""The NumPy twin of the compiled ``fpsolve._kernels._transport``: the same functions, the same bits but for sums.

Grid fields are any shape, tangent fields ``(2, *shape)``. Coefficients have the order of
:mod:`fpsolve.sphere.harmonics`; ``rates`` holds a factor for each degree, twice over: (r_0, r_0, r_1, r_1, …). All
arrays are contiguous; the compiled functions raise ValueError for sizes that do not fit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Modes = NDArray[np.complex128]


def flux(rho: Real, v: Real, first: Real) -> None:
    """(first, rho) = ρ v: the second component takes the place of ρ."""
    first[...] = rho * v[0]
    rho *= v[1]


def dot(u: Real, v: Real) -> None:
    """u[0] = u·v at every point."""
    u[0] = u[0] * v[0] + u[1] * v[1]


def largest_square(v: Real) -> float:
    """max |v|² over the points; NaN where there is one."""
    return float((v**2).sum(axis=0).max())


def recur_flux(x: Modes, rates: Real, factor: float, y: Modes, weight: float, result: Modes) -> float:
    """y += (factor·r_ℓ) x, result += weight·y; returns Σ |y|² over the stored numbers."""
    y += (factor * _spread(rates)) * x
    result += weight * y
    return float((y.real**2 + y.imag**2).sum())


def recur_skew(x: Modes, along: Modes, rates: Real, factor: float, y: Modes, weight: float, result: Modes) -> float:
    """y += (factor·r_ℓ) x - ½ factor·along, result += weight·y; returns Σ |y|²."""
    y += (factor * _spread(rates)) * x + (-0.5 * factor) * along
    result += weight * y
    return float((y.real**2 + y.imag**2).sum())


def _spread(rates: Real) -> Real:
    """The factors of the degrees m, m+1, … for each order m, in turn."""
    degrees = rates[::2]
    return np.concatenate([degrees[m:] for m in range(len(degrees))])
