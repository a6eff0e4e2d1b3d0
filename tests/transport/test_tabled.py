"""Flows along tabled fields against flows by sums of harmonics to a tight tolerance, and which formula they take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import UnresolvedError
from fpsolve.measures.build import build
from fpsolve.measures.cloud import Cloud
from fpsolve.sphere.harmonics import degrees_orders, size
from fpsolve.transport import tabled
from fpsolve.transport.runge_kutta import DORMAND_PRINCE_5, DORMAND_PRINCE_853, estimate, for_tolerance
from fpsolve.transport.velocity import ZeroField

VMF = fp.initial.von_mises_fisher([0, 0, 1], 2.0)


def field(speed: float, lmax: int = 8) -> fp.HarmonicField:
    rng, (ells, orders) = np.random.default_rng(5), degrees_orders(lmax)
    s, t = ((rng.normal(size=size(lmax)) + 1j * (orders > 0) * rng.normal(size=size(lmax))) / (1.0 + ells) ** 2
            for _ in range(2))  # fmt: skip
    one = fp.HarmonicField(s, t)
    return (speed / one.sizes[0]) * one


def quadrature(rtol: float) -> Cloud:
    cloud = build(VMF, "cloud", 15, rtol)
    assert isinstance(cloud, Cloud) and cloud.log_density is not None
    return cloud


def tokens(rtol: float) -> Cloud:
    cloud = build(fp.initial.samples(VMF, 700, seed=3), "cloud", 15, rtol)
    assert isinstance(cloud, Cloud) and cloud.tokens
    return cloud


def without_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabled, "FEWEST", 10**9)


@pytest.mark.parametrize("rtol", [1e-4, 1e-6, 1e-8, 1e-10])
@pytest.mark.parametrize("speed", [0.01, 0.3])
@pytest.mark.parametrize("start", [quadrature, tokens])
def test_a_flow_keeps_its_tolerance(start, speed, rtol, monkeypatch):
    v, cloud = field(speed), start(rtol)
    assert tabled.tabled(v, rtol, len(cloud.x)) is not None and tabled.tabled(v, 1e-14, len(cloud.x)) is None
    moved = cloud.transport(v)
    without_tables(monkeypatch)
    exact = replace(cloud, rtol=1e-13).transport(v)
    assert cloud._error_norm(moved._state - exact._state) < rtol
    np.testing.assert_allclose(np.square(moved.x).sum(axis=1), 1, rtol=0, atol=1e-15 * 3)


def test_a_table_gives_what_the_sums_give(monkeypatch):
    """With the same formula and sub-steps, to the accuracy of the table."""
    v, cloud = field(0.1), quadrature(1e-6)
    moved = cloud.transport(v)
    without_tables(monkeypatch)
    summed = cloud.transport(v)
    assert 0 < np.abs(moved._state - summed._state).max() < 20 * tabled.FRACTION * 1e-6


@pytest.mark.parametrize("count", [None, 5000])
def test_living_fields_too(count, monkeypatch):
    cloud, model = quadrature(1e-6), fp.models.SelfAttention(1.0)
    if count is not None:
        cloud = build(fp.initial.samples(VMF, count, seed=3), "cloud", 15, 1e-6)
    living = lambda source: 0.1 * model.flow_drift(source)  # noqa: E731
    moved = cloud.transport(living)
    without_tables(monkeypatch)
    summed = cloud.transport(living)
    assert 0 < np.abs(moved._state - summed._state).max() < 20 * tabled.FRACTION * 1e-6


def test_few_points_and_fields_without_harmonics_have_no_table():
    v = field(0.1)
    assert tabled.tabled(v, 1e-6, tabled.FEWEST - 1) is None
    assert tabled.tabled(fp.HarmonicField(v.spheroidal, v.toroidal), 1e-6, tabled.FEWEST) is not None
    assert tabled.tabled(fp.AmbientField(lambda sites: sites.x), 1e-6, 5000) is None
    assert tabled.tabled(ZeroField(), 1e-6, 5000) is None
    circle = fp.HarmonicField(np.ones(4, complex), np.ones(4, complex), d=2)
    assert tabled.tabled(circle, 1e-6, 5000) is None and tabled.formula_for(circle, 1e-6) is for_tolerance(1e-6)
    assert tabled.tabled(np.nan * v, 1e-6, 5000) is None


def test_a_formula_of_order_five_where_one_sub_step_will_do():
    slow, fast = field(0.01), field(0.5)
    assert tabled.formula_for(slow, 1e-6) is DORMAND_PRINCE_5
    assert tabled.formula_for(fast, 1e-6) is tabled.formula_for(slow, 1e-13) is DORMAND_PRINCE_853


def test_a_field_too_fast_ends_in_its_error():
    with pytest.raises(UnresolvedError):
        quadrature(1e-6).transport(field(1e9))


def test_two_estimates_give_one_of_higher_order():
    assert estimate([0.3]) == 0.3 and estimate([0.0, 0.0]) == 0.0 and estimate([np.inf, 1.0]) == np.inf
    assert estimate([1e-3, 1.0]) == pytest.approx(1e-6 / np.hypot(1e-3, 0.1))
