"""β = 0: attention is the mean, and the law of a token stays on a Möbius orbit that the noise's path determines."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fpsolve import theory
from fpsolve.course import run
from fpsolve.measures import initial
from fpsolve.measures.build import build
from fpsolve.models.homogenized import Homogenized
from fpsolve.models.random_linear import BrownianGradientFlow
from fpsolve.noise import BrownianPath
from fpsolve.sphere.harmonics import Real
from fpsolve.validate.measure import end, tokens
from fpsolve.validate.rows import Row

START = np.array([0.1, -0.2, 0.3])
DT = 0.05


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """The mean along a path at β = 0 (density and cloud) against composed boosts, and a cross-ratio of four tokens."""
    law = initial.function(lambda x: theory.moebius_density(x, START))
    for measure in ("density", "cloud"):
        start = build(law, measure, 47, 1e-9)
        worst = 0.0
        path, a = BrownianPath(seed, cell=DT), START
        for n, (_, state) in enumerate(run(Homogenized(beta=0.0, value_std=1.0), start, path, t_end=0.4, dt=DT)):
            worst = max(worst, float(np.abs(state.mean - mean(a)).max()))
            a = boosted(a, path.increment(n * DT, (n + 1) * DT, 9).reshape(3, 3))
        yield Row(f"β = 0 on S², {measure}", "distance from the Möbius orbit", 0.0, worst, 1e-6)
    for d in (3,) if quick else (2, 3, 8, 64):
        x = initial.samples(initial.uniform(d), 4, seed + 7).x
        last = end(BrownianGradientFlow(), tokens(x, 1e-11), 1.0, 0.1, BrownianPath(seed, cell=0.1))
        moved = last.x
        yield Row(f"Brownian gradient flow, d = {d}", "cross-ratio at t = 1", cross_ratio(x), cross_ratio(moved), 1e-7)


def mean(a: Real) -> Real:
    """∫ x ρ_a."""
    size = np.linalg.norm(a)
    return np.asarray(theory.moebius_moment(1, size) * a / size)


def boosted(a: Real, values: Real) -> Real:
    """The orbit after one step with the increment ΔV."""
    return theory.compose(theory.boost_parameter(values @ mean(a)), a)


def cross_ratio(x: Real) -> float:
    """|x₁-x₂||x₃-x₄| / (|x₁-x₃||x₂-x₄|)."""
    distance = np.linalg.norm(x[:, None] - x[None], axis=-1)
    return float(distance[0, 1] * distance[2, 3] / (distance[0, 2] * distance[1, 3]))
