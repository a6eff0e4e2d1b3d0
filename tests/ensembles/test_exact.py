"""Means over an ensemble against exact ones, frozen isotropic noise on S².

Seeds are fixed. Each test compares its numbers at once by Hotelling's T² and fails below a probability of 1e-4, its
false-alarm rate; half as much decay more, or a tenth more noise, is shown to be noticed.
"""

import numpy as np
import pytest
from scipy import stats

import fpsolve as fp
from fpsolve.ensembles import ensemble, statistics
from fpsolve.measures.build import build
from fpsolve.models import IsotropicFlow
from fpsolve.sphere.harmonics import power
from fpsolve.theory import isotropic_overlap

FALSE_ALARM = 1e-4
MEMBERS, T_END, NOISE, KAPPA = 256, 0.2, 0.5, 3.0


def kernel(t):
    return 0.2 + 0.3 * t + 0.2 * t**2 + 0.3 * t**3


def surprise(samples, expected):
    """The probability under the expected mean of a T² at least as large; samples (members, numbers)."""
    n, p = samples.shape
    off = samples.mean(0) - expected
    t_square = n * off @ np.linalg.solve(np.cov(samples.T).reshape(p, p), off)
    return stats.f.sf(t_square * (n - p) / (p * (n - 1)), p, n - p)


@pytest.fixture(scope="module")
def ds():
    model = IsotropicFlow.from_kernel(kernel, 3, noise=NOISE)
    law = fp.initial.von_mises_fisher([1, 2, 2], KAPPA)
    run = {"t_end": T_END, "dt": 0.1, "path_cell": 0.1, "scheme": "ninomiya", "save_every": T_END, "seed": 41}
    found = ensemble(model, law, members=MEMBERS, lmax=31, rtol=1e-4, moments_lmax=5, **run)
    assert (found.status == 1).all() and np.nanmax(found.tail.values) < 1e-3
    return found


def test_the_mean_of_every_moment_decays(ds):
    """E ρ_ℓm(t) = ρ_ℓm(0) e^{-ε²κ ℓ(ℓ+1) t/2}, κ = k(1) = 1: the fifteen moments of degrees 1 to 3."""
    ells = ds.degree.values[1:16]
    before, after = ds.moments.values[0, 0, 1:16], ds.moments.values[:, -1, 1:16]
    rate = NOISE**2 * ells * (ells + 1) * T_END / 2
    assert surprise(after, before * np.exp(-rate)) > FALSE_ALARM
    assert surprise(after, before * np.exp(-1.5 * rate)) < FALSE_ALARM


def test_the_power_of_every_degree_is_that_of_two_tokens(ds):
    """E Σ_m|ρ_ℓm|² by the backward equation of two tokens' overlap, degrees 1 to 4."""
    law = build(fp.initial.von_mises_fisher([1, 2, 2], KAPPA), "density", 31, 1e-4)
    degrees = ds.degree.values
    samples = np.stack([(ds.moments.values[:, -1, degrees == ell] ** 2).sum(-1) for ell in range(1, 5)], -1)

    def exact(noise):
        overlap = isotropic_overlap(kernel, 3, noise)
        return np.array([overlap.expected_power(ell, power(law.coefficients), T_END) for ell in range(1, 5)])

    assert surprise(samples, exact(NOISE)) > FALSE_ALARM
    assert surprise(samples, exact(1.1 * NOISE)) < FALSE_ALARM


def test_the_statistics_are_those_means(ds):
    found = statistics(ds)
    np.testing.assert_allclose(found.moments_mean, ds.moments.mean("member"), rtol=1e-12, atol=1e-15)
    degree_one = (ds.moments.values[:, -1, 1:4] ** 2).sum(-1)
    assert found.spectrum_mean.values[-1, 1] == pytest.approx(degree_one.mean(), rel=1e-13)
    assert found.spectrum_error.values[-1, 1] == pytest.approx(degree_one.std(ddof=1) / MEMBERS**0.5, rel=1e-12)
