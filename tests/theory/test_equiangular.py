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
from fpsolve.theory.shares import rule_of_rows


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


def test_rescaled_times_are_those_without_the_denominator_times_e_to_beta():
    goals, beta = np.array([0.2, 0.9]), 5.0
    times, rescaled = (equiangular_time(-0.3, goals, beta, 3, "usa", rescaled=r) for r in (False, True))
    assert np.allclose(rescaled, times * np.exp(beta), rtol=1e-13)
    assert np.allclose(equiangular_overlap(rescaled, -0.3, beta, 3, "usa", rescaled=True), goals, rtol=1e-9)
    rates = [equiangular_drift(0.3, beta, 3, "usa", rescaled=r) for r in (False, True)]
    assert rates[1] == pytest.approx(rates[0] * np.exp(-beta), rel=1e-13)
    assert np.isfinite(equiangular_time(0.995, 0.9999, 4000.0, 2, "usa", rescaled=True))
    with pytest.raises(InputError, match="rescaled"):
        equiangular_drift(0.3, beta, 3, "sa", rescaled=True)


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


def drawn_shares(gamma, beta, n, key_query, std, d, draws=20_000):
    """Means and standard errors of both shares over draws of A, from the scores of its definition."""
    rng = np.random.default_rng(0)
    x = np.zeros((n, max(n, d)))
    x[:, :n] = tokens(gamma, n)
    own, shared = [], []
    for _ in range(draws // 2000):
        A = std * rng.normal(size=(2000, x.shape[1], x.shape[1] if key_query == "gaussian" else d))
        if key_query == "product":  # factors n × d are W'ᵀx and Wᵀx for tokens in any space
            other = std * rng.normal(size=A.shape)
            scores = beta * (x[:2] @ A) @ (x @ other).swapaxes(1, 2)
        else:
            scores = beta * x[:2] @ A @ x.T
        p = np.exp(scores - scores.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        own.append((p**2).sum(-1).mean(1))
        shared.append((p[:, 0] * p[:, 1]).sum(-1))
    return [(np.mean(values), np.std(values) / np.sqrt(draws)) for values in (own, shared)]


@pytest.mark.parametrize(
    ("gamma", "beta", "n", "key_query", "std", "d"),
    [
        (0.3, 1.0, 8, "gaussian", 1.0, 8),
        (-0.15, 4.0, 6, "gaussian", 1.0, 9),
        (0.8, 8.0, 5, "gaussian", 0.7, 5),
        (0.0, 2.0, 10, "gaussian", 1.0, 10),
        (0.3, 0.2, 6, "product", 1.0, 16),
        (-0.3, 0.8, 4, "product", 0.6, 4),
        (0.6, 1.0, 3, "product", 0.8, 2),
    ],
)
def test_shares_of_random_key_queries_are_means_over_draws(gamma, beta, n, key_query, std, d):
    """4.5 standard errors of 20,000 draws, at most 8 %, and 1e-4 for the product's rule; false alarm 7e-6 each."""
    f, g = simplex_shares(gamma, beta, n, key_query=key_query, key_query_std=std, d=d)
    for value, (mean, error) in zip((f, g), drawn_shares(gamma, beta, n, key_query, std, d), strict=True):
        assert abs(value - mean) <= 4.5 * error + 1e-4
        assert 4.5 * error < 0.08 * mean


def test_shares_of_random_key_queries_in_their_limits():
    """β = 0, γ = 1: 1/n each; β → ∞: f = 1, and at γ = 0 g = 1/n for every β. W W'ᵀ with d → ∞ is Gaussian A, σ²√d."""
    for key_query in ("gaussian", "product"):
        f, g = simplex_shares([0.2, 1.0], [0.0, 3.0], 7, key_query=key_query, d=5)
        assert np.allclose([f, g], 1 / 7, rtol=0, atol=1e-4 if key_query == "product" else 1e-9)
    f, g = simplex_shares(0.0, [1.0, 5.0, 60.0], 6, key_query="gaussian")
    assert np.allclose(g, 1 / 6, rtol=0, atol=1e-9)
    assert (np.diff(f) > 0).all() and 0.96 < f[-1] < 1
    wide = simplex_shares(0.4, 0.02, 6, key_query="product", d=2500)
    gaussian = simplex_shares(0.4, 1.0, 6, key_query="gaussian")
    assert np.allclose(wide, gaussian, rtol=0, atol=1e-3)
    assert simplex_shares(np.zeros((2, 1)), [1.0, 2.0, 3.0], 4, key_query="gaussian")[0].shape == (2, 3)


@pytest.mark.parametrize("d", [2, 3, 64])
def test_the_rule_for_rows_of_a_product_has_their_moments(d):
    """Normals of R^d with E q q'ᵀ = γ I: |q|², |q|⁴, ⟨q,q'⟩ and its square, |q|²|q'|², exactly."""
    gamma = 0.4
    weights, first, second, cosine = rule_of_rows(gamma, d, 5)
    inner = first * second * cosine
    for values in (first, second):
        assert weights @ values**2 == pytest.approx(d)
        assert weights @ values**4 == pytest.approx(d * (d + 2))
    assert weights @ inner == pytest.approx(gamma * d)
    assert weights @ inner**2 == pytest.approx(d + gamma**2 * d * (d + 1))
    assert weights @ (first * second) ** 2 == pytest.approx(d**2 + 2 * gamma**2 * d)


def test_two_tokens_share_by_one_normal():
    """n = 2: π_1 = 1/(1+e^{-u}) with u normal of variance 2s²; f by Gauss-Hermite."""
    z, w = np.polynomial.hermite_e.hermegauss(120)
    p = 1 / (1 + np.exp(-1.1 * np.sqrt(2 * (1 - 0.3)) * z))
    exact = (w / w.sum()) @ (p**2 + (1 - p) ** 2)
    assert simplex_shares(0.3, 1.1, 2, key_query="gaussian")[0] == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(("d", "beta", "time"), [(64, 4.0, 7.06), (64, 1.0, 5.94), (16, 1.0, 6.7)])
def test_the_simplex_equation_of_random_key_queries_collapses(d, beta, time):
    """n = 32 tokens from overlap 0 reach 0.9 at these η²L/H; the equation's f and g from 24 Chebyshev nodes."""
    nodes = 0.5 + 0.5 * np.cos(np.pi * (np.arange(24) + 0.5) / 24)
    fits = [
        np.polynomial.Chebyshev.fit(nodes, share, 23, domain=[0, 1])
        for share in simplex_shares(nodes, beta, 32, key_query="gaussian")
    ]
    f, g = (lambda gamma, fit=fit: np.clip(fit(gamma), 0, 1) for fit in fits)
    t = np.linspace(5, 8, 601)
    gamma = simplex_overlap(t, 0.0, f, g, d)
    assert t[np.argmax(gamma > 0.9)] == pytest.approx(time, abs=0.06)


def test_bad_laws_of_shares_are_named():
    for argument, options in {
        "key_query": {"key_query": "uniform"},
        "key_query_std": {"key_query_std": 2.0},
        "d": {"key_query": "product"},
    }.items():
        with pytest.raises(InputError) as refused:
            simplex_shares(0.1, 1.0, 4, **options)
        assert refused.value.argument == argument
    with pytest.raises(InputError, match=r"^overlap = -0.9"):
        simplex_shares(-0.9, 1.0, 4, key_query="gaussian")


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


@pytest.mark.parametrize(
    ("beta", "start", "goal"), [(1.0, 0.1, 0.9), (500.0, 0.992, 0.9999), (1000.0, 0.1, 0.11), (600.0, 0.5, 0.99)]
)
def test_usa_at_low_temperatures_takes_the_time_of_the_quadrature(beta, start, goal):
    """The path by Runge–Kutta until the time by quadrature, of e^{-βρ}; a part e^{-β(goal - start)} of it is left."""
    time = equiangular_time(start, goal, beta, 2, "usa")
    if beta * (goal - start) < 20:
        assert equiangular_overlap(time, start, beta, 2, "usa", deficit=True) == pytest.approx(1 - goal, rel=1e-6)
    assert start < equiangular_overlap(time / 2, start, beta, 2, "usa") < goal
    before = equiangular_overlap(time / 2, start, beta, 2, "usa")
    assert equiangular_time(start, before, beta, 2, "usa") == pytest.approx(time / 2, rel=1e-8)


def test_times_at_which_rates_are_no_doubles_are_refused():
    time = float(equiangular_time(0.1, 0.5, 1000.0, 2, "usa"))
    with pytest.raises(InputError, match=r"t = .*meet"):
        equiangular_overlap(2 * time, 0.1, 1000.0, 2, "usa")
