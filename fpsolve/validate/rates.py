"""Rates at one instant: simplex data under random heads, nearly antipodal pairs; and the switch of the transition."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fpsolve import theory
from fpsolve.measures import initial
from fpsolve.measures.build import build
from fpsolve.models.base import Model
from fpsolve.models.drawn_heads import DrawnHeads
from fpsolve.models.homogenized import Homogenized
from fpsolve.models.noisy_transformer import NoisyTransformer
from fpsolve.noise import BrownianPath
from fpsolve.sphere.harmonics import Real
from fpsolve.validate.conserved import overlaps
from fpsolve.validate.exponents import CLOSE, by_rule
from fpsolve.validate.measure import end, statistical, tokens, unit
from fpsolve.validate.rows import Row

SIMPLEX = (2.0, 5, 6, 0.2)
"""β, number of tokens, d and overlap."""


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """γ̇ of simplex data, the antipodal exponent of value noise, and β_* of the noisy transformer."""
    yield simplex_row(20 if quick else 150, seed)
    for beta, d in ((1.0, 3),) if quick else ((0.0, 3), (1.0, 3), (1.0, 8), (2.0, 8)):
        exact = float(theory.antipodal_exponent(beta, d))
        computed = antipodal_rate(beta, d, seed)
        name, tolerance = f"antipodal exponent, β = {beta:g}", 1e-3 * max(1, abs(exact))
        yield Row(f"value noise, d = {d}", name, exact, computed, tolerance)
    exact = float(theory.transition_beta(3))
    yield Row("noisy USA on S²", "β_*, where the transition turns", exact, transition(exact), 0.01 * exact)


def simplex_row(draws: int, seed: int) -> Row:
    """γ̇ at the initial instant: V averaged by the rule, A over the draws; f and g by direct sampling of A."""
    beta, n, d, gamma = SIMPLEX
    start = build(initial.simplex(n, gamma, d), "cloud", 7, 1e-10)
    model = DrawnHeads(beta, heads=1, value_std=1.0)
    drawn = (model.drawn(BrownianPath(seed, k, 0.01), 0.0, 0.01, d) for k in range(draws))
    samples = [by_rule(one, start, lambda state: float(overlaps(state).mean())) for one in drawn]
    shares = head_shares(start.x, beta * model.key_query_std, 40_000, seed)  # type: ignore[attr-defined]
    f, g = shares.mean(axis=0)
    exact = float(theory.simplex_drift(gamma, f, g, d, 1.0))
    (by_f, by_g) = (float(theory.simplex_drift(gamma, *at, d, 1.0)) - exact for at in ((f + 1e-3, g), (f, g + 1e-3)))
    error = float(np.hypot(by_f, by_g) * 1e3 * shares.std() / np.sqrt(len(shares)))
    return statistical(f"simplex of {n} tokens, d = {d}", "γ̇ under Gaussian heads", exact, samples, 2e-3, error)


def head_shares(x: Real, scale: float, count: int, seed: int) -> Real:
    """Samples of Σ_k π_1k² and Σ_k π_1k π_2k over A of entries N(0, scale²) (β included), shape (count, 2)."""
    a = np.random.default_rng(seed).normal(0.0, scale, (count, *2 * x.shape[1:]))
    scores = np.einsum("sab,ib,ka->sik", a, x[:2], x)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares = weights / weights.sum(axis=-1, keepdims=True)
    return np.stack([(shares[:, 0] ** 2).sum(-1), (shares[:, 0] * shares[:, 1]).sum(-1)], -1)


def antipodal_rate(beta: float, d: int, seed: int) -> float:
    """The rate of log(1 + ⟨x,y⟩) of one nearly antipodal pair, in units of σ_V², averaged by the rule."""
    x, u = np.random.default_rng(seed).normal(size=(2, d))
    x = unit(x)
    u = unit(u - (u @ x) * x)
    start = tokens(np.stack([x, -np.cos(CLOSE) * x + np.sin(CLOSE) * u]), 1e-10)
    model: Model = Homogenized(beta, value_std=1.0)
    return by_rule(model, start, lambda state: 2 * float(np.log(np.linalg.norm(state.x.sum(axis=0)))))  # type: ignore[attr-defined]


def transition(guess: float) -> float:
    """β at which the cubic coefficient of the mean's equation vanishes, at ν = the threshold of degree one.

    There |m| obeys d log|m|/dt = c|m|² + …, degree two being slaved to it: c < 0 where the transition is continuous.
    """
    betas = guess * np.array([0.9, 1.0, 1.1])
    return float(np.interp(0.0, [cubic_coefficient(beta) for beta in betas], betas))


def cubic_coefficient(beta: float, amplitude: float = 0.02) -> float:
    """c from a run of the density on S², after the transient of degree two."""
    model = NoisyTransformer(beta, float(theory.critical_diffusion(beta)))
    start = build(initial.von_mises_fisher([0, 0, 1], 3 * amplitude), "density", 15, 1e-10)
    settled = end(model, start, 6.0, 0.5)
    later = end(model, settled, 6.0, 0.5)
    first, last = (float(np.linalg.norm(state.mean)) for state in (settled, later))
    return float(np.log(last / first) / (6.0 * first * last))
