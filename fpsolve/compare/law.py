"""The finite random transformer against its mean-field limit, in law: independent chains against independent paths.

A chain and a path share no weights, so only distributions over many of both can agree. The chain has η²L/H = ε² t_end,
its n tokens are iid draws of the initial law. Overlap, energy and powers of the chain are those of pairs of distinct
tokens, (n S - s_0)/(n - 1) with s_0 the share of a token with itself, which takes the sampling bias O(1/n) away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from fpsolve.compare.routes import Problem, Rung, start_of
from fpsolve.measures.base import Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.models.base import Model
from fpsolve.models.drawn_heads import DrawnHeads
from fpsolve.models.homogenized import Homogenized
from fpsolve.noise import BrownianPath
from fpsolve.observe import energy, overlap
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer import Gaussian, RandomTransformer

POWERS = (2, 3)
"""Degrees whose power Σ_m |ρ_ℓm|² is compared, besides the overlap, which is that of degree one."""


@dataclass(frozen=True)
class Law:
    """Observables at ``t_end`` of chains and of paths, dicts name -> (members,), and the seconds of both."""

    transformer: dict[str, Real]
    limit: dict[str, Real]
    transformer_seconds: float
    limit_seconds: float
    chain: RandomTransformer
    rung: Rung

    def rows(self) -> Iterator[tuple[str, float, float, float, float, float, float]]:
        """For each observable: its name, mean and standard error of the limit and of the chain, their difference in
        standard errors, and the level of the Kolmogorov-Smirnov test."""
        for name, limit in self.limit.items():
            chain = self.transformer[name]
            means, errors = (float(v.mean()) for v in (limit, chain)), (_error(limit), _error(chain))
            first, second = means
            scale = float(np.hypot(*errors))
            z = (second - first) / scale if scale > 0 else 0.0
            yield name, first, errors[0], second, errors[1], z, float(ks_2samp(limit, chain).pvalue)


def chain_of(model: Model, problem: Problem, n: int, heads: int, depth: int) -> RandomTransformer | str:
    """The random transformer whose diffusive limit is the model, or the sentence that says why there is none."""
    name = type(model).__name__
    if not isinstance(model, Homogenized | DrawnHeads):
        return f"transformer: {name} is not the diffusive limit of random layers (Homogenized and DrawnHeads are)"
    if not model.is_stochastic:
        return f"transformer: {name} with noise = 0 has no diffusive limit"
    if np.any(getattr(model, "drift", 0.0)):
        return "transformer: a mean value matrix (drift) outruns diffusive time"
    if model.diffusion > 0:
        return "transformer: its tokens have no noise of their own (diffusion)"
    std = 1 / np.sqrt(problem.d) if model.value_std is None else model.value_std
    step = float(np.sqrt(model.noise**2 * problem.t_end * heads / depth))
    law: dict[str, Any] = {"value": Gaussian(float(std)), "key_query": model.key_query}
    if model.key_query != "identity":
        law["key_query_std"] = model.key_query_std
    seed, member = problem.path.seed, problem.path.member
    return RandomTransformer(n, problem.d, heads, depth, step, model.beta, seed=seed, member=member, **law)


def in_law(problem: Problem, chain: RandomTransformer, rung: Rung, members: int, tick: Callable[[], object]) -> Law:
    """Run ``members`` chains and as many paths of the limit, these on ``rung``; ``tick`` is called after each path."""
    begun = time.perf_counter()
    points = chain.run_members(problem.law, members, save_points=True).points.values[:, -1]
    between = time.perf_counter()
    limit = []
    for member in range(members):
        path = BrownianPath(problem.path.seed, problem.path.member + member, problem.path.cell)
        limit.append(observed(last_state(replace(problem, path=path), rung), chain.beta))
        tick()
    ended = time.perf_counter()
    tokens = [observed_tokens(x, chain.beta) for x in points]
    return Law(_columns(tokens), _columns(limit), between - begun, ended - between, chain, rung)


def last_state(problem: Problem, rung: Rung) -> Measure:
    """The state at ``t_end``."""
    start, path = start_of(problem, rung)
    *_, (_, last) = problem.states(start, path)
    return last


def observed(measure: Measure, beta: float) -> dict[str, float]:
    """Components of the mean, overlap, powers of a few degrees and, for β > 0, energy."""
    moments = measure.moments(max(POWERS))
    assert moments is not None
    spectrum = geometry(measure.dimension).power(moments)
    values = {f"mean_{name}": float(m) for name, m in zip("xyz", measure.mean, strict=False)}
    values |= {"overlap": overlap(measure)} | {f"power_{degree}": float(spectrum[degree]) for degree in POWERS}
    interaction = energy(measure, beta) if beta > 0 else None
    return values if interaction is None else values | {"energy": interaction}


def observed_tokens(x: Real, beta: float) -> dict[str, float]:
    """The same of equal tokens, rows of ``x``, from pairs of distinct ones."""
    n, d = x.shape
    values = observed(Cloud(x, np.full(n, 1 / n)), beta)
    own = {"overlap": 1.0, "energy": float(np.exp(beta) / (2 * beta)) if beta > 0 else 0.0}
    own |= {f"power_{degree}": (2 * degree + 1) / (4 * np.pi) if d == 3 else 1 / np.pi for degree in POWERS}
    return {name: (n * value - own[name]) / (n - 1) if name in own else value for name, value in values.items()}


def _columns(rows: list[dict[str, float]]) -> dict[str, Real]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _error(values: Real) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))
