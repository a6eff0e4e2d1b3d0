r"""Exponential sums between two Gauss grids of S², compiled: what e^{g·y} of a product grid saves.

$\log M(r x_{iq}) = \log\sum_{jk} w_{jk} e^{r x_{iq}\cdot y_{jk}}$ for targets on I Gauss latitudes and Q longitudes and
sources on J latitudes and K longitudes, K a multiple of Q: the exponent depends on the longitudes through K differences
only, and is that of the mirrored latitudes, so K/8 exponentials serve QK pairs; the rest is multiplied and added, and
positive. The twin is the direct sum, `fpsolve._kernels.softmax`.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray

from fpsolve._kernels import _rings
from fpsolve.cached import lru_cache
from fpsolve.errors import InputError

Array = NDArray[np.float64]

LARGEST_RADIUS = 300.0
"""e^{-2r} times a small weight is no subnormal number up to here."""

EMPTY = -1e300
"""The log mass of a ring without mass."""


class RingSources:
    """Weights ≥ 0 of any sum on Gauss latitudes from the north × longitudes 2πk/K, shape (J, K).

    Raises InputError for weights that are not finite and ≥ 0, or all zero.
    """

    def __init__(self, weights: Array) -> None:
        self.weights = np.ascontiguousarray(weights, dtype=np.float64)
        if self.weights.ndim != 2 or not (self.weights >= 0).all() or not 0 < self.weights.sum() < np.inf:
            raise InputError("weights", self.weights.shape, "not masses on a grid", "give finite weights >= 0, (J, K)")
        mass = self.weights.sum(axis=1)
        phase = 2 * np.pi * np.arange(self.weights.shape[1]) / self.weights.shape[1]
        horizontal = np.hypot(*(np.einsum("jk,k->j", self.weights, wave(phase)) for wave in (np.cos, np.sin)))
        occupied = np.maximum(mass, 1e-300)
        log_mass = np.where(mass > 1e-300, np.log(occupied), EMPTY)
        self._rings = np.stack([*gauss_rings(len(mass)), log_mass, np.minimum(horizontal / occupied, 1.0)])

    def log_M(self, radius: float, shape: tuple[int, int], negligible: float) -> Array:
        """log M(radius·x) on the grid of ``shape`` (I, Q); rings below e^{-negligible} of M are left out there.

        Raises InputError for Q that do not divide K and for radii not in [0, ``LARGEST_RADIUS``].
        """
        if not 0 <= radius <= LARGEST_RADIUS:
            raise InputError("radius", radius, f"not in [0, {LARGEST_RADIUS}]", "sum over points instead")
        if shape[0] < 1 or shape[1] < 1 or self.weights.shape[1] % shape[1]:
            remedy = f"give a divisor of {self.weights.shape[1]} longitudes"
            raise InputError("shape", shape, "does not fit the sources' longitudes", remedy)
        log_m = np.empty(shape)
        _rings.log_sums(float(radius), gauss_rings(shape[0]), self._rings, self.weights, float(negligible), log_m)
        return log_m


@lru_cache(maxsize=128)
def gauss_rings(count: int) -> Array:
    """cos θ and sin θ of the Gauss latitudes from the north, shape (2, count)."""
    cosine = leggauss(count)[0][::-1]
    rings = np.stack([cosine, np.sqrt((1 - cosine) * (1 + cosine))])
    return rings
