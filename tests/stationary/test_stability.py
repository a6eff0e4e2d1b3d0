"""Stability of stationary states: growth rates of the uniform state, rotations apart, against growth in time."""

from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import ive, spherical_in

import fpsolve as fp
from fpsolve.errors import DivergedError, InputError
from fpsolve.stationary.bordered import Family
from fpsolve.stationary.branching import branch_off
from fpsolve.stationary.eigenvalues import stability
from fpsolve.stationary.state import solve
from fpsolve.theory import uniform_growth_rate

module = import_module("fpsolve.stationary.eigenvalues")  # the package has a function of that name
SOLVER = "petsc" if find_spec("petsc4py") else "numpy"
Noisy = fp.models.NoisyTransformer


def uniform(lmax, d=3):
    return fp.Density.from_law(fp.initial.uniform(d), lmax=lmax, rtol=1e-8)


@pytest.mark.parametrize("kind", ["usa", "sa"])
@pytest.mark.parametrize("beta", [0.7, 4.0])
def test_the_uniform_state_grows_at_the_closed_rates(kind, beta):
    """ℓ(ℓ+1)(threshold - ν), each 2ℓ+1 times; thresholds i_ℓ/β and i_ℓ/(β i_0) for ℓ = 1..4."""
    ell = np.arange(1, 5)
    thresholds = spherical_in(ell, beta) / (beta * (spherical_in(0, beta) if kind == "sa" else 1))
    nu = 0.5 * (thresholds[0] + thresholds[1])
    found = stability(Noisy(beta, nu, kind), uniform(9), count=99)
    rates = np.repeat(ell * (ell + 1) * (thresholds - nu), 2 * ell + 1)
    for degree in ell:
        of_degree = found.eigenvalues[found.degrees == degree]
        np.testing.assert_allclose(of_degree, rates[np.repeat(ell, 2 * ell + 1) == degree], rtol=0, atol=1e-11 * beta)
    assert found.unstable == 3 and not found.is_stable and found.rotations == 0


def test_the_circle_grows_at_its_own_rates():
    found = stability(Noisy(2.0, 0.3), uniform(12, 2), count=24)
    expected = np.repeat(uniform_growth_rate(np.arange(1, 13), 2.0, "usa", 2, 0.3), 2)
    np.testing.assert_allclose(found.eigenvalues, np.sort(expected)[::-1], rtol=0, atol=1e-11)


def test_thresholds_are_where_the_leading_eigenvalue_vanishes():
    for degree in range(1, 5):
        for kind in ("usa", "sa"):
            nu = Noisy(3.0, 1.0, kind).threshold(degree)
            found = stability(Noisy(3.0, nu, kind), uniform(9), count=60)
            assert np.abs(found.eigenvalues[found.degrees == degree]).max() < 1e-12
            assert found.unstable == sum(2 * ell + 1 for ell in range(1, degree))


@pytest.fixture(scope="module")
def ordered():
    return solve(Noisy(2.0, 0.2, "sa"), fp.initial.von_mises_fisher([0.6, 0, 0.8], 2.0), lmax=13, solver=SOLVER)


def test_rotations_are_neutral_and_apart(ordered):
    found = stability(ordered)
    assert found.rotations == 2 and found.rotation_rate < 1e-10
    assert found.is_stable and found.eigenvalues[0].real < -0.1


def test_arpack_and_dense_eigenvalues_agree(ordered, monkeypatch):
    """Also where the uniform state's eigenvalues are multiple."""
    whole = [stability(ordered), stability(Noisy(2.0, 0.5), uniform(9))]
    monkeypatch.setattr(module, "DENSE", 10)
    for one, other in zip(whole, [stability(ordered), stability(Noisy(2.0, 0.5), uniform(9))], strict=True):
        np.testing.assert_allclose(one.eigenvalues, other.eigenvalues, rtol=0, atol=1e-9)
        assert one.unstable == other.unstable


def sharp(lmax):
    """SA at β = 120, ν = 5·10⁻⁴, where high degrees grow fastest, and its rates ℓ(ℓ+1)(i_ℓ/(β i_0) - ν)."""
    ell = np.arange(1, lmax + 1)
    return Noisy(120.0, 5e-4, "sa"), ell * (ell + 1) * (ive(ell + 0.5, 120) / ive(0.5, 120) / 120 - 5e-4)


def test_high_degrees_that_grow_fastest_are_found():
    """1023 unknowns: the leading eigenvalue 0.62262 is that of degree 14, and all 675 unstable ones are counted."""
    model, rates = sharp(31)
    found = stability(model, uniform(31))
    np.testing.assert_allclose(found.eigenvalues, np.full(8, rates.max()), rtol=0, atol=1e-9)
    assert set(found.degrees) == {14} and found.complete
    assert found.unstable == sum(2 * ell + 1 for ell in np.flatnonzero(rates > 0) + 1) == 675


def test_arpack_starts_right_of_every_degree(monkeypatch):
    """The leading degree, 12, is the highest; what is counted is said to be a lower bound."""
    model, rates = sharp(12)
    monkeypatch.setattr(module, "DENSE", 10)
    found = stability(model, uniform(12))
    np.testing.assert_allclose(found.eigenvalues, np.full(8, rates[-1]), rtol=0, atol=1e-8)
    assert rates.argmax() == 11 and found.unstable == 8 and not found.complete
    assert stability(Noisy(1.0, 0.5), uniform(9)).complete


def test_arpack_that_does_not_converge_is_an_error(monkeypatch):
    from fpsolve.stationary import leading

    monkeypatch.setattr(module, "DENSE", 10)
    monkeypatch.setattr(leading, "gmres", lambda matrix, b, **settings: (b, 1))
    with pytest.raises(DivergedError, match="lmax <= 50"):
        stability(Noisy(1.0, 0.5), uniform(9))


def test_eigenvalues_are_growth_rates_of_the_nonlinear_equation():
    """On the unstable branch β > β_*, along the leading mode: growth over t = 0.5 to 1e-5, by Runge–Kutta."""
    state = branch_off(Noisy(2.5, 1.0), 1, amplitude=0.05, lmax=11, solver=SOLVER)
    found = stability(state)
    assert found.unstable == 1
    equation = Family(state.model, "diffusion", 3, 11).equation(state.model.diffusion)
    u, mode = equation.unknowns(state.density.coefficients), found.modes[0].real
    ends = [
        solve_ivp(lambda t, y: equation.rate(y), (0, 0.5), u + sign * 1e-5 * mode, "LSODA", rtol=1e-10, atol=1e-14).y
        for sign in (1, -1)
    ]
    growth = (mode @ (ends[0][:, -1] - ends[1][:, -1])) / (2e-5 * mode @ mode)
    assert np.log(growth) / 0.5 == pytest.approx(found.eigenvalues[0].real, rel=1e-3)


def test_gradient_flows_have_real_eigenvalues():
    state = solve(Noisy(1.0, 0.28), fp.initial.von_mises_fisher([0, 0, 1], 2.0), lmax=13, solver=SOLVER)
    assert np.abs(stability(state, count=50).eigenvalues.imag).max() < 1e-9


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"^density = 0.*fp.stationary.solve"):
        stability(Noisy(2.0, 0.2), fp.Density.from_law(fp.initial.von_mises_fisher([0, 0, 1], 1.0), lmax=9, rtol=1e-8))
    with pytest.raises(InputError, match=r"^density = None"):
        stability(Noisy(2.0, 0.2))
