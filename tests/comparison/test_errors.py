"""Distances between measures against closed forms and direct sums."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.comparison import errors
from fpsolve.measures.build import build
from fpsolve.measures.density import Density
from fpsolve.sphere.geometry import geometry

LAWS = {
    2: fp.initial.von_mises_fisher([0.6, 0.8], 2.0),
    3: fp.initial.von_mises_fisher([0, 0.6, 0.8], 2.0),
}


def tokens(d, n, member=0):
    return build(fp.initial.samples(LAWS[d], n, 5, member), "cloud", 4, 1e-6)


@pytest.mark.parametrize("d", [2, 3])
def test_moment_error_of_iid_points(d):
    """N E‖ρ - ρ'‖² in closed form, from 400 samples; bound at 4.5 standard errors, false alarms below 1e-5."""
    n, degree, here = 20, 6, geometry(d)
    exact = build(LAWS[d], "density", 31, 1e-6).moments(degree)
    norm = here.power(exact).sum()
    squares = [errors.moment_error(tokens(d, n, m).moments(degree), exact, degree, d) ** 2 * norm for m in range(400)]
    harmonics = (degree + 1) ** 2 / (4 * np.pi) if d == 3 else (2 * degree + 1) / (2 * np.pi)
    assert abs(np.mean(squares) - (harmonics - norm) / n) < 4.5 * np.std(squares) / 20


@pytest.mark.parametrize("d", [2, 3])
def test_discrepancy_is_the_double_sum(d):
    first, second = tokens(d, 60, 1), tokens(d, 45, 2)
    for kappa in (0.5, 16.0, 200.0):
        degree = errors.discrepancy_degree(kappa)
        summed = errors.discrepancy(first.moments(degree), second.moments(degree), kappa, d)
        assert summed == pytest.approx(errors.direct_discrepancy(first, second, kappa), rel=1e-6)


@pytest.mark.parametrize("d", [2, 3])
def test_discrepancy_of_two_points(d):
    """δ_x and δ_y: MMD² = 2(1 - e^{κ(⟨x,y⟩-1)})."""
    x, y = np.eye(d)[:2]
    one, other = (build(fp.initial.points([p]), "cloud", 4, 1e-6) for p in (x, y))
    degree = errors.discrepancy_degree(3.0)
    found = errors.discrepancy(one.moments(degree), other.moments(degree), 3.0, d)
    assert found == pytest.approx(np.sqrt(2 * (1 - np.exp(-3.0))), rel=1e-10)


def test_truncations_may_differ():
    coarse, fine = (build(LAWS[3], "density", lmax, 1e-6).moments(lmax) for lmax in (11, 31))
    expected = np.linalg.norm(geometry(3).resized(coarse, 31) - fine)
    assert errors.moment_error(coarse, fine, 31, 3) > 0.5 * expected
    assert errors.moment_error(coarse, fine, 8, 3) < 1e-6


def test_w2_of_a_rotated_point_mass_and_its_resolution():
    pytest.importorskip("ot")
    x, y = ([1.0, 0, 0], [0.6, 0.8, 0])
    one, other = (build(fp.initial.points([p]), "cloud", 4, 1e-6) for p in (x, y))
    assert errors.transport_distance(one, other) == (pytest.approx(np.sqrt(0.8)), 0.0)


@pytest.mark.parametrize("d", [2, 3])
def test_gathered_w2_is_within_its_resolution(d):
    pytest.importorskip("ot")
    first, second = tokens(d, 300, 1), build(LAWS[d], "cloud", 11 if d == 3 else 63, 1e-6)
    exact, none = errors.transport_distance(first, second, cells=10_000)
    gathered, resolution = errors.transport_distance(first, second, cells=120)
    assert none == 0 < resolution < 0.4
    assert abs(gathered - exact) <= resolution


