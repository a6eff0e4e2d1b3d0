"""Velocity fields: one field in every representation, its divergence by independent routes."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.measures.build import build
from fpsolve.sphere import SpherePoints, grid
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import size
from fpsolve.transport.velocity import PotentialField, ZeroField

MATRIX = np.array([[0.3, -1.0, 0.2], [0.5, 0.1, 0.0], [-0.4, 0.7, -0.2]])
LINEAR = fp.AmbientField(lambda sites: np.einsum("ab,...b->...a", MATRIX, sites.x))


def points(n=50):
    x = np.random.default_rng(0).standard_normal((n, 3))
    return SpherePoints(x / np.linalg.norm(x, axis=1, keepdims=True))


def harmonic(degree=6):
    rng = np.random.default_rng(1)
    modes = rng.standard_normal((3, size(degree))) + 1j * rng.standard_normal((3, size(degree)))
    modes[:, : degree + 1] = modes[:, : degree + 1].real
    return fp.HarmonicField(*modes)


def exact_divergence(x):
    """div_S P_x A x = tr A - 3 x·Ax."""
    return np.trace(MATRIX) - 3 * np.einsum("na,ab,nb->n", x, MATRIX, x)


def test_resolved_ambient_field_is_the_field_and_has_its_divergence():
    sites, resolved = points(), LINEAR.resolved()
    assert isinstance(resolved, fp.HarmonicField)
    assert np.abs(resolved.on(sites) - LINEAR.on(sites)).max() < 1e-10
    assert np.abs(resolved.divergence(sites) - exact_divergence(sites.x)).max() < 1e-9


def test_differences_give_the_divergence_where_harmonics_do_not():
    sites = points()
    assert np.abs(LINEAR.divergence(sites) - exact_divergence(sites.x)).max() < 1e-9


def test_a_field_with_a_jump_is_not_resolved():
    jump = fp.AmbientField(lambda sites: np.sign(sites.x[..., :1]) * np.array([0.0, 0.0, 1.0]))
    assert jump.resolved() is jump


@pytest.mark.parametrize("sites", [grid(15), points()])
def test_sums_and_multiples_in_every_representation(sites):
    total = 2.0 * harmonic() + LINEAR * 0.5 + ZeroField()
    expected = 2 * harmonic().on(sites) + 0.5 * LINEAR.on(sites)
    assert np.abs(total.on(sites) - expected).max() < 1e-12 * np.abs(expected).max()
    assert np.abs(total.resolved().on(sites) - expected).max() < 1e-9 * np.abs(expected).max()


def test_sum_of_harmonic_fields_of_two_degrees_is_harmonic():
    sites = points()
    total = harmonic(6) + harmonic(3)
    assert isinstance(total, fp.HarmonicField)
    for part in ("on", "ambient", "divergence"):
        expected = getattr(harmonic(6), part)(sites) + getattr(harmonic(3), part)(sites)
        assert np.abs(getattr(total, part)(sites) - expected).max() < 1e-10 * np.abs(expected).max()


def test_radial_part_is_seen_by_the_layer_map_only():
    sites, field = points(), harmonic()
    radial = np.einsum("na,na->n", field.ambient(sites), sites.x)
    assert np.abs(radial - sites.scalar(field.radial)).max() < 1e-10
    assert np.abs(np.einsum("na,na->n", field.on(sites), sites.x)).max() < 1e-10


@pytest.mark.parametrize("degree", [32, 40, 47])
def test_a_component_between_the_degrees_of_the_grid_and_its_products_is_not_lost(degree):
    """A grid of degree 31 analyses products exactly, so degrees just above its own are orthogonal to what it sees."""
    modes = np.zeros((2, size(degree)), complex)
    modes[0, 1], modes[0, degree] = 1.0, 1e-5
    hidden = fp.HarmonicField(*modes)
    field = fp.AmbientField(lambda sites: hidden.ambient(sites))
    assert field.resolved(3, 31) is field
    found = field.resolved(3)
    assert isinstance(found, fp.HarmonicField) and abs(found.spheroidal[degree] - 1e-5) < 1e-12


VALUE_NOISE = fp.models.Homogenized(beta=4.0)


@pytest.mark.parametrize("d", [2, 3])
def test_the_harmonics_of_a_gradient_are_those_of_its_potential(d):
    """Value noise's Itô correction: by |F|² on the grid, against its vectors by second derivatives of log M."""
    law = fp.initial.von_mises_fisher([0.3, -0.5, 1][:d], 2.0)
    source = build(law, "density", 63, 1e-6).source
    field = VALUE_NOISE.correction_field(source)
    by_potential, by_vectors = field.resolved(d), fp.AmbientField(field.function).resolved(d)
    assert isinstance(by_potential, fp.HarmonicField) and isinstance(by_vectors, fp.HarmonicField)
    x = np.random.default_rng(5).normal(size=(50, d))
    sites = geometry(d).points(x / np.linalg.norm(x, axis=1)[:, None])
    expected = field.on(sites)
    assert np.abs(expected).max() > 0.01
    for found in (by_potential, by_vectors):
        assert np.abs(found.on(sites) - expected).max() < 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize("degree", [32, 40, 47])
def test_a_component_of_a_potential_above_the_degree_of_the_grid_is_not_lost(degree):
    modes = np.zeros(size(degree), complex)
    modes[1], modes[degree] = 1.0, 1e-5
    hidden = fp.HarmonicField(modes, np.zeros_like(modes))
    field = PotentialField(hidden.ambient, lambda sites: 3.0 + sites.scalar(modes))
    assert field.resolved(3, 31) is field
    found = field.resolved(3)
    assert isinstance(found, fp.HarmonicField) and abs(found.spheroidal[degree] - 1e-5) < 1e-12


def given(degree, strength=1.0):
    modes = np.zeros((2, size(degree)), complex)
    modes[0, 1], modes[1, degree] = 0.3, strength
    one = fp.HarmonicField(*modes)
    return fp.AmbientField(lambda sites: one.ambient(sites))


def test_fields_beside_each_other_are_looked_at_together():
    """A small part alone has too much in its last degrees; beside a large field that is little, as long as it is."""
    sites, small, large = points(), given(30, 0.1), 1e12 * given(5)
    assert small.resolved(3, 31) is small
    total = small + large
    found = total.resolved(3, 31)
    assert isinstance(found, fp.HarmonicField)
    assert np.abs(found.on(sites) - total.on(sites)).max() < 1e-10 * np.abs(total.on(sites)).max()
    beside = small + 1e3 * given(5) + harmonic()
    kept = beside.resolved(3, 31)
    assert not isinstance(kept, fp.HarmonicField)
    assert np.abs(kept.on(sites) - beside.on(sites)).max() < 1e-12 * np.abs(beside.on(sites)).max()
    hidden = (given(40, 0.1) + 1e3 * given(5)).resolved(3, 31)
    assert not isinstance(hidden, fp.HarmonicField)
