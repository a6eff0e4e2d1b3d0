"""The normalisation block: index order, closed forms, Parseval, and products with coordinates, absolutely."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import sph_harm_y

from fpsolve.sphere import grid
from fpsolve.sphere import harmonics as sh
from fpsolve.sphere.grid import Grid
from fpsolve.sphere.harmonics import Coefficients, Real

DEGREES = (11, 130)
"""One degree for each layout."""


def random_modes(lmax: int, seed: int = 0) -> Coefficients:
    """Coefficients of a real field with values of order one in every degree."""
    rng = np.random.default_rng(seed)
    c = rng.normal(size=sh.size(lmax)) + 1j * rng.normal(size=sh.size(lmax))
    c[: lmax + 1] = c[: lmax + 1].real
    return c


def direct_sum(c: Coefficients, x: Real) -> Real:
    """Σ f_ℓm Y_ℓm at the points x by SciPy's harmonics, term by term."""
    theta, phi = np.arctan2(np.hypot(x[..., 0], x[..., 1]), x[..., 2]), np.arctan2(x[..., 1], x[..., 0])
    total = np.zeros(theta.shape)
    for ell, m, f in zip(*sh.degrees_orders(sh.degree_of(c)), c, strict=True):
        total += (1 if m == 0 else 2) * (f * sph_harm_y(ell, m, theta, phi)).real
    return total


def unit(lmax: int, ell: int, m: int, value: complex = 1.0) -> Coefficients:
    c = np.zeros(sh.size(lmax), complex)
    c[sh.index(ell, m, lmax)] = value
    return c


def test_index_order_is_m_major() -> None:
    ells, orders = sh.degrees_orders(3)
    assert ells.tolist() == [0, 1, 2, 3, 1, 2, 3, 2, 3, 3]
    assert orders.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]
    assert sh.index(ells, orders, 3).tolist() == list(range(10))
    assert [sh.degree_of(np.zeros(sh.size(n), complex)) for n in range(300)] == list(range(300))


@pytest.mark.parametrize("lmax", DEGREES)
def test_lowest_harmonics_have_their_closed_forms(lmax: int) -> None:
    g = grid(lmax)
    sin_cos = g.sin_theta * np.cos(g.phi)
    expected = {
        (0, 0): np.full(g.shape, 1 / np.sqrt(4 * np.pi)),
        (1, 0): np.sqrt(3 / (4 * np.pi)) * g.cos_theta,
        (1, 1): -2 * np.sqrt(3 / (8 * np.pi)) * sin_cos,  # 2 Re: the field of f_11 = 1
    }
    for (ell, m), values in expected.items():
        np.testing.assert_allclose(g.to_grid(unit(lmax, ell, m)), values, rtol=0, atol=1e-14)
    sin_sin = g.sin_theta * np.sin(g.phi)
    values = 2 * np.sqrt(3 / (8 * np.pi)) * sin_sin
    np.testing.assert_allclose(g.to_grid(unit(lmax, 1, 1, 1j)), values, rtol=0, atol=1e-14)


@pytest.mark.parametrize("lmax", DEGREES)
def test_every_harmonic_is_scipys(lmax: int) -> None:
    g = grid(lmax)
    rng = np.random.default_rng(5)
    ells, orders = sh.degrees_orders(lmax)
    chosen = range(len(ells)) if lmax < 20 else rng.integers(0, len(ells), 20)
    theta = np.arccos(g.cos_theta)
    for k in chosen:
        y = sph_harm_y(ells[k], orders[k], theta, g.phi)
        expected = y.real if orders[k] == 0 else 2 * y.real
        np.testing.assert_allclose(g.to_grid(unit(lmax, ells[k], orders[k])), expected, rtol=0, atol=2e-12)


@pytest.mark.parametrize("lmax", DEGREES)
def test_moments_are_integrals_against_conjugate_harmonics(lmax: int) -> None:
    g = grid(lmax)
    field = g.to_grid(random_modes(lmax))
    modes = g.to_modes(field)
    for ell, m in ((0, 0), (1, 1), (3, 2), (lmax, 0), (lmax, lmax)):
        y = sph_harm_y(ell, m, np.arccos(g.cos_theta), g.phi)
        assert abs(np.sum(g.weights * field * y.conj()) - modes[sh.index(ell, m, lmax)]) < 1e-11


