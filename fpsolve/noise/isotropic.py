"""Isotropic R³-valued Gaussian noise on S², synthesised from vector spherical harmonics.

The field U has E U^a(x) U^b(y) = δ_ab k(⟨x,y⟩), k(t) = Σ_ℓ (2ℓ+1)/(4π) C_ℓ P_ℓ(t), ℓ ≤ L = ``noise_lmax``.
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

import operator
from collections.abc import Callable
from typing import NamedTuple, SupportsIndex

import ducc0
import numpy as np
from numpy.polynomial.legendre import legval, legvander
from numpy.typing import ArrayLike, NDArray

from fpsolve.cached import lru_cache
from fpsolve.errors import InputError

Array = NDArray[np.float64]
Modes = NDArray[np.complex128]

_ROUND_OFF = 1e-12

MINUS, ZERO, PLUS = range(3)
"""Components of a channel: scalar degree J-1, J, J+1."""


class VectorModes(NamedTuple):
    """Coefficients of the potentials: U = ∇S + x × ∇T + R x; complex, m-major, degree L+1."""

    S: Modes
    T: Modes
    R: Modes


def channel_count(noise_lmax: int) -> int:
    """Number of real channels, 3(L+2)², of isotropic noise of scalar degree ≤ L = ``noise_lmax``."""
    return 3 * (_checked_degree("noise_lmax", noise_lmax) + 2) ** 2


def channel_position(J: int, m: int, component: int) -> int:
    """Position 3(J² + J + m) + component of a channel; it does not depend on ``noise_lmax``."""
    return int(_positions(J, m, component))


def _positions(J: ArrayLike, m: ArrayLike, component: ArrayLike) -> NDArray[np.intp]:
    J = np.asarray(J, dtype=np.intp)
    return np.asarray(3 * (J * J + J + m) + component, dtype=np.intp)


def isotropic_channels(noise_lmax: int) -> IsotropicChannels:
    """The shared ``IsotropicChannels`` of a degree (a small cache keeps the index arrays)."""
    return _channels(_checked_degree("noise_lmax", noise_lmax))


class IsotropicChannels:
    """The linear map from Brownian channels to the potentials of isotropic noise.

    ``noise_lmax`` = L cuts C_ℓ off; the potentials have ``degree`` L+1; ``count`` = 3(L+2)² channels.
    Raises InputError unless ``noise_lmax`` is an integer ≥ 0.
    """

    def __init__(self, noise_lmax: int) -> None:
        self.noise_lmax = _checked_degree("noise_lmax", noise_lmax)
        self.degree = self.noise_lmax + 1
        self.count = channel_count(self.noise_lmax)
        m = np.repeat(np.arange(self.degree + 1), np.arange(self.degree + 1, 0, -1))
        J = np.concatenate([np.arange(first, self.degree + 1) for first in range(self.degree + 1)])
        component = np.arange(3)[:, None]
        self._J = J
        self._cosine = _positions(J, m, component)
        self._sine = _positions(J, -m, component)
        self._cosine_weight = np.where(m == 0, 1.0, np.sqrt(0.5))
        self._sine_weight = np.where(m == 0, 0.0, np.sqrt(0.5))
        self._angular = _angular_weights(self.degree)

    def field(self, spectrum: Array, increments: Array) -> VectorModes:
        """S, T and R of the field with angular spectrum C_ℓ driven by the given increments.

        ``spectrum``: C_ℓ ≥ 0, shape (L+1,); ``increments``: shape (count,), of variance Δt for noise over Δt.
        Raises InputError for other shapes and for values that are negative beyond round-off or not finite.
        """
        root = np.sqrt(checked_spectrum("spectrum", spectrum, self.noise_lmax))
        if np.shape(increments) != (self.count,):
            remedy = f"noise of degree {self.noise_lmax} takes {self.count} channels"
            raise InputError("increments", np.shape(increments), "wrong shape", remedy)
        minus, zero, plus = self._coefficients(increments)
        s_minus, s_plus, t_zero, r_minus, r_plus = self._amplitudes(root)[:, self._J]
        return VectorModes(s_minus * minus + s_plus * plus, t_zero * zero, r_minus * minus + r_plus * plus)

    def _coefficients(self, increments: Array) -> Modes:
        """ξ⁻, ξ⁰, ξ⁺ as complex coefficients of unit variance; shape (3, modes)."""
        modes = np.empty(self._cosine.shape, dtype=np.complex128)
        modes.real = increments[self._cosine] * self._cosine_weight
        modes.imag = increments[self._sine] * self._sine_weight
        return modes

    def _amplitudes(self, root: Array) -> Array:
        """The five factors of ξ⁻, ξ⁺ in S, ξ⁰ in T and ξ⁻, ξ⁺ in R, by degree J; shape (5, L+2)."""
        padded = np.concatenate([[0.0], root, [0.0, 0.0]])
        below, same, above = padded[:-2], padded[1:-1], padded[2:]
        radicals: Array = np.stack([below, above, same, below, above])
        return self._angular * radicals


@lru_cache(maxsize=8)
def _channels(noise_lmax: int) -> IsotropicChannels:
    return IsotropicChannels(noise_lmax)


def _angular_weights(degree: int) -> Array:
    """The square roots of J beside √C in S (two), T and R (two), by degree J; shape (5, degree+1)."""
    J = np.arange(degree + 1, dtype=float)
    low, high = np.sqrt(J / (2 * J + 1)), np.sqrt((J + 1) / (2 * J + 1))
    # A constant has no gradient: J = 0 carries nothing in S and T.
    inverse = np.concatenate([[0.0], 1.0 / np.sqrt(J[1:] * (J[1:] + 1))])
    return np.stack([high * inverse, low * inverse, inverse, low, -high])


def kernel_from_spectrum(spectrum: ArrayLike) -> Callable[[ArrayLike], Array]:
    """t ↦ k(t) = Σ_ℓ (2ℓ+1)/(4π) C_ℓ P_ℓ(t), elementwise, by Clenshaw's sum.

    ``spectrum``: C_ℓ, shape (L+1,). Raises InputError for another shape.
    """
    C = np.asarray(spectrum, dtype=float)
    if C.ndim != 1 or C.size == 0:
        raise InputError("spectrum", C.shape, "wrong shape", "give C_l for l = 0..L in one dimension")
    coefficients = (2 * np.arange(C.size) + 1) / (4 * np.pi) * C

    def kernel(t: ArrayLike) -> Array:
        return np.asarray(legval(np.asarray(t, dtype=float), coefficients), dtype=np.float64)

    return kernel


def spectrum_from_kernel(kernel: Callable[[Array], ArrayLike], lmax: int, nodes: int | None = None) -> Array:
    """C_ℓ = 2π ∫ k P_ℓ dt for ℓ ≤ lmax by Gauss–Legendre quadrature; shape (lmax+1,).

    ``kernel`` takes an array of t in (-1, 1). ``nodes`` points are exact for a polynomial k of degree
    2·nodes - 1 - lmax; the default, 2·lmax + 64, suits smooth kernels. Raises InputError if k is not finite.
    """
    lmax = _checked_degree("lmax", lmax)
    count = 2 * lmax + 64 if nodes is None else _checked_degree("nodes", nodes)
    if count <= lmax:
        raise InputError("nodes", count, f"too few for degree {lmax}", f"give at least {lmax + 1}")
    t, projection = _legendre_projection(count, lmax)
    values = np.broadcast_to(np.asarray(kernel(t.copy()), dtype=float), t.shape)
    if not np.all(np.isfinite(values)):
        raise InputError("kernel", kernel, "not finite on (-1, 1)", "give a finite covariance k(t)")
    return np.asarray(values @ projection, dtype=np.float64)


@lru_cache(maxsize=8)
def _legendre_projection(nodes: int, lmax: int) -> tuple[Array, Array]:
    """Gauss–Legendre nodes t_i and 2π w_i P_ℓ(t_i); shapes (nodes,) and (nodes, lmax+1), read-only."""
    # ducc0's rule is good to round-off; those of SciPy and NumPy lose three digits at 150 nodes.
    t = np.cos(ducc0.misc.GL_thetas(nodes))
    two_pi_weights = ducc0.misc.GL_weights(nodes, 1)
    projection = two_pi_weights[:, None] * legvander(t, lmax)
    return t, projection


def spectrum_of_powers(K: int, lmax: int) -> Array:
    """The spectra of the powers: τ[ℓ, k] = 2π ∫_{-1}^{1} t^k P_ℓ(t) dt, shape (lmax+1, K+1).

    τ[ℓ, k] = 4π k! / ((k-ℓ)!! (k+ℓ+1)!!) if ℓ ≤ k and k-ℓ is even, else 0, so that
    t^k = Σ_ℓ (2ℓ+1)/(4π) τ[ℓ, k] P_ℓ(t). Computed by the ratio τ[ℓ+2, k] / τ[ℓ, k] = (k-ℓ)/(k+ℓ+3): positive
    factors, no cancellation at any k.
    """
    K, lmax = _checked_degree("K", K), _checked_degree("lmax", lmax)
    k = np.arange(K + 1)
    tau = np.zeros((lmax + 1, K + 1))
    tau[0] = np.where(k % 2 == 0, 4 * np.pi / (k + 1), 0.0)
    if lmax > 0:
        tau[1] = np.where(k % 2 == 1, 4 * np.pi / (k + 2), 0.0)
    for degree in range(2, lmax + 1):
        # The factor is zero at k = degree-2 and the product stays zero below it.
        tau[degree] = tau[degree - 2] * np.maximum(k - degree + 2, 0) / (k + degree + 1)
    return tau


def _checked_degree(argument: str, value: SupportsIndex) -> int:
    """A degree as an integer >= 0, or InputError."""
    try:
        degree = operator.index(value)
    except TypeError:
        raise InputError(argument, value, "not an integer", "give a whole number >= 0") from None
    if degree < 0:
        raise InputError(argument, value, "negative", "give a whole number >= 0")
    return degree


def checked_spectrum(argument: str, spectrum: ArrayLike, lmax: int) -> Array:
    """C_ℓ, ℓ ≤ lmax, with negative round-off set to zero; InputError for any other fault."""
    C = np.asarray(spectrum, dtype=float)
    if C.shape != (lmax + 1,):
        raise InputError(argument, C.shape, "wrong shape", f"give C_l for l = 0..{lmax}, shape ({lmax + 1},)")
    if not np.all(np.isfinite(C)):
        raise InputError(argument, C, "not finite", "an angular spectrum is finite and >= 0")
    if C.min() < -_ROUND_OFF * C.max():
        degree = int(np.argmin(C))
        raise InputError(argument, float(C[degree]), f"negative at l = {degree}", "a covariance has C_l >= 0")
    return np.asarray(np.maximum(C, 0.0), dtype=np.float64)
