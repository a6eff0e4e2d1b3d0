"""Fields on S² as waves e^{i(kθ + mφ)}: the double Fourier sphere, from harmonic coefficients and back.

A meridian goes on over the pole: f(-θ, φ) = f(θ, φ + π), and the components of a vector also change sign. So the sums
of harmonics over ℓ, taken on equispaced θ, have a finite Fourier series in θ; both steps repeat to the bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, ifft

from fpsolve._kernels.legendre import circle_size, legendre, project, spin_one, sums, unfold
from fpsolve.sphere.harmonics import Coefficients, Real, degree_of, laplacian

Waves = NDArray[np.complex128]


def scalar_waves(coefficients: Coefficients, halved: bool = True) -> Waves:
    """Rows m = 0..L, or -L..L with zeros below 0, and columns k = -L..L of a real field Re Σ_mk g_mk e^{i(kθ + mφ)}."""
    lmax = degree_of(coefficients)
    values = sums(legendre(lmax), coefficients)
    factors = np.full(lmax + 1, 2.0)
    factors[0] = 1.0
    below = 0 if halved else lmax
    waves = np.zeros((below + lmax + 1, 2 * lmax + 1), complex)
    _transform(values, values, factors, 0, waves[below:])
    return waves


def vector_waves(spheroidal: Coefficients, toroidal: Coefficients | None, halved: bool) -> Waves:
    """Rows m = -L..L, columns k = -L..L, of the complex field v_θ + i v_φ, v = ∇S + ∇T × x.

    Or, if ``halved``, rows m = 0..L of v_θ and of v_φ, as :func:`scalar_waves` has them.

    Its orders m ≥ 0 are Σ_ℓ √(ℓ(ℓ+1)) (iT - S)_ℓm λ⁻_ℓm, those below the conjugates of Σ_ℓ √(ℓ(ℓ+1)) (S + iT)_ℓm λ⁺_ℓm.
    From θ to π - θ, λ⁻ goes over to ±λ⁺.
    """
    lmax = degree_of(spheroidal)
    root, ones = np.sqrt(-laplacian(lmax)), np.ones(lmax + 1)
    plus, minus = spin_one(lmax, 1), spin_one(lmax, -1)
    above, below = np.empty((2, lmax + 1, 2 * lmax + 1), complex)
    if toroidal is None:
        f = root * spheroidal
        at_plus, at_minus = sums(plus, f), sums(minus, f)
        _transform(at_minus, at_plus, -ones, 1, above)
        _transform(at_plus, at_minus, ones, 1, below)
    else:
        f, g = root * (1j * toroidal - spheroidal), root * (1j * toroidal + spheroidal)
        _transform(sums(minus, f), sums(plus, f), ones, 1, above)
        _transform(sums(plus, g), sums(minus, g), ones, 1, below)
    if not halved:
        return np.concatenate([below[:0:-1, ::-1].conj(), above])
    waves = np.stack([above + below, 1j * (below - above)])
    waves[:, 0] /= 2
    return waves


def moments_of_waves(waves: Waves) -> Coefficients:
    """Σ_i w_i Y*_ℓm(x_i) from Σ_i w_i e^{-i(kθ_i + mφ_i)}, rows m = 0..L and columns k = -L..L."""
    lmax = len(waves) - 1
    n = circle_size(lmax)
    padded = np.zeros((lmax + 1, n), complex)
    padded[:, : lmax + 1], padded[:, n - lmax :] = waves[:, lmax:], waves[:, :lmax]
    return project(legendre(lmax), ifft(padded, axis=1, overwrite_x=True))


def _transform(north: Real, south: Real, factors: Real, spin: int, out: Waves) -> None:
    """Fourier coefficients k = -L..L of functions of θ, from their sums on either hemisphere."""
    lmax, n = len(factors) - 1, circle_size(len(factors) - 1)
    waves = fft(unfold(north, south, factors, spin, n), axis=1, norm="forward", overwrite_x=True)
    out[:, lmax:], out[:, :lmax] = waves[:, : lmax + 1], waves[:, n - lmax :]
