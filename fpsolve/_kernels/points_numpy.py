"""The NumPy twin of the compiled ``fpsolve._kernels._points``: the same functions, to be read and to be compared with.

``rows``: for each stored (ℓ, m) the c of p_ℓ = z p_{ℓ-1} - c p_{ℓ-2} and real and imaginary factors of the sums. ``x``:
(n, 3), taken as directions. For a field Re Σ_m w^m A_m(z), w = x + iy, two sums are A_m and A'_{m-1}. The arithmetic
is the same but for products that the compiled kernel fuses with sums: they agree to round-off.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Modes = NDArray[np.complex128]


def scalar(lmax: int, rows: Real, x: Real, out: Real) -> None:
    """out = Re Σ_m w^m A_m."""
    out[...] = sum((power * a).real for _, power, _, (a,) in _orders(lmax, rows, x))


def gradient(lmax: int, rows: Real, x: Real, out: Real) -> None:
    """out (n, 3) = the tangential part of the gradient."""
    slopes = [_slope(*order) for order in _orders(lmax, rows, x)]
    out[...] = _tangential(np.sum(slopes, axis=0), x)


def jet(lmax: int, rows: Real, x: Real, out: Real) -> None:
    """out (n, 5) = (∇f, f, g)."""
    total = np.zeros((len(x), 5))
    for m, power, last, (a, slope, b) in _orders(lmax, rows, x):
        total[:, :3] += _slope(m, power, last, np.stack([a, slope]))
        total[:, 3] += (power * a).real
        total[:, 4] += (power * b).real
    out[:, :3], out[:, 3:] = _tangential(total[:, :3], x), total[:, 3:]


def tangent(lmax: int, rows: Real, x: Real, out: Real) -> None:
    """out (n, 3) = ∇S + ∇T × x."""
    s, t = np.zeros((2, len(x), 3))
    for m, power, last, sums in _orders(lmax, rows, x):
        s += _slope(m, power, last, sums[:2])
        t += _slope(m, power, last, sums[2:])
    out[...] = _tangential(s, x) + np.cross(t, _unit(x))


def moments(lmax: int, c: Real, x: Real, weights: Real, out: Real) -> None:
    """out[2i], out[2i+1] = Σ_j w_j p_ℓm(z_j) w_j^m, real and imaginary, of index i."""
    for i, (_, p, power, _) in enumerate(_polynomials(lmax, c, x)):
        value = np.sum(weights * p * power)
        out[2 * i], out[2 * i + 1] = value.real, value.imag


def _orders(lmax: int, rows: Real, x: Real) -> Iterator[tuple[int, Modes, Modes, Modes]]:
    """For each order m: w^m, w^{m-1} (zero for m = 0) and the complex sums over ℓ, shape (sums, n)."""
    factors = np.ascontiguousarray(rows[:, 1:]).view(complex)
    sums = np.zeros((lmax + 1, factors.shape[1], len(x)), complex)
    powers = np.zeros((lmax + 2, len(x)), complex)
    for i, (m, p, power, _) in enumerate(_polynomials(lmax, rows[:, 0], x)):
        sums[m] += factors[i][:, None] * p
        powers[m + 1] = power
    for m in range(lmax + 1):
        yield m, powers[m + 1], powers[m], sums[m]


def _polynomials(lmax: int, c: Real, x: Real) -> Iterator[tuple[int, Real, Modes, int]]:
    """(m, p_ℓm(z), w^m, ℓ) in index order."""
    a, b, z = _unit(x).T
    i, power = 0, np.ones(len(x), complex)
    for m in range(lmax + 1):
        last, now = np.zeros_like(z), np.ones_like(z)
        for ell in range(m, lmax + 1):
            if ell > m:
                last, now = now, z * now - c[i] * last
            yield m, now, power, ell
            i += 1
        power = power * (a + 1j * b)


def _slope(m: int, power: Modes, last: Modes, sums: Modes) -> Real:
    """What order m and the slope of order m - 1 give to the gradient in R³ of Re Σ w^m A_m(z)."""
    across = m * last * sums[0]
    return np.stack([across.real, -across.imag, (last * sums[1]).real], -1)


def _tangential(g: Real, x: Real) -> Real:
    unit = _unit(x)
    return g - np.einsum("na,na->n", g, unit)[:, None] * unit


def _unit(x: Real) -> Real:
    return x / np.sqrt((x * x).sum(axis=1))[:, None]
