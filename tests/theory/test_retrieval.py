"""The retrieval profile against the causal system itself, its integrals and its slope at the end."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm
from scipy.special import iv

from fpsolve.errors import InputError
from fpsolve.theory import (
    causal_kernel,
    critical_time,
    log_distance,
    mode_strength,
    mode_weight,
    retrieval,
    retrieval_profile,
    uniform_growth_rate,
)

LAMBDAS = [0.0, 1.0, 6.0]


def causal_matrix(n, decay):
    """e^{-λ(j-k)/N}/Z_j for k < j."""
    j = np.arange(n)
    weights = np.tril(np.exp(-decay * (j[:, None] - j) / n), -1)
    weights[1:] /= weights[1:].sum(1, keepdims=True)
    return weights


@pytest.mark.parametrize("decay", LAMBDAS)
def test_the_profile_is_that_of_the_linear_causal_system(decay):
    """N e^{atA}_{jk} of N tokens tends to g; the first order in 1/N is removed by Richardson extrapolation."""
    at, sources = 1.7, np.array([0.25, 0.5, 0.75])

    def influence(n):
        row = expm(at * causal_matrix(n + 1, decay))[n]
        return n * row[(sources * n).astype(int)]

    exact = retrieval_profile(at, sources, 1.0, decay)
    assert np.abs(2 * influence(400) - influence(200) - exact).max() < 2e-3


@pytest.mark.parametrize("decay", LAMBDAS)
@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_it_solves_the_volterra_equation(decay, sigma):
    """∂_t g = a [k(σ,σ₀) + ∫_{σ₀}^σ k(σ,s) g(t,s;σ₀) ds], the time derivative by differences."""
    t, a, source, h = 0.8, 2.1, 0.2 * sigma, 1e-4
    later, earlier = (retrieval_profile(time, source, a, decay, sigma) for time in (t + h, t - h))
    change = (later - earlier) / (2 * h)
    inner = quad(lambda s: causal_kernel(sigma, s, decay) * retrieval_profile(t, source, a, decay, s), source, sigma)[0]
    assert change == pytest.approx(a * (causal_kernel(sigma, source, decay) + inner), rel=1e-6)


@pytest.mark.parametrize("decay", LAMBDAS)
def test_integrals(decay):
    assert quad(lambda s: causal_kernel(0.7, s, decay), 0, 0.7)[0] == pytest.approx(1, rel=1e-12)
    # ∫ g dσ₀ = e^{at} - 1, in σ₀ = e^{-y}: constants are eigenfunctions of the running mean
    total = quad(lambda y: float(retrieval_profile(0.9, np.exp(-y), 1.4, decay)) * np.exp(-y), 0, 80, limit=200)[0]
    assert total == pytest.approx(np.expm1(0.9 * 1.4), rel=1e-8)


def test_the_formula_as_it_is_printed():
    t, a, lam, s, s0 = 0.6, 3.0, 1.3, 0.9, 0.35
    y = np.log(np.expm1(lam * s) / np.expm1(lam * s0))
    k = lam * np.exp(-lam * (s - s0)) / (1 - np.exp(-lam * s))
    assert log_distance(s, s0, lam) == pytest.approx(y, rel=1e-13)
    profile = k * np.sqrt(a * t / y) * iv(1, 2 * np.sqrt(a * t * y))
    assert retrieval_profile(t, s0, a, lam, s) == pytest.approx(profile, rel=1e-12)


def test_modes_grow_as_the_linearised_flow():
    """w' = e^{β cos θ} -β sin θ is β times the pull of USA on the circle; Fourier coefficients of -(w')' by sums."""
    theta, beta = 2 * np.pi * np.arange(64) / 64, 1.6
    minus_second = -(beta**2 * np.sin(theta) ** 2 - beta * np.cos(theta)) * np.exp(beta * np.cos(theta))
    for n in (1, 2, 5):
        assert mode_strength(n, beta) == pytest.approx(minus_second @ np.cos(n * theta) / 64, rel=1e-10)
    usa = uniform_growth_rate([1, 2, 5], beta, "usa", d=2)
    assert np.allclose(mode_strength([1, 2, 5], beta), beta * usa, rtol=1e-12)


@pytest.mark.parametrize("beta", [1.0, 2.0, 3.0])
def test_the_end_turns_at_the_critical_time(beta):
    """λ = 1, M = 8, n ≤ 20: slope at σ₀ = 1 by a one-sided difference, against the size of the profile."""
    t, h = float(critical_time(beta, 1.0, 8.0, 20)), 1e-4

    def slope(time):
        last, before, further = (retrieval(time, 1 - j * h, beta, 1.0, 8.0, 20) for j in range(3))
        return (3 * last - 4 * before + further) / (2 * h) / last

    assert abs(slope(t)) < 1e-5 and slope(0.99 * t) > 1e-3 and slope(1.01 * t) < -1e-3


def test_critical_times_by_their_sums():
    n = np.arange(1, 21)
    for beta in (1.0, 2.0, 3.0):
        weight, strength = np.exp(-((np.pi * n) ** 2) / 128), n**2 * iv(n, beta)
        exact = 2 * (1 - np.exp(-1)) * (weight @ strength) / (weight @ strength**2)
        assert critical_time(beta, 1.0) == pytest.approx(exact, rel=1e-12)
    assert critical_time([[1.0], [800.0]], [0.0, 1.0]).shape == (2, 2) and critical_time(1.0, 0.0) == 0


def test_the_middle_is_lost_before_the_critical_time():
    sources = np.linspace(0.005, 1, 400)
    early, late = (retrieval(f * critical_time(2.0, 1.0), sources, 2.0, 1.0) for f in (0.5, 1.5))
    turns = np.flatnonzero(np.diff(np.sign(np.diff(early))))
    assert len(turns) == 1 and 0.1 < sources[turns[0]] < 0.9
    assert late[-1] < late[-2]


def test_limits_and_shapes():
    assert retrieval_profile(0.5, 0.9, 2.0, 1.0, 0.4) == 0 and retrieval_profile(0.0, 0.3, 2.0, 1.0) == 0
    assert retrieval_profile(0.5, 1.0, 2.0, 1.0) == pytest.approx(causal_kernel(1.0, 1.0, 1.0), rel=1e-13)
    assert retrieval_profile(0.5, 0.0, 2.0, 1.0) == np.inf and retrieval_profile(0.0, 0.0, 2.0, 1.0) == 0
    assert retrieval_profile(0.5, 0.4, 2.0, 1e-9) == pytest.approx(retrieval_profile(0.5, 0.4, 2.0, 0.0), rel=1e-8)
    assert retrieval(np.ones((3, 1)), [0.2, 0.5], 1.0, 1.0).shape == (3, 2)
    assert mode_weight([1, 2], [[4.0], [8.0]]).shape == (2, 2)


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match=r"^decay = "):
        retrieval(1.0, 0.5, 1.0, -1.0)
    with pytest.raises(InputError, match=r"^beta = "):
        critical_time(0.0, 1.0)
    with pytest.raises(InputError, match=r"^sigma = "):
        causal_kernel(0.0, 0.0, 1.0)
    with pytest.raises(InputError, match=r"^source = "):
        retrieval_profile(1.0, 1.5, 1.0, 1.0)
    with pytest.raises(InputError, match=r"^width = "):
        mode_weight(1, 0.0)
    with pytest.raises(InputError, match=r"^modes = "):
        critical_time(1.0, 1.0, modes=0)
