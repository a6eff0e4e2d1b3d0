"""Sums of harmonics over their degree on equispaced colatitudes, and the adjoint: tables for the compiled kernel.

Colatitudes are θ_j = 2πj/n of the n on a full circle, n a multiple of four: j = 0..n/4 go from the pole to the equator.
The functions are the Legendre functions P̄_ℓm of Y_ℓm = P̄_ℓm(θ) e^{imφ}, and those of spin one,

    λ±_ℓm = (m P̄_ℓm / sin θ ± ∂_θ P̄_ℓm) / √(ℓ(ℓ+1)).

Both obey a recurrence in ℓ :cite:`varshalovich1988` that is stable upwards. It starts from sin^m θ, which is taken as
zero where it is below ``NEGLIGIBLE``: all that would come of it is below 1e-80 at degree 1000, 4e-17 at 1500.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from fpsolve._kernels import _legendre
from fpsolve._kernels.legendre_numpy import LANES
from fpsolve.cached import lru_cache

Real = NDArray[np.float64]
Modes = NDArray[np.complex128]

NEGLIGIBLE = 1e-280
"""Start values below are zero, so that no sum meets subnormal numbers."""


class LegendreTable(NamedTuple):
    """A family of functions: its recurrence ``(size, 3)``, cos θ_j ``(n,)`` and start values ``(lmax + 1, n)``."""

    abc: Real
    x: Real
    seeds: Real


def circle_size(lmax: int) -> int:
    """Colatitudes on the full circle that hold waves up to ``lmax``: a multiple of four with small factors."""
    return 4 * int(next_fast_len(-(-(2 * lmax + 2) // 4)))


def sums(table: LegendreTable, f: Modes) -> Real:
    """Σ_ℓ f_ℓm p_ℓm(θ_j), (lmax + 1, 4, n): real, imaginary over even ℓ - m, then over odd; void past the equator."""
    out = np.empty((len(table.seeds), 4, len(table.x)))
    _legendre.sums(np.ascontiguousarray(f), *table, out)
    return out


def unfold(north: Real, south: Real, factors: Real, spin: int, size: int) -> Modes:
    """Functions of θ on the full circle, (lmax + 1, size), from the sums at θ_j and those that give π - θ_j."""
    circle = np.empty((len(factors), size), complex)
    _legendre.unfold(north, south, factors, spin, circle)
    return circle


def project(table: LegendreTable, circle: Modes) -> Modes:
    """Σ_j P̄_ℓm(θ_j) circle[m, j] over the full circle: the adjoint of :func:`unfold` after :func:`sums`."""
    waves, f = np.empty((len(table.seeds), 4, len(table.x))), np.empty(len(table.abc), complex)
    _legendre.fold(circle, waves)
    _legendre.project(waves, *table, f)
    return f


@lru_cache(maxsize=16)
def legendre(lmax: int) -> LegendreTable:
    """The functions P̄_ℓm, with the Condon–Shortley phase."""
    ell, m = _degrees_orders(lmax)
    a = _root((4 * ell**2 - 1), ell**2 - m**2)
    c = _root((2 * ell + 1) * ((ell - 1) ** 2 - m**2), (2 * ell - 3) * (ell**2 - m**2))
    x, _, powers = _angles(lmax)
    return _table(a, np.zeros_like(a), c, x, powers * sectoral_norms(lmax)[:, None])


@lru_cache(maxsize=16)
def spin_one(lmax: int, sign: int) -> LegendreTable:
    """The functions λ±_ℓm; a coefficient at ℓ = 0 must be zero."""
    ell, m = _degrees_orders(lmax)
    below = (ell - 1) ** 2
    a = _root((4 * ell**2 - 1) * ell**2, (ell**2 - m**2) * (ell**2 - 1))
    b = -sign * a * m / np.maximum(ell * (ell - 1), 1)
    c = _root(
        (2 * ell + 1) * ell**2 * (below - m**2) * (below - 1), (2 * ell - 3) * below * (ell**2 - m**2) * (ell**2 - 1)
    )
    if lmax:
        b[1] = -sign  # the function of (1, 0) is the start value of m = 0, that of (0, 0) is not there
    return _table(a, b, c, _angles(lmax)[0], _spin_seeds(lmax, sign))


def _spin_seeds(lmax: int, sign: int) -> NDArray[np.longdouble]:
    """√(m/(m+1)) (1 ± cos θ) P̄_mm / sin θ, and for m = 0 √(3/8π) sin θ, that of (1, 0)."""
    theta, (_, sine, powers) = _theta(lmax), _angles(lmax)
    half = np.cos(theta / 2) if sign > 0 else np.sin(theta / 2)
    m = np.arange(1, lmax + 1, dtype=np.longdouble)
    factors = np.sqrt(m / (m + 1)) * sectoral_norms(lmax)[1:]
    zonal = -sectoral_norms(1)[1] * sine
    return np.concatenate([zonal[None], 2 * half**2 * factors[:, None] * powers[:-1]])


def _degrees_orders(lmax: int) -> tuple[Real, Real]:
    m, ell = np.triu_indices(lmax + 1)
    return ell.astype(float), m.astype(float)


def _root(over: Real, under: Real) -> Real:
    """√(over/under), zero where it is not defined: those entries meet zeros."""
    valid = (under > 0) & (over > 0)
    return np.sqrt(np.where(valid, over, 0) / np.where(valid, under, 1))


def _theta(lmax: int) -> NDArray[np.longdouble]:
    n = circle_size(lmax)
    return 8 * np.arctan(np.longdouble(1)) * np.arange(n // 4 + 1) / n


def _angles(lmax: int) -> tuple[NDArray[np.longdouble], NDArray[np.longdouble], NDArray[np.longdouble]]:
    """cos θ, sin θ and sin^m θ for m = 0..lmax: in long double, because an error of the sine grows m-fold."""
    theta = _theta(lmax)
    sine, cosine = np.sin(theta), np.cos(theta)
    cosine[-1] = 0
    factors = np.concatenate([np.ones((1, len(sine)), sine.dtype), np.broadcast_to(sine, (lmax, len(sine)))])
    return cosine, sine, np.multiply.accumulate(factors, axis=0)


def sectoral_norms(lmax: int) -> NDArray[np.longdouble]:
    """P̄_mm / sin^m θ for m = 0..lmax."""
    m = np.arange(1, lmax + 1, dtype=np.longdouble)
    first = 1 / np.sqrt(16 * np.arctan(np.longdouble(1)))
    return np.multiply.accumulate(np.concatenate([[first], -np.sqrt((2 * m + 1) / (2 * m))]))


def _table(a: Real, b: Real, c: Real, x: NDArray[np.longdouble], seeds: NDArray[np.longdouble]) -> LegendreTable:
    padding = -len(x) % LANES
    seeds = np.where(np.abs(seeds) < NEGLIGIBLE, 0, seeds)
    table = LegendreTable(
        np.ascontiguousarray(np.stack([a, b, c], -1)),
        np.pad(x, (0, padding)).astype(float),
        np.ascontiguousarray(np.pad(seeds, ((0, 0), (0, padding))), float),
    )
    return table
