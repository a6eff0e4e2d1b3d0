"""Initial laws: densities against closed forms, samples against densities, in several dimensions."""

import numpy as np
import pytest
from scipy.special import ive, spherical_in
from scipy.stats import kstest

import fpsolve as fp
from fpsolve.measures.build import build
from fpsolve.sphere import grid
from fpsolve.sphere.harmonics import MASS_MOMENT

VMF = fp.initial.von_mises_fisher([0, 0, 2.0], 2.0)


def test_von_mises_fisher_moments_are_bessel_ratios():
    """ρ_ℓ0 = √((2ℓ+1)/4π) i_ℓ(κ)/i_0(κ), and nothing else."""
    density = build(VMF, "density", 31, 1e-6)
    ells = np.arange(32)
    exact = np.sqrt((2 * ells + 1) / (4 * np.pi)) * spherical_in(ells, 2.0) / spherical_in(0, 2.0)
    assert np.abs(density.coefficients[:32] - exact).max() < 1e-14
    assert np.abs(density.coefficients[32:]).max() < 1e-14


def test_uniform_law_in_every_measure():
    for measure, lmax in (("density", 15), ("half_density", 15), ("cloud", 15)):
        state = build(fp.initial.uniform(), measure, lmax, 1e-6)
        assert state.moments(2)[0] == pytest.approx(MASS_MOMENT, abs=1e-14)
        assert np.abs(state.moments(2)[1:]).max() < 1e-13


@pytest.mark.parametrize("d", [2, 3, 5, 16, 64])
def test_normalisation_and_samples_of_the_angle(d):
    """The sampled cosines follow the density; false-alarm rate 1e-4 each (Kolmogorov–Smirnov, 20 000 samples)."""
    axis = np.arange(1.0, d + 1)
    law = fp.initial.von_mises_fisher(axis, 3.0)
    assert law.density(law.axis) == pytest.approx(_vmf_peak(d, 3.0), rel=1e-10)
    x = fp.initial.samples(law, 20_000, seed=d).x
    assert np.abs(np.linalg.norm(x, axis=1) - 1).max() < 1e-12
    cosines = np.linspace(-1, 1, 200_001)
    angles = np.arccos(cosines[::-1])
    mass = np.exp(3 * np.cos(angles)) * np.sin(angles) ** (d - 2)
    table = np.concatenate([[0], np.cumsum((mass[1:] + mass[:-1]) / 2 * np.diff(angles))])
    result = kstest(np.arccos(np.clip(x @ law.axis, -1, 1)), lambda a: np.interp(a, angles, table / table[-1]))
    assert result.pvalue > 1e-4


def _vmf_peak(d, kappa):
    """κ^{d/2-1} e^κ / ((2π)^{d/2} I_{d/2-1}(κ))."""
    order = d / 2 - 1
    return kappa**order / ((2 * np.pi) ** (d / 2) * ive(order, kappa))


def test_mixture_band_and_samples_agree_with_their_moments():
    """Mean of 40 000 samples within 4.5 standard errors in every component (false-alarm rate 2e-5)."""
    law = fp.initial.mixture([VMF, fp.initial.band([1, 0, 0], 0.4, 0.2)], [0.3, 0.7])
    x = fp.initial.samples(law, 40_000, seed=1).x
    exact = build(law, "density", 63, 1e-6).mean
    assert (np.abs(x.mean(axis=0) - exact) < 4.5 * x.std(axis=0) / np.sqrt(len(x))).all()


def test_samples_are_a_pure_function_of_the_seed_and_only_append():
    first, second = fp.initial.samples(VMF, 100, 5).x, fp.initial.samples(VMF, 100, 5).x
    assert np.array_equal(first, second)
    assert not np.array_equal(first, fp.initial.samples(VMF, 100, 6).x)


@pytest.mark.parametrize(("n", "overlap", "d"), [(4, 0.3, 4), (4, -1 / 3, 3), (2, -0.3, 3), (5, 0.0, 8), (3, -0.5, 2)])
def test_simplex_tokens_have_equal_overlaps(n, overlap, d):
    x = fp.initial.simplex(n, overlap, d).x
    gram = x @ x.T
    assert np.abs(gram - ((1 - overlap) * np.eye(n) + overlap)).max() < 1e-12


def test_function_and_array_are_the_law_they_sample():
    sphere = grid(31)
    table = VMF.density(sphere.x)
    exact = build(VMF, "density", 31, 1e-6).coefficients
    for law in (fp.initial.function(VMF.density), fp.initial.array(table)):
        assert np.abs(build(law, "density", 31, 1e-6).coefficients - exact).max() < 1e-11


def test_a_result_can_be_the_start_of_another_run():
    flow = fp.models.IsotropicFlow([0.0, 1.0])
    ds = fp.solve(flow, VMF, t_end=0.02, dt=0.01, lmax=31, save_density=True, measure="density")
    again = build(fp.initial.array(ds.density.values[-1]), "density", 31, 1e-6)
    assert np.abs(again.mean - ds.mean_vector.values[-1]).max() < 1e-10


def test_recipes_are_plain_data():
    law = fp.initial.samples(fp.initial.mixture([VMF, fp.initial.uniform()]), 10, 3)
    assert law.recipe["name"] == "samples"
    assert law.recipe["law"]["components"][0] == {"name": "von_mises_fisher", "mean": [0, 0, 2.0], "kappa": 2.0}
