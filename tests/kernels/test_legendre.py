"""The compiled sums of Legendre functions against their NumPy twins bit for bit, SciPy, and long double."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import sph_legendre_p_all

from fpsolve._kernels import _legendre, legendre_numpy
from fpsolve._kernels.legendre import LegendreTable, circle_size, legendre, project, spin_one, sums, unfold
from fpsolve.sphere.harmonics import degrees_orders, size

DEGREES = [0, 1, 2, 3, 8, 17, 40, 63]


def modes(lmax: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(size(lmax)) + 1j * rng.standard_normal(size(lmax))


def families(lmax: int) -> list[LegendreTable]:
    return [legendre(lmax), spin_one(lmax, 1), spin_one(lmax, -1)]


def function(table: LegendreTable, i: int) -> np.ndarray:
    """p_ℓm of index i, by a sum of one term."""
    lmax = len(table.seeds) - 1
    ell, m = (array[i] for array in degrees_orders(lmax))
    unit = np.zeros(size(lmax), complex)
    unit[i] = 1
    return sums(table, unit)[m, 2 * ((ell - m) % 2), : circle_size(lmax) // 4 + 1]


@pytest.mark.parametrize("lmax", DEGREES)
def test_sums_and_projections_have_the_bits_of_their_twins(lmax):
    for table in families(lmax):
        f, (orders, n) = modes(lmax), table.seeds.shape
        fast, slow = np.empty((2, orders, 4, n))
        _legendre.sums(f, *table, fast)
        legendre_numpy.sums(f, *table, slow)
        assert np.array_equal(fast, slow)
        back, twin = np.empty_like(f), np.empty_like(f)
        _legendre.project(fast, *table, back)
        legendre_numpy.project(fast, *table, twin)
        assert np.array_equal(back, twin)


@pytest.mark.parametrize("lmax", DEGREES)
def test_folding_has_the_bits_of_its_twin(lmax):
    rng, n = np.random.default_rng(1), len(legendre(lmax).x)
    north, south, factors = *rng.standard_normal((2, lmax + 1, 4, n)), rng.standard_normal(lmax + 1)
    fast, slow = np.empty((2, lmax + 1, circle_size(lmax)), complex)
    for spin in (0, 1):
        _legendre.unfold(north, south, factors, spin, fast)
        legendre_numpy.unfold(north, south, factors, spin, slow)
        assert np.array_equal(fast, slow)
    waves, twin = np.empty((2, lmax + 1, 4, n))
    _legendre.fold(fast, waves)
    legendre_numpy.fold(fast, twin)
    assert np.array_equal(waves, twin)


@pytest.mark.parametrize("lmax", [1, 8, 63])
def test_the_functions_are_scipys(lmax):
    theta = 2 * np.pi * np.arange(circle_size(lmax) // 4 + 1) / circle_size(lmax)
    values, slopes = sph_legendre_p_all(lmax, lmax, theta, diff_n=1)
    inside = slice(1, None)
    for i, (ell, m) in enumerate(zip(*degrees_orders(lmax), strict=True)):
        np.testing.assert_allclose(function(legendre(lmax), i), values[ell, m], rtol=0, atol=1e-12)
        if ell == 0:
            continue
        for sign in (1, -1):
            expected = m * values[ell, m][inside] / np.sin(theta[inside]) + sign * slopes[ell, m][inside]
            found = function(spin_one(lmax, sign), i) * np.sqrt(ell * (ell + 1.0))
            np.testing.assert_allclose(found[inside], expected, rtol=0, atol=1e-11 * ell)


def test_projection_is_the_adjoint_of_the_sums():
    lmax = 31
    rng, n, f = np.random.default_rng(5), circle_size(lmax), modes(lmax)
    circle = rng.standard_normal((lmax + 1, n)) + 1j * rng.standard_normal((lmax + 1, n))
    values = sums(legendre(lmax), f)
    synthesised = unfold(values, values, np.ones(lmax + 1), 0, n)
    np.testing.assert_allclose(np.vdot(circle, synthesised), np.vdot(project(legendre(lmax), circle), f), rtol=1e-12)


@pytest.mark.parametrize("lmax", [384, 1000])
def test_start_values_taken_as_zero_are_negligible(lmax):
    """Long double, which does not underflow here, at the first colatitudes and every tenth order."""
    if np.finfo(np.longdouble).minexp > -16000:
        pytest.skip("long double is double")
    table, ms = legendre(lmax), np.arange(0, lmax + 1, 10)
    theta = 2 * np.arctan(np.longdouble(1)) * 4 * np.arange(1, 400, 13) / circle_size(lmax)
    theta = theta[theta < np.pi / 2]
    columns = np.arange(1, 400, 13)[: len(theta)]
    for m in ms:
        lost = table.seeds[m, columns] == 0
        if not lost.any():
            continue
        assert _largest(m, lmax, theta[lost]) < 1e-80


def _largest(m: int, lmax: int, theta: np.ndarray) -> float:
    k = np.arange(1, m + 1, dtype=np.longdouble)
    log_norm = 0.5 * (np.log((2 * k + 1) / (2 * k)).sum() - np.log(4 * np.pi))
    now, last, x, top = np.exp(log_norm + m * np.log(np.sin(theta))), 0 * theta, np.cos(theta), 0.0
    for i in np.arange(m * (2 * lmax + 1 - m) // 2 + m + 1, m * (2 * lmax + 1 - m) // 2 + lmax + 1):
        a, _, c = legendre(lmax).abc[i]
        last, now = now, a * x * now - c * last
        top = max(top, float(np.abs(now).max()))
    return top


def test_values_do_not_depend_on_addresses():
    table, f = legendre(40), modes(40)
    expected = sums(table, f)
    for shift in range(8, 72, 8):
        moved = [_moved(array, shift) for array in (f, *table)]
        out = _moved(np.full_like(expected, np.nan), shift)
        _legendre.sums(*moved, out)
        assert np.array_equal(out, expected)


def _moved(array: np.ndarray, shift: int) -> np.ndarray:
    """A copy that starts `shift` bytes into its memory."""
    raw = np.empty(array.nbytes + shift, np.uint8)[shift:]
    copy = raw.view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def test_sizes_that_do_not_fit_are_refused():
    table, f = legendre(8), modes(8)
    out = np.empty((9, 4, len(table.x)))
    with pytest.raises(ValueError, match="do not fit"):
        _legendre.sums(f[:-1], *table, out)
    with pytest.raises(ValueError, match="do not fit"):
        _legendre.project(out[:-1], *table, f)
    with pytest.raises(ValueError, match="do not fit"):
        _legendre.unfold(out, out[:-1], np.ones(9), 0, np.empty((9, 20), complex))
    with pytest.raises(ValueError, match="do not fit"):
        _legendre.fold(np.empty((9, 18), complex), out)
