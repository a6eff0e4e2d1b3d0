"""Fields read from tables against sums of harmonics term by term: their accuracy, at poles and seams too."""

from __future__ import annotations

import numpy as np
import pytest

from fpsolve.sphere.harmonics import degrees_orders, laplacian, resized, size
from fpsolve.sphere.scattered import SpherePoints
from fpsolve.sphere.torus import CHOICES, ROUND_OFF, torus_table, window
from tests.kernels.test_sweep import on_sphere, points

ACCURACIES = (1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-13)


def modes(lmax: int, seed: int, decay: float) -> np.ndarray:
    rng, (ells, orders) = np.random.default_rng(seed), degrees_orders(lmax)
    return (rng.normal(size=size(lmax)) + 1j * (orders > 0) * rng.normal(size=size(lmax))) / (1.0 + ells) ** decay


def summed(s: np.ndarray, t: np.ndarray, x: np.ndarray) -> np.ndarray:
    """v and -div v, by the sums at points."""
    sites = SpherePoints(on_sphere(x))
    return np.column_stack([sites.tangent(s, t), -sites.scalar(laplacian((int(np.sqrt(8 * len(s) + 1)) - 3) // 2) * s)])


@pytest.mark.parametrize("decay", [0.0, 3.0])
@pytest.mark.parametrize("lmax", [1, 2, 7, 20, 39])
def test_values_are_the_sums_of_harmonics_to_the_accuracy_asked_for(lmax: int, decay: float) -> None:
    x, s, t = points(1500), modes(lmax, 1, decay), modes(lmax, 2, decay)
    expected = summed(s, t, x)
    widths = set()
    for accuracy in ACCURACIES:
        table = torus_table(s, t, accuracy)
        assert table is not None
        widths.add(table.width)
        wrong = table.at(x) - expected
        for part in (slice(0, 3), slice(3, 4)):
            size_, error = (np.sqrt(np.square(one[:, part]).sum(axis=1).mean()) for one in (expected, wrong))
            assert error < 1.5 * accuracy * size_
            assert np.abs(wrong[:, part]).max() < 10 * accuracy * np.abs(expected[:, part]).max()
    assert widths == {8, 10, 12}


def test_a_table_is_no_better_than_it_need_be() -> None:
    """Degrees that count for nothing are left out, and few nodes are taken where they will do."""
    s = modes(60, 1, 0.0) * np.exp(-1.5 * degrees_orders(60)[0])
    fine, rough, low = torus_table(s, s, 1e-12), torus_table(s, s, 1e-5), torus_table(*[resized(s, 30)] * 2, 1e-12)
    assert fine is not None and rough is not None and low is not None
    assert rough.n < fine.n == low.n and rough.width < fine.width
    worst = np.abs(fine.at(points(500)) - summed(s, s, points(500))).max()
    assert worst < 1e-11 * np.abs(fine.values).max()


def test_purely_toroidal_and_purely_spheroidal_fields() -> None:
    s, zero, x = modes(11, 1, 1.0), np.zeros(size(11), complex), points(300)
    for pair in ((s, zero), (zero, s)):
        table = torus_table(*pair, 1e-12)
        assert table is not None
        np.testing.assert_allclose(table.at(x), summed(*pair, x), rtol=0, atol=1e-9)
    assert np.abs(table.at(x)[:, 3]).max() < 1e-14


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_fields_that_are_nothing_or_not_finite_have_no_table(bad: float) -> None:
    s = np.full(size(3), bad, complex)
    assert torus_table(s, s, 1e-6) is None
    assert torus_table(modes(3, 1, 0.0), modes(3, 2, 0.0), ROUND_OFF) is None
    assert torus_table(modes(3, 1, 0.0), modes(3, 2, 0.0), np.nan) is None


@pytest.mark.parametrize(("width", "over"), CHOICES)
def test_stated_errors_of_waves_are_theirs(width: int, over: float) -> None:
    """Root mean square over a cell of what the window makes of e^{ikx}, against its formula."""
    n = 96
    found = window(width, over, n)
    fraction = (np.arange(200) + 0.5) / 200
    s = (2 * fraction - 1)[:, None]
    half = [sum(c * s[:, 0] ** (2 * p) for p, c in enumerate(found.pieces[:, ::-1, q].T[:, :, None])) for q in (0, 1)]
    even, odd = half[0].T, (half[1] * s[:, 0]).T
    w = np.concatenate([even + odd, (even - odd)[:, ::-1]], axis=1)
    nodes = np.arange(width) - width // 2 + 1
    for k in range(len(found.factors)):
        exact = np.exp(2j * np.pi * k / n * fraction)
        wrong = found.factors[k] * w @ np.exp(2j * np.pi * k / n * nodes) - exact
        measured = np.sqrt(np.mean(np.abs(wrong) ** 2))
        assert measured < 1.1 * found.errors[k] + (2e-9 if width == 8 else 2e-11 if width == 10 else 1e-14)


def test_the_same_table_again() -> None:
    s, t = modes(17, 1, 1.0), modes(17, 2, 1.0)
    one, other = torus_table(s, t, 1e-9), torus_table(s.copy(), t.copy(), 1e-9)
    assert one is not None and other is not None and np.array_equal(one.values, other.values)
