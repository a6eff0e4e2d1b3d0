"""The NumPy twin of the compiled ``fpsolve._kernels._legendre``: the same functions and the same bits.

For each order m functions p_ℓ of x obey p_ℓ = (a x + b) p_{ℓ-1} - c p_{ℓ-2} from p_{m-1} = 0, p_m = ``seeds[m]``.
``f``: numbers in the order of :mod:`fpsolve.sphere.harmonics`; ``abc``: (size, 3) in that order; ``x``: (n,), n a
multiple of 8; ``seeds``: (lmax + 1, n). Sums over even and odd ℓ - m are apart, since x → -x tells them apart:
arrays (lmax + 1, 4, n) hold (even real, even imaginary, odd real, odd imaginary). All arrays are contiguous; the
compiled functions raise ValueError for sizes that do not fit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Modes = NDArray[np.complex128]

LANES = 8
"""Colatitudes that the compiled kernel works side by side; its sums over colatitudes run by residue modulo 8."""


def sums(f: Modes, abc: Real, x: Real, seeds: Real, out: Real) -> None:
    """out[m] = Σ_ℓ f_ℓm p_ℓm(x), by parity of ℓ - m."""
    out[...] = 0
    for m, parity, i, p in _functions(abc, x, seeds):
        out[m, 2 * parity] += f[i].real * p
        out[m, 2 * parity + 1] += f[i].imag * p


def project(waves: Real, abc: Real, x: Real, seeds: Real, f: Modes) -> None:
    """f_ℓm = Σ_j p_ℓm(x_j) waves[m, ·, j] of the parity of ℓ - m: the adjoint of :func:`sums`."""
    for m, parity, i, p in _functions(abc, x, seeds):
        f[i] = complex(_total(p * waves[m, 2 * parity]), _total(p * waves[m, 2 * parity + 1]))


def unfold(north: Real, south: Real, factors: Real, spin: int, circle: Modes) -> None:
    """The circle (lmax + 1, size) from the sums at θ_j (north) and those that give π - θ_j, j = 0..size/4.

    South of the equator the odd sums change sign; past the pole all do, by (-1)^(m + spin).
    """
    quarter = circle.shape[1] // 4
    for at, sums_, sign in ((slice(quarter + 1), north, 1), (slice(2 * quarter, quarter, -1), south, -1)):
        values = sums_[:, :2] + sign * sums_[:, 2:]
        values = (factors[:, None, None] * values)[:, :, : quarter + (sign > 0)]
        circle[:, at] = values[:, 0] + 1j * values[:, 1]
    circle[:, 2 * quarter + 1 :] = _signs(len(circle), spin) * circle[:, 2 * quarter - 1 : 0 : -1]


def fold(circle: Modes, waves: Real) -> None:
    """The adjoint of :func:`unfold` of scalars with unit factors: what :func:`project` takes."""
    quarter = circle.shape[1] // 4
    meridian = circle[:, : 2 * quarter + 1].copy()
    meridian[:, 1:-1] += _signs(len(circle), 0) * circle[:, : 2 * quarter : -1]
    north, south = meridian[:, : quarter + 1], meridian[:, : quarter - 1 : -1].copy()
    south[:, -1] = 0  # the equator counts once
    waves[...] = 0
    for place, part in ((0, north + south), (2, north - south)):
        waves[:, place, : quarter + 1], waves[:, place + 1, : quarter + 1] = part.real, part.imag


def _signs(orders: int, spin: int) -> Real:
    return np.where((np.arange(orders) + spin) % 2, -1.0, 1.0)[:, None]


def _functions(abc: Real, x: Real, seeds: Real) -> Iterator[tuple[int, int, int, Real]]:
    """(m, parity of ℓ - m, index, p_ℓm) for all ℓ, m in index order."""
    i = 0
    for m, seed in enumerate(seeds):
        last, now = np.zeros_like(x), seed
        for above in range(len(seeds) - m):
            if above:
                a, b, c = abc[i]
                last, now = now, (a * x + b) * now - c * last
            yield m, above % 2, i, now
            i += 1


def _total(values: Real) -> float:
    part = np.zeros(LANES)
    for block in values.reshape(-1, LANES):
        part += block
    return float(((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7])))
