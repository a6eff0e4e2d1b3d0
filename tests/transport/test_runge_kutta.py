"""Embedded Runge–Kutta: order conditions through convergence, stability limits, tolerance."""

import numpy as np
import pytest

from fpsolve.errors import UnresolvedError
from fpsolve.transport.runge_kutta import DORMAND_PRINCE_5, DORMAND_PRINCE_8, RK4, integrate, stages

TABLEAUS = {"RK4": RK4, "DP5": DORMAND_PRINCE_5, "DP8": DORMAND_PRINCE_8}


def nonlinear(y):
    return np.array([y[1] * y[2], -y[0] * y[2], -0.51 * y[0] * y[1]])


START = np.array([0.0, 1.0, 1.0])


def one_interval(tableau, steps):
    y = START
    for _ in range(steps):
        y, _ = stages(nonlinear, y, nonlinear(y), 1 / steps, tableau)
    return y


@pytest.mark.parametrize(("name", "steps"), [("RK4", 16), ("DP5", 16), ("DP8", 2)])
def test_orders(name, steps):
    exact = one_interval(DORMAND_PRINCE_8, 64)
    errors = [np.abs(one_interval(TABLEAUS[name], n) - exact).max() for n in (steps, 2 * steps)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(TABLEAUS[name].order, abs=0.4)


@pytest.mark.parametrize("name", TABLEAUS)
def test_stable_up_to_the_stated_imaginary_limit_and_not_far_beyond(name):
    tableau = TABLEAUS[name]

    def growth(y):
        new, _ = stages(lambda u: 1j * y * u, np.array([1.0 + 0j]), np.array([1j * y]), 1.0, tableau)
        return abs(new[0])

    inside = [growth(y) for y in np.linspace(0.01, tableau.imaginary_limit, 200)]
    assert max(inside) <= 1 + (1e-3 if name == "DP5" else 1e-12)
    assert growth(1.7 * tableau.imaginary_limit) > 1


@pytest.mark.parametrize("rtol", [1e-4, 1e-7, 1e-10])
@pytest.mark.parametrize("name", TABLEAUS)
def test_the_tolerance_holds(name, rtol):
    exact = one_interval(DORMAND_PRINCE_8, 64)
    y = integrate(nonlinear, START, tableau=TABLEAUS[name], rtol=rtol, norm=lambda e: float(np.abs(e).max()))
    assert np.abs(y - exact).max() < 5 * rtol


def test_a_right_hand_side_that_is_not_smooth_stops():
    with pytest.raises(UnresolvedError, match="sub-steps"):
        integrate(lambda y: y * np.nan, START, tableau=RK4, rtol=1e-6, norm=lambda e: float(np.abs(e).max()))
