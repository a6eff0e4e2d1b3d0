"""The isotropic Gaussian field on the circle, E U^a(x)U^b(y) = δ_ab k(cos Δ), Δ the angle between x and y.

k(cos Δ) = (C_0 + 2 Σ_{m≤L} C_m cos mΔ)/2π, so U^a_m = √C_m ξ^a_m with independent unit Gaussians in the normalisation
of :mod:`fpsolve.sphere.fourier`. Its tangential part is cos θ U² - sin θ U¹, its radial part cos θ U¹ + sin θ U²,
both of degree L+1.

Channels are m-major: for m = 0 the two components, for m > 0 real and imaginary parts of both; a larger L appends.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.noise.law import Array, IsotropicNoise, VectorModes, checked_degree
from fpsolve.sphere.fourier import times_coordinates

CIRCLE_NODES = 4096
"""At least so many angles for C_m of a kernel whose derivatives may be singular at t = ±1: errors of the order of C
at that degree."""


class CircularNoise(IsotropicNoise):
    """The linear map from 2(2L+1) Brownian channels, L = ``lmax``, to the potentials of isotropic noise on S¹."""

    d = 2
    most = 256

    @property
    def channels(self) -> int:
        return 2 * (2 * self.lmax + 1)

    def _factors(self, root: Array) -> Array:
        return root

    def _driven(self, factors: Array, increments: Array) -> VectorModes:
        rest = increments[2:].reshape(self.lmax, 2, 2) / np.sqrt(2)
        modes = np.concatenate([increments[None, :2].astype(complex), rest[..., 0] + 1j * rest[..., 1]])
        first, second = (factors[:, None] * modes).T
        (cos_first, sin_first), (cos_second, sin_second) = times_coordinates(first), times_coordinates(second)
        tangential, m = cos_second - sin_first, np.arange(self.lmax + 2)
        potential = np.where(m == 0, 0, tangential / np.where(m == 0, 1, 1j * m))
        return VectorModes(potential, np.where(m == 0, tangential, 0), cos_first + sin_second)

    def _series(self, C: Array) -> Callable[[ArrayLike], Array]:
        """k(cos Δ) = (C_0 + 2 Σ C_m cos mΔ)/2π: a Chebyshev series in t."""
        coefficients = np.where(np.arange(len(C)) == 0, 1, 2) * C / (2 * np.pi)
        return lambda t: np.asarray(np.polynomial.chebyshev.chebval(np.asarray(t, float), coefficients))

    def _nodes(self, smooth: bool) -> int:
        return 4 * (self.lmax + 64) if smooth else max(CIRCLE_NODES, 8 * self.lmax)

    def _rule(self, count: int) -> tuple[Array, Callable[[Array], Array]]:
        """C_m = ∫_0^{2π} k(cos Δ) cos mΔ dΔ by the trapezoidal rule."""
        angles = 2 * np.pi * np.arange(count) / count
        waves = np.cos(np.outer(np.arange(self.lmax + 1), angles))
        return np.cos(angles), lambda values: np.asarray(waves @ values * (2 * np.pi / count))

    def spectrum_of_powers(self, K: int) -> Array:
        """τ[m, k] = ∫_0^{2π} cos^k Δ cos mΔ dΔ = 2π 2^{-k} binom(k, (k-m)/2), m ≤ k of its parity, else 0.

        By τ[0, k+2] / τ[0, k] = (k+1)/(k+2), τ[1, k] = τ[0, k+1] and τ[m+2, k] / τ[m, k] = (k-m)/(k+m+2).
        """
        K = checked_degree("K", K)
        k, j = np.arange(K + 1), np.arange(K // 2 + 1)
        even = np.cumprod(np.append(2 * np.pi, (2 * j + 1) / (2 * j + 2)))
        tau = np.zeros((self.lmax + 1, K + 1))
        tau[0] = np.where(k % 2 == 0, even[k // 2], 0.0)
        if self.lmax > 0:
            tau[1] = np.where(k % 2 == 1, even[(k + 1) // 2], 0.0)
        for m in range(2, self.lmax + 1):
            tau[m] = tau[m - 2] * np.maximum(k - m + 2, 0) / (k + m)
        return tau

    def end_terms(self, spectrum: Array) -> tuple[Array, Array]:
        """C_0/2π, 2 C_m/2π, and m² times that."""
        m = np.arange(len(spectrum))
        terms = np.where(m == 0, 1, 2) * spectrum / (2 * np.pi)
        return terms, m**2 * terms
