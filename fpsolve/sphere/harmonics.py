"""Coefficients of real fields in spherical harmonics: order, parity, algebra.

Normalisation block (everything else in the package links here)
----------------------------------------------------------------
* Y_ℓm are orthonormal on the unit sphere, ∫ Y_ℓm Y*_ℓ'm' = δδ, with the Condon–Shortley phase:
  Y_00 = 1/√(4π), Y_10 = √(3/4π) cos θ, Y_11 = -√(3/8π) sin θ e^{iφ}.
* A real field is f = Σ_ℓ f_ℓ0 Y_ℓ0 + 2 Re Σ_{m>0} f_ℓm Y_ℓm with f_ℓm = ∫ Y*_ℓm f and f_ℓ,-m = (-1)^m f*_ℓm;
  only m ≥ 0 is stored and f_ℓ0 is real.
* Index order is m-major: ℓ = 0..L for m = 0, then ℓ = 1..L for m = 1, …; (L+1)(L+2)/2 complex numbers.
* A measure has moments ρ_ℓm = ∫ Y*_ℓm dμ, so mass one is ρ_00 = 1/√(4π).
* Tangent fields are v = ∇S + ∇T × x (SHTns's spheroidal and toroidal parts):
  v_θ = ∂_θ S + ∂_φ T / sin θ,  v_φ = ∂_φ S / sin θ - ∂_θ T.  div v = ΔS, ΔY_ℓm = -ℓ(ℓ+1) Y_ℓm.
* Quadrature: Gauss–Legendre in cos θ, uniform in φ; weights sum to 4π.
"""

from __future__ import annotations

from math import isqrt

import numpy as np
from numpy.typing import NDArray

from fpsolve.cached import lru_cache

Coefficients = NDArray[np.complex128]
Real = NDArray[np.float64]

MASS_MOMENT = 1 / np.sqrt(4 * np.pi)
"""ρ_00 of a probability measure."""


def size(lmax: int) -> int:
    """Number of stored coefficients of degree ≤ ``lmax``."""
    return (lmax + 1) * (lmax + 2) // 2


def degree_of(coefficients: Coefficients) -> int:
    """The truncation degree of a coefficient array."""
    return (isqrt(8 * coefficients.shape[-1] + 1) - 2) // 2


