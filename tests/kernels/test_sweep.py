"""The compiled reading of tables and its sub-steps against their NumPy twins, and against themselves elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from fpsolve._kernels import _sweep, sweep_numpy
from fpsolve.sphere.harmonics import degrees_orders, size
from fpsolve.sphere.torus import TorusTable, torus_table, window
from fpsolve.transport.runge_kutta import DORMAND_PRINCE_5, DORMAND_PRINCE_853, Tableau
from fpsolve.transport.tabled import sweep

ACCURACIES = {8: 1e-6, 10: 1e-9, 12: 1e-11}
"""By width."""


def modes(lmax: int, seed: int) -> np.ndarray:
    rng, orders = np.random.default_rng(seed), degrees_orders(lmax)[1]
    return (rng.normal(size=size(lmax)) + 1j * (orders > 0) * rng.normal(size=size(lmax))) / (lmax + 1)


def table_of(width: int, lmax: int = 9, factor: float = 1.0) -> TorusTable:
    table = torus_table(factor * modes(lmax, 1), factor * modes(lmax, 2), ACCURACIES[width])
    assert table is not None and table.width == width
    return table


def points(n: int) -> np.ndarray:
    """Directions of any length; the first at poles, on the seam φ = 0 and next to both."""
    x = np.random.default_rng(3).normal(size=(n, 3))
    places = [(0, 0, 2), (0, 0, -1), (1, 0, 0), (1, -1e-300, 0), (1, -1e-17, 1), (-1, 0, 0), (-1, -1e-18, 0),
              (0, -1, 0), (1, 1, 0), (1e-9, 1e-9, 1), (-1e-200, 1e-200, -1), (1e-9, -1e-12, -1),
              (1, -0.0, -0.0)]  # fmt: skip
    x[: min(n, len(places))] = places[:n]
    return x


def elsewhere(n: int) -> np.ndarray:
    """Random directions: at a node its two cells are both right, to the accuracy of the table."""
    return points(n + 20)[20:].copy()


def on_sphere(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x * x).sum(axis=1))[:, None]


@pytest.mark.parametrize("n", [1, 7, 8, 300])
@pytest.mark.parametrize("width", ACCURACIES)
def test_values_are_those_of_the_twin(width: int, n: int) -> None:
    table, x = table_of(width), elsewhere(n)
    slow = np.empty((n, 4))
    sweep_numpy.at(*table, x, slow)
    np.testing.assert_allclose(table.at(x), slow, rtol=0, atol=2e-13 * np.abs(table.values).max())


@pytest.mark.parametrize("tableau", [DORMAND_PRINCE_5, DORMAND_PRINCE_853], ids=["5", "853"])
@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("width", ACCURACIES)
def test_a_sub_step_is_that_of_the_twin(width: int, carried: bool, tableau: Tableau) -> None:
    table, state = table_of(width, factor=0.1), on_sphere(elsewhere(61))
    if carried:
        state = np.column_stack([state, np.linspace(-2, 1, len(state))])
    moved, errors = sweep(table, tableau, 0.5, 1.5)(state, 0.7)
    a = np.zeros((len(tableau.b), len(tableau.b)))
    a[:, : tableau.a.shape[1]] = tableau.a[: len(tableau.b), : len(tableau.b)]
    expected, wrong = np.empty_like(state), np.empty((len(tableau.errors), *state.shape))
    formula = a, tableau.b, np.stack(tableau.errors)
    assert sweep_numpy.sweep(*table, *formula, 0.7, 0.25, 2.25, state, expected, wrong)
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(errors, wrong, rtol=0, atol=5e-12)
    assert np.abs(wrong).max() > 1e-10


def test_stages_off_the_sphere_are_refused() -> None:
    state = on_sphere(points(20))
    assert sweep(table_of(8, factor=10.0), DORMAND_PRINCE_5, 0.5, 1.5)(state, 1.0) is None
    assert sweep(table_of(8), DORMAND_PRINCE_5, 0.5, 1.5)(np.where(state == state[-1], np.nan, state), 1.0) is None


def test_a_points_bits_depend_neither_on_its_place_nor_on_the_others() -> None:
    table, x = table_of(10, factor=0.02), on_sphere(points(203))
    whole, step = table.at(x), sweep(table, DORMAND_PRINCE_853, 0.5, 1.5)
    moved, errors = step(x, 1.0)
    for part in (slice(7, 190, 3), slice(5, 6), slice(0, 203)):
        assert np.array_equal(table.at(x[part].copy()), whole[part])
        again, wrong = step(x[part].copy(), 1.0)
        assert np.array_equal(again, moved[part])
        assert all(np.array_equal(one, other[part]) for one, other in zip(wrong, errors, strict=True))


def test_arrays_that_do_not_fit_are_refused() -> None:
    table, x = table_of(8), points(5)
    for bad in ((8, table.n + 2), (10, table.n), (9, table.n), (8, table.n - 1)):
        with pytest.raises(ValueError, match="do not fit"):
            _sweep.at(*bad, table.pieces, table.values, x, np.empty((5, 4)))
    with pytest.raises(ValueError, match="do not fit"):
        _sweep.at(*table, x, np.empty((4, 4)))
    a, b, error = np.zeros((2, 2)), np.ones(2), np.ones((1, 3))
    for arrays in ((a, b, error[:, :2], x, x.copy(), x.copy()), (a, np.ones(3), error, x, x.copy(), x.copy()),
                   (a, b, error, x, x[1:].copy(), x.copy()), (a, b, error, x, x.copy(), x[1:].copy()),
                   (a, b, error, x[:, :2].copy(), x.copy(), x.copy())):  # fmt: skip
        copied = [np.ascontiguousarray(one) for one in arrays]
        with pytest.raises(ValueError, match="do not fit"):
            _sweep.sweep(*table, *copied[:3], 1.0, 0.1, 2.0, *copied[3:])


@pytest.mark.parametrize("n", [1, 7, 300])
def test_deposits_are_those_of_the_twin_and_the_adjoint_of_reading(n: int) -> None:
    pieces, weights, x = window(16, 2.0, 40).pieces, np.random.default_rng(4).normal(size=n), elsewhere(n)
    fast, slow = np.ones((2, 36, 56))
    _sweep.deposit(40, pieces, x, weights, fast)
    sweep_numpy.deposit(40, pieces, x, weights, slow)
    np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-13 * np.abs(weights).sum())
    table, values = np.random.default_rng(5).normal(size=(36, 56, 4)), np.empty((n, 4))
    sweep_numpy.at(16, 40, pieces, table, x, values)
    np.testing.assert_allclose(np.einsum("ij,ijf->f", fast - 1, table), weights @ values, rtol=1e-11)
    for bad in ((42, pieces, x, weights, fast), (40, pieces.ravel()[1:].copy(), x, weights, fast),
                (40, pieces, x, np.ones(n + 1), fast)):  # fmt: skip
        with pytest.raises(ValueError, match="do not fit"):
            _sweep.deposit(*bad)
