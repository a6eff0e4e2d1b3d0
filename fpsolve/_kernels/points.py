"""Harmonic sums at scattered points of S², term by term: tables and calls of the compiled kernel.

With w = x + iy a harmonic is Y_ℓm = n_ℓm p_ℓm(z) w^m. The p_ℓm are monic polynomials,
p_ℓ = z p_{ℓ-1} - c p_{ℓ-2} with c = ((ℓ-1)² - m²)/(4(ℓ-1)² - 1), and p'_ℓm = (ℓ - m) p_{ℓ,m+1}
:cite:`varshalovich1988`. Powers of w underflow where the harmonic does, so degrees may be some hundreds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpsolve._kernels import _points
from fpsolve._kernels.legendre import sectoral_norms
from fpsolve.cached import lru_cache

Real = NDArray[np.float64]
Modes = NDArray[np.complex128]


class HarmonicTable(NamedTuple):
    """For each stored (ℓ, m): c of the recurrence, n_ℓm, and the place of (ℓ, m-1) with the factor of its slope."""

    c: Real
    norm: Real
    left: NDArray[np.int64]
    slope: Real


class PointSum:
    """A sum of harmonics, to be taken at points: ``sums`` are the coefficients and whether their slope is meant."""

    def __init__(self, kernel: Callable[..., None], columns: int, lmax: int, *sums: tuple[Modes, bool]) -> None:
        self.kernel, self.columns, self.lmax, self.rows = kernel, columns, lmax, rows(lmax, *sums)

    def __call__(self, x: Real) -> Real:
        """The values at points (n, 3)."""
        out = np.empty((len(x), self.columns) if self.columns else len(x))
        self.kernel(self.lmax, self.rows, x, out)
        return out


def rows(lmax: int, *sums: tuple[Modes, bool]) -> Real:
    """For each (ℓ, m) c and the real and imaginary factors of p_ℓm w^m, or, for slopes, of p_ℓm w^{m-1}."""
    harmonics = table(lmax)
    out = np.empty((len(harmonics.c), 1 + 2 * len(sums)))
    out[:, 0] = harmonics.c
    twice = np.full(len(harmonics.c), 2.0)
    twice[: lmax + 1] = 1.0
    for k, (f, slope) in enumerate(sums):
        factors = harmonics.slope * f[harmonics.left] if slope else twice * harmonics.norm * f
        out[:, 1 + 2 * k], out[:, 2 + 2 * k] = factors.real, factors.imag
    return out


@lru_cache(maxsize=64)
def table(lmax: int) -> HarmonicTable:
    """The tables of a degree (read-only)."""
    m, ell = np.triu_indices(lmax + 1)
    below = (ell - 1.0) ** 2
    c = np.where(ell > m + 1, (below - m**2) / (4 * below - 1), 0.0)
    norm = _norms(lmax)[m, ell]
    left = np.where(m > 0, (m - 1) * (2 * lmax + 2 - m) // 2 + ell, 0)
    slope = np.where(m > 0, (ell - m + 1.0) * np.where(m > 1, 2.0, 1.0) * norm[left].astype(float), 0.0)
    harmonics = HarmonicTable(c, norm.astype(float), left, slope)
    return harmonics


def scalar(lmax: int, f: Modes) -> PointSum:
    """Σ f_ℓm Y_ℓm of a real field as a function of points (n, 3), taken as directions: shape (n,)."""
    return PointSum(_points.scalar, 0, lmax, (f, False))


def gradient(lmax: int, f: Modes) -> PointSum:
    """∇f as a function of points: ambient vectors, shape (n, 3)."""
    return PointSum(_points.gradient, 3, lmax, (f, False), (f, True))


def jet(lmax: int, f: Modes, g: Modes) -> PointSum:
    """∇f, f and g of one degree as a function of points: five columns, shape (n, 5)."""
    return PointSum(_points.jet, 5, lmax, (f, False), (f, True), (g, False))


def tangent(lmax: int, spheroidal: Modes, toroidal: Modes) -> PointSum:
    """∇S + ∇T × x as a function of points: ambient vectors, shape (n, 3)."""
    pairs = ((spheroidal, False), (spheroidal, True), (toroidal, False), (toroidal, True))
    return PointSum(_points.tangent, 3, lmax, *pairs)


def moments(lmax: int, x: Real, weights: Real) -> Modes:
    """Σ_i w_i Y*_ℓm(x_i)."""
    harmonics = table(lmax)
    out = np.empty(2 * len(harmonics.c))
    _points.moments(lmax, harmonics.c, x, weights, out)
    return harmonics.norm * out.view(complex).conj()


def _norms(lmax: int) -> NDArray[np.longdouble]:
    """n_ℓm at [m, ℓ], zero for ℓ < m, with the Condon–Shortley phase: in long double, as errors add up over ℓ."""
    norms = np.zeros((lmax + 1, lmax + 1), np.longdouble)
    m = np.arange(lmax + 1, dtype=np.longdouble)
    np.fill_diagonal(norms, sectoral_norms(lmax))
    for ell in range(1, lmax + 1):
        over, under = np.longdouble(4 * ell**2 - 1), ell**2 - m[:ell] ** 2
        norms[:ell, ell] = norms[:ell, ell - 1] * np.sqrt(over / under)
    return norms
