"""The NumPy twin of `fpsolve._kernels.solid`: the same function by SciPy's Bessel functions and the twin of the points.

For coefficients of one degree, i_ℓ(r) is a factor of the sum on the unit sphere: M is the sum over degrees.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ive

from fpsolve._kernels import points_numpy
from fpsolve._kernels.points import Modes, Real, rows


def solid_sums(lmax: int, f: Modes, bounds: Real, x: Real, radii: Real) -> tuple[Real, Real, Real]:
    """e^{-r} M, e^{-r} ∇M and Σ_ℓ ``bounds``[ℓ] e^{-r} i_ℓ(r); radii above zero."""
    unit = x / np.linalg.norm(x, axis=1)[:, None]
    scale = np.sqrt(np.pi / (2 * radii))
    i = [scale * ive(ell + 0.5, radii) for ell in range(lmax + 2)]
    m, gradient, bound = np.zeros(len(x)), np.zeros((len(x), 3)), np.zeros(len(x))
    degrees = np.triu_indices(lmax + 1)[1]
    for ell in range(lmax + 1):
        values = np.empty((len(x), 5))
        part = np.where(degrees == ell, f, 0)
        points_numpy.jet(lmax, rows(lmax, (part, False), (part, True), (part, False)), x, values)
        slope = i[ell + 1] + ell / radii * i[ell]
        m += i[ell] * values[:, 3]
        gradient += (slope * values[:, 3])[:, None] * unit + (i[ell] / radii)[:, None] * values[:, :3]
        bound += bounds[ell] * i[ell]
    return m, gradient, bound
