"""Several fixed heads: the gradient flow of the total energy, entropy production, energies of the heads."""

from __future__ import annotations

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.measures.build import build
from fpsolve.measures.cloud import Cloud
from fpsolve.models.multi_head import MultiHead
from fpsolve.models.self_attention import SelfAttention
from fpsolve.observe.free_energy import dissipation, head_energies, interaction_energy

QUIET = fp.BrownianPath(0, 0)
RNG = np.random.default_rng(5)
SYMMETRIC = [np.diag([1.0, 0.3, -0.5]), np.array([[0.2, 0.5, 0.0], [0.5, -0.1, 0.4], [0.0, 0.4, 0.6]])]
GENERAL = [RNG.normal(size=(3, 3)) * 0.6, RNG.normal(size=(3, 3)) * 0.6]


def total_energy(x: np.ndarray, beta: float, matrices: list, weights: list) -> float:
    """Σ_h w_h/(2βn²) Σ_ij e^{β⟨x_i, A_h x_j⟩}, directly."""
    return sum(w * np.exp(beta * x @ a @ x.T).mean() / (2 * beta) for a, w in zip(matrices, weights, strict=True))


def tokens(n: int, d: int = 3) -> Cloud:
    x = np.random.default_rng(n).normal(size=(n, d))
    return Cloud(x / np.linalg.norm(x, axis=1)[:, None], np.full(n, 1 / n), rtol=1e-11, tokens=True)


@pytest.mark.parametrize("matrices", [SYMMETRIC, GENERAL], ids=["symmetric", "general"])
def test_the_drift_is_the_gradient_of_the_energy(matrices: list) -> None:
    """n P_x ∂E/∂x_i by central differences of the energy itself."""
    cloud, weights, beta = tokens(7), [0.7, 1.6], 1.2
    model = MultiHead.gradient_flow(beta, matrices, weights)
    drift, h = model.drift_field(cloud.source).on(cloud.sites), 1e-5
    expected = np.zeros_like(cloud.x)
    for i in range(7):
        for a in range(3):
            shift = np.zeros((7, 3))
            shift[i, a] = h
            sides = [total_energy(cloud.x + sign * shift, beta, matrices, weights) for sign in (1, -1)]
            expected[i, a] = 7 * (sides[0] - sides[1]) / (2 * h)
    expected -= np.sum(expected * cloud.x, axis=1)[:, None] * cloud.x
    np.testing.assert_allclose(drift, expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(head_energies(model, cloud).sum(), total_energy(cloud.x, beta, matrices, weights))


@pytest.mark.parametrize("matrices", [SYMMETRIC, GENERAL], ids=["symmetric", "general"])
@pytest.mark.parametrize("measure", ["density", "cloud"])
def test_the_energy_grows_at_the_squared_speed(matrices: list, measure: str) -> None:
    """dE/dt = ∫|v|²dμ, by finite differences in time (fourth order)."""
    model, h = MultiHead.gradient_flow(1.0, matrices), 0.02
    law = fp.initial.von_mises_fisher([0, 0.6, 0.8], 1.0)
    start = tokens(40) if measure == "cloud" else build(law, measure, 11, 1e-8)
    states = [state for _, state in fp.run(model, start, QUIET, t_end=4 * h, dt=h)]
    energies = [head_energies(model, state).sum() for state in states]
    rate = (energies[0] - 8 * energies[1] + 8 * energies[3] - energies[4]) / (12 * h)
    np.testing.assert_allclose(rate, dissipation(model, states[2]), rtol=1e-6)
    assert (np.diff(energies) > 0).all()


def test_one_head_may_lose_energy_while_the_total_grows() -> None:
    model = MultiHead.gradient_flow(2.0, [np.diag([1.0, 0.0, 0.0]), np.diag([0.0, -1.0, 0.0])], [1.0, 0.2])
    states = [state for _, state in fp.run(model, tokens(40), QUIET, t_end=2.0, dt=0.25)]
    energies = np.array([head_energies(model, state) for state in states])
    assert (np.diff(energies.sum(axis=1)) > 0).all()
    assert (np.diff(energies, axis=0) < 0).any()


def test_equal_heads_are_one_head() -> None:
    cloud = tokens(9)
    double = MultiHead(3.0, [np.eye(3), 1.0], [1.0, np.eye(3)], weights=[0.25, 0.75])
    fields = [model.drift_field(cloud.source).on(cloud.sites) for model in (double, SelfAttention(3.0))]
    np.testing.assert_allclose(*fields, rtol=0, atol=1e-14)
    parts = [double.head_field(cloud.source, h).on(cloud.sites) for h in range(2)]
    np.testing.assert_allclose(sum(parts), fields[0], rtol=0, atol=1e-14)


def test_the_interaction_energy_of_a_measure_is_that_of_its_points() -> None:
    law, a = fp.initial.von_mises_fisher([0, 0, 1], 2.0), GENERAL[0]
    density, cloud = (build(law, kind, 15, 1e-6) for kind in ("density", "cloud"))
    expected = cloud.weights @ np.exp(2.0 * cloud.x @ a @ cloud.x.T) @ cloud.weights / 4.0
    for measure in (density, cloud):
        np.testing.assert_allclose(interaction_energy(measure, 2.0, a), expected, rtol=1e-9)


@pytest.mark.parametrize(
    "arguments",
    [
        {"key_query": []},
        {"value": [1.0]},
        {"weights": [1.0]},
        {"weights": [1.0, np.nan]},
        {"key_query": [np.ones(3), 1.0]},
    ],
)
def test_bad_heads_are_refused(arguments: dict) -> None:
    with pytest.raises(InputError, match=next(iter(arguments))):
        MultiHead(**{"beta": 1.0, "key_query": [1.0, 2.0], "value": [1.0, 1.0], **arguments})
