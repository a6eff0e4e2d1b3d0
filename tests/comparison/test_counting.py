"""The counter sees every transform, with its size, and leaves the libraries as they were."""

import ducc0
import numpy as np
import pytest

import fpsolve as fp
from fpsolve._kernels import _softmax
from fpsolve._kernels.softmax import softmax_second
from fpsolve.comparison.counting import counting
from fpsolve.measures.build import build
from fpsolve.sphere import circle
from fpsolve.sphere._shtns import shtns
from fpsolve.sphere.circle import CirclePoints, circle_grid
from fpsolve.sphere.grid import grid
from fpsolve.sphere.harmonics import size
from fpsolve.sphere.scattered import SpherePoints
from fpsolve.sphere.torus import torus_table
from fpsolve.transport.runge_kutta import DORMAND_PRINCE_5, DORMAND_PRINCE_853
from fpsolve.transport.tabled import sweep

NORTH = np.tile([0.0, 0.0, 1.0], (7, 1))


def test_transforms_on_the_grid_are_counted_in_scalar_fields():
    sphere = grid(15)
    coefficients, points = np.zeros(size(15), complex), sphere.nlat * sphere.nphi
    with counting() as counter:
        field = sphere.to_grid(coefficients)
        assert (counter.grid, counter.values) == (1, points)
        sphere.to_modes(field)
        sphere.tangent_modes(sphere.gradient(coefficients))
        sphere.tangent(coefficients, coefficients)
    assert (counter.grid, counter.points, counter.values) == (8, 0, 8 * points)


def test_transforms_at_points_count_the_points():
    points = SpherePoints(NORTH)
    with counting() as counter:
        moments = points.moments(np.ones(7), 4)
        points.scalar(moments)
        points.gradient(moments)
    assert (counter.grid, counter.points, counter.values) == (0, 4, 28)


def test_the_circle_is_counted():
    points, uniform = CirclePoints(np.eye(2)), circle_grid(15)
    with counting() as counter:
        points.scalar(points.moments(np.ones(2), 4))
        uniform.to_modes(uniform.to_grid(np.zeros(16, complex)))
    assert (counter.grid, counter.points, counter.values) == (2, 2, 4 + 2 * uniform.n)


@pytest.mark.parametrize("d", [2, 3])
def test_direct_sums_count_pairs_and_no_transforms(d):
    points = build(fp.initial.samples(fp.initial.uniform(d), 50, 3), "cloud", 4, 1e-6)
    with counting() as counter:
        points.source.F(np.ones((7, d)))
        softmax_second(np.ones((4, d)), points.x, points.weights)
    assert (counter.grid, counter.points, counter.values, counter.pairs) == (0, 0, 0, 7 * 50 + 4 * 50)


def test_a_jet_counts_four_fields():
    points = SpherePoints(NORTH)
    with counting() as counter:
        points.jet(np.zeros(size(4), complex), np.zeros(size(4), complex))
    assert (counter.points, counter.values, counter.pairs) == (4, 28, 0)


def test_tabled_fields_count_every_stage():
    """Three fields at the points, with -div v; those of every stage, and at the end where the error asks for it."""
    modes = np.ones(size(4), complex) / 1000
    table, state = torus_table(modes, modes, 1e-6), np.column_stack([NORTH, np.zeros(7)])
    with counting() as counter:
        table.at(NORTH)
    assert (counter.points, counter.values) == (3, 21)
    for tableau, stages in ((DORMAND_PRINCE_5, 7), (DORMAND_PRINCE_853, 12)):
        with counting() as counter:
            assert sweep(table, tableau, 0.5, 1.5)(state, 1.0) is not None
            assert sweep(table, tableau, 0.5, 1.5)(NORTH, 1.0) is not None
        assert (counter.points, counter.values) == (5 * stages, 35 * stages)


def test_nothing_stays_wrapped_even_after_an_error():
    before = (shtns.sht.SH_to_spat, ducc0.nufft.u2nu, circle.rfft, _softmax.first)
    with pytest.raises(ZeroDivisionError), counting():
        assert ducc0.nufft.u2nu is not before[1]
        _ = 1 / 0
    assert (shtns.sht.SH_to_spat, ducc0.nufft.u2nu, circle.rfft, _softmax.first) == before
    sphere = grid(15)
    with counting() as counter:
        pass
    sphere.to_grid(np.zeros(size(15), complex))
    assert counter.grid == 0
