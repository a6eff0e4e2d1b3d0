r"""Exponential sums between two Gauss grids of S², compiled: what e^{g·y} of a product grid saves.

$\log M(r x_{iq}) = \log\sum_{jk} w_{jk} e^{r x_{iq}\cdot y_{jk}}$ for targets on I Gauss latitudes and Q longitudes and
sources on J latitudes and K longitudes, K a multiple of Q: the exponent depends on the longitudes through K differences
only, and is that of the mirrored latitudes, so K/8 exponentials serve QK pairs; the rest is multiplied and added, and
positive. Where M varies by less than seven digits along a latitude, as it does where the mass surrounds the axis, the
sum over longitudes is taken by waves instead, at a hundredth of the cost. The twin is the direct sum,
`fpsolve._kernels.softmax`; that of the analysis stands in `fpsolve.attention.coarse_sphere`.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.fft import rfft

from fpsolve._kernels import _rings
from fpsolve.cached import lru_cache
from fpsolve.errors import InputError

Array = NDArray[np.float64]

LARGEST_RADIUS = 300.0
"""e^{-2r} times a small weight is no subnormal number up to here."""

LANES = 8
"""Latitudes side by side in compiled code."""

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
        self._halves, self._waves = self._by_waves()
        self.summed_directly = 0

    def _by_waves(self) -> tuple[Array, Array]:
        """cos θ, sin θ of northern latitudes, and Σ_k w_k e^{-2πimk/K} of them and their mirror images, as lanes."""
        (J, K), count = self.weights.shape, (len(self.weights) + 1) // 2
        groups = -(-count // LANES)
        waves = rfft(self.weights, axis=1)
        south = waves[::-1][:count].copy()
        south[J // 2 :] = 0.0  # a middle latitude is its own image
        parts = np.zeros((groups * LANES, K // 2 + 1, 4))
        for column, of in ((0, waves[:count]), (2, south)):
            parts[:count, :, column], parts[:count, :, column + 1] = of.real, of.imag
        halves = self._rings[:2, np.minimum(np.arange(groups * LANES), count - 1)].reshape(2, groups, LANES)
        lanes = parts.reshape(groups, LANES, K // 2 + 1, 4).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(halves), np.ascontiguousarray(lanes)

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
        own = self._rings, self.weights, self._halves, self._waves
        self.summed_directly = _rings.log_sums(
            float(radius), gauss_rings(shape[0]), *own, circle_waves(shape[1]), float(negligible), log_m
        )
        return log_m


@lru_cache(maxsize=128)
def gauss_rings(count: int) -> Array:
    """cos θ and sin θ of the Gauss latitudes from the north, shape (2, count)."""
    cosine = leggauss(count)[0][::-1]
    rings = np.stack([cosine, np.sqrt((1 - cosine) * (1 + cosine))])
    return rings


@lru_cache(maxsize=128)
def circle_waves(count: int) -> Array:
    """cos and sin of 2πpq/count, p, q ≤ count/2, q padded by zeros to a multiple of LANES; (2, count//2+1, width)."""
    half = count // 2 + 1
    phase = 2 * np.pi / count * (np.outer(np.arange(half), np.arange(half)) % count)
    table = np.zeros((2, half, -(-half // LANES) * LANES))
    table[0, :, :half], table[1, :, :half] = np.cos(phase), np.sin(phase)
    return table


def ring_modes(field: Array, projections: Array, degree: int) -> tuple[NDArray[np.complex128], Array]:
    """f_ℓm of a field (I, Q) on Gauss latitudes and Σ_m |f_ℓm|², up to the degree of ``projections``, as
    `coarse_sphere` has them; the former with zeros up to ``degree``."""
    out, power = np.empty((degree + 1) * (degree + 2) // 2, complex), np.empty(len(projections))
    _rings.modes(np.ascontiguousarray(field), projections, circle_waves(field.shape[1]), degree, out, power)
    return out, power
