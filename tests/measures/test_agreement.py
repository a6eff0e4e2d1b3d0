"""Densities of all kinds and quadrature cloud on one noise path see one flow: their low moments agree."""

from functools import cache

import numpy as np
import pytest

import fpsolve as fp

START = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
MODELS = {
    "constant": fp.models.IsotropicFlow([4 * np.pi]),
    "isotropic": fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.45 * t + 0.1 * t**3, 8),
    "attention": fp.models.SelfAttention(beta=4.0, value=[[1, 0.3, 0], [0, 0.5, 0], [0.1, 0, 1]]),
    "value noise": fp.models.Homogenized(beta=4.0, drift=[[1, 0.3, 0], [0, 0.5, 0], [0.1, 0, 1]]),
    "gaussian": fp.models.Homogenized(beta=4.0, key_query="gaussian", noise_lmax=16),
    "product": fp.models.Homogenized(beta=2.0, key_query="product", noise_lmax=16),
}
CASES = [(model, dt, None) for model in MODELS for dt in (0.02, 0.01)] + [("isotropic", 0.005, None)]
CASES += [(model, 0.02, scheme) for model in ("isotropic", "attention") for scheme in ("heun", "ninomiya")]
CASES += [("attention", 0.02, "lie_euler")]


@cache
def solved(model: str, dt: float, scheme: str | None, measure: str, lmax: int):
    return fp.solve(
        MODELS[model], START, t_end=0.06, dt=dt, scheme=scheme, measure=measure, lmax=lmax, rtol=1e-8, seed=5,
        save_every=0.02,
    )  # fmt: skip


@pytest.mark.parametrize(("model", "dt", "scheme"), CASES)
def test_moments_agree_to_1e6_while_resolved(model, dt, scheme):
    cloud = solved(model, dt, scheme, "cloud", 47)
    for measure in ("density", "half_density", "log_density"):
        ds = solved(model, dt, scheme, measure, 47)
        resolved = ds.tail.values < (1e-9 if measure == "log_density" else 1e-8)
        assert resolved[:3].all()
        difference = np.abs(ds.moments - cloud.moments).max("harmonic").values
        assert difference[resolved].max() < 1e-6
    assert np.abs(ds.mean_vector - cloud.mean_vector).max() < 1e-6


@pytest.mark.parametrize("model", ["isotropic", "attention", "value noise"])
def test_the_cloud_is_refined_below_1e7(model):
    coarse, fine = (solved(model, 0.02, None, "cloud", lmax) for lmax in (47, 63))
    assert np.abs(coarse.moments - fine.moments).max() < 1e-7
    assert np.abs(coarse.entropy - fine.entropy).max() < 1e-7


@pytest.mark.parametrize("model", ["constant", "attention", "value noise", "gaussian"])
def test_entropies_agree(model):
    """-∫ρ log ρ on the grid and -Σ w log ρ along the characteristics are independent routes."""
    density, logs, cloud = (solved(model, 0.01, None, name, 47) for name in ("density", "log_density", "cloud"))
    assert np.abs(density.entropy - cloud.entropy).max() < 1e-6
    assert np.abs(logs.entropy - cloud.entropy).max() < 1e-6


def test_energy_of_every_measure_agrees():
    measures = ("density", "half_density", "log_density", "cloud")
    runs = [solved("value noise", 0.01, None, measure, 47).energy.values for measure in measures]
    assert np.abs(runs[0] - runs[1]).max() < 1e-6 * runs[0].max()
    assert np.abs(runs[0] - runs[2]).max() < 1e-6 * runs[0].max()
    assert np.abs(runs[0] - runs[3]).max() < 1e-6 * runs[0].max()


@pytest.mark.parametrize("measure", ["density", "half_density", "log_density", "cloud"])
def test_mass_is_kept(measure):
    assert np.abs(solved("isotropic", 0.005, None, measure, 47).mass - 1).max() < 2e-8
    if measure not in ("half_density", "log_density"):
        assert np.abs(solved("isotropic", 0.005, None, measure, 47).mass - 1).max() < 1e-14
