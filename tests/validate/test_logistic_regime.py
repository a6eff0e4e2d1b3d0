"""Kernels of the low-temperature heads in closed form, and the law of the pair's end."""

import numpy as np
import pytest
from scipy.special import betainc, hyp2f1

import fpsolve as fp
from fpsolve.theory import OverlapDiffusion, distance_exponent, hitting_probability
from fpsolve.validate.logistic_regime import (
    KERNELS,
    LAWS,
    coefficient,
    hypergeometric,
    mean_cosine,
    mean_cosine_twice,
    measure,
    pull,
)

Q = np.array([-0.9, -0.2, 0.0, 0.5, 0.99])


def test_the_series():
    x = np.array([0.0, 0.3, 0.9])
    np.testing.assert_allclose(hypergeometric(9.0, x), hyp2f1(0.5, 0.5, 9.0, x), rtol=1e-14)


@pytest.mark.parametrize("kernel", [mean_cosine, mean_cosine_twice])
def test_kernels_are_odd_and_one_at_one(kernel):
    np.testing.assert_allclose(kernel(-Q, 16), -kernel(Q, 16), atol=1e-14)
    np.testing.assert_allclose(kernel(np.array([-1.0, 1.0]), 16), [-1, 1], atol=1e-12)


@pytest.mark.parametrize("d", [16, 64])
def test_slopes_at_one(d):
    """(d-1)/(d-2) for one Gaussian, E|P_z z'|²/|z|², and its square for the product; hence the two exponents."""
    step = 1e-5
    for power, kernel in enumerate((mean_cosine, mean_cosine_twice), start=1):
        slope = float((1 - kernel(np.array(1 - step), d)) / step)
        assert slope == pytest.approx(((d - 1) / (d - 2)) ** power, rel=1e-3)
    exponents = [distance_exponent((((d - 1) / (d - 2)) ** power, 1.0), d) for power in (1, 2)]
    np.testing.assert_allclose(exponents, [-(d - 1) / (2 * (d - 2)), -(d - 1) / (2 * (d - 2) ** 2)])


def test_the_product_averages_the_cosine_that_one_factor_leaves():
    """Over 200,000 pairs of d Gaussians: 4.5 standard errors, false alarm 7e-6."""
    d, q, rng = 16, 0.6, np.random.default_rng(0)
    x = rng.normal(size=(200_000, d))
    y = q * x + 0.8 * rng.normal(size=x.shape)
    r = np.einsum("na,na->n", x, y) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    for exact, samples in ((mean_cosine(q, d), r), (mean_cosine_twice(q, d), mean_cosine(r, d))):
        assert abs(samples.mean() - exact) < 4.5 * samples.std() / np.sqrt(len(r))


def test_the_attention_of_a_uniform_law():
    """R(|g|)/|g| against a uniform cloud on S², and the limits β → 0, ∞."""
    source = fp.Cloud.from_law(fp.initial.uniform(3), lmax=31, rtol=1e-6).source
    lengths = np.array([0.3, 1.0, 1.7])
    exact = [np.linalg.norm(source.F(2.0 * r * np.array([[0.6, 0.0, 0.8]]))) / r for r in lengths]
    np.testing.assert_allclose(pull(lengths**2, 2.0 / np.sqrt(3), 3), exact, rtol=1e-6)
    np.testing.assert_allclose(pull(lengths**2, 1e5, 64), pull(lengths**2, np.inf, 64), rtol=1e-3)


@pytest.mark.parametrize(("name", "bands"), [("gaussian A", (1.4, 1.55)), ("A = WW'ᵀ", (1.8, 2.05))])
def test_the_measured_k_tells_the_counts_apart(name, bands):
    """1, 3/2 or 2: more than ten standard errors between them."""
    value, error = measure(LAWS[name], 48, np.inf, 400, 1)
    assert 10 * error < 0.5
    assert bands[0] < value < bands[1]
    exact = coefficient(KERNELS[name](np.array([0.3, 0.6]), 48), np.array([0.3, 0.6]), 48).mean()
    assert abs(value - exact) < 4.5 * error


@pytest.mark.parametrize("k", [1.0, 1.5])
def test_the_law_of_the_end_is_an_incomplete_beta(k):
    """S' = (1-u²)^{-k/2}: for k = 1 it is ½ + arcsin(u)/π."""
    limit = OverlapDiffusion(lambda u: -k * u * (1 - u**2), lambda u: 2 * (1 - u**2) ** 2)
    expected = betainc(1 - k / 2, 1 - k / 2, (1 + Q) / 2)
    np.testing.assert_allclose(hitting_probability(limit, Q), expected, atol=1e-7)
    if k == 1:
        np.testing.assert_allclose(expected, 0.5 + np.arcsin(Q) / np.pi, atol=1e-12)


def test_at_two_neither_end_attracts():
    """artanh u is √2 times a Brownian motion: no limit, and probability 0 of either."""
    limit = OverlapDiffusion(lambda u: -2 * u * (1 - u**2), lambda u: 2 * (1 - u**2) ** 2)
    assert not hitting_probability(limit, np.array([0.0, 0.5]), 1).any()
    assert not hitting_probability(limit, np.array([0.0, 0.5]), -1).any()
