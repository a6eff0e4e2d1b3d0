"""Wrong arguments of the theory are refused by name; what is said to broadcast does."""

import numpy as np
import pytest

from fpsolve import theory
from fpsolve.errors import InputError


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: theory.value_noise_overlap(-1.0, 3), "beta"),
        (lambda: theory.value_noise_overlap([1.0, 2.0], 3), "beta"),
        (lambda: theory.value_noise_overlap(np.nan, 3), "beta"),
        (lambda: theory.value_noise_overlap(1.0, 3, value_std=-1.0), "value_std"),
        (lambda: theory.isotropic_overlap(3.0, 3), "kernel"),
        (lambda: theory.hitting_probability("x", 0.0), "diffusion"),
        (lambda: theory.scale_function(None, 0.0), "diffusion"),
        (lambda: theory.classify_ends(3), "diffusion"),
        (lambda: theory.antipodal_probability(np.ones(2), np.zeros(3), 3), "overlap"),
        (lambda: theory.simplex_overlap(np.ones(2), np.zeros(3), 0.5, 0.2, 3), "overlap"),
        (lambda: theory.low_temperature_bound(0.0, 1.0, 1.0, 1.0), "beta"),
        (lambda: theory.low_temperature_bound(10.0, -1.0, 1.0, 1.0), "t"),
    ],
)
def test_refused_by_name(call, named):
    with pytest.raises(InputError) as refused:
        call()
    assert refused.value.argument == named


def test_simplex_overlap_broadcasts():
    times, starts, d = np.array([0.0, 0.5, 2.0]), np.array([[0.1], [0.4]]), np.array([[8], [16]])
    together = theory.simplex_overlap(times, starts, 0.5, 0.2, d)
    assert together.shape == (2, 3)
    for row, start, dimension in zip(together, starts[:, 0], d[:, 0], strict=True):
        alone = [float(theory.simplex_overlap(t, start, 0.5, 0.2, dimension)) for t in times]
        np.testing.assert_allclose(row, alone, rtol=1e-8)


def test_low_temperature_bound_has_its_minimum_where_it_says():
    beta, growth, decay = 300.0, 0.7, 1.3
    best = np.log(decay / growth * np.sqrt(beta / np.log(beta + 1))) / (growth + decay)
    t = np.linspace(0, 10, 20001)
    values = theory.low_temperature_bound(beta, t, growth, decay)
    assert t[values.argmin()] == pytest.approx(best, abs=1e-3)
    assert values[0] == pytest.approx(1 + np.sqrt(np.log(301) / 300), rel=1e-12)