@lru_cache(maxsize=64)
def degrees_orders(lmax: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Arrays ``(ℓ, m)`` of every stored coefficient, in index order (read-only)."""
    ells = np.concatenate([np.arange(m, lmax + 1) for m in range(lmax + 1)])
    orders = np.concatenate([np.full(lmax + 1 - m, m) for m in range(lmax + 1)])
    return ells, orders


def degrees(lmax: int) -> NDArray[np.int64]:
    """The degree of every stored coefficient, in index order (read-only)."""
    return degrees_orders(lmax)[0]


def index(ell: NDArray[np.int64] | int, m: NDArray[np.int64] | int, lmax: int) -> NDArray[np.int64]:
    """Position of (ℓ, m ≥ 0) in an array of degree ``lmax``."""
    ell, m = np.asarray(ell), np.asarray(m)
    return m * (2 * lmax + 1 - m) // 2 + ell


@lru_cache(maxsize=256)
def _resize_index(old: int, new: int) -> NDArray[np.int64]:
    ells, orders = degrees_orders(min(old, new))
    return index(ells, orders, max(old, new))


def resized(coefficients: Coefficients, lmax: int) -> Coefficients:
    """The same field truncated or padded with zeros to degree ``lmax``."""
    old = degree_of(coefficients)
    if old == lmax:
        return coefficients
    positions = _resize_index(old, lmax)
    if lmax < old:
        return coefficients[..., positions]
    out = np.zeros((*coefficients.shape[:-1], size(lmax)), complex)
    out[..., positions] = coefficients
    return out


@lru_cache(maxsize=64)
def laplacian(lmax: int) -> Real:
    """Eigenvalues -ℓ(ℓ+1) of the Laplacian in index order (read-only)."""
    ells, _ = degrees_orders(lmax)
    values = -(ells * (ells + 1.0))
    return values


def by_degree(factors: Real, lmax: int) -> Real:
    """A factor for each degree, ``factors[ℓ]``, spread to index order."""
    ells, _ = degrees_orders(lmax)
    return np.asarray(factors)[ells]


def power(coefficients: Coefficients) -> Real:
    """Σ_m |f_ℓm|² over all -ℓ ≤ m ≤ ℓ, for each degree; shape (L+1,). Sums to ∫ f² (Parseval)."""
    lmax = degree_of(coefficients)
    ells, orders = degrees_orders(lmax)
    weight = np.where(orders == 0, 1.0, 2.0) * np.abs(coefficients) ** 2
    return np.bincount(ells, weights=weight, minlength=lmax + 1).astype(np.float64, copy=False)


@lru_cache(maxsize=64)
def real_degrees_orders(lmax: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(ℓ, m) of the real coefficients, ℓ-major, m = -ℓ..ℓ."""
    ells = np.repeat(np.arange(lmax + 1), 2 * np.arange(lmax + 1) + 1)
    orders = np.concatenate([np.arange(-ell, ell + 1) for ell in range(lmax + 1)])
    return ells, orders


def to_real(coefficients: Coefficients, lmax: int | None = None) -> Real:
    """Coefficients in the real orthonormal basis (√2 Re Y_ℓm, Y_ℓ0, √2 Im Y_ℓ|m| for m < 0).

    Shape ((L+1)²,), ℓ-major with m = -ℓ..ℓ; entry (ℓ, m) is ∫ f times the real harmonic.
    """
    lmax = degree_of(coefficients) if lmax is None else lmax
    coefficients = resized(coefficients, lmax)
    ells, orders = real_degrees_orders(lmax)
    picked = coefficients[index(ells, np.abs(orders), lmax)]
    root2 = np.sqrt(2.0)
    return np.where(orders > 0, root2 * picked.real, np.where(orders < 0, -root2 * picked.imag, picked.real))


def mean_vector(coefficients: Coefficients) -> Real:
    """∫ x f(x) dx, shape (3,), from the degree-one coefficients."""
    lmax = degree_of(coefficients)
    f10, f11 = coefficients[1], coefficients[lmax + 1]
    scale = np.sqrt(8 * np.pi / 3)
    return np.array([-scale * f11.real, scale * f11.imag, np.sqrt(4 * np.pi / 3) * f10.real])


def times_coordinates(coefficients: Coefficients) -> Coefficients:
    """Coefficients of x f, y f, z f: shape (3, size(L+1)), one degree higher, exact.

    From cos θ Y_ℓm = a_{ℓ+1,m} Y_{ℓ+1,m} + a_ℓm Y_{ℓ-1,m}, a_ℓm² = (ℓ²-m²)/(4ℓ²-1), and the ladder relations
    for sin θ e^{±iφ} :cite:`varshalovich1988`.
    """
    lmax = degree_of(coefficients) + 1
    padded = resized(coefficients, lmax)
    up_z, down_z, plus, minus, at = _coordinate_tables(lmax)
    extended = np.append(padded, 0)
    below, above, below_left, above_left, below_right, above_right = at
    z = up_z * extended[below] + down_z * extended[above]
    left = _reflect(extended, below_left), _reflect(extended, above_left)
    raised = plus[0] * left[0] + plus[1] * left[1]
    lowered = minus[0] * extended[below_right] + minus[1] * extended[above_right]
    return np.stack([(raised + lowered) / 2, (raised - lowered) / 2j, z])


def _reflect(extended: Coefficients, where: tuple[NDArray[np.int64], NDArray[np.bool_]]) -> Coefficients:
    """Pick coefficients whose order may be m = -1, by f_{ℓ,-1} = -f*_{ℓ,1}."""
    position, negative = where
    picked = extended[position]
    return np.where(negative, -picked.conj(), picked)


@lru_cache(maxsize=32)
def _coordinate_tables(lmax: int):  # type: ignore[no-untyped-def]
    """Factors and source positions that express multiplication by x ± iy and z in index order."""
    ell, m = degrees_orders(lmax)
    none = size(lmax)

    def where(source_ell, source_m):  # type: ignore[no-untyped-def]
        valid = (source_ell >= np.abs(source_m)) & (source_ell <= lmax)
        return np.where(valid, index(source_ell, np.abs(source_m), lmax), none)

    def a(n, k):  # type: ignore[no-untyped-def]
        return np.sqrt(np.maximum(n * n - k * k, 0) / np.maximum(4.0 * n * n - 1, 1))

    def b(n, k):  # type: ignore[no-untyped-def]
        return np.sqrt(np.maximum((n + k) * (n + k - 1), 0) / np.maximum(4.0 * n * n - 1, 1))

    # (x+iy) Y_{ℓ,m-1} feeds order m; (x-iy) Y_{ℓ,m+1} feeds order m.
    plus = (-b(ell, m), b(ell + 1, 1 - m))
    minus = (b(ell, -m), -b(ell + 1, m + 1))
    negative = m - 1 < 0
    at = (
        where(ell - 1, m),
        where(ell + 1, m),
        (where(ell - 1, m - 1), negative),
        (where(ell + 1, m - 1), negative),
        where(ell - 1, m + 1),
        where(ell + 1, m + 1),
    )
    return a(ell, m), a(ell + 1, m), plus, minus, at
