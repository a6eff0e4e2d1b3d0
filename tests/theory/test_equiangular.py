"""Equiangular reductions against the tokens themselves, quadrature and closed solutions."""

import numpy as np
import pytest

from fpsolve.errors import InputError
from fpsolve.theory import (
    equiangular_drift,
    equiangular_overlap,
    equiangular_time,
    simplex_drift,
    simplex_overlap,
    simplex_shares,
    synchronisation_rate,
    value_noise_overlap,
)


def tokens(rho, n):
    """n unit vectors of R^n with overlap rho."""
    return np.linalg.cholesky((1 - rho) * np.eye(n) + rho * np.ones((n, n)))


def velocity(x, beta, kind):
    weights = np.exp(beta * x @ x.T)
    pull = weights @ x / (weights.sum(1, keepdims=True) if kind == "sa" else len(x))
    return pull - (pull * x).sum(1, keepdims=True) * x


@pytest.mark.parametrize("kind", ["sa", "usa"])
@pytest.mark.parametrize(("n", "rho"), [(2, -0.7), (5, -0.2), (5, 0.3), (9, 0.9)])
def test_the_drift_is_that_of_tokens(kind, n, rho):
    x = tokens(rho, n)
    v = velocity(x, 1.8, kind)
    rates = (v @ x.T + x @ v.T)[~np.eye(n, dtype=bool)]
    assert np.ptp(rates) < 1e-13
    assert equiangular_drift(rho, 1.8, n, kind) == pytest.approx(rates[0], abs=1e-13)


@pytest.mark.parametrize("kind", ["sa", "usa"])
def test_the_solution_is_the_tokens_path(kind):
    x, dt = tokens(0.1, 4), 0.01
    for _ in range(100):
        k1 = velocity(x, 2.0, kind)
        k2 = velocity(x + dt / 2 * k1, 2.0, kind)
        k3 = velocity(x + dt / 2 * k2, 2.0, kind)
        x = x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + velocity(x + dt * k3, 2.0, kind))
    assert equiangular_overlap(1.0, 0.1, 2.0, 4, kind) == pytest.approx(x[0] @ x[3], abs=1e-7)


@pytest.mark.parametrize("kind", ["sa", "usa"])
@pytest.mark.parametrize(("n", "beta"), [(2, 0.0), (6, 3.0), (1000, 8.0), (np.inf, 5.0)])
def test_times_by_quadrature_invert_the_solution(kind, n, beta):
    start = 0.01 if n > 2 else -0.99
    goals = np.array([start, 0.2, 0.9, 0.999999])
    times = equiangular_time(start, goals, beta, n, kind)
    deficits = equiangular_overlap(times, start, beta, n, kind, deficit=True)
    assert np.allclose(deficits, 1 - goals, rtol=1e-8, atol=0)


def test_the_last_approach_is_exponential():
    for kind, beta in (("sa", 2.0), ("usa", 1.0)):
        early, late = equiangular_overlap([30.0, 31.0], 0.0, beta, 7, kind, deficit=True)
        assert np.log(early / late) == pytest.approx(float(synchronisation_rate(beta, kind)), rel=1e-6)


def test_the_mean_field_of_sa_is_logistic():
    """n = ∞: ρ̇ = 2ρ(1-ρ) whatever β is."""
    t = np.array([0.0, 0.7, 3.0])
    exact = 0.05 / (0.05 + 0.95 * np.exp(-2 * t))
    assert np.allclose(equiangular_overlap(t, 0.05, [[0.0], [9.0]], np.inf), [exact, exact], rtol=1e-10)


def test_fixed_points_and_broadcasting():
    assert equiangular_overlap(5.0, [-0.25, 1.0], 1.0, 5).tolist() == [-0.25, 1.0]
    assert equiangular_time(-0.25, 0.5, 1.0, 5) == np.inf and equiangular_time(0.0, 1.0, 1.0, 5) == np.inf
    assert equiangular_time(1.0, 1.0, 1.0, 5) == 0
    assert equiangular_drift(np.zeros((3, 1)), [1.0, 2.0], 4).shape == (3, 2)


def test_metastability_has_its_length():
    """From ρ = 0 USA needs ½ log n and SA (1 + (e^β-1)/n) times that, up to constants of order one."""
    n = 1e8
    usa, sa = (equiangular_time(0.0, 1e-3, 12.0, n, kind) for kind in ("usa", "sa"))
    assert usa == pytest.approx(0.5 * np.log1p(n * 1e-3), rel=0.01)
    assert sa / usa == pytest.approx(1, rel=0.02)
    assert equiangular_time(0.0, 1e-3, 12.0, 1e3) == pytest.approx(0.5 * np.exp(12) / 1e3 * np.log(2), rel=0.02)


@pytest.mark.parametrize(("n", "gamma"), [(2, -0.4), (5, 0.3)])
def test_simplex_drift_is_that_of_barycentres(n, gamma):
    """(d-2+γ²) K_12 - (d-1) γ K_11, K_ij = σ_V² ⟨m_i, m_j⟩ from the softmax of the tokens."""
    x, beta, d = tokens(gamma, n), 1.3, 7
    weights = np.exp(beta * x @ x.T)
    m = weights / weights.sum(1, keepdims=True) @ x
    exact = 0.36 * ((d - 2 + gamma**2) * m[0] @ m[1] - (d - 1) * gamma * m[0] @ m[0])
    assert simplex_drift(gamma, *simplex_shares(gamma, beta, n), d, 0.6) == pytest.approx(exact, abs=1e-14)
    if n == 2:
        diffusion = value_noise_overlap(beta, d)
        drift = simplex_drift(gamma, *simplex_shares(gamma, beta, 2), d)
        assert drift == pytest.approx(diffusion.drift(gamma), abs=1e-14)


def test_simplex_overlap_solves_its_equation():
    """f = g = 1: γ̇ = σ²(1-γ)(d-2-γ), (1-γ)/(d-2-γ) decays at rate σ²(d-3)."""
    t, d = np.array([[0.0, 2.0], [0.5, 1.0]]), 9
    gamma = simplex_overlap(t, 0.2, 1.0, lambda g: np.ones_like(g), d)
    assert np.allclose((1 - gamma) / (d - 2 - gamma), 0.8 / (d - 2.2) * np.exp(-(d - 3) / d * t), rtol=1e-8)
    assert simplex_overlap(0.0, 0.2, 1.0, 1.0, d) == 0.2


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match=r"^overlap = -0.5"):
        equiangular_drift(-0.5, 1.0, 4)
    with pytest.raises(InputError, match=r"^target = 0.1"):
        equiangular_time(0.5, 0.1, 1.0, 4)
    for name, value in {"beta": -1.0, "n": 1}.items():
        with pytest.raises(InputError, match=rf"^{name} = "):
            equiangular_overlap(1.0, 0.1, **({"beta": 1.0, "n": 4} | {name: value}))
    with pytest.raises(InputError, match=r"^t = -1"):
        equiangular_overlap(-1.0, 0.1, 1.0, 4)
    with pytest.raises(InputError, match=r"^f = 2"):
        simplex_drift(0.1, 2.0, 0.5, 5)
    with pytest.raises(InputError, match=r"^n = inf"):
        simplex_shares(0.1, 1.0, np.inf)
