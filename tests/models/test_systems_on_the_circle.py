"""Synchronisation by noise on S¹ through the spectrum of its kernel, the Gaussian ballistic limit, tabulated laws."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.models import Ballistic, SynchronisationByNoise
from fpsolve.theory import isotropic_overlap

LAW = fp.initial.von_mises_fisher([1.0, 0.3], 2.0)


@pytest.mark.parametrize("activation", ["relu", "tanh", [0.3, 1.0, 0.5]])
def test_the_kernel_is_the_dual_activation(activation):
    """On S¹ up to what degrees above noise_lmax carry: C_m falls as m^-4 for ReLU, exponentially for the others."""
    model = SynchronisationByNoise(1.0, activation, noise_lmax=24)
    t = np.cos(np.linspace(0, np.pi, 41))
    gap = np.abs(model.kernel(LAW)(t) - model.dual(t)).max()
    assert gap < (2e-5 if activation == "relu" else 1e-6) * model.dual(1.0)
    if activation == "relu":
        assert gap > 1e-8


def test_the_noise_has_the_kernel():
    """Covariance of the field at two angles: the field is linear in the increments, so a sum over unit ones."""
    model = SynchronisationByNoise(1.0, "tanh", noise=0.7, noise_lmax=8)
    angles = np.array([0.4, 1.7])
    cloud = fp.Cloud(np.stack([np.cos(angles), np.sin(angles)], -1), np.full(2, 0.5), tokens=True)
    units = np.eye(model.channels(2))
    fields = np.stack([model.noise_field(cloud.source, e).ambient(cloud.sites) for e in units])
    covariance = np.einsum("kia,kjb->ijab", fields, fields)
    expected = 0.49 * model.dual(np.cos(angles[:, None] - angles))[..., None, None] * np.eye(2)
    np.testing.assert_allclose(covariance, expected, atol=1e-4)


def test_two_tokens_follow_the_overlap_equation():
    """E⟨x₁,x₂⟩ after one step over the rule exact to degree three: drift (d-2+q²)k(q) - (d-1)qκ, d = 2."""
    model, q, dt = SynchronisationByNoise(0.0, "tanh", value=0.0, noise_lmax=6), 0.3, 1e-4

    class Exact:
        def __init__(self, value):
            self.value = value

        def increment(self, t0, t1, channels, stream="common"):
            return self.value

    start, n = fp.initial.simplex(2, q, 2), model.channels(2)
    cloud = fp.Cloud(start.x, start.weights, tokens=True, rtol=1e-12)
    units = [sign * np.sqrt(n * dt) * e for e in np.eye(n) for sign in (1, -1)]
    ends = [fp.SCHEMES["lie_euler"].step(model, cloud, Exact(z), 0.0, dt).x for z in units]
    rate = (np.mean([x[0] @ x[1] for x in ends]) - q) / dt
    assert rate == pytest.approx(float(isotropic_overlap(model.dual, 2).drift(q)), abs=1e-3)


@pytest.mark.parametrize("model", [SynchronisationByNoise(1.5, "relu", noise_lmax=8), Ballistic(2.0, 1.0, "gaussian")])
def test_density_and_cloud_agree(model):
    few = {"t_end": 0.05, "dt": 0.025, "path_cell": 0.025, "lmax": 47, "rtol": 1e-8, "seed": 3}
    runs = [fp.solve(model, LAW, measure=measure, **few) for measure in fp.MEASURES if "zonal" not in measure]
    for other in runs[1:]:
        assert np.abs(other.moments - runs[0].moments).max() < 1e-6
    assert np.abs(runs[0].mean_vector[-1] - runs[0].mean_vector[0]).max() > 1e-3


def test_a_grid_that_does_not_hold_the_noise_is_refused():
    with pytest.raises(InputError, match="noise_lmax"):
        fp.solve(SynchronisationByNoise(1.0, noise_lmax=40), LAW, t_end=0.1, dt=0.1, lmax=8, path_cell=0.1)


def test_values_on_the_circle_are_a_law():
    """A result's density on S¹ is taken up again; values at 2πk/n are met, also off the grid."""
    few = {"dt": 0.02, "path_cell": 0.02, "lmax": 31, "seed": 3, "save_density": True, "measure": "density"}
    first = fp.solve(SynchronisationByNoise(1.5, noise_lmax=8), LAW, t_end=0.04, **few)
    again = fp.solve(Ballistic(1.0), fp.initial.array(first.density.values[-1]), t_end=0.02, **few)
    np.testing.assert_allclose(again.density.values[0], first.density.values[-1], atol=1e-10)
    angles = 2 * np.pi * np.arange(64) / 64
    law = fp.initial.array((1 + 0.5 * np.cos(2 * angles)) / (2 * np.pi))
    other = np.linspace(0, 6, 17)
    values = law.density(np.stack([np.cos(other), np.sin(other)], -1))
    np.testing.assert_allclose(values, (1 + 0.5 * np.cos(2 * other)) / (2 * np.pi), atol=1e-12)
    for bad in (np.ones(20), np.full(64, np.nan), np.ones((40, 4, 2))):
        with pytest.raises(InputError) as refused:
            fp.initial.array(bad)
        assert refused.value.argument == "values"
