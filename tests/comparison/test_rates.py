"""Fitted rates and costs on made-up errors of known law."""

import numpy as np
import pytest

from fpsolve.comparison import rates

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


def test_the_half_width_by_hand():
    """log N = 0, 1, 2, 3, log error = 0, -1, 0, -1: p = -0.2, rests ±0.2, ±0.6, s² = 0.8/2, t(99.5 %, 2) = 9.9248."""
    fit = rates.fit_rate(np.exp([0.0, 1.0, 2.0, 3.0]), np.exp([0.0, -1.0, 0.0, -1.0]))
    assert (fit.value, fit.count) == (pytest.approx(-0.2), 4)
    half = 9.924843 * np.sqrt(0.4 / 5)
    assert (fit.low, fit.high) == pytest.approx((-0.2 - half, -0.2 + half), rel=1e-6)


def test_exact_powers_and_too_little_data():
    fit = rates.fit_rate(SIZES, 3 * SIZES**-0.5)
    assert fit.value == pytest.approx(-0.5) and fit.high - fit.low < 1e-10
    assert np.isnan(rates.fit_rate(SIZES[:8], SIZES[:8]).value)
    assert np.isnan(rates.fit_rate(SIZES, np.zeros(24)).value)


def test_sizes_at_the_floor_of_the_reference_are_dropped():
    kept = rates.resolved_sizes(SIZES, SIZES**-0.5, floor=0.005)
    assert set(SIZES[kept]) == {100.0, 1000.0}
    own = np.where(SIZES == 100, 0.034, 0.002)  # a third of the first error is 0.0333, of the last 0.0033
    assert set(SIZES[rates.resolved_sizes(SIZES, SIZES**-0.5, own)]) == {1000.0, 10_000.0}


def token_cost(sizes, target, fixed=(0.3, 7e4, 0.0), each=(2e-5, 30.0, 0.0)):
    """Of tokens that cost a + bN in seconds, values and pairs, with errors N^{-1/2}."""
    sizes = np.array(sizes, float)
    return rates.token_cost(sizes, sizes**-0.5, np.array(fixed)[:, None] + np.outer(each, sizes), target)


def test_costs_of_tokens():
    """a + bN with a large a: at 10⁶ tokens 20.3 s, where in proportion to N it were 50 s."""
    bottom, inside, beyond = (token_cost([100, 1000, 10_000], target) for target in (0.2, 0.025, 0.001))
    assert (bottom.status, bottom.size, bottom.seconds) == ("measured", 100, pytest.approx(0.302))
    assert (inside.status, inside.size) == ("interpolated", pytest.approx(1600))
    assert (inside.seconds, inside.values) == (pytest.approx(0.332), pytest.approx(7e4 + 30 * 1600))
    assert (beyond.status, beyond.size) == ("extrapolated", pytest.approx(1e6))
    assert (beyond.seconds, beyond.values) == (pytest.approx(20.3), pytest.approx(7e4 + 3e7))
    assert beyond.pairs == 0


@pytest.mark.parametrize("sizes", [(100,), (64, 256, 1000), (100, 999, 1998), (1000, 1500)])
def test_a_ladder_that_does_not_show_the_cost_of_a_token_gives_none(sizes):
    cost = token_cost(sizes, 1e-3)
    assert (cost.status, cost.size) == ("unknown", pytest.approx(1e6))
    assert np.isnan([cost.seconds, cost.values, cost.pairs]).all()
    assert token_cost((1000, 10_000), 1e-3, each=(-1e-5, 1.0, 0.0)).status == "unknown"


def test_direct_sums_below_the_linear_sizes_do_not_count_and_nothing_divides_by_zero():
    """No transforms and all pairs at N = 100, the reverse above: b from the two largest sizes alone."""
    sizes = np.array([100.0, 1000.0, 10_000.0])
    costs = np.array([[5.0, 1.1, 2.0], [0.0, 1e5, 2.8e5], [1e7, 0.0, 0.0]])
    with np.errstate(all="raise"):
        inside, beyond = (rates.token_cost(sizes, sizes**-0.5, costs, size**-0.5) for size in (550, 1e5))
    assert (inside.values, inside.pairs) == (pytest.approx(5e4), pytest.approx(5e6))
    assert (beyond.seconds, beyond.values, beyond.pairs) == (pytest.approx(11.0), pytest.approx(2.08e6), 0)


def test_the_verdict_knows_critical_points():
    """|m|² of N points, error 2⟨δ, m⟩ + |δ|²: of the order N^{-1/2} for m ≠ 0 alone."""
    rng = np.random.default_rng(9)
    deviation = rng.normal(size=(len(SIZES), 3)) * SIZES[:, None] ** -0.5
    second = np.sum(deviation**2, axis=1)

    def found(m):
        errors = np.abs(2 * m * deviation[:, 0] + second)
        share = rates.shares(SIZES, errors, second)
        return rates.verdict(rates.fit_rate(SIZES, errors), share), share

    assert found(0.0) == ("critical point", (pytest.approx(1), pytest.approx(1)))
    assert found(1.0)[0] == "yes" and found(1.0)[1][1] < 0.1
    between = rates.Rate(-0.75, -0.8, -0.7, 24)
    assert [rates.verdict(between, share) for share in ((0.9, 0.6), (0.5, 0.2), (0.2, 0.1), None)] == [
        "critical point", "-", "NO", "NO"]  # fmt: skip
    assert rates.verdict(rates.Rate(np.nan, np.nan, np.nan, 0)) == "-"


def test_costs_of_mean_field_runs():
    sizes, errors = np.array([15, 31, 63]), np.array([2e-3, 3e-5, 4e-7])
    costs = np.array([[1.0, 2.0, 8.0], [1.0, 4.0, 20.0], [0.0, 0.0, 0.0]])
    found = [rates.mean_field_cost(sizes, errors, costs, target, 1e-7) for target in (1e-2, 1e-3, 1e-7, 1e-8)]
    assert [one.status for one in found] == ["measured", "measured", "not reached", "below reference"]
    assert [one.size for one in found[:2]] == [15, 31]
    assert np.isnan(found[2].seconds)
