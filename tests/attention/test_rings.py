"""Sums between grids of rings against the direct sum, and spectra by them against the sums over points."""

from __future__ import annotations

import numpy as np
import pytest

import fpsolve as fp
from fpsolve._kernels.rings import LARGEST_RADIUS, RingSources, ring_modes
from fpsolve._kernels.softmax_numpy import softmax_attention
from fpsolve.attention.coarse_sphere import coarse_grid, product_sites, projections
from fpsolve.attention.laws import KeyQueryLaw
from fpsolve.attention.radial import RadialMesh
from fpsolve.attention.source import MomentSource
from fpsolve.attention.spectrum import NEARER, SpectrumEngine, spectrum_engine
from fpsolve.attention.thinning import LONGITUDES, SMOOTH, ThinnedSets, in_rings, longitudes, on_rings
from fpsolve.errors import InputError
from fpsolve.measures.build import build
from fpsolve.sphere.harmonics import Real, power, size

AXES = {"pole": (0.0, 0.0, 1.0), "south": (0.1, 0.0, -0.9), "tilted": (0.6, 0.48, 0.64), "equator": (0.0, 1.0, 0.0)}
SHAPES = [((21, 48), (18, 24)), ((20, 60), (11, 20)), ((13, 26), (14, 26)), ((9, 84), (7, 42)), ((1, 6), (1, 3))]


def cap(shape: tuple[int, int], axis: str | tuple[float, float, float], kappa: float = 40.0) -> Real:
    """Masses of a von Mises–Fisher cap on a product grid, zero where they are below e^{-30} of the largest."""
    x, weights = product_sites(*shape)
    along = AXES[axis] if isinstance(axis, str) else axis
    direction = np.array(along) / np.linalg.norm(along)
    exponent = kappa * (x @ direction - 1)
    mass = np.where(exponent > max(-30.0, exponent.min()), weights * np.exp(exponent), 0.0)
    return np.asarray(mass / mass.sum()) if mass.any() else np.ones(shape) / np.prod(shape)


def direct(radius: float, mass: Real, shape: tuple[int, int]) -> Real:
    kept = mass > 0
    g = radius * product_sites(*shape)[0].reshape(-1, 3)
    return softmax_attention(g, product_sites(*mass.shape)[0][kept], mass[kept])[0].reshape(shape)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize(("sources", "targets"), SHAPES)
@pytest.mark.parametrize("radius", [0.0, 1.0, 30.0, LARGEST_RADIUS])
def test_sums_agree_with_the_direct_sum(
    axis: str, sources: tuple[int, int], targets: tuple[int, int], radius: float
) -> None:
    """Rounding is that of the exponents; what is left out is below the number of rings times e^{-17}."""
    mass = cap(sources, axis)
    rings, exact = RingSources(mass), direct(radius, mass, targets)
    np.testing.assert_allclose(rings.log_M(radius, targets, 1e9), exact, rtol=0, atol=1e-14 * (10 + radius))
    found = rings.log_M(radius, targets, 17.0)
    np.testing.assert_allclose(found, exact, rtol=0, atol=sources[0] * np.exp(-17) + 1e-14 * (10 + radius))


def test_rings_that_do_not_matter_are_left_out() -> None:
    mass = cap((60, 24), "pole", 3.0)
    all_of_them, fewer = (RingSources(mass).log_M(200.0, (8, 12), depth) for depth in (1e9, 5.0))
    assert 0 < np.abs(all_of_them - fewer).max() < 0.1


def test_arguments_are_checked() -> None:
    rings = RingSources(cap((10, 24), "pole"))
    with pytest.raises(InputError, match="divisor of 24"):
        rings.log_M(1.0, (4, 10), 17.0)
    with pytest.raises(InputError, match="shape"):
        rings.log_M(1.0, (0, 12), 17.0)
    for radius in (-1.0, np.nan, 1.01 * LARGEST_RADIUS):
        with pytest.raises(InputError, match="radius"):
            rings.log_M(radius, (4, 12), 17.0)
    for weights in (np.zeros((3, 6)), -np.ones((3, 6)), np.full((3, 6), np.nan), np.ones(6), np.full((3, 6), np.inf)):
        with pytest.raises(InputError, match="weights"):
            RingSources(weights)