@pytest.mark.parametrize("lmax", DEGREES)
def test_parseval(lmax: int) -> None:
    g, c = grid(lmax), random_modes(lmax)
    total = g.integral(g.to_grid(c) ** 2)
    assert sh.power(c).sum() == pytest.approx(total, rel=1e-12)
    assert (sh.to_real(c) ** 2).sum() == pytest.approx(total, rel=1e-12)


def test_mass_one_is_the_constant_of_mass_moment() -> None:
    g = grid(15)
    assert sh.MASS_MOMENT == pytest.approx(1 / np.sqrt(4 * np.pi), rel=1e-16)
    rho = g.to_grid(unit(15, 0, 0, sh.MASS_MOMENT))
    np.testing.assert_allclose(rho, 1 / (4 * np.pi), rtol=1e-14)
    assert g.integral(rho) == pytest.approx(1, rel=1e-14)


def test_real_basis_is_orthonormal_and_ordered() -> None:
    g = grid(4)
    x, y, z = np.moveaxis(g.x, -1, 0)
    c = g.to_modes(2.0 * x + 3.0 * y + 5.0 * z + 7.0)
    real = sh.to_real(c, 1)
    one = np.sqrt(4 * np.pi / 3)  # ∫ x² = 4π/3
    # √2 Re Y_11 = -√(3/4π) x, and the entry of m = -1 belongs to √2 Im Y_11 = -√(3/4π) y.
    expected = [7 * np.sqrt(4 * np.pi), -3 * one, 5 * one, -2 * one]
    np.testing.assert_allclose(real, expected, rtol=0, atol=1e-13)
    ells, orders = sh.real_degrees_orders(2)
    assert ells.tolist() == [0, 1, 1, 1, 2, 2, 2, 2, 2]
    assert orders.tolist() == [0, -1, 0, 1, -2, -1, 0, 1, 2]


def test_real_coefficients_are_integrals_with_real_harmonics() -> None:
    g, c = grid(6), random_modes(6)
    field, theta = g.to_grid(c), np.arccos(g.cos_theta)
    for ell, m, value in zip(*sh.real_degrees_orders(6), sh.to_real(c), strict=True):
        y = sph_harm_y(ell, abs(m), theta, g.phi)
        basis = y.real if m == 0 else np.sqrt(2) * (y.real if m > 0 else y.imag)
        assert abs(g.integral(field * basis) - value) < 1e-12


@pytest.mark.parametrize("lmax", [1, 2, 11, 130])
def test_mean_vector_is_the_first_moment(lmax: int) -> None:
    g, c = grid(lmax), random_modes(lmax)
    expected = [g.integral(g.to_grid(c) * g.x[..., a]) for a in range(3)]
    np.testing.assert_allclose(sh.mean_vector(c), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("lmax", [0, 1, 2, 11])
def test_times_coordinates_is_exact(lmax: int) -> None:
    c, g = random_modes(lmax), grid(lmax + 1)
    field = g.to_grid(sh.resized(c, lmax + 1))
    for a, product in enumerate(sh.times_coordinates(c)):
        assert sh.degree_of(product) == lmax + 1
        np.testing.assert_allclose(g.to_grid(product), field * g.x[..., a], rtol=0, atol=1e-13)


def test_laplacian_and_factors_by_degree() -> None:
    ells, _ = sh.degrees_orders(5)
    assert np.array_equal(sh.laplacian(5), -ells * (ells + 1.0))
    assert np.array_equal(sh.by_degree(np.arange(6.0) ** 2, 5), ells**2.0)


def test_resizing_keeps_the_field() -> None:
    c, g = random_modes(7), Grid(9)
    np.testing.assert_allclose(g.to_grid(sh.resized(c, 9)), direct_sum(c, g.x), rtol=0, atol=1e-12)
    assert np.array_equal(sh.resized(sh.resized(c, 9), 7), c)
    assert np.array_equal(sh.power(sh.resized(c, 4)), sh.power(c)[:5])
