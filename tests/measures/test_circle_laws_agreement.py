"""The Gaussian and product key-query laws on S¹: density, half density, cloud and tokens see one flow."""

from functools import cache

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.measures.build import source_of
from fpsolve.noise import isotropic

START = fp.initial.von_mises_fisher([1.0, 0.5], 2.0)
MODELS = {
    "gaussian": fp.models.Homogenized(beta=4.0, key_query="gaussian", noise_lmax=16),
    "product": fp.models.Homogenized(beta=2.0, key_query="product", noise_lmax=12),
}


@cache
def solved(model: str, dt: float, measure: str):
    return fp.solve(MODELS[model], START, measure=measure, t_end=0.1, dt=dt, lmax=63, rtol=1e-8, seed=3)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dt", [0.02, 0.005])
def test_moments_entropy_and_energy_agree(model, dt):
    cloud = solved(model, dt, "cloud")
    for measure in ("density", "half_density", "log_density"):
        ds = solved(model, dt, measure)
        assert ds.tail.max() < 1e-8
        assert np.abs(ds.moments - cloud.moments).max() < 1e-6
        assert np.abs(ds.mean_vector - cloud.mean_vector).max() < 1e-6
        if "entropy" in ds:
            assert np.abs(ds.entropy - cloud.entropy).max() < 1e-6
    assert np.abs(cloud.moments[-1] - cloud.moments[0]).max() > 0.01  # it moved


@pytest.mark.parametrize("model", MODELS)
def test_tokens_follow_the_flow_of_the_points_they_are(model):
    """Tokens at the points and weights of a quadrature of μ, moved as tokens: the cloud's moments."""
    angles = 2 * np.pi * np.arange(200) / 200
    x = np.stack([np.cos(angles), np.sin(angles)], -1)
    weights = START.density(x)
    tokens = fp.initial.points(x, weights / weights.sum())
    ds = fp.solve(MODELS[model], tokens, measure="cloud", t_end=0.1, dt=0.02, seed=3)
    assert np.abs(ds.mean_vector - solved(model, 0.02, "cloud").mean_vector).max() < 1e-6


@pytest.mark.parametrize("model", MODELS)
def test_kernel_is_that_of_the_spectrum(model):
    """``kernel`` and ``spectrum`` of one law; |C_m| ≤ 2π/d."""
    system, lmax = MODELS[model], MODELS[model].noise_lmax
    start = fp.initial.simplex(2, -0.3, 2) if model == "product" else START
    expected = isotropic(2, lmax).spectrum(system.kernel(start), 4000)
    tolerance = 1e-4 if model == "product" else 1e-6  # two tokens: log M is not smooth
    np.testing.assert_allclose(system.spectrum(source_of(start)), expected, atol=tolerance * np.pi)


def test_dimensions_are_refused_by_name():
    tokens = fp.initial.samples(fp.initial.uniform(5), 4, seed=1)
    with pytest.raises(InputError, match="DrawnHeads"):
        fp.solve(MODELS["gaussian"], tokens, measure="cloud", t_end=0.02, dt=0.02)
    with pytest.raises(InputError, match="DrawnHeads"):
        MODELS["gaussian"].kernel(tokens)
