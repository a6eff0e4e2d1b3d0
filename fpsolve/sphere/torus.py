"""A tangent field on S² and its divergence as a table on the torus, to be read at any number of points.

In the angles (θ, φ) the three components of v = ∇S + ∇T × x in R³ and div v go on over the poles to periodic functions
of both (:mod:`fpsolve.sphere.waves`) of waves |k|, |m| ≤ K = L + 1. The table holds g_ij on equispaced angles such that

    f(θ, φ) = Σ_ij g_ij w(θ/δ - i) w(φ/δ - j),   δ = 2π/n,

up to aliasing: the Fourier coefficients of g are those of f over ŵ(kδ) ŵ(mδ). So a value is a sum of W² terms, whatever
the degree: a non-uniform Fourier transform whose regular half is done once for all points and all stages of a flow. w
is Kaiser's window I_0(b √(1 - (2t/W)²)) / I_0(b) :cite:`jackson1991`, as polynomials on each of its W cells.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.fft import ifft, next_fast_len
from scipy.special import i0e

from fpsolve._kernels import _sweep
from fpsolve.cached import lru_cache
from fpsolve.sphere.harmonics import Coefficients, Real, degree_of, laplacian, power, resized
from fpsolve.sphere.waves import Waves, scalar_waves, vector_waves

TERMS = {8: 5, 10: 6, 12: 7, 16: 9}
"""Widths W, and the even and the odd terms of the polynomials on a cell: well below the errors of the window."""

CHOICES = ((8, 2.0), (8, 3.0), (10, 2.0), (10, 3.0), (12, 2.0), (12, 3.0), (12, 4.0))
"""Widths and n/2K, in the order in which they are tried: what they cost."""

SHAPE = 0.8
"""Of the window, b² = π² ((W/σ)² (σ - 1/2)² - SHAPE), σ = n/2K :cite:`beatty2005`: close to the best."""

IMAGES = 16
"""Of the images of a wave so many to either side are added up: those of a window that ends in steps fall slowly."""

ROUND_OFF = 2e-14
"""No table is taken to be better, relative to the largest values of the field."""

CUT = 0.1
"""Degrees that carry less than this part of the error that is allowed are left out."""


class TorusTable(NamedTuple):
    """``values`` [θ][φ][v_x, v_y, v_z, -div v] and the polynomials of the window, for ``n`` angles around a circle.

    Rows and columns begin W/2 - 1 nodes before the angle 0; there are n/2 + W rows and n + W columns.
    """

    width: int
    n: int
    pieces: Real
    values: Real

    def at(self, x: Real) -> Real:
        """v and -div v at points (n, 3), taken as directions: shape (n, 4)."""
        out = np.empty((len(x), 4))
        _sweep.at(self.width, self.n, self.pieces, self.values, np.ascontiguousarray(x), out)
        return out


class Window(NamedTuple):
    """The polynomials of a window, 1/ŵ and the relative errors of the waves k = 0, 1, …."""

    pieces: Real
    factors: Real
    errors: Real


def torus_table(spheroidal: Coefficients, toroidal: Coefficients, accuracy: float) -> TorusTable | None:
    """The cheapest table whose values err by ``accuracy`` times their size, both root mean squares over the torus.

    Those of v and of div v each for themselves. None where no table is so accurate, or the field is nothing or not
    finite.
    """
    if not accuracy > ROUND_OFF:
        return None
    cut = _cut(spheroidal, toroidal, CUT * accuracy)
    if cut is None:
        return None
    waves = _waves(*cut)
    K = waves.shape[-1] // 2
    squares = np.abs(waves) ** 2
    spectrum = squares.sum(axis=1) + squares.sum(axis=2)  # of each function, over both angles
    spectra = np.stack([spectrum[:3].sum(axis=0), spectrum[3]])
    allowed = accuracy**2 * spectra.sum(axis=1) / 2
    for width, over in CHOICES:
        n = even_length(max(int(np.ceil(2 * over * K)), width))
        found = window(width, over, n)
        if (spectra @ found.errors[np.abs(np.arange(-K, K + 1))] ** 2 <= allowed).all():
            return TorusTable(width, n, found.pieces, _values(waves, width, n, found.factors))
    return None


@lru_cache(maxsize=64)
def window(width: int, over: float, n: int) -> Window:
    """The window for waves k ≤ n/(2 over) on n angles (read-only)."""
    b = _shape(width, over)
    k = np.arange(int(n / (2 * over) + 1e-9) + 1)
    transform = _transform(2 * np.pi / n * k, width, b)
    images = [_transform(2 * np.pi / n * (k + p * n), width, b) for p in range(-IMAGES, IMAGES + 1) if p]
    errors = np.sqrt(np.square(images).sum(axis=0)) / transform
    return Window(_pieces(width, over), 1 / transform, errors + ROUND_OFF / 4)


def _transform(xi: NDArray[Any], width: int, b: float) -> Real:
    """∫ w(t) e^{-iξt} dt = W sinh(r)/(r I_0(b)), r² = b² - (ξW/2)²."""
    r = np.sqrt(b * b - (xi * width / 2) ** 2 + 0j)
    small = np.abs(r) < 1e-6
    quotient = np.where(small, 1.0, np.sinh(r) / np.where(small, 1.0, r)).real
    return np.asarray(width * quotient / (i0e(b) * np.exp(b)))


@lru_cache(maxsize=16)
def _pieces(width: int, over: float) -> Real:
    """Polynomials of the weights of the first W/2 nodes, [node][power of s²][even, odd], highest powers first.

    s goes from -1 to 1 in the cell, and node j = 0, … stands W/2 - 1 - j nodes before it. By Chebyshev interpolation.
    """
    half, terms, b = width // 2, TERMS[width], _shape(width, over)
    s = np.cos(np.pi * (np.arange(2 * terms) + 0.5) / (2 * terms))
    t = (2 * np.arange(half) + 1 - s[:, None]) / width - 1
    r = np.sqrt(np.clip(1 - t * t, 0, None))
    values = i0e(b * r) * np.exp(b * (r - 1)) / i0e(b)
    series = chebyshev.chebfit(s, values, 2 * terms - 1)
    powers = np.stack([chebyshev.cheb2poly(one) for one in series.T])
    return np.ascontiguousarray(powers.reshape(half, terms, 2)[:, ::-1])


def _shape(width: int, over: float) -> float:
    """b of the window."""
    return float(np.pi * np.sqrt((width / over) ** 2 * (over - 0.5) ** 2 - SHAPE))


def _cut(spheroidal: Coefficients, toroidal: Coefficients, part: float) -> tuple[Coefficients, Coefficients] | None:
    """Without the degrees that carry at most this part of v and of div v; None where the field is not finite, or 0."""
    degree = degree_of(spheroidal)
    slopes = np.arange(degree + 1) * np.arange(1.0, degree + 2)
    own, turning = power(spheroidal), power(toroidal)
    if not (np.isfinite(own).all() and np.isfinite(turning).all()):
        return None
    spectra = np.stack([slopes * (own + turning), slopes**2 * own])
    rest = np.cumsum(spectra[:, ::-1], axis=1)[:, ::-1]
    if not rest[0, 0] > 0:
        return None
    needed = max(1, int((rest > part**2 * rest[:, :1]).any(axis=0).sum()) - 1)
    return resized(spheroidal, needed), resized(toroidal, needed)


def _waves(spheroidal: Coefficients, toroidal: Coefficients) -> Waves:
    """Coefficients of e^{i(kθ + mφ)} in v_x, v_y, v_z and -div v, [function][m][k], |m|, |k| ≤ L + 1.

    v_x + i v_y = e^{iφ} (cos θ v_θ + i v_φ) and v_z = -sin θ v_θ.
    """
    L = degree_of(spheroidal)
    both = vector_waves(spheroidal, toroidal, False)
    turned = both[::-1, ::-1].conj()
    along, across = (both + turned) / 2, (both - turned) / 2  # of v_θ and of i v_φ
    half = scalar_waves(-laplacian(L) * spheroidal, False) / 2
    flat, inside = np.zeros((2 * L + 3, 2 * L + 3), complex), slice(1, -1)
    flat[2:, 2:] += along / 2
    flat[2:, :-2] += along / 2
    flat[2:, inside] += across
    conjugate = flat[::-1, ::-1].conj()
    out = np.zeros((4, 2 * L + 3, 2 * L + 3), complex)
    out[0], out[1] = (flat + conjugate) / 2, (flat - conjugate) / 2j
    out[2, inside, 2:] -= along / 2j
    out[2, inside, :-2] += along / 2j
    out[3, inside, inside] = half + half[::-1, ::-1].conj()
    return out


def _values(waves: Waves, width: int, n: int, factors: Real) -> Real:
    """The table, 64 bytes aligned, from the waves over the transform of the window."""
    K, before, rows = waves.shape[-1] // 2, width // 2 - 1, n // 2 + width
    pairs = waves[0::2] + 1j * waves[1::2]
    both = factors[np.abs(np.arange(-K, K + 1))]
    pairs *= both[:, None] * both
    padded = np.zeros((2, 2 * K + 1, n), complex)
    padded[..., : K + 1], padded[..., n - K :] = pairs[..., K:], pairs[..., :K]
    on_rows = ifft(padded, axis=-1, norm="forward", overwrite_x=True)
    chosen = np.arange(-before, rows - before) % n
    padded = np.zeros((2, rows, n), complex)
    turned = on_rows[..., chosen].swapaxes(1, 2)
    padded[..., : K + 1], padded[..., n - K :] = turned[..., K:], turned[..., :K]
    fields = ifft(padded, axis=-1, norm="forward", overwrite_x=True)
    values = _aligned((rows, n + width, 4))
    values[:, before : before + n] = fields.view(float).reshape(2, rows, n, 2).transpose(1, 2, 0, 3).reshape(rows, n, 4)
    values[:, :before], values[:, before + n :] = values[:, n : n + before], values[:, before : width]
    return values


def _aligned(shape: tuple[int, ...]) -> Real:
    """An empty array that begins with a line of the cache."""
    count = int(np.prod(shape))
    raw = np.empty(count + 8)
    start = (-raw.ctypes.data % 64) // 8
    return raw[start : start + count].reshape(shape)


def even_length(least: int) -> int:
    """An even length of fast transforms."""
    return 2 * int(next_fast_len(-(-least // 2)))
