"""Polynomials of the height: orthonormal for the uniform law in every dimension, with the sphere's Laplacian."""

import numpy as np
import pytest
from scipy.special import eval_chebyt, eval_legendre, gammaln

from fpsolve.errors import InputError
from fpsolve.sphere.gegenbauer import ZonalPoints, checked_dimension, laplacian, log_area, polynomials, zonal_grid

EVERY = [2, 3, 4, 5, 8, 64, 512, 10_000]


@pytest.mark.parametrize("d", EVERY)
def test_gauss_nodes(d):
    """Orthonormal to round-off, and ∫∂P∂P = ℓ(ℓ+d-2), whatever d is; ∫u⁴ = 3/(d(d+2))."""
    grid = zonal_grid(d, 63)
    assert np.abs(grid.basis.T @ grid.basis - np.eye(64)).max() < 1e-13
    stiffness, scale = grid.slopes.T @ grid.slopes, 1 - laplacian(d, 63)
    assert (np.abs(stiffness + np.diag(laplacian(d, 63))) / scale).max() < 1e-12
    assert grid.integral(grid.u**4) == pytest.approx(3 / (d * (d + 2)), rel=1e-12)


def test_known_polynomials():
    u = np.linspace(-1, 1, 7)
    for ell in range(6):
        legendre, chebyshev = np.sqrt(2 * ell + 1) * eval_legendre(ell, u), eval_chebyt(ell, u)
        assert polynomials(3, 5, u)[:, ell] == pytest.approx(legendre, abs=1e-13)
        assert polynomials(2, 5, u)[:, ell] == pytest.approx((np.sqrt(2) if ell else 1) * chebyshev, abs=1e-13)
    x, w = np.polynomial.legendre.leggauss(96)
    grid = zonal_grid(3, 63)
    assert grid.u[::-1] == pytest.approx(x, abs=1e-14) and grid.weights[::-1] == pytest.approx(w / 2, rel=1e-11)


@pytest.mark.parametrize("d", [3, 8, 512])
def test_at_the_pole_their_squares_count_the_harmonics(d):
    ell = np.arange(1, 9)
    count = np.log(2 * ell + d - 2) + gammaln(ell + d - 2) - gammaln(ell + 1) - gammaln(d - 1)
    assert 2 * np.log(polynomials(d, 8, np.array(1.0))[1:]) == pytest.approx(count, rel=1e-12)
    assert log_area(3) == pytest.approx(np.log(4 * np.pi)) and log_area(2) == pytest.approx(np.log(2 * np.pi))


@pytest.mark.parametrize("d", [2, 3, 8, 64])
def test_divergence_of_a_gradient_is_the_laplacian(d):
    """By the coefficients, by the sum over nodes, and by differences at points."""
    grid, c = zonal_grid(d, 15), np.random.default_rng(1).normal(size=16) / (1 + np.arange(16)) ** 3
    assert grid.surface_div(grid.gradient(c)) == pytest.approx(laplacian(d, 15) * c, abs=1e-11)
    assert grid.tangent_modes(grid.gradient(c))[0][1:] == pytest.approx(c[1:], abs=1e-13)

    class Gradient:
        def on(self, sites):
            h, p = 1e-5, lambda theta: polynomials(d, 4, np.cos(theta)) @ c[:5]
            return (p(sites.theta + h) - p(sites.theta - h)) / (2 * h)

    points = ZonalPoints(d, np.linspace(0.3, 2.9, 9))
    exact = polynomials(d, 4, points.u) @ (laplacian(d, 4) * c[:5])
    assert points.difference_divergence(Gradient()) == pytest.approx(exact, abs=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize("d", [1, 10_001, 2.0, True])
def test_bad_dimensions(d):
    with pytest.raises(InputError, match=r"^d = "):
        checked_dimension(d)
