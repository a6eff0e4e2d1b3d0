"""Fitted rates and costs on made-up errors of known law."""

import numpy as np
import pytest

from fpsolve.compare import rates

SIZES = np.repeat([100.0, 1000.0, 10_000.0], 8)


def made_up(exponent, rng):
    """Errors of random size |Gaussian| N^p, the least regular that the package meets: those of a number."""
    return np.abs(rng.normal(size=len(SIZES))) * SIZES**exponent


def test_the_interval_covers_at_its_level():
    """At 99 %, of 400 fits 4 miss on average; more than 14 in fewer than one of 10⁴ runs."""
    rng = np.random.default_rng(7)
    fits = [rates.fit_rate(SIZES, made_up(-0.5, rng)) for _ in range(400)]
    assert sum(not fit.low <= -0.5 <= fit.high for fit in fits) <= 14
    assert abs(np.mean([fit.value for fit in fits]) + 0.5) < 0.03


def test_another_rate_is_seen():
    """Norms of many moments scatter by a fifth: half-width 0.07, so that 0.15 apart is seen, but in one of 10³ fits."""
    rng = np.random.default_rng(8)
    for rate in (-0.65, -0.35):
        fit = rates.fit_rate(SIZES, SIZES**rate * np.exp(0.2 * rng.normal(size=len(SIZES))))
        assert not fit.low <= -0.5 <= fit.high


def test_exact_powers_and_too_little_data():
    fit = rates.fit_rate(SIZES, 3 * SIZES**-0.5)
    assert fit.value == pytest.approx(-0.5) and fit.high - fit.low < 1e-10
    assert np.isnan(rates.fit_rate(SIZES[:8], SIZES[:8]).value)
    assert np.isnan(rates.fit_rate(SIZES, np.zeros(24)).value)


def test_sizes_at_the_floor_of_the_reference_are_dropped():
    kept = rates.resolved_sizes(SIZES, SIZES**-0.5, floor=0.005)
    assert set(SIZES[kept]) == {100.0, 1000.0}


def test_costs_of_tokens():
    sizes, errors = np.array([100.0, 10_000.0]), np.array([0.1, 0.01])
    seconds, values = np.array([1.0, 50.0]), sizes * 30
    bottom, inside, beyond = (rates.token_cost(sizes, errors, seconds, values, t) for t in (0.2, 0.03, 0.001))
    assert (bottom.status, bottom.size, bottom.seconds) == ("measured", 100, 1.0)
    assert inside.status == "interpolated"
    assert inside.size == pytest.approx(1 / 0.03**2)
    assert inside.values == pytest.approx(30 / 0.03**2)
    assert 1 < inside.seconds < 50
    assert beyond.status == "extrapolated"
    assert (beyond.size, beyond.seconds) == (pytest.approx(1e6), pytest.approx(5000))


def test_costs_of_mean_field_runs():
    sizes, errors = np.array([15, 31, 63]), np.array([2e-3, 3e-5, 4e-7])
    seconds, values = np.array([1.0, 2.0, 8.0]), np.array([1.0, 4.0, 20.0])
    found = [rates.mean_field_cost(sizes, errors, seconds, values, target, 1e-7) for target in (1e-2, 1e-3, 1e-7, 1e-8)]
    assert [one.status for one in found] == ["measured", "measured", "not reached", "below reference"]
    assert [one.size for one in found[:2]] == [15, 31]
    assert np.isnan(found[2].seconds)
