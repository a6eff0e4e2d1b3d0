"""SA and USA: monotone energy, growth rates of the uniform state, equiangular tokens."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import spherical_in

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.measures.cloud import Cloud
from fpsolve.models.self_attention import SelfAttention
from fpsolve.models.unnormalised import UnnormalisedSelfAttention
from fpsolve.sphere.harmonics import MASS_MOMENT, index, size

MODELS = (SelfAttention, UnnormalisedSelfAttention)
QUIET = fp.BrownianPath(0, 0)


@pytest.mark.parametrize("diffusion", [0.0, 0.1])
@pytest.mark.parametrize("beta", [1.0, 4.0])
@pytest.mark.parametrize("model", MODELS)
def test_growth_of_the_uniform_state(model: type, beta: float, diffusion: float) -> None:
    """ℓ(ℓ+1) [i_ℓ(β)/β (over i_0 for SA) - ν], ℓ = 1..6, to 1e-4: the odd part of two runs, of either sign."""
    ells, lmax, amplitude = np.arange(1, 7), 23, 1e-5
    where = index(ells, 0, lmax)
    below = spherical_in(0, beta) if model is SelfAttention else 1.0
    rates = ells * (ells + 1) * (spherical_in(ells, beta) / (beta * below) - diffusion)
    t_end, odd = 0.4 / np.abs(rates).max(), np.zeros(6)
    for sign in (1, -1):
        coefficients = np.zeros(size(lmax), complex)
        coefficients[0] = MASS_MOMENT
        coefficients[where] = sign * amplitude
        start = fp.Density(coefficients, rtol=1e-12)
        *_, (_, end) = fp.run(model(beta=beta, diffusion=diffusion), start, QUIET, t_end=t_end, dt=t_end / 4)
        odd += sign * end.coefficients[where].real / (2 * amplitude)
    np.testing.assert_allclose(np.log(odd) / t_end, rates, rtol=1e-4)


@pytest.mark.parametrize("measure", ["density", "cloud"])
@pytest.mark.parametrize("model", MODELS)
def test_the_energy_never_decreases(model: type, measure: str) -> None:
    law = fp.initial.mixture([fp.initial.von_mises_fisher(m, 3.0) for m in ([0, 0, 1], [0, 1, -0.4])], [0.6, 0.4])
    t_end = 0.4 if model is SelfAttention else 0.08
    ds = fp.solve(model(beta=4.0), law, t_end=t_end, dt=t_end / 8, measure=measure, lmax=31, rtol=1e-7, progress=False)
    assert (np.diff(ds.energy.values) > 0).all()
    assert ds.energy.values[-1] > 1.05 * ds.energy.values[0]


@pytest.mark.parametrize(("n", "d"), [(2, 2), (4, 4), (4, 7)])
@pytest.mark.parametrize("model", MODELS)
def test_equiangular_tokens(model: type, n: int, d: int) -> None:
    """Overlaps stay equal and obey SA γ' = 2e^{βγ}(1-γ)((n-1)γ+1)/(e^β+(n-1)e^{βγ}), USA with n below."""
    beta, start, t_end = 1.5, 0.1, 1.0
    gram = np.full((n, n), start) + (1 - start) * np.eye(n)
    x = np.zeros((n, d))
    x[:, :n] = np.linalg.cholesky(gram)
    cloud = Cloud(x, np.full(n, 1 / n), rtol=1e-10, tokens=True)
    *_, (_, end) = fp.run(model(beta=beta), cloud, QUIET, t_end=t_end, dt=0.25)

    def slope(t: float, gamma: float) -> float:
        below = np.exp(beta) + (n - 1) * np.exp(beta * gamma) if model is SelfAttention else n
        return 2 * np.exp(beta * gamma) * (1 - gamma) * ((n - 1) * gamma + 1) / below

    exact = solve_ivp(slope, (0, t_end), [start], rtol=1e-11, atol=1e-12).y[0, -1]
    overlaps = (end.x @ end.x.T)[np.triu_indices(n, 1)]
    np.testing.assert_allclose(overlaps, exact, rtol=0, atol=1e-8)