@pytest.mark.parametrize("least", [20, 28, 36, 44, 52, 60, 67])
def test_longitudes_of_targets_divide_those_of_sources(least: int) -> None:
    """At most 1.9 times as many as asked for, on the large grids where it costs most 1.4 times."""
    for count in (*LONGITUDES, longitudes(481), longitudes(700)):
        shape = (5, count)
        finer = on_rings(coarse_grid(max(least // 2 - 2, 1), 1, least), RingSources(np.ones(shape)))
        assert (finer is None) == (count < least)
        assert finer is None or (count % finer.shape[1] == 0 and finer.shape[1] >= least)
    assert [longitudes(n) for n in (1, 24, 25, 73, 109, 361, 481)] == [24, 24, 48, 84, 156, 480, 720]


def density(kappa: float, axis: str = "tilted", lmax: int = 63) -> fp.Density:
    return build(fp.initial.von_mises_fisher(AXES[axis], kappa), "density", lmax, 1e-6)  # type: ignore[return-value]


def log_s(u: Real) -> Real:
    """log(sinh u / u)."""
    return np.asarray(u + np.log(-np.expm1(-2 * u) / (2 * u)))


@pytest.mark.parametrize(("kappa", "radius"), [(5.0, 20.0), (20.0, 10.0), (20.0, 34.0)])
def test_densities_in_rings_have_the_closed_form(kappa: float, radius: float) -> None:
    rho, grid = density(kappa).coefficients, coarse_grid(16)
    rings = in_rings((rho, 1), radius, SMOOTH)
    finer = on_rings(grid, rings)
    x = product_sites(*finer.shape)[0]
    axis = np.array(AXES["tilted"]) / np.linalg.norm(AXES["tilted"])
    exact = log_s(np.linalg.norm(kappa * axis + radius * x, axis=-1)) - log_s(np.array(kappa))
    known = exact - exact.max() > np.log(1e-8)
    assert known.mean() > 0.4
    np.testing.assert_allclose(rings.log_M(radius, finer.shape, 17.0)[known], exact[known], rtol=0, atol=1e-6)


def test_rings_serve_densities_alone_and_radii_that_do_not_underflow() -> None:
    coefficients = density(20.0).coefficients
    points = lambda: product_sites(4, 8)  # noqa: E731
    assert ThinnedSets(points, None).rings(3.0, 30.0) is None
    sets = ThinnedSets(points, lambda: (coefficients, 1))
    assert sets.rings(1.01 * LARGEST_RADIUS, 500.0) is None
    near, far = sets.rings(20.0, 500.0), sets.rings(299.0, 500.0)
    assert near is not None and far is not None and near.weights.size < far.weights.size
    assert sets.rings(21.0, 500.0) is near


@pytest.mark.parametrize("kind", ["gaussian", "product"])
@pytest.mark.parametrize("name", ["vmf100", "two"])
def test_spectra_by_rings_agree_with_those_by_points(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rho = density(100.0, lmax=127).coefficients
    measure = fp.Density(rho if name == "vmf100" else (rho + density(100.0, "equator", 127).coefficients) / 2)
    engine = spectrum_engine(KeyQueryLaw(kind, 1.0), 4.0, 1.0, 16)
    found = engine.of(measure.source)
    monkeypatch.setattr(ThinnedSets, "rings", lambda *_: None)
    by_points = engine.of(fp.Density(measure.coefficients).source)
    np.testing.assert_allclose(found, by_points, rtol=0, atol=3e-7 * 4 * np.pi)
    assert not np.array_equal(found, by_points)


class Exact(MomentSource):
    """log M of a von Mises–Fisher law in closed form."""

    def __init__(self, kappa: float) -> None:
        self.kappa = kappa

    def log_M(self, g: Real) -> Real:
        axis = np.array(AXES["tilted"]) / np.linalg.norm(AXES["tilted"])
        return log_s(np.linalg.norm(self.kappa * axis + g, axis=-1)) - log_s(np.array(self.kappa))


@pytest.mark.parametrize("kind", ["gaussian", "product"])
@pytest.mark.parametrize("kappa", [2.0, 100.0])
def test_nearer_spheres_do(kind: str, kappa: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spectrum by spheres that span a part of the radii, log M ∝ r beyond, against all of them."""
    law, source = KeyQueryLaw(kind, 1.0), Exact(kappa)
    near = SpectrumEngine(law, 2.0, 1.0, 8)
    monkeypatch.setitem(NEARER, kind, (1.0, 0))
    all_of_them = SpectrumEngine(law, 2.0, 1.0, 8)
    assert near.radii[-1] < 0.72 * all_of_them.radii[-1] and len(near.radii) < len(all_of_them.radii)
    found, expected = (
        engine.spectrum(np.stack([source.log_M(r * engine.grid.x) for r in engine.radii]))
        for engine in (near, all_of_them)
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * 4 * np.pi)


@pytest.mark.parametrize("degree", [2, 3])
def test_beyond_the_last_radius_functions_are_proportional_to_it(degree: int) -> None:
    mesh, last = RadialMesh(20.0, 12), np.array([20.0])
    beyond = mesh.degree_interpolation(1.4 * last, degree)
    np.testing.assert_allclose(beyond, 1.4 * mesh.degree_interpolation(last, degree), rtol=1e-13, atol=1e-15)


def test_a_finer_tolerance_keeps_all_spheres() -> None:
    law = KeyQueryLaw("gaussian", 1.0)
    assert SpectrumEngine(law, 0.5, 1.0, 4, 1e-8).radii[-1] > 0.95 * law.radius_max(0.5)


@pytest.mark.parametrize(("kappa", "beta"), [(200.0, 12.0), (300.0, 20.0)])
def test_the_ringing_of_a_half_density_is_no_mass(kappa: float, beta: float) -> None:
    """ψ of vMF(300) rings at 1e-9 of its peak at lmax 63: its spectrum is that of lmax 127 all the same."""
    law = fp.initial.von_mises_fisher([0.0, 0.6, 0.8], kappa)
    model = fp.models.Homogenized(beta=beta, key_query="gaussian", noise_lmax=16)
    low, high = (model.spectrum(build(law, "half_density", lmax, 1e-6).source) for lmax in (63, 127))
    np.testing.assert_allclose(low, high, rtol=0, atol=2e-6 * 4 * np.pi)


@pytest.mark.parametrize(("slope", "beta"), [(3.0, 2.0), (1.5, 4.0), (3.0, 20.0)])
def test_densities_of_low_degree_with_negative_lobes_have_a_spectrum(slope: float, beta: float) -> None:
    """Their rings have fewer longitudes than a rung asks for: the spectrum is that of their points."""
    coefficients = np.zeros(size(7), complex)
    coefficients[:2] = np.array([1.0, slope / np.sqrt(3.0)]) / np.sqrt(4 * np.pi)
    model = fp.models.Homogenized(beta=beta, key_query="gaussian", noise_lmax=16)
    spectrum = model.spectrum(fp.Density(coefficients).source)
    assert np.isfinite(spectrum).all() and (spectrum >= 0).all() and spectrum[0] < 4 * np.pi


@pytest.mark.parametrize("near", [(0.0, 0.0, 1.0), (0.03, -0.02, 1.0), (0.0, 0.02, -1.0)])
@pytest.mark.parametrize(("sources", "targets"), SHAPES)
@pytest.mark.parametrize("radius", [0.0, 1e-25, 1e-3, 1.0, 30.0, LARGEST_RADIUS])
def test_waves_give_the_direct_sums_of_a_mass_about_the_axis(
    near: tuple[float, float, float], sources: tuple[int, int], targets: tuple[int, int], radius: float
) -> None:
    """More waves than longitudes, a middle latitude that is its own image, odd numbers of longitudes."""
    mass = cap(sources, near, 20.0) * (1 + 0.3 * np.sin(2 * np.pi * np.arange(sources[1]) / sources[1] + 0.4))
    rings, exact = RingSources(mass / mass.sum()), direct(radius, mass / mass.sum(), targets)
    found = rings.log_M(radius, targets, 12.0)
    assert rings.summed_directly == 0 or radius * np.hypot(*near[:2]) > 5
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-8 + 1e-14 * radius)


def test_waves_that_cancel_on_a_latitude_are_not_taken() -> None:
    """Mass on the equator: M varies along the latitudes there by e^{60}, near the poles by little."""
    mass, targets = cap((40, 72), "equator"), (18, 36)
    rings = RingSources(mass)
    found = rings.log_M(30.0, targets, 17.0)
    assert 0 < rings.summed_directly < 9
    np.testing.assert_allclose(found, direct(30.0, mass, targets), rtol=0, atol=40 * np.exp(-17))
    rings.log_M(30.0, targets, 1e9)
    assert rings.summed_directly == 9


@pytest.mark.parametrize(("degree", "margin", "nphi"), [(8, 1, 24), (9, 2, 27), (24, 1, None), (25, 7, 84), (0, 1, 4)])
def test_the_compiled_analysis_is_the_readable_one(degree: int, margin: int, nphi: int | None) -> None:
    grid = coarse_grid(degree, margin, nphi)
    field = np.random.default_rng(degree).normal(size=grid.shape)
    for asked in (degree, degree + 3):
        expected = grid.readable_modes(field, asked)
        modes, found = grid.analysed(field, asked)
        np.testing.assert_allclose(modes, expected, rtol=0, atol=1e-14)
        np.testing.assert_allclose(found, power(expected)[: degree + 1], rtol=1e-12)
    lower = max(degree - 2, 0)
    np.testing.assert_allclose(grid.to_modes(field, lower), grid.readable_modes(field, lower), rtol=0, atol=1e-14)
    with pytest.raises(ValueError, match="do not fit"):
        ring_modes(field[1:], projections(degree, degree + 1 + margin), degree)
