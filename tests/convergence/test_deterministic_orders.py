"""Orders without noise: ``rtol`` so loose that a step is one sub-step."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.models import SelfAttention

MODEL = SelfAttention(beta=2.0)


def start(n=7, rtol=1e3):
    x = np.random.default_rng(3).normal(size=(n, 3))
    return fp.Cloud(x / np.linalg.norm(x, axis=1, keepdims=True), np.full(n, 1 / n), rtol=rtol, tokens=True)


def end(measure, scheme, steps, t_end=1.0):
    *_, (_, last) = fp.run(MODEL, measure, fp.BrownianPath(0), t_end=t_end, dt=t_end / steps, scheme=scheme)
    return last


@pytest.mark.parametrize(("scheme", "theory"), [("rk4", 4), ("heun", 2), ("lie_euler", 1), ("ninomiya", 4)])
def test_the_drift_is_of_its_order(scheme, theory):
    """rk4 and ninomiya re-evaluate the drift in every stage; heun averages two frozen fields, lie_euler freezes one.

    The frozen fields of heun and lie_euler are flowed exactly, to 1e-12.
    """
    measure = start() if theory == 4 else start(rtol=1e-12)
    reference = end(start(rtol=1e-12), "rk4", 16).x
    errors = np.array([np.abs(end(measure, scheme, n).x - reference).max() for n in (8, 16, 32)])
    orders = np.log2(errors[:-1] / errors[1:])
    assert errors[-1] > 1e-9
    assert np.abs(orders - theory).max() < 0.15, (errors, orders)


def test_the_tolerance_is_met_whatever_the_step_is():
    reference = end(start(rtol=1e-12), "rk4", 16).x
    for rtol in (1e-4, 1e-6, 1e-8):
        assert np.abs(end(start(rtol=rtol), "rk4", 2).x - reference).max() < 10 * rtol


def test_equiangular_tokens_follow_their_equation():
    """ρ̇ = 2e^{βρ}(1-ρ)((n-1)ρ+1)/(e^β+(n-1)e^{βρ}) for n tokens with equal overlaps ρ, in d = n dimensions."""
    n, beta, t_end = 4, 2.0, 1.0
    tokens = fp.initial.simplex(n, 0.1, n)
    cloud = fp.Cloud(tokens.x, tokens.weights, rtol=1e-12, tokens=True)
    *_, (_, last) = fp.run(SelfAttention(beta), cloud, fp.BrownianPath(0), t_end=t_end, dt=0.25, scheme="rk4")
    overlaps = (last.x @ last.x.T)[~np.eye(n, dtype=bool)]

    def slope(r):
        return 2 * np.exp(beta * r) * (1 - r) * ((n - 1) * r + 1) / (np.exp(beta) + (n - 1) * np.exp(beta * r))

    rho, h = 0.1, t_end / 2000
    for _ in range(2000):
        k1 = slope(rho)
        k2 = slope(rho + h / 2 * k1)
        k3 = slope(rho + h / 2 * k2)
        rho += h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(rho + h * k3))
    assert np.abs(overlaps - rho).max() < 1e-10