@pytest.mark.parametrize("measure", ["density", "cloud", "zonal"])
def test_rescaled_time(measure: str) -> None:
    """The same states at e^{β|A|} times the times, ν in the new time too; energies are those of e^{β⟨Ax,y⟩}."""
    law, a, nu = fp.initial.von_mises_fisher([0, 0, 1], 2.0), -1.5, 0.0 if measure == "cloud" else 0.01
    unit, run = np.exp(-2.0 * abs(a)), {"measure": measure, "lmax": 23, "rtol": 1e-9}
    plain = fp.solve(UnnormalisedSelfAttention(2.0, 0.7, a, nu / unit), law, t_end=unit, dt=unit / 4, **run)
    scaled = fp.solve(UnnormalisedSelfAttention(2.0, 0.7, a, nu, rescaled=True), law, t_end=1.0, dt=0.25, **run)
    for name in ("overlap", "energy", "log_energy", "moments"):
        np.testing.assert_allclose(scaled[name], plain[name], rtol=1e-7, atol=1e-9)
    assert abs(plain.overlap[-1] - plain.overlap[0]) > 0.004


@pytest.mark.parametrize("measure", ["density", "zonal"])
def test_stationary_states_of_rescaled_time(measure: str) -> None:
    """Those of ν e^{β}, with rates e^{-β} times theirs; their free energy is that of another time, and left out."""
    unit, law = np.exp(-2.0), fp.initial.von_mises_fisher([0, 0, 1], 3.0)
    how = {"lmax": 15, "measure": measure, "solver": "numpy"}
    plain = fp.stationary.solve(UnnormalisedSelfAttention(2.0, diffusion=0.3), law, **how)
    scaled = fp.stationary.solve(UnnormalisedSelfAttention(2.0, diffusion=0.3 * unit, rescaled=True), law, **how)
    assert scaled.density.moments(1) == pytest.approx(plain.density.moments(1), abs=1e-10)
    rates = [fp.stationary.stability(one, count=2).eigenvalues.real for one in (plain, scaled)]
    np.testing.assert_allclose(rates[1], unit * rates[0], rtol=1e-6, atol=1e-10)
    by_degree = [
        fp.stationary.uniform_stability(UnnormalisedSelfAttention(2.0, diffusion=nu, rescaled=r), d=3).rate
        for nu, r in ((0.3, False), (0.3 * unit, True))
    ]
    np.testing.assert_allclose(by_degree[1], unit * by_degree[0], rtol=1e-12)


def test_rescaled_time_knows_no_largest_beta() -> None:
    with pytest.raises(InputError, match="rescaled"):
        UnnormalisedSelfAttention(701.0)
    x = np.array([[1.0, 0.0], [np.cos(0.05), np.sin(0.05)]])
    cloud = Cloud(x, np.array([0.5, 0.5]), tokens=True)
    speed = UnnormalisedSelfAttention(4000.0, rescaled=True).drift_field(cloud.source).on(cloud.sites)
    exact = 0.5 * np.sin(0.05) * np.exp(4000 * (np.cos(0.05) - 1))
    np.testing.assert_allclose(np.linalg.norm(speed, axis=1), exact, rtol=1e-9)


def test_the_drift_is_the_unnormalised_sum() -> None:
    """P_x V ∫ y e^{β⟨Ax,y⟩} μ(dy) for general V and A, tokens in d = 4."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(6, 4))
    x /= np.linalg.norm(x, axis=1)[:, None]
    a, v = rng.normal(size=(2, 4, 4))
    cloud = Cloud(x, np.full(6, 1 / 6), tokens=True)
    found = UnnormalisedSelfAttention(1.3, v, a).drift_field(cloud.source).on(cloud.sites)
    pulled = np.exp(1.3 * x @ a.T @ x.T) @ x @ v.T / 6
    expected = pulled - np.sum(pulled * x, axis=1)[:, None] * x
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_overflow_is_refused() -> None:
    with pytest.raises(InputError, match="SelfAttention"):
        UnnormalisedSelfAttention(100.0, key_query=8.0 * np.eye(3))
    UnnormalisedSelfAttention(600.0)
