"""β → ∞: the zero-temperature flow, its projected law, and how fast self-attention of large β approaches both."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.measures.cloud import Cloud
from fpsolve.models.base import Model
from fpsolve.models.low_temperature import LowTemperatureLimit
from fpsolve.models.self_attention import SelfAttention
from fpsolve.observe.wasserstein import wasserstein
from fpsolve.sphere.harmonics import Real

QUIET = fp.BrownianPath(0, 0)
PLANE = np.diag([1.0, 0.4])
"""A = V = S on the circle: the top eigenspace is the axis ±e_x, each half circle is projected to one end."""


def circle_law(n: int = 400, towards: float = 1.1) -> Cloud:
    """ρ ∝ e^{cos(φ - 1.1)} on smoothly spaced angles (spectral quadrature), dense at the separatrix φ = ±π/2."""
    u = 2 * np.pi * (np.arange(n) + 0.5) / n
    weights = (1 + 0.95 * np.cos(2 * u)) * np.exp(np.cos(u + 0.475 * np.sin(2 * u) - towards))
    angles = u + 0.475 * np.sin(2 * u)
    return Cloud(np.stack([np.cos(angles), np.sin(angles)], -1), weights / weights.sum(), rtol=1e-4)


def sphere_tokens(n: int) -> Cloud:
    """Equal weights at a spiral lattice pushed to the law ∝ 1 + z/2, z(u) from its distribution function."""
    u = (np.arange(n) + 0.5) / n
    z = (np.sqrt(1 + (2 * u - 1) + 0.25) - 1) / 0.5
    phi = np.pi * (1 + np.sqrt(5)) * np.arange(n)
    x = np.stack([np.sqrt(1 - z * z) * np.cos(phi), np.sqrt(1 - z * z) * np.sin(phi), z], -1)
    return Cloud(x / np.linalg.norm(x, axis=1)[:, None], np.full(n, 1 / n), rtol=1e-4, tokens=True)


def states(model: Model, start: Cloud, t_end: float, dt: float) -> list[Cloud]:
    return [state for _, state in fp.run(model, start, QUIET, t_end=t_end, dt=dt)]


def paired(first: Cloud, second: Cloud) -> float:
    """The distance of the coupling that follows each point: a bound on W_2."""
    return float(np.sqrt(np.sum(first.weights * np.sum((first.x - second.x) ** 2, axis=1))))


def to_two_atoms(cloud: Cloud, target: Cloud) -> float:
    """W_2 to a law on ±e_x, exactly: the points furthest along e_x go to +e_x, one of them in two parts."""
    right = target.weights[target.x[:, 0] > 0].sum()
    order = np.argsort(-cloud.x[:, 0])
    x, before = cloud.x[order, 0], np.concatenate([[0.0], np.cumsum(cloud.weights[order])])
    plus = np.diff(np.minimum(before, right))
    return float(np.sqrt(np.sum(plus * (2 - 2 * x) + (np.diff(before) - plus) * (2 + 2 * x))))


def slope(betas: Real, values: list[float]) -> float:
    return float(np.polyfit(np.log(betas), np.log(values), 1)[0])


# --- the limit flow -------------------------------------------------------------------------------------


def test_the_limit_flow_is_a_projected_linear_flow() -> None:
    """For |Ax| = a constant, A = a R, x(t) = N(e^{tVA/a} x_0), in d = 4."""
    rng = np.random.default_rng(1)
    a, value = 1.7 * np.linalg.qr(rng.normal(size=(4, 4)))[0], rng.normal(size=(4, 4))
    x = rng.normal(size=(20, 4))
    start = Cloud(x / np.linalg.norm(x, axis=1)[:, None], np.full(20, 0.05), rtol=1e-11, tokens=True)
    end = states(LowTemperatureLimit(value, a), start, 1.0, 0.5)[-1]
    exact = start.x @ expm(value @ a / 1.7).T
    np.testing.assert_allclose(end.x, exact / np.linalg.norm(exact, axis=1)[:, None], rtol=0, atol=1e-9)


@pytest.mark.parametrize("symmetric", [True, False])
def test_it_tends_to_the_projected_law(symmetric: bool) -> None:
    """VA of eigenvalues 1, 1, 0.3: onto a circle, with the spectral (oblique) projector."""
    basis = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    if not symmetric:
        basis = basis + 0.3 * np.random.default_rng(3).normal(size=(3, 3))
    value = basis @ np.diag([1.0, 1.0, 0.3]) @ np.linalg.inv(basis)
    model = LowTemperatureLimit(value=value)
    start = sphere_tokens(50)
    end, target = states(model, start, 30.0, 3.0)[-1], model.projected(start)
    assert paired(end, target) < 1e-6
    assert np.linalg.matrix_rank(target.x, tol=1e-9) == 2


def test_the_drift_of_self_attention_tends_to_it_on_the_sphere() -> None:
    """Full support, smooth density, S²: the difference is (c/β)(1 + O(1/β)), by Laplace; no overflow at β = 800."""
    s = np.diag([1.0, 0.8, 0.6])
    start = sphere_tokens(6000)
    limit = LowTemperatureLimit(s, s).drift_field(start.source).on(start.sites)
    betas = np.array([50.0, 100.0, 200.0])
    drifts = [SelfAttention(b, s, s).drift_field(start.source).on(start.sites) for b in betas]
    gaps = [float(np.sqrt(np.mean((drift - limit) ** 2))) for drift in drifts]
    assert slope(betas, gaps) == pytest.approx(-1, abs=0.1)
    assert np.isfinite(SelfAttention(800.0, s, s).drift_field(start.source).on(start.sites)).all()


def test_a_run_on_the_sphere_at_large_beta() -> None:
    s, start = np.diag([1.0, 0.8, 0.6]), sphere_tokens(3000)
    end, limit = (states(m, start, 0.5, 0.5)[-1] for m in (SelfAttention(100.0, s, s), LowTemperatureLimit(s, s)))
    assert paired(end, limit) < 0.02
    assert paired(start, limit) > 0.1


# --- W_2 against β on the circle ------------------------------------------------------------------------


def test_at_a_fixed_time_the_distance_to_the_limit_flow_falls_like_one_over_beta() -> None:
    """A smooth law of full support does better than the bound √(log β/β), which asks for no smoothness."""
    start, betas = circle_law(), np.array([100.0, 200.0, 400.0])
    limit = states(LowTemperatureLimit(PLANE, PLANE), start, 1.0, 0.5)[-1]
    gaps = [paired(states(SelfAttention(b, PLANE, PLANE), start, 1.0, 0.5)[-1], limit) for b in betas]
    assert slope(betas, gaps) == pytest.approx(-1, abs=0.12)


def test_the_plateau_above_the_projected_law_falls_like_the_square_root() -> None:
    """After e^{-ct} has gone: mass ~ 1/β is on the wrong side of the separatrix, at distance 2, so W_2 ~ β^{-1/2}.

    The plateau is metastable, t ≪ e^{2βλ}; the law √(log(β+1)/β) e^{Ct} + e^{-ct} bounds it at every time up to there.
    """
    start, betas = circle_law(), np.array([50.0, 100.0, 200.0, 400.0])
    target = LowTemperatureLimit(PLANE, PLANE).projected(start)
    runs = [states(SelfAttention(b, PLANE, PLANE), start, 10.0, 2.0) for b in betas]
    plateau = [to_two_atoms(run[-1], target) for run in runs]
    assert slope(betas, plateau) == pytest.approx(-0.5, abs=0.04)
    times = 2.0 * np.arange(6)
    for beta, run in zip(betas, runs, strict=True):
        found = np.array([to_two_atoms(state, target) for state in run])
        assert (found <= np.sqrt(np.log(beta + 1) / beta) * np.exp(0.3 * times) + 1.2 * np.exp(-0.5 * times)).all()


# --- distances and refusals -----------------------------------------------------------------------------


def test_wasserstein_by_assignment_and_by_programme() -> None:
    rng = np.random.default_rng(7)
    x, y = (v / np.linalg.norm(v, axis=1)[:, None] for v in rng.normal(size=(2, 12, 3)))
    equal = [Cloud(v, np.full(12, 1 / 12)) for v in (x, y)]
    split = Cloud(np.concatenate([y, y[:1]]), np.concatenate([[1 / 24], np.full(11, 1 / 12), [1 / 24]]))
    assert wasserstein(*equal) == pytest.approx(wasserstein(equal[0], split), rel=1e-7)
    assert wasserstein(equal[0], equal[0]) == pytest.approx(0, abs=1e-7)
    turned = Cloud(x[::-1].copy(), np.full(12, 1 / 12))
    assert wasserstein(equal[0], turned) == pytest.approx(0, abs=1e-7)
    law = circle_law(200)
    target = LowTemperatureLimit(PLANE, PLANE).projected(law)
    assert wasserstein(law, target) == pytest.approx(to_two_atoms(law, target), rel=1e-6)


@pytest.mark.parametrize(
    ("value", "key_query", "match"),
    [
        (1.0, np.diag([1.0, 0.0]), "singular"),
        (1.0, [[0.0, -1.0], [1.0, 0.0]], "complex"),
        ([[1.0, 1.0], [0.0, 1.0]], 1.0, "Jordan"),
    ],
)
def test_matrices_without_a_limit_are_refused(value: object, key_query: object, match: str) -> None:
    with pytest.raises(InputError, match=match):
        LowTemperatureLimit(value, key_query).projected(circle_law(10))  # type: ignore[arg-type]
