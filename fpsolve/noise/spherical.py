"""Isotropic R³-valued Gaussian noise on S², synthesised from vector spherical harmonics.

The field U has E U^a(x) U^b(y) = δ_ab k(⟨x,y⟩), k(t) = Σ_ℓ (2ℓ+1)/(4π) C_ℓ P_ℓ(t), ℓ ≤ L = ``lmax``.
Its ambient components are independent scalar fields. A scalar harmonic of degree ℓ times a vector of R³ has
total degree J = ℓ-1, ℓ or ℓ+1; so each (J, m) has three independent Gaussians ξ⁻, ξ⁰, ξ⁺, of scalar degree
J-1, J, J+1, and

    P_x U = ∇S + x × ∇T,    U·x = R,    all of degree ≤ L+1,
    S_J = [ √((J+1)/(2J+1)) √C_{J-1} ξ⁻ + √(J/(2J+1)) √C_{J+1} ξ⁺ ] / √(J(J+1))
    T_J = √(C_J / (J(J+1))) ξ⁰
    R_J = √(J/(2J+1)) √C_{J-1} ξ⁻ - √((J+1)/(2J+1)) √C_{J+1} ξ⁺

with C_ℓ = 0 outside 0..L. SHTns synthesises ∇S - x × ∇T from the same arrays: another field, the same law.

Coefficients are those of a real field f = Σ f_ℓ0 Y_ℓ0 + 2 Re Σ_{m>0} f_ℓm Y_ℓm, Y_ℓm orthonormal with the
Condon–Shortley phase, stored for m ≥ 0 in m-major order: m = 0 with ℓ = 0..ℓmax, then m = 1 with
ℓ = 1..ℓmax, and so on. Real channels ξ_{J,m} and ξ_{J,-m} of unit variance give the coefficient
(ξ_{J,m} + i ξ_{J,-m})/√2, m > 0.
"""

from __future__ import annotations

from collections.abc import Callable

import ducc0
import numpy as np
from numpy.polynomial.legendre import legval, legvander
from numpy.typing import ArrayLike, NDArray

from fpsolve._kernels import _fields
from fpsolve.cached import cached_property, lru_cache
from fpsolve.noise.law import Array, IsotropicNoise, Modes, VectorModes, checked_degree

QUADRATURE_NODES = 600
"""At least so many for C_ℓ of a kernel whose derivatives may be singular at t = ±1."""


def channel_position(J: int, m: int, component: int) -> int:
    """Position 3(J² + J + m) + component (0, 1, 2 for ξ⁻, ξ⁰, ξ⁺) of a channel; it does not depend on ``lmax``."""
    return int(_positions(J, m, component))


def _positions(J: ArrayLike, m: ArrayLike, component: ArrayLike) -> NDArray[np.intp]:
    J = np.asarray(J, dtype=np.intp)
    return np.asarray(3 * (J * J + J + m) + component, dtype=np.intp)


