"""The isotropic Gaussian field on the circle, E U^a(x)U^b(y) = δ_ab k(cos Δ), Δ the angle between x and y.

k(cos Δ) = (C_0 + 2 Σ_{m≤L} C_m cos mΔ)/2π, so U^a_m = √C_m ξ^a_m with independent unit Gaussians in the normalisation
of :mod:`fpsolve.sphere.fourier`. Its tangential part is cos θ U² - sin θ U¹, its radial part cos θ U¹ + sin θ U²,
both of degree L+1.

Channels are m-major: for m = 0 the two components, for m > 0 real and imaginary parts of both; a larger L appends.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpsolve.errors import InputError
from fpsolve.noise.isotropic import VectorModes, checked_spectrum
from fpsolve.sphere.fourier import times_coordinates

Array = NDArray[np.float64]


def circular_channel_count(noise_lmax: int) -> int:
    """Number of channels, 2(2L+1)."""
    return 2 * (2 * noise_lmax + 1)


def circular_field(spectrum: Array, increments: Array) -> VectorModes:
    """S, T and R of the field with spectrum C_m driven by the increments, degree L+1.

    ``spectrum``: (L+1,) ≥ 0; ``increments``: (2(2L+1),), of variance Δt for noise over Δt. Raises InputError for
    other shapes and for values that are negative beyond round-off.
    """
    lmax = len(spectrum) - 1
    if np.shape(increments) != (circular_channel_count(lmax),):
        remedy = f"noise of degree {lmax} takes {circular_channel_count(lmax)} channels"
        raise InputError("increments", np.shape(increments), "wrong shape", remedy)
    rest = increments[2:].reshape(lmax, 2, 2) / np.sqrt(2)
    modes = np.concatenate([increments[None, :2].astype(complex), rest[..., 0] + 1j * rest[..., 1]])
    first, second = (np.sqrt(checked_spectrum("spectrum", spectrum, lmax))[:, None] * modes).T
    (cos_first, sin_first), (cos_second, sin_second) = times_coordinates(first), times_coordinates(second)
    tangential, m = cos_second - sin_first, np.arange(lmax + 2)
    potential = np.where(m == 0, 0, tangential / np.where(m == 0, 1, 1j * m))
    return VectorModes(potential, np.where(m == 0, tangential, 0), cos_first + sin_second)


def circular_kernel(spectrum: ArrayLike) -> Callable[[ArrayLike], Array]:
    """t ↦ k(t) of a spectrum, t = cos Δ: a Chebyshev series."""
    C = np.asarray(spectrum, float)
    coefficients = np.where(np.arange(len(C)) == 0, 1, 2) * C / (2 * np.pi)
    return lambda t: np.asarray(np.polynomial.chebyshev.chebval(np.asarray(t, float), coefficients))


def circular_spectrum(kernel: Callable[[Array], ArrayLike], lmax: int, nodes: int | None = None) -> Array:
    """C_m = ∫_0^{2π} k(cos Δ) cos mΔ dΔ for m ≤ lmax, by the trapezoidal rule."""
    count = nodes or 4 * (lmax + 64)
    angles = 2 * np.pi * np.arange(count) / count
    values = np.asarray(kernel(np.cos(angles)), float) * np.ones(count)
    return np.cos(np.outer(np.arange(lmax + 1), angles)) @ values * (2 * np.pi / count)
