"""Causal attention on the circle: O(N) sums, a solvable linearisation, refusals."""

import numpy as np
import pytest
from scipy.special import iv

import fpsolve as fp
from fpsolve.models.causal import CausalAttention
from fpsolve.theory import retrieval_profile


def tokens(angles, labels, weights=None):
    return fp.initial.points(np.stack([np.cos(angles), np.sin(angles)], -1), weights, labels)


@pytest.mark.parametrize("beta", [0.0, 1.0, 5.0, 20.0])
@pytest.mark.parametrize("decay", [0.0, 1.0, 30.0])
def test_the_speed_is_the_double_sum_of_the_literature(beta, decay):
    """θ̇_j = Z_j⁻¹ Σ_{σ_k < σ_j} w_k e^{-λ(σ_j - σ_k)} w'(θ_j - θ_k); several at one position do not see each other."""
    rng = np.random.default_rng(0)
    angles, weights = rng.uniform(0, 2 * np.pi, 60), rng.uniform(size=60)
    weights /= weights.sum()
    labels = rng.integers(1, 20, 60) / 20
    share = np.where(labels < labels[:, None], weights * np.exp(-decay * np.abs(labels[:, None] - labels)), 0.0)
    apart = angles[:, None] - angles[None, :]
    force = -beta * np.sin(apart) * np.exp(beta * np.cos(apart))
    total = share.sum(axis=1)
    direct = (share * force).sum(axis=1) / np.where(total > 0, total, 1.0)
    cloud = fp.Cloud(np.stack([np.cos(angles), np.sin(angles)], -1), weights, labels=labels, tokens=True)
    v = CausalAttention(beta, decay).drift_field(cloud.source).on(cloud.sites)
    tangent = np.stack([-np.sin(angles), np.cos(angles)], -1)
    assert np.abs((v * tangent).sum(axis=1) - direct).max() < 1e-12 * max(1.0, np.exp(beta) * beta)


def test_first_token_rests_and_second_follows_it():
    """θ̇₂ = w'(θ₂ - θ₁): tan(φ/2) decays by the exact quadrature of dφ/(β sin φ e^{β cos φ})."""
    ds = fp.solve(
        CausalAttention(beta=1.0), tokens([0.3, 1.5], [0.5, 1.0]), t_end=0.5, dt=0.1, measure="cloud",
        save_points=True, rtol=1e-10, scheme="rk4",
    )  # fmt: skip
    angle = np.arctan2(ds.points.values[..., 1], ds.points.values[..., 0])
    assert np.abs(angle[:, 0] - 0.3).max() < 1e-14
    gap = np.linspace(angle[-1, 1] - 0.3, 1.2, 20001)
    time = np.trapezoid(1 / (np.sin(gap) * np.exp(np.cos(gap))), gap)
    assert time == pytest.approx(0.5, abs=1e-7)


@pytest.mark.parametrize(("beta", "t"), [(1.0, 0.5), (2.0, 0.2)])
def test_a_perturbation_at_one_position_spreads_by_the_retrieval_profile(beta, t):
    """Linear response of mode n of the uniform mean field at a later position: the closed profile, a = n² I_n(β)."""
    positions, count, decay, n = 400, 16, 1.0, 1
    sigma = (np.arange(positions) + 0.5) / positions
    grid = 2 * np.pi * np.arange(count) / count
    source, eps = positions // 5, 1e-4
    angles = np.tile(grid, (positions, 1))
    angles[source] -= eps * np.sin(n * grid) / n  # ρ_n of that position becomes eps/2 of the mass, to first order
    start = tokens(angles.ravel(), np.repeat(sigma, count))
    few = {"measure": "cloud", "save_points": True, "rtol": 1e-10, "scheme": "rk4"}
    ds = fp.solve(CausalAttention(beta, decay), start, t_end=t, dt=t / 2, **few)
    last = ds.points.values[-1].reshape(positions, count, 2)
    mode = np.mean(np.exp(-1j * n * np.arctan2(last[..., 1], last[..., 0])), axis=1).real
    later = slice(positions // 2, None, 40)
    response = mode[later] / (eps / 2) * positions  # per unit of position
    profile = retrieval_profile(t, sigma[source], n**2 * iv(n, beta), decay, sigma[later])
    assert np.abs(response / profile - 1).max() < 0.02


def test_a_causal_model_is_refused_by_the_mean_field_solver():
    with pytest.raises(fp.errors.InputError, match="positions"):
        law = fp.initial.von_mises_fisher([1.0, 0.0], 1.0)
        fp.solve(CausalAttention(1.0), law, t_end=0.1, dt=0.1, measure="density")
    with pytest.raises(fp.errors.InputError, match="labels"):
        fp.solve(CausalAttention(1.0), tokens([0.3, 1.5], None), t_end=0.1, dt=0.1, measure="cloud")


@pytest.mark.parametrize("scheme", ["lie_euler", "heun", "ninomiya"])
def test_flow_schemes_refuse_it_before_computing_and_by_their_name(scheme, monkeypatch):
    monkeypatch.setattr(CausalAttention, "drift_field", None)
    with pytest.raises(fp.errors.InputError, match=f"{scheme}.*rk4.*geodesic_euler"):
        fp.solve(CausalAttention(1.0), tokens([0.3, 1.5], [0.5, 1]), t_end=0.1, dt=0.1, measure="cloud", scheme=scheme)


@pytest.mark.parametrize("labels", [[0.0, 1.0], [0.5, 1.5], [-0.1, 0.5]])
def test_positions_outside_the_sequence_are_refused(labels):
    with pytest.raises(fp.errors.InputError) as refused:
        fp.solve(CausalAttention(1.0), tokens([0.3, 1.5], labels), t_end=0.1, dt=0.1, measure="cloud")
    assert refused.value.argument == "labels"


def test_labels_of_another_shape_are_refused():
    x = np.eye(2)
    for labels in (np.array([0.5]), np.array([0.5, np.nan]), np.array([[0.5], [1.0]]), 0.5):
        with pytest.raises(fp.errors.InputError) as refused:
            fp.Cloud(x, np.full(2, 0.5), labels=labels)
        assert refused.value.argument == "labels"


@pytest.mark.parametrize("scheme", ["geodesic_euler", "euler_maruyama"])
def test_schemes_for_joint_fields_converge_with_labels(scheme):
    """At order one to the default, which is rk4, at 1e-12."""
    rng = np.random.default_rng(2)
    start = tokens(rng.uniform(0, 2 * np.pi, 12), np.arange(1, 13) / 12)

    def end(steps, scheme):
        few = {"measure": "cloud", "save_points": True, "scheme": scheme} | ({} if scheme else {"rtol": 1e-12})
        return fp.solve(CausalAttention(2.0), start, t_end=0.5, dt=0.5 / steps, **few).points.values[-1]

    errors = [np.abs(end(steps, scheme) - end(1, None)).max() for steps in (16, 32, 64)]
    assert np.abs(np.log2(np.array(errors[:-1]) / errors[1:]) - 1).max() < 0.15
