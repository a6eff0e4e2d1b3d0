"""The operators: one application against its parts, the bound on their norm, thin grids, and what they leave alone."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.measures.build import build
from fpsolve.sphere import grid
from fpsolve.sphere.circle import circle_grid
from fpsolve.sphere.grid import COARSEST_FIELD, Grid
from fpsolve.sphere.harmonics import laplacian, size
from fpsolve.transport.exponential import exponential
from fpsolve.transport.operators import (
    AdvectionOperator,
    CircleAdvection,
    CircleSkew,
    SkewOperator,
    advection,
    skew_advection,
    smooth_field,
    spectral_bound,
    transport_grid,
)
from fpsolve.transport.velocity import AmbientField

BOTH = pytest.mark.parametrize("kind", [AdvectionOperator, SkewOperator])


def modes(degree, seed=0, count=1):
    """Coefficients of real fields."""
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((count, size(degree))) + 1j * rng.standard_normal((count, size(degree)))
    u[:, : degree + 1] = u[:, : degree + 1].real
    return u if count > 1 else u[0]


def field(degree, seed=1):
    """A field that is no gradient and not free of divergence, of size about one."""
    return 0.1 * fp.HarmonicField(*modes(degree, seed, 2))


def test_advection_is_minus_the_divergence_of_the_flux():
    sphere, u = grid(15), modes(15)
    v = field(5).on(sphere)
    out = np.zeros_like(u)
    AdvectionOperator(sphere, v).add_to(u, out, 1.0)
    assert np.abs(out + sphere.surface_div(sphere.to_grid(u) * v)).max() < 1e-12 * np.abs(out).max()


def test_skew_form_is_half_the_sum_of_advection_and_derivative_along_the_field():
    sphere, u = grid(15), modes(15)
    v = field(5).on(sphere)
    out = np.zeros_like(u)
    SkewOperator(sphere, v).add_to(u, out, 1.0)
    flux = sphere.surface_div(sphere.to_grid(u) * v)
    along = sphere.to_modes((sphere.gradient(u) * v).sum(axis=0))
    assert np.abs(out + (flux + along) / 2).max() < 1e-12 * np.abs(out).max()


@pytest.mark.parametrize("kind", [AdvectionOperator, SkewOperator, CircleAdvection, CircleSkew])
def test_one_step_of_a_recurrence_is_its_parts(kind):
    on_circle = kind in (CircleAdvection, CircleSkew)
    here = circle_grid(15) if on_circle else grid(15)
    u, before, result = modes(15, 3, 3)[:, :16] if on_circle else modes(15, 3, 3)
    v = np.cos(here.angle)[None] if on_circle else field(4).on(here)
    operator, change = kind(here, v), np.zeros_like(u)
    operator.add_to(u, change, 1.0)
    out, total = before.copy(), result.copy()
    square = operator.recur(u, out, 0.7, -0.3, total)
    np.testing.assert_allclose(out, before + 0.7 * change, rtol=0, atol=1e-12 * np.abs(change).max())
    np.testing.assert_allclose(total, result - 0.3 * out, rtol=0, atol=1e-13)
    assert square == pytest.approx(np.linalg.norm(out) ** 2, rel=1e-13)


@BOTH
def test_bound_holds_for_the_norm_and_is_met_by_a_rotation(kind):
    """‖L‖ ≤ √(ℓ(ℓ+1)) max|v|; for x × w it is |w| ℓ exactly."""
    lmax = 9
    sphere = grid(lmax)
    for degree, seed in ((1, 1), (3, 2), (9, 3)):
        v = field(degree, seed).on(sphere)
        norm = np.linalg.norm(_matrix(kind(sphere, v), lmax), 2)
        assert 0.2 * spectral_bound(v, lmax) < norm <= spectral_bound(v, lmax)
    v = AmbientField(lambda sites: np.cross([0.0, 0.0, 2.0], sites.x)).on(sphere)
    norm = np.linalg.norm(_matrix(kind(sphere, v), lmax), 2)
    assert norm == pytest.approx(2 * lmax, rel=1e-10)
    assert spectral_bound(v, lmax) == pytest.approx(2 * np.sqrt(lmax * (lmax + 1)), rel=5e-3)


def _matrix(operator, lmax):
    """L on real unknowns of an orthonormal basis."""
    weight = np.full(size(lmax), np.sqrt(2.0))
    weight[: lmax + 1] = 1.0
    units = np.eye(size(lmax), dtype=complex) / weight
    columns = []
    for unit in [*units, *(1j * units[lmax + 1 :])]:
        out = np.zeros(size(lmax), complex)
        operator.add_to(unit, out, 1.0)
        columns.append(np.concatenate([weight * out.real, (weight * out.imag)[lmax + 1 :]]))
    return np.array(columns).T


@BOTH
@pytest.mark.parametrize("lmax", [63, 127])
def test_thin_grid_changes_nothing_but_round_off(kind, lmax):
    velocity, sphere = field(COARSEST_FIELD), grid(lmax)
    thin = transport_grid(sphere, velocity)
    assert thin is transport_grid(sphere, field(3)) and np.prod(thin.shape) < 0.75 * np.prod(sphere.shape)
    u = modes(lmax)
    outs = np.zeros((2, len(u)), complex)
    make = advection if kind is AdvectionOperator else skew_advection
    for here, out in zip((sphere, thin), outs, strict=True):
        make(sphere, velocity.on(here)).add_to(u, out, 1.0)
    assert np.abs(outs[0] - outs[1]).max() < 1e-12 * np.abs(outs).max()


def test_grids_that_stay():
    """Small grids, fields of higher degree or of none, and the circle."""
    assert transport_grid(grid(31), field(3)) is grid(31)
    assert transport_grid(grid(63), field(COARSEST_FIELD + 1)) is grid(63)
    assert transport_grid(grid(63), AmbientField(lambda sites: sites.x)) is grid(63)
    assert transport_grid(circle_grid(63), field(3)) is circle_grid(63)


def test_a_smooth_field_is_taken_in_harmonics_and_moves_a_density_as_it_did_itself():
    """The looser tolerance takes the field of degree 31; at 1e-11 it stays what it is, as where it is not resolved."""
    smooth = AmbientField(lambda sites: 0.1 * np.exp(sites.x @ np.array([[1.0, 2, 0], [0, 1, 1], [2, 0, -1]]) / 3))
    rough = AmbientField(lambda sites: sites.x * np.abs(sites.x[..., :1]) + [0, 0, 1] * np.sign(sites.x[..., :1]))
    taken = smooth_field(grid(63), smooth, 3, 1e-6)
    assert isinstance(taken, fp.HarmonicField) and taken.degree <= 31
    for kept in (smooth_field(grid(63), smooth, 3, 1e-11), smooth_field(grid(61), smooth, 3, 1e-6)):
        assert kept is smooth
    assert smooth_field(grid(127), rough, 3, 1e-6) is rough
    law = fp.initial.von_mises_fisher([0, 0.6, 0.8], 2.0)
    for measure in ("density", "half_density"):
        start = build(law, measure, 63, 1e-8)
        moved = [replace(start, rtol=rtol).transport(smooth).moments(8) for rtol in (1e-8, 1e-12)]
        np.testing.assert_allclose(*moved, rtol=0, atol=1e-8)
        assert np.abs(moved[0] - start.moments(8)).max() > 1e-2


def test_a_thinner_grid_would_alias():
    """The thin grid is not wastefully fine: a field of twice the degree shows on it."""
    velocity, sphere = field(2 * COARSEST_FIELD + 20), grid(63)
    thin, u = sphere.carrying(3), modes(63)
    outs = np.zeros((2, len(u)), complex)
    for here, out in zip((sphere, thin), outs, strict=True):
        AdvectionOperator(here, velocity.on(here)).add_to(u, out, 1.0)
    assert np.abs(outs[0] - outs[1]).max() > 1e-6 * np.abs(outs).max()


@BOTH
def test_an_application_allocates_nothing_and_leaves_its_input_alone(kind):
    sphere, u = grid(63), modes(63)
    v = field(8).on(sphere)
    operator, out, kept = kind(sphere, v), np.zeros_like(u), (u.copy(), v.copy())
    operator.recur(u, out, 1.0, 1.0, out.copy())
    result = np.zeros_like(u)
    tracemalloc.start()
    operator.recur(u, out, 1e-3, 1.0, result)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8192  # an array of coefficients has 33 kB, a field 147 kB
    assert np.array_equal(u, kept[0]) and np.array_equal(v, kept[1])


@BOTH
def test_exponential_returns_a_fresh_array_and_equal_bits(kind):
    sphere, u = Grid(31), modes(31)
    v = field(5).on(sphere)
    kept = u.copy()
    results = [exponential(kind(sphere, v), u, spectral_bound(v, 31), 1e-8) for _ in range(2)]
    assert np.array_equal(results[0], results[1]) and not np.shares_memory(results[0], results[1])
    assert np.array_equal(u, kept)


@pytest.mark.parametrize("rtol", [1e-5, 1e-9])
@pytest.mark.parametrize("amount", [0.3, 1.0, -1.0])
def test_tolerance_where_the_flow_contracts_and_one_polynomial_is_long(amount, rtol):
    """A gradient field, R up to 90: against many short flows."""
    lmax = 63
    sphere = grid(lmax)
    v = AmbientField(lambda sites: amount * np.broadcast_to([0.0, 0.0, 1.0], sites.x.shape)).on(sphere)
    u = sphere.to_modes(np.exp(20 * (sphere.x[..., 0] - 1)))
    moved, exact = exponential(AdvectionOperator(sphere, v), u, 1.4 * spectral_bound(v, lmax), rtol), u
    for _ in range(10):
        exact = exponential(AdvectionOperator(sphere, v / 10), exact, spectral_bound(v / 10, lmax), 1e-13)
    assert np.linalg.norm(moved - exact) <= rtol * np.linalg.norm(exact)


def test_rates_are_the_eigenvalues():
    out, u = np.zeros(size(31), complex), modes(31)
    sphere = grid(31)
    AdvectionOperator(sphere, sphere.gradient(u)).add_to(np.eye(1, size(31), dtype=complex)[0], out, 1.0)
    expected = -laplacian(31) * u / np.sqrt(4 * np.pi)  # ρ = Y_00: L ρ = -Δf Y_00
    assert np.abs(out - expected).max() < 1e-11 * np.abs(expected).max()


def test_a_loose_measure_cuts_more_degrees_off_its_field_and_moves_as_a_tight_one():
    """By CUT·rtol of the norm, and no more than 1e-10."""
    decay = AmbientField(lambda sites: 0.1 * np.exp(3.0 * sites.x[..., :1]) * np.array([0.0, 1.0, 0.5]))
    degrees = [smooth_field(grid(63), decay, 3, rtol).degree for rtol in (1e-3, 1e-6, 1e-8, 1e-9, 1e-10)]
    assert degrees[0] == degrees[1] < degrees[2] < degrees[3] == degrees[4]
    start = build(fp.initial.von_mises_fisher([0, 0.6, 0.8], 2.0), "density", 63, 1e-6)
    moved = [replace(start, rtol=rtol).transport(decay).moments(8) for rtol in (1e-6, 1e-12)]
    assert np.abs(moved[0] - moved[1]).max() < 1e-7
