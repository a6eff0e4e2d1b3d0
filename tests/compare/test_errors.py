"""Distances between measures against closed forms and direct sums."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.compare import errors
from fpsolve.measures.build import build
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


def test_centres_hold_equal_shares():
    cloud = build(LAWS[3], "cloud", 31, 1e-6)
    centres = errors.equal_mass_centres(cloud.x, cloud.weights, 50)
    assert centres.shape == (50, 3)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1)
    nearest = np.argmax(cloud.x @ centres.T, axis=1)
    shares = np.bincount(nearest, cloud.weights, 50)
    assert 0.2 / 50 < shares.min() and shares.max() < 3 / 50
