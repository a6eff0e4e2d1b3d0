"""The circle: Fourier coefficients, grid and scattered points against direct sums, under the sphere's names."""

import numpy as np
import pytest

from fpsolve.sphere.circle import CirclePoints, circle_grid
from fpsolve.sphere.geometry import CIRCLE

L = 20


def field(seed=0):
    rng = np.random.default_rng(seed)
    modes = rng.standard_normal(L + 1) + 1j * rng.standard_normal(L + 1)
    modes[0] = modes[0].real
    return modes


def direct(modes, angle):
    m = np.arange(len(modes))
    waves = np.exp(1j * np.outer(angle, m)) / np.sqrt(2 * np.pi)
    return (waves * modes * np.where(m == 0, 1, 2)).real.sum(axis=1)


def test_synthesis_analysis_and_parseval_are_absolute():
    grid, modes = circle_grid(L), field()
    values = grid.to_grid(modes)
    assert np.abs(values - direct(modes, grid.angle)).max() < 1e-12
    assert np.abs(grid.to_modes(values) - modes).max() < 1e-13
    assert CIRCLE.power(modes).sum() == pytest.approx(grid.integral(values**2), rel=1e-13)
    assert (CIRCLE.to_real(modes) ** 2).sum() == pytest.approx(grid.integral(values**2), rel=1e-13)
    assert grid.weights.sum() == pytest.approx(2 * np.pi, rel=1e-14)
    for a in range(2):
        assert CIRCLE.mean_vector(modes)[a] == pytest.approx(grid.integral(grid.x[:, a] * values), abs=1e-12)
        product = grid.to_modes(grid.x[:, a] * values, L + 1)
        assert np.abs(CIRCLE.times_coordinates(modes)[a] - product).max() < 1e-13


def test_scattered_points_agree_with_direct_sums():
    angle = np.random.default_rng(1).uniform(0, 2 * np.pi, 300)
    points, modes = CirclePoints(np.stack([np.cos(angle), np.sin(angle)], -1)), field()
    assert np.abs(points.scalar(modes) - direct(modes, angle)).max() < 1e-11
    weights = np.random.default_rng(2).uniform(size=300)
    exact = np.exp(-1j * np.outer(np.arange(L + 1), angle)) @ weights / np.sqrt(2 * np.pi)
    assert np.abs(points.moments(weights, L) - exact).max() < 1e-11
    slope = (direct(modes, angle + 1e-5) - direct(modes, angle - 1e-5)) / 2e-5
    tangent = np.stack([-np.sin(angle), np.cos(angle)], -1)
    assert np.abs(np.einsum("na,na->n", points.gradient(modes), tangent) - slope).max() < 1e-5


def test_tangent_fields_split_into_potential_and_rotation():
    grid = circle_grid(L)
    potential, rotation = field(1), np.zeros(L + 1, complex)
    potential[0], rotation[0] = 0, 0.7
    v = grid.tangent(potential, rotation)
    back = grid.tangent_modes(v)
    assert np.abs(back[0] - potential).max() < 1e-13 and np.abs(back[1] - rotation).max() < 1e-13
    assert np.abs(grid.from_ambient(grid.to_ambient(v)) - v).max() < 1e-12
    assert np.abs(grid.surface_div(v) + np.arange(L + 1) ** 2 * potential).max() < 1e-11
