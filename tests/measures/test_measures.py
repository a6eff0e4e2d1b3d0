"""Measures by themselves: heat flow, filter, tokens in any dimension, what they refuse."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.measures.build import build
from fpsolve.sphere.harmonics import degrees_orders

START = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)


def test_heat_decays_every_degree_exactly():
    """ρ_ℓm(t) = e^{-νℓ(ℓ+1)t} ρ_ℓm(0)."""
    model = fp.models.IsotropicFlow([0.0], noise=0.0, diffusion=0.7)
    ds = fp.solve(model, START, t_end=0.1, dt=0.01, lmax=15)
    degree = ds.degree.values
    exact = ds.moments.values[0] * np.exp(-0.7 * degree * (degree + 1) * 0.1)
    assert np.abs(ds.moments.values[-1] - exact).max() < 1e-13


def test_filter_is_the_stated_factor():
    density = build(START, "density", 15, 1e-9)
    filtered = fp.Density(density.coefficients, 1e-9, filter=0.15)
    constant = fp.models.IsotropicFlow([4 * np.pi])
    path = fp.BrownianPath(2)
    v = constant.noise_field(density.source, path.increment(0, 0.01, constant.channels(3)))
    ell, _ = degrees_orders(15)
    displacement = np.sqrt(density.grid.integral((v.on(density.grid) ** 2).sum(axis=0)) / (8 * np.pi))
    factor = np.exp(-0.15 * displacement * 15 * (ell / 15) ** 16)
    assert factor[ell == 15].max() < 1
    expected = density.transport(v).coefficients * factor
    assert np.abs(filtered.transport(v).coefficients - expected).max() < 1e-15


def test_a_filtered_density_follows_low_moments_where_an_unfiltered_one_fails():
    """Past resolution (tail above 1e-4) the filtered low moments stay within 3 % of the characteristics."""
    model = fp.models.Homogenized(beta=4.0, key_query="gaussian", noise_lmax=16)
    few = {"t_end": 1.5, "dt": 0.01, "save_every": 0.5, "seed": 4}
    cloud = fp.solve(model, START, measure="cloud", lmax=15, rtol=1e-4, **few)
    ds = fp.solve(model, START, lmax=31, filter=0.15, **few)
    assert ds.tail[-1] > 1e-4
    assert np.abs(ds.mean_vector - cloud.mean_vector).max() < 0.03


@pytest.mark.parametrize("d", [2, 4, 8])
def test_tokens_in_any_dimension(d):
    """Value noise needs no harmonics: tokens in R^d stay on the sphere, energy and overlap are the direct sums."""
    model = fp.models.Homogenized(beta=2.0, drift=0.5)
    tokens = fp.initial.samples(fp.initial.uniform(d), 40, seed=1)
    ds = fp.solve(model, tokens, t_end=0.05, dt=0.01, measure="cloud", save_points=True, rtol=1e-8)
    x = ds.points.values[-1]
    assert np.abs(np.linalg.norm(x, axis=1) - 1).max() < 1e-12
    assert ds.overlap.values[-1] == pytest.approx(float((x.mean(axis=0) ** 2).sum()), rel=1e-12)
    assert ds.energy.values[-1] == pytest.approx(np.exp(2.0 * x @ x.T).mean() / 4, rel=1e-12)
    assert ("moments" in ds) == (d == 2)
    assert "entropy" not in ds


def test_tokens_on_a_great_sphere_stay_in_it_without_noise():
    """The same deterministic tokens in d = 3 and embedded in d = 5 move alike: moments and direct sums agree."""
    tokens = fp.initial.samples(START, 200, seed=1)
    embedded = fp.initial.points(np.pad(tokens.x, ((0, 0), (0, 2))))
    model = fp.models.SelfAttention(beta=6.0)
    few = {"t_end": 0.5, "dt": 0.1, "measure": "cloud", "save_points": True, "rtol": 1e-9}
    low, high = fp.solve(model, tokens, **few), fp.solve(model, embedded, **few)
    assert np.abs(high.points.values[..., :3] - low.points.values).max() < 1e-8
    assert np.abs(high.points.values[..., 3:]).max() < 1e-12


def test_results_carry_their_configuration():
    import json

    ds = fp.solve(fp.models.Homogenized(beta=1.0), START, t_end=0.01, dt=0.01, lmax=15, seed=9)
    config = json.loads(ds.fpsolve_config)
    assert config["model"]["name"] == "Homogenized" and config["model"]["beta"] == 1.0
    assert config["initial"]["kappa"] == 2.0
    assert config["solve"]["seed"] == 9 and config["solve"]["scheme"] == "lie_euler"
    assert {"shtns", "numpy", "fpsolve"} <= json.loads(ds.fpsolve_versions).keys()
    assert ds.attrs["Conventions"].startswith("CF")


def test_a_half_density_keeps_its_mass_over_many_steps():
    """‖ψ‖² stays one to 1e-6 at the default tolerance, also past the resolution."""
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)
    ds = fp.solve(flow, START, t_end=2.0, dt=0.02, path_cell=0.02, lmax=31, measure="half_density", seed=2)
    assert ds.tail[-1] > 1e-4
    assert np.abs(ds.mass - 1).max() < 1e-6


def test_half_density_knows_the_moments_of_its_square():
    """ψ² has degree 2ℓmax: moments beyond ℓmax are those of the law."""
    sharp = fp.initial.von_mises_fisher([0, 0, 1], 20.0)
    half, full = build(sharp, "half_density", 23, 1e-6), build(sharp, "density", 63, 1e-6)
    assert np.abs(half.moments(40) - full.moments(40)).max() < 1e-9
