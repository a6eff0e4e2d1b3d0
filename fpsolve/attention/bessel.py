"""Exponentially scaled modified spherical Bessel functions, e^{-r} i_ℓ(r), safe for any r ≥ 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

from fpsolve.cached import lru_cache
from fpsolve.errors import InputError

Real = NDArray[np.float64]

TINY = 1e-20
"""Below this radius every i_ℓ(r)/r with ℓ > 1 is lost in round-off."""


def scaled_bessel(lmax: int, r: float) -> Real:
    """e^{-r} i_ℓ(r) for ℓ = 0..lmax, shape (lmax+1,); i_ℓ(r) = √(π/2r) I_{ℓ+1/2}(r), i_ℓ(0) = δ_ℓ0."""
    ells = np.arange(lmax + 1)
    if r < TINY:  # i_1(r) = r/3 + O(r³), i_2(r) = O(r²)
        return np.where(ells == 0, 1 - r, np.where(ells == 1, r / 3, 0.0))
    return np.sqrt(np.pi / (2 * r)) * ive(ells + 0.5, r)


def scaled_bessel_derivative(lmax: int, r: float) -> Real:
    """e^{-r} i'_ℓ(r), ℓ = 0..lmax, from (2ℓ+1) i'_ℓ = ℓ i_{ℓ-1} + (ℓ+1) i_{ℓ+1} (no cancellation, exact at 0)."""
    values = scaled_bessel(lmax + 1, r)
    ells = np.arange(lmax + 1)
    below = np.concatenate([[0.0], values[:lmax]])
    return (ells * below + (ells + 1) * values[1:]) / (2 * ells + 1)


def plane_wave(d: int, lmax: int, r: float) -> Real:
    """c_ℓ(r) with e^{r(ω·y - 1)} = |S^{d-1}| Σ c_ℓ Σ_m Y_ℓm(ω) Y*_ℓm(y): e^{-r} i_ℓ (d = 3), e^{-r} I_ℓ (d = 2)."""
    return scaled_bessel(lmax, r) if d == 3 else ive(np.arange(lmax + 1), r)


def plane_wave_derivative(d: int, lmax: int, r: float) -> Real:
    """e^{-r} times the r-derivative of e^r c_ℓ(r): e^{-r} i'_ℓ (d = 3), e^{-r} (I_{ℓ-1} + I_{ℓ+1})/2 (d = 2)."""
    if d == 3:
        return scaled_bessel_derivative(lmax, r)
    ells = np.arange(lmax + 1)
    return (ive(np.abs(ells - 1), r) + ive(ells + 1, r)) / 2


SHARPEST = 1e5
"""The largest β|A|: M(g) at |g| = 1e5 takes harmonics of degree 2,500."""


def check_sharpness(r: float) -> None:
    """Raise InputError for scores that no series of harmonics carries, and no grid resolves."""
    if r > SHARPEST:
        remedy = "pass a smaller beta, or take its limit fp.models.LowTemperatureLimit"
        raise InputError("beta", r, f"β|A| above {SHARPEST:g} is sharper than any density", remedy)


@lru_cache(maxsize=1024)
def moment_degree(r: float, tolerance: float = 1e-14) -> int:
    """The degree beyond which moments matter neither to M nor to F, the least L with

    Σ_{ℓ>L} (2ℓ+1) max(1, ℓ/r) e^{-r} i_ℓ(r) ≤ tolerance.

    The full sum of (2ℓ+1) e^{-r} i_ℓ is one (e^{r·1} at angle zero), so the tolerance is relative to the largest
    value of M; a term of degree ℓ enters F = ∇M/M, of size one, with the factors i'_ℓ and ℓ i_ℓ/r. Zero at r = 0.
    The circle's series, with 2 I_ℓ, ends no later.
    """
    if r < TINY:
        return 0 if r == 0 else 1
    check_sharpness(r)
    longest = 32 + int(2 * r) if r < 50 else 32 + int(12 * np.sqrt(r))
    ells = np.arange(longest + 1)
    terms = (2 * ells + 1) * np.maximum(1, ells / r) * scaled_bessel(longest, r)
    tails = np.cumsum(terms[::-1])[::-1]
    return int(np.argmax(np.append(tails, 0.0) <= tolerance)) - 1
