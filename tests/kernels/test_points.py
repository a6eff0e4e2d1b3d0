"""The compiled harmonic sums at points against their NumPy twins, long double, and themselves elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from fpsolve._kernels import _points, points, points_numpy
from fpsolve.sphere.harmonics import degrees_orders, index, size

KINDS = {"scalar": (1, ()), "gradient": (2, (3,)), "jet": (3, (5,)), "tangent": (4, (3,))}
"""Complex sums and the shape of what is made at a point."""


def directions(n: int, seed: int = 1) -> np.ndarray:
    """Vectors of any length, the first along the axis."""
    x = np.random.default_rng(seed).normal(size=(n, 3))
    x[0] = [0, 0, -2]
    return x


def modes(lmax: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    f = rng.normal(size=size(lmax)) + 1j * rng.normal(size=size(lmax))
    f[: lmax + 1] = f[: lmax + 1].real
    return f / (1.0 + degrees_orders(lmax)[0])


def close(found: np.ndarray, expected: np.ndarray, tolerance: float = 2e-14) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize(("n", "lmax"), [(1, 0), (5, 1), (37, 2), (40, 12), (600, 33)])
@pytest.mark.parametrize("kind", KINDS)
def test_sums_are_those_of_their_twins(kind: str, n: int, lmax: int) -> None:
    sums, shape = KINDS[kind]
    rng = np.random.default_rng(2)
    rows = points.rows(lmax, *[(modes(lmax, k), k % 2 == 1) for k in range(sums)])
    rows[:, 1:] *= 1 + rng.random(rows[:, 1:].shape)
    fast, slow = np.empty((2, n, *shape))
    getattr(_points, kind)(lmax, rows, directions(n), fast)
    getattr(points_numpy, kind)(lmax, rows, directions(n), slow)
    close(fast, slow)


@pytest.mark.parametrize(("n", "lmax"), [(1, 0), (5, 1), (37, 2), (700, 33)])
def test_moments_are_those_of_their_twin(n: int, lmax: int) -> None:
    x, weights = directions(n), np.random.default_rng(3).normal(size=n)
    fast, slow = np.empty((2, 2 * size(lmax)))
    _points.moments(lmax, points.table(lmax).c, x, weights, fast)
    points_numpy.moments(lmax, points.table(lmax).c, x, weights, slow)
    close(fast, slow)


@pytest.mark.parametrize(("lmax", "tolerance"), [(1, 1e-15), (17, 2e-14), (52, 1e-13), (255, 3e-12)])
def test_sums_against_long_double(lmax: int, tolerance: float) -> None:
    """The textbook recurrence of the normalised functions, in long double, at random points and near a pole."""
    x, f = directions(60), modes(lmax, 4)
    x[1::3, :2] *= 1e-3
    theta, phi = np.arctan2(np.hypot(x[:, 0], x[:, 1]), x[:, 2]).astype(np.longdouble), np.arctan2(x[:, 1], x[:, 0])
    expected = np.zeros(len(x), np.longdouble)
    seed = np.full(len(x), 1 / np.sqrt(16 * np.arctan(np.longdouble(1))))
    for m in range(lmax + 1):
        last, now = np.zeros_like(seed), seed
        turn = (2 if m else 1) * np.exp(1j * m * phi.astype(np.clongdouble))
        for ell in range(m, lmax + 1):
            if ell > m:
                a, b = (np.longdouble(4 * k * k - 1) / (k * k - m * m) if k > m else np.inf for k in (ell, ell - 1))
                last, now = now, np.sqrt(a) * (np.cos(theta) * now - last / np.sqrt(b))
            expected += (f[index(ell, m, lmax)] * now * turn).real
        seed = -np.sqrt(np.longdouble(2 * m + 3) / (2 * m + 2)) * np.sin(theta) * seed
    close(points.scalar(lmax, f)(x), expected.astype(float), tolerance)


def test_moments_are_the_adjoint_of_the_scalar_sum() -> None:
    lmax, x = 21, directions(3000)
    weights, f = np.random.default_rng(5).random(len(x)), modes(21, 6)
    twice = np.where(degrees_orders(lmax)[1] == 0, 1, 2)
    through = float(np.sum(twice * (points.moments(lmax, x, weights).conj() * f).real))
    assert through == pytest.approx(float(weights @ points.scalar(lmax, f)(x)), rel=1e-12)


def test_slopes_are_differences() -> None:
    """∇f along the sphere, and ∇T × x, from central differences of fourth order."""
    lmax, x, h = 9, directions(30), 1e-3
    x /= np.linalg.norm(x, axis=1)[:, None]
    f, g = modes(lmax, 7), modes(lmax, 8)

    def slope(c: np.ndarray) -> np.ndarray:
        def along(e: np.ndarray) -> np.ndarray:
            near = [points.scalar(lmax, c)(x + k * h * e) for k in (-2, -1, 1, 2)]
            return (near[0] - 8 * near[1] + 8 * near[2] - near[3]) / (12 * h)

        return np.stack([along(e) for e in np.eye(3)], -1)

    close(points.gradient(lmax, f)(x), slope(f), 1e-9)
    close(points.tangent(lmax, f, g)(x), slope(f) + np.cross(slope(g), x), 1e-9)
    values = points.jet(lmax, f, g)(x)
    close(values[:, :3], slope(f), 1e-9)
    close(values[:, 3], points.scalar(lmax, f)(x))
    close(values[:, 4], points.scalar(lmax, g)(x))


def test_a_points_bits_depend_neither_on_its_place_nor_on_the_others() -> None:
    lmax, x, f = 17, directions(101), modes(17, 9)
    whole = points.tangent(lmax, f, f)(x)
    assert np.array_equal(points.tangent(lmax, f, f)(x[7:90:3].copy()), whole[7:90:3])


def test_arrays_that_do_not_fit_are_refused() -> None:
    rows, x = points.rows(4, (modes(4, 1), False)), directions(5)
    for bad in ((5, rows, x, np.empty(5)), (4, rows, x, np.empty(6)), (4, rows[:, :2].copy(), x, np.empty(5))):
        with pytest.raises(ValueError, match="do not fit"):
            _points.scalar(*bad)
    with pytest.raises(ValueError, match="do not fit"):
        _points.moments(4, points.table(4).c, x, np.ones(6), np.empty(30))


def test_one_point_alone_has_its_bits() -> None:
    lmax, x, f = 17, directions(72), modes(17, 9)
    whole = points.scalar(lmax, f)(x)
    assert all(points.scalar(lmax, f)(x[i : i + 1])[0] == whole[i] for i in range(len(x)))
