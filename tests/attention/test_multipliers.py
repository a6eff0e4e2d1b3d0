"""Multipliers of e^{r⟨x,y⟩} where SciPy has them, where it has not by their power series, and by tables."""

import numpy as np
import pytest
from scipy.special import gammaln, ive, logsumexp

from fpsolve.attention.multipliers import log_multiplier, ratios, table

R = np.array([1e-3, 0.3, 1.0, 4.0, 20.0, 100.0, 500.0, 3000.0])


def by_series(d, r):
    """log ₀F₁(;d/2;r²/4), all terms positive."""
    k = np.arange(4000.0)
    terms = 2 * k * np.log(r / 2) - gammaln(k + 1) - gammaln(d / 2 + k) + gammaln(d / 2)
    return logsumexp(terms)


@pytest.mark.parametrize("d", [2, 3, 4, 5, 8, 16, 40])
def test_against_scaled_bessel_functions(d):
    order, log, ratio = d / 2 - 1, *log_multiplier(d, R)
    usable = ive(order, R) > 1e-280
    exact = gammaln(d / 2) + order * np.log(2 / R) + np.log(ive(order, R)) + R
    assert usable.sum() > 4 and np.abs(log - exact)[usable].max() < 2e-12
    assert np.abs(ratio / (ive(order + 1, R) / ive(order, R)) - 1)[usable].max() < 1e-13


FAR = [(512, 500.0), (512, 3.0), (10_000, 500.0), (10_000, 30.0), (3, 700.0), (64, 900.0)]


@pytest.mark.parametrize(("d", "r"), FAR)
def test_against_the_power_series(d, r):
    log, ratio = log_multiplier(d, np.array(r))
    exact = by_series(d, r)
    assert log == pytest.approx(exact, rel=1e-11, abs=1e-11)
    assert ratio == pytest.approx(r / d * np.exp(by_series(d + 2, r) - exact), rel=1e-10)


def test_in_one_dimension_and_at_zero():
    log, ratio = log_multiplier(1, R)
    assert np.abs(log - (R + np.log1p(np.exp(-2 * R)) - np.log(2))).max() < 1e-12
    assert np.abs(ratio - np.tanh(R)).max() < 1e-14
    log, ratio = log_multiplier(512, np.zeros(3))
    assert np.abs(log).max() < 1e-15 and not ratio.any()


@pytest.mark.parametrize("d", [2, 3, 8, 64])
def test_ratios_of_neighbours(d):
    r, found = 30.0, ratios(d, 12, 30.0)
    ell = np.arange(13) + d / 2 - 1
    assert np.abs(found / (ive(ell + 1, r) / ive(ell, r)) - 1).max() < 1e-13


@pytest.mark.parametrize("d", [1, 2, 3, 63, 9999])
def test_tables(d):
    r = np.random.default_rng(0).uniform(0, 200, 500)
    for mine, exact in zip(table(d, 200.0)(r), log_multiplier(d, r), strict=True):
        assert np.abs(mine - exact).max() < 2e-12