def test_w2_takes_a_density():
    pytest.importorskip("ot")
    density = build(LAWS[3], "density", 15, 1e-6)
    value, resolution = errors.transport_distance(density, build(LAWS[3], "cloud", 15, 1e-6), cells=400)
    assert value <= resolution


@pytest.mark.parametrize(("d", "coarse", "fine"), [(2, 7, 255), (2, 31, 255), (3, 7, 27)])
def test_w2_of_a_density_is_within_its_spacing(d, coarse, fine):
    """Against a fine quadrature of the same law; half of the bound is really there."""
    pytest.importorskip("ot")
    density, exact = build(LAWS[d], "density", coarse, 1e-6), build(LAWS[d], "cloud", fine, 1e-6)
    value, resolution = errors.transport_distance(density, exact, cells=100_000)
    assert 0.4 * resolution < value < resolution < (0.1 if d == 3 else 0.05)


@pytest.mark.parametrize(("d", "degree"), [(2, 15), (3, 15), (3, 127)])
def test_cells_of_a_grid_cover_it(d, degree):
    """Their half-diagonals: π/n on the circle; on S² at least π/2n_θ, and together of area 4π or more as ellipses."""
    grid = geometry(d).grid(degree)
    reach = errors.grid_spacing(grid)
    assert reach.shape == grid.shape
    if d == 2:
        np.testing.assert_allclose(reach, np.pi / grid.n)
        return
    assert 0.95 * np.pi / 2 / grid.nlat < reach.min() and reach.max() < 2.5 * np.pi / grid.nlat
    half_theta = np.sqrt(reach**2 - (grid.sin_theta * np.pi / grid.nphi) ** 2)
    areas = 2 * half_theta * 2 * np.pi / grid.nphi * grid.sin_theta
    assert 1 < areas.sum() / (4 * np.pi) < 1.02


def ringing(amplitude, degree=31):
    """The uniform density and a zonal harmonic: below zero, on the negative lobes, for amplitudes above one."""
    coefficients = np.zeros(geometry(3).size(63), complex)
    coefficients[0], coefficients[degree] = 1 / np.sqrt(4 * np.pi), amplitude / np.sqrt((2 * degree + 1) * 4 * np.pi)
    return Density(coefficients, 1e-6)


def test_the_negative_part_of_a_density_is_clipped_and_nothing_else():
    density = ringing(2.0)
    cloud, bound = errors.as_points(density)
    below = -float((density.grid.weights * np.minimum(density.values, 0)).sum())
    assert 0 < below < 1e-3
    assert cloud.mass == pytest.approx(1, abs=1e-14) and len(cloud.x) == (density.values > 0).sum()
    spacing = np.sqrt(cloud.weights @ errors.grid_spacing(density.grid)[density.values > 0] ** 2)
    assert bound == pytest.approx(spacing + 2 * np.sqrt(below), rel=1e-12)
    positive = ringing(0.9)
    np.testing.assert_allclose(errors.as_points(positive)[0].moments(8), positive.moments(8), atol=1e-14)


def test_a_density_that_no_quadrature_represents_has_no_w2():
    """One by its negative lobes, one by its tail; neither against a density nor for it."""
    pytest.importorskip("ot")
    good = build(LAWS[3], "density", 15, 1e-6)
    for bad in (ringing(8.0), ringing(0.5, 60)):
        assert np.isinf(errors.as_points(bad)[1])
        for pair in ((bad, good), (good, bad)):
            assert np.isnan(errors.transport_distance(*pair, cells=50)).all()


def test_centres_hold_equal_shares():
    cloud = build(LAWS[3], "cloud", 31, 1e-6)
    centres = errors.equal_mass_centres(cloud.x, cloud.weights, 50)
    assert centres.shape == (50, 3)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1)
    nearest = np.argmax(cloud.x @ centres.T, axis=1)
    shares = np.bincount(nearest, cloud.weights, 50)
    assert 0.2 / 50 < shares.min() and shares.max() < 3 / 50
