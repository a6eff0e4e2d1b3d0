"""Unnormalised attention at large β: against stiff integrators, closed forms and characteristics of a zonal law."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import ive

import fpsolve as fp
from fpsolve import theory
from fpsolve.errors import FPSolveError, InputError, UnresolvedError
from fpsolve.models import (
    CausalAttention,
    LowTemperatureLimit,
    MultiHead,
    NoisyTransformer,
    SelfAttention,
    SpectralSelection,
    UnnormalisedSelfAttention,
)

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
VMF = fp.initial.von_mises_fisher([0, 0, 1], 2.0)


def tokens(n: int, d: int) -> np.ndarray:
    x = np.random.default_rng(4).normal(size=(n, d))
    return x / np.linalg.norm(x, axis=1)[:, None]


def stiff(x: np.ndarray, beta: float, t: float, matrix: np.ndarray) -> np.ndarray:
    """dx = P_x A (1/n) Σ y e^{β⟨Ax,y⟩} by Radau in the time e^{β|A|} t, exponents scaled alike."""
    n, d = x.shape
    largest = beta * np.linalg.norm(matrix, 2)

    def rate(_: float, y: np.ndarray) -> np.ndarray:
        x = y.reshape(n, d) / np.linalg.norm(y.reshape(n, d), axis=1)[:, None]
        pull = np.exp(beta * x @ matrix.T @ x.T - largest) @ x @ matrix.T / n
        return (pull - np.sum(pull * x, axis=1)[:, None] * x).ravel()

    end = solve_ivp(rate, (0, t * np.exp(largest)), x.ravel(), method="Radau", rtol=1e-9, atol=1e-11).y[:, -1]
    return end.reshape(n, d) / np.linalg.norm(end.reshape(n, d), axis=1)[:, None]


CASES = [(6.0, 2, 0.1), (6.0, 3, 0.1), (6.0, 8, 0.1), (8.0, 3, 0.1), (10.0, 2, 0.1), (20.0, 3, 1e-7)]


@pytest.mark.parametrize(("beta", "d", "dt"), CASES)
def test_tokens_agree_with_a_stiff_integrator(beta: float, d: int, dt: float) -> None:
    x = tokens(5, d)
    few = {"t_end": dt, "dt": dt, "measure": "cloud", "save_points": True, "progress": False}
    ds = fp.solve(UnnormalisedSelfAttention(beta), fp.initial.points(x), **few)
    assert np.abs(ds.points.values[-1] - stiff(x, beta, dt, np.eye(d))).max() < 1e-5


def test_stiff_tokens_keep_the_closed_form_of_their_clusters() -> None:
    """β = 20, dt = 0.1: two pairs, each of which meets at the rate 2e²⁰ = 1e9, then move as two tokens."""
    angles = np.array([-1e-3, 1e-3, 1.5 - 1e-3, 1.5 + 1e-3])
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    few = {"t_end": 0.1, "dt": 0.1, "measure": "cloud", "save_points": True, "progress": False}
    end = fp.solve(UnnormalisedSelfAttention(20.0), fp.initial.points(x), **few).points.values[-1]
    exact = float(theory.equiangular_overlap(0.1, np.cos(1.5), 20.0, 2, "usa"))
    assert exact > np.cos(1.5) + 0.1
    assert end[0] @ end[2] == pytest.approx(exact, abs=1e-5)
    assert end[0] @ end[1] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("beta", [1.0, 2.0, 4.0])
def test_matrices_that_stretch(beta: float) -> None:
    """A = V = diag(1, 5): speeds up to 5 e^{5β}."""
    x, matrix, dt = tokens(5, 2), np.diag([1.0, 5.0]), 0.02 if beta < 4 else 1e-7
    few = {"t_end": dt, "dt": dt, "measure": "cloud", "save_points": True, "progress": False}
    ds = fp.solve(UnnormalisedSelfAttention(beta, matrix, matrix), fp.initial.points(x), **few)
    assert np.abs(ds.points.values[-1] - stiff(x, beta, dt, matrix)).max() < 1e-5


@pytest.mark.parametrize(("beta", "gamma", "target"), [(8.0, 0.3, 0.9), (20.0, 0.9, 0.99), (300.0, 0.99, 0.999)])
def test_equiangular_tokens_keep_their_closed_form(beta: float, gamma: float, target: float) -> None:
    n, t = 4, float(theory.equiangular_time(gamma, target, beta, 4, "usa"))
    x = np.linalg.cholesky(np.full((n, n), gamma) + (1 - gamma) * np.eye(n))
    few = {"t_end": t, "dt": t, "measure": "cloud", "save_points": True, "progress": False, "rtol": 1e-9}
    ds = fp.solve(UnnormalisedSelfAttention(beta), fp.initial.points(x), **few)
    end = ds.points.values[-1]
    assert np.abs((end @ end.T)[np.triu_indices(n, 1)] - target).max() < 1e-6


def zonal_mean(beta: float, kappa: float, t: float) -> float:
    """Mean of u = ⟨x,e⟩ of a vMF law on S² by characteristics u' = (1-u²) ∂_u M/β of 200 Gauss nodes, one dimension."""
    u, w = np.polynomial.legendre.leggauss(200)
    w = w * np.exp(kappa * (u - 1))
    w /= w.sum()

    def rate(_: float, u: np.ndarray) -> np.ndarray:
        c = np.sqrt(np.maximum(1 - u * u, 0))
        cross = beta * c[:, None] * c
        scale = np.exp(beta * np.outer(u, u) + cross - beta)
        first = scale * (ive(0, cross) * u - ive(1, cross) * u[:, None] * c / np.maximum(c[:, None], 1e-12))
        return (1 - u * u) * (first @ w)

    end = solve_ivp(rate, (0, t * np.exp(beta)), u, method="DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
    return float(w @ end)


@pytest.mark.parametrize("beta", [6.0, 8.0, 10.0, 20.0])
def test_densities_agree_with_characteristics_of_one_dimension(beta: float) -> None:
    t = 0.2 * beta * np.exp(-beta)
    ds = fp.solve(UnnormalisedSelfAttention(beta), VMF, t_end=t, dt=t, lmax=63, rtol=1e-9, progress=False)
    assert ds.tail.values[-1] < 1e-10
    exact = zonal_mean(beta, 2.0, t)
    assert exact - zonal_mean(beta, 2.0, 0.0) > 1e-3
    assert ds.mean_vector.values[-1, 2] == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize("beta", [20.0, 500.0])
def test_no_model_overflows(beta: float) -> None:
    """In one step of the time e^{-β} that they have, or that of the normalised ones, every state is one."""
    x, short = tokens(8, 3), 0.1 * beta * np.exp(-beta)
    angles = np.linspace(0, 2, 8)
    circle = fp.initial.points(np.stack([np.cos(angles), np.sin(angles)], 1), labels=np.arange(1, 9) / 8)
    symmetric = np.diag([1.0, 0.5, -1.0])
    runs = [
        (UnnormalisedSelfAttention(beta), VMF, short, "density"),
        (UnnormalisedSelfAttention(beta), fp.initial.points(x), short, "cloud"),
        (NoisyTransformer(beta, 0.1), VMF, short, "density"),
        (MultiHead(beta, (1.0, 0.5), (1.0, 1.0), normalised=False), VMF, short, "density"),
        (MultiHead(beta, (1.0, symmetric), (1.0, 1.0), normalised=False), fp.initial.points(x), short, "cloud"),
        (SpectralSelection(beta, symmetric), VMF, 0.02, "density"),
        (SpectralSelection(beta, symmetric), fp.initial.points(x), 0.1, "cloud"),
        (SelfAttention(beta), fp.initial.points(x), 0.1, "cloud"),
        (CausalAttention(beta), circle, short, "cloud"),
        (LowTemperatureLimit(symmetric + 2 * np.eye(3)), VMF, 0.1, "density"),
    ]
    for model, start, t, measure in runs:
        degree = {"lmax": 15} if measure == "density" else {}
        ds = fp.solve(model, start, t_end=t, dt=t, measure=measure, progress=False, **degree)
        assert np.isfinite(ds.overlap).all() and np.linalg.norm(ds.mean_vector, axis=1).max() <= 1
        assert ("log_energy" in ds and np.isfinite(ds.log_energy).all()) or isinstance(model, LowTemperatureLimit)


@pytest.mark.parametrize("scheme", ["rk4", "lie_euler", "heun", "euler_maruyama", "geodesic_euler"])
def test_a_step_that_is_too_long_is_told_with_dt_and_remedy(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fpsolve.transport.stiff.MOST_EVALUATIONS", 300)
    for measure, start, degree in (("cloud", fp.initial.points(tokens(8, 3)), {}), ("density", VMF, {"lmax": 15})):
        if measure == "density" and scheme in ("euler_maruyama", "geodesic_euler"):
            continue
        with pytest.raises(FPSolveError, match=r"dt = 0\.1; take a smaller dt") as told:
            few = {"t_end": 0.1, "dt": 0.1, "measure": measure, "scheme": scheme} | degree
            fp.solve(UnnormalisedSelfAttention(500.0), start, **few)
        assert isinstance(told.value, UnresolvedError)


def test_exponents_beyond_double_precision_are_refused() -> None:
    for make in (CausalAttention, UnnormalisedSelfAttention, lambda beta: NoisyTransformer(beta, 0.1)):
        with pytest.raises(InputError, match=r"^beta = 800"):
            make(800.0)