class SphericalNoise(IsotropicNoise):
    """The linear map from 3(L+2)² Brownian channels, L = ``lmax``, to the potentials of isotropic noise on S²."""

    d = 3
    most = 128

    @property
    def channels(self) -> int:
        return 3 * (self.lmax + 2) ** 2

    @cached_property
    def _places(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """J of the modes, and where the channels of their cosine and sine parts stand, (3, modes)."""
        m = np.repeat(np.arange(self.degree + 1), np.arange(self.degree + 1, 0, -1))
        J = np.concatenate([np.arange(first, self.degree + 1) for first in range(self.degree + 1)])
        component = np.arange(3)[:, None]
        return J, _positions(J, m, component), _positions(J, -m, component)

    @cached_property
    def _weights(self) -> tuple[Array, Array]:
        """The factors of cosine and sine parts, of modes with m = 0 first."""
        zero = np.arange(len(self._places[0])) <= self.degree
        return np.where(zero, 1.0, np.sqrt(0.5)), np.where(zero, 0.0, np.sqrt(0.5))

    @cached_property
    def _angular(self) -> Array:
        return _angular_weights(self.degree)

    def _driven(self, factors: Array, increments: Array) -> VectorModes:
        out = np.empty((3, len(self._places[0])), complex)
        _fields.potentials(self.degree, factors, np.ascontiguousarray(increments, float), out)
        return VectorModes(*out)

    def readable_potentials(self, root: Array, increments: Array) -> VectorModes:
        """S, T and R by whole arrays, as the formula stands: the same bits as those of :meth:`field`."""
        minus, zero, plus = self._coefficients(increments)
        s_minus, s_plus, t_zero, r_minus, r_plus = self._factors(root)[:, self._places[0]]
        return VectorModes(s_minus * minus + s_plus * plus, t_zero * zero, r_minus * minus + r_plus * plus)

    def _coefficients(self, increments: Array) -> Modes:
        """ξ⁻, ξ⁰, ξ⁺ as complex coefficients of unit variance; shape (3, modes)."""
        _, cosine, sine = self._places
        modes = np.empty(cosine.shape, dtype=np.complex128)
        modes.real = increments[cosine] * self._weights[0]
        modes.imag = increments[sine] * self._weights[1]
        return modes

    def _factors(self, root: Array) -> Array:
        """The five factors of ξ⁻, ξ⁺ in S, ξ⁰ in T and ξ⁻, ξ⁺ in R, by degree J; shape (5, L+2)."""
        padded = np.zeros(len(root) + 3)
        padded[1:-2] = root
        below, same, above = padded[:-2], padded[1:-1], padded[2:]
        radicals: Array = np.stack([below, above, same, below, above])
        return self._angular * radicals

    def _series(self, C: Array) -> Callable[[ArrayLike], Array]:
        """k(t) = Σ_ℓ (2ℓ+1)/(4π) C_ℓ P_ℓ(t), by Clenshaw's sum."""
        coefficients = (2 * np.arange(C.size) + 1) / (4 * np.pi) * C
        return lambda t: np.asarray(legval(np.asarray(t, dtype=float), coefficients), dtype=np.float64)

    def _nodes(self, smooth: bool) -> int:
        usual = 2 * self.lmax + 64
        return usual if smooth else max(QUADRATURE_NODES, usual)

    def _rule(self, count: int) -> tuple[Array, Callable[[Array], Array]]:
        """C_ℓ = 2π ∫ k P_ℓ dt by Gauss–Legendre, exact for a polynomial k of degree 2·count - 1 - lmax."""
        t, projection = _legendre_projection(count, self.lmax)
        return t, lambda values: np.asarray(values @ projection, dtype=np.float64)

    def spectrum_of_powers(self, K: int) -> Array:
        """τ[ℓ, k] = 2π ∫_{-1}^{1} t^k P_ℓ(t) dt.

        τ[ℓ, k] = 4π k! / ((k-ℓ)!! (k+ℓ+1)!!) if ℓ ≤ k and k-ℓ is even, else 0, so that
        t^k = Σ_ℓ (2ℓ+1)/(4π) τ[ℓ, k] P_ℓ(t). Computed by the ratio τ[ℓ+2, k] / τ[ℓ, k] = (k-ℓ)/(k+ℓ+3): positive
        factors, no cancellation at any k.
        """
        K = checked_degree("K", K)
        k = np.arange(K + 1)
        tau = np.zeros((self.lmax + 1, K + 1))
        tau[0] = np.where(k % 2 == 0, 4 * np.pi / (k + 1), 0.0)
        if self.lmax > 0:
            tau[1] = np.where(k % 2 == 1, 4 * np.pi / (k + 2), 0.0)
        for degree in range(2, self.lmax + 1):
            # The factor is zero at k = degree-2 and the product stays zero below it.
            tau[degree] = tau[degree - 2] * np.maximum(k - degree + 2, 0) / (k + degree + 1)
        return tau

    def end_terms(self, spectrum: Array) -> tuple[Array, Array]:
        """(2ℓ+1)/(4π) C_ℓ, and ℓ(ℓ+1)/2 times that."""
        ell = np.arange(len(spectrum))
        terms = (2 * ell + 1) * spectrum / (4 * np.pi)
        return terms, ell * (ell + 1) / 2 * terms


def _angular_weights(degree: int) -> Array:
    """The square roots of J beside √C in S (two), T and R (two), by degree J; shape (5, degree+1)."""
    J = np.arange(degree + 1, dtype=float)
    low, high = np.sqrt(J / (2 * J + 1)), np.sqrt((J + 1) / (2 * J + 1))
    # A constant has no gradient: J = 0 carries nothing in S and T.
    inverse = np.concatenate([[0.0], 1.0 / np.sqrt(J[1:] * (J[1:] + 1))])
    return np.stack([high * inverse, low * inverse, inverse, low, -high])


@lru_cache(maxsize=8)
def _legendre_projection(nodes: int, lmax: int) -> tuple[Array, Array]:
    """Gauss–Legendre nodes t_i and 2π w_i P_ℓ(t_i); shapes (nodes,) and (nodes, lmax+1), read-only."""
    # ducc0's rule is good to round-off; those of SciPy and NumPy lose three digits at 150 nodes.
    t = np.cos(ducc0.misc.GL_thetas(nodes))
    two_pi_weights = ducc0.misc.GL_weights(nodes, 1)
    projection = two_pi_weights[:, None] * legvander(t, lmax)
    return t, projection
