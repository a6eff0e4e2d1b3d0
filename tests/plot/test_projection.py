"""The projections against their formulas: inverses, areas, distances and edges."""

import numpy as np
import pytest

from fpsolve.plot.projection import Mollweide, Orthographic, angles, pixels, unit_vectors

PROJECTIONS = [
    Mollweide(),
    Mollweide(140.0),
    Orthographic(),
    Orthographic(-35.0, 250.0),
    Orthographic(90.0, 0.0),
]


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_forward_undoes_inverse(projection):
    rng = np.random.default_rng(1)
    radius, turn = np.sqrt(rng.random(500)) * 0.999, 2 * np.pi * rng.random(500)
    x, y = projection.width * radius * np.cos(turn), projection.height * radius * np.sin(turn)
    u, v = projection.forward(*projection.inverse(x, y))
    np.testing.assert_allclose(u, x, atol=1e-7)
    np.testing.assert_allclose(v, y, atol=1e-7)


def test_mollweide_keeps_areas():
    """Pixels are equal shares of 4π: their mean of a function is its mean over the sphere."""
    lat, lon = pixels(Mollweide(), 800)
    inside = np.isfinite(lat)
    x = unit_vectors(lat[inside], lon[inside])
    np.testing.assert_allclose((x[:, None] * x[None]).mean(-1), np.eye(3) / 3, atol=2e-3)
    assert inside.mean() == pytest.approx(np.pi / 4, abs=2e-3)


def test_mollweide_landmarks():
    """θ at 45 degrees north solves 2θ + sin 2θ = π/√2; the edge is the meridian opposite to lon0."""
    x, y = Mollweide(10.0).forward(np.array([0.0, 90.0, 45.0]), np.array([100.0, 10.0, 10.0]))
    theta = np.arcsin(y[2] / np.sqrt(2))
    assert 2 * theta + np.sin(2 * theta) == pytest.approx(np.pi / np.sqrt(2), abs=1e-12)
    np.testing.assert_allclose(x, [np.sqrt(2), 0, 0], atol=1e-9)
    np.testing.assert_allclose(y[:2], [0, np.sqrt(2)], atol=1e-6)


def test_orthographic_is_a_shadow():
    """x and y are inner products with two orthonormal vectors, and the far side is out of sight."""
    view = Orthographic(-35.0, 250.0)
    centre = unit_vectors(np.array(-35.0), np.array(250.0))
    rng = np.random.default_rng(2)
    points = rng.standard_normal((3, 300))
    points /= np.linalg.norm(points, axis=0)
    x, y = view.forward(*angles(points))
    seen = centre @ points > 0
    np.testing.assert_array_equal(np.isfinite(x), seen)
    np.testing.assert_allclose((x**2 + y**2)[seen], (1 - (centre @ points) ** 2)[seen], atol=1e-12)
    north_x, north_y = view.forward(np.array(-34.0), np.array(250.0))
    east_x, east_y = view.forward(np.array(-35.0), np.array(251.0))
    assert north_y > 0 and abs(north_x) < 1e-12
    assert east_x > 0 and abs(east_y) < 1e-2


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_nothing_is_seen_outside_the_edge(projection):
    corner = np.array([projection.width]), np.array([projection.height])
    assert all(np.isnan(value).all() for value in projection.inverse(*corner))
