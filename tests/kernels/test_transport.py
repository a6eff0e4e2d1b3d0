"""The compiled products and recurrences of a transport step against their NumPy twins, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from fpsolve._kernels import _transport, transport_numpy
from fpsolve.sphere.harmonics import laplacian, size

SHAPES = [(1, 1), (3, 5), (7, 8), (96, 192)]
DEGREES = [0, 1, 2, 3, 7, 16, 63]


def modes(lmax: int, count: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, size(lmax))) + 1j * rng.standard_normal((count, size(lmax)))


def rates(lmax: int) -> np.ndarray:
    return np.repeat(-laplacian(lmax)[: lmax + 1], 2)


@pytest.mark.parametrize("shape", SHAPES)
def test_flux_is_the_product_with_both_components(shape):
    rng = np.random.default_rng(1)
    rho, v = rng.standard_normal(shape), rng.standard_normal((2, *shape))
    first, second = np.empty(shape), rho.copy()
    _transport.flux(second, v, first)
    assert np.array_equal(np.stack([first, second]), rho * v)
    other, twin = np.empty(shape), rho.copy()
    transport_numpy.flux(twin, v, other)
    assert np.array_equal(first, other) and np.array_equal(second, twin)


@pytest.mark.parametrize("shape", SHAPES)
def test_dot_takes_the_place_of_the_first_component(shape):
    rng = np.random.default_rng(2)
    u, v = rng.standard_normal((2, 2, *shape))
    fast, slow = u.copy(), u.copy()
    _transport.dot(fast, v)
    transport_numpy.dot(slow, v)
    assert np.array_equal(fast, slow)
    assert np.array_equal(fast[1], u[1])
    np.testing.assert_allclose(fast[0], np.einsum("a...,a...", u, v), rtol=0, atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
def test_largest_square(shape):
    v = np.random.default_rng(4).standard_normal((2, *shape))
    assert _transport.largest_square(v) == transport_numpy.largest_square(v)
    for place in (0, -1):
        spoilt = v.copy()
        spoilt.reshape(2, -1)[1, place] = np.nan
        assert np.isnan(_transport.largest_square(spoilt))


@pytest.mark.parametrize("lmax", DEGREES)
def test_recurrences_agree_with_their_twins(lmax):
    x, along, y, result = modes(lmax, 4)
    for name, extra in (("recur_flux", ()), ("recur_skew", (along,))):
        fast, slow = (y.copy(), result.copy()), (y.copy(), result.copy())
        norm = getattr(_transport, name)(x, *extra, rates(lmax), 0.37, fast[0], -1.3, fast[1])
        twin = getattr(transport_numpy, name)(x, *extra, rates(lmax), 0.37, slow[0], -1.3, slow[1])
        assert np.array_equal(fast[0], slow[0]) and np.array_equal(fast[1], slow[1])
        assert norm == pytest.approx(twin, rel=1e-13)
        assert norm == pytest.approx(np.linalg.norm(fast[0]) ** 2, rel=1e-13)


def test_recurrence_uses_the_degree_of_every_coefficient():
    """y = -factor Δx: absolutely, by the table of the eigenvalues."""
    x = modes(9, 1)[0]
    y, result = np.zeros_like(x), np.zeros_like(x)
    _transport.recur_flux(x, rates(9), 2.0, y, 0.5, result)
    np.testing.assert_allclose(y, -2 * laplacian(9) * x, rtol=1e-15)
    np.testing.assert_allclose(result, y / 2, rtol=0)


def test_sizes_that_do_not_fit_are_refused():
    x, y, result = modes(4, 3)
    with pytest.raises(ValueError, match="do not fit"):
        _transport.recur_flux(x, rates(5), 1.0, y, 1.0, result)
    with pytest.raises(ValueError, match="do not fit"):
        _transport.flux(np.zeros((3, 4)), np.zeros((2, 3, 5)), np.zeros((3, 4)))
    with pytest.raises(TypeError):  # a copy would be written to and lost
        _transport.flux(np.zeros((3, 4))[:, ::2], np.zeros((2, 3, 2)), np.zeros((3, 2)))
