"""Distance of two close tokens under common noise: |x-y| ~ e^{λt}, λ = ½[(d-3)k'(1) - (d-1)κ]; -κ in d = 3.

Two estimates of λ. In one short step E log-distance is averaged over the rule ±√n e_k for the n increments, exact to
third degree: no statistics, an error O(n dt). Along runs, from each step's log-distance ratio its part linear in the
increment, ⟨x-y, v(x)-v(y)⟩/|x-y|², v the noise field before the step, is taken away: it has mean zero, and what is left
fluctuates by O(dt) instead of O(√dt).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fpsolve import theory
from fpsolve.course import run
from fpsolve.measures import Measure, initial
from fpsolve.measures.build import source_of
from fpsolve.measures.cloud import Cloud
from fpsolve.models.base import Model
from fpsolve.models.drawn_heads import DrawnHeads
from fpsolve.models.homogenized import Homogenized
from fpsolve.models.isotropic_flow import IsotropicFlow
from fpsolve.models.random_linear import BrownianGradientFlow, LinearGaussianLayers
from fpsolve.models.synchronisation import SynchronisationByNoise
from fpsolve.noise import BrownianPath
from fpsolve.schemes import SCHEMES
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer import HeadLaw, scaling
from fpsolve.validate.measure import statistical, unit
from fpsolve.validate.rows import Row

CLOSE = 1e-4
"""Initial distance of the pairs."""


SHORT = 1e-6
"""Diffusive time of a step that is averaged by the rule, divided by the number of channels."""

HEADS = {2: (2.0, 12), 4: (2.0, 12), 8: (4.0, 12), 64: (4.0, 40)}
"""β and the number of tokens of the random heads, by d; aligned tokens attract in the first two only."""


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """λ = -κ of the Gaussian laws in d = 3, and the exponents of several kernels in other dimensions."""
    for kind in ("gaussian",) if quick else ("gaussian", "product"):
        yield frozen_row(kind, 8 if quick else 12, seed)
    for d, draws in ((4, 60),) if quick else ((2, 400), (4, 200), (8, 200)):
        yield exact_row(LinearGaussianLayers(), "linear Gaussian layers", d, seed)
        yield heads_row(d, draws, seed)
    for d in (8,) if quick else (2, 4, 8, 64):
        yield exact_row(BrownianGradientFlow(), "Brownian gradient flow", d, seed)
    if quick:
        return
    for kind in ("gaussian", "product"):
        yield homogenized_row(kind, 30, seed)
    for d in (2, 4, 8):
        yield blocks_row(d, 100, seed)
    yield layers_row(64, 60, seed)
    yield many_heads_row(64, 40, seed)


def frozen_row(kind: str, noise_lmax: int, seed: int) -> Row:
    """The flow of the noise of Homogenized at one law on S², frozen, against -κ of the kernel of that law."""
    model, law = homogenized(kind, noise_lmax), initial.von_mises_fisher([0, 0, 1], 1.0)
    flow = IsotropicFlow(tuple(model.spectrum(source_of(law))))
    kappa = model.kernel(law).kappa
    computed = expected_rate(flow, few_pairs(3, seed))
    return Row(f"frozen Homogenized, {kind}, d = 3", "λ, against -κ", -kappa, computed, 4e-3 * kappa)


def homogenized(kind: str, noise_lmax: int) -> Homogenized:
    """β = 4, σ_V = 1."""
    return Homogenized(4.0, kind, value_std=1.0, noise_lmax=noise_lmax)  # type: ignore[arg-type]


def homogenized_row(kind: str, members: int, seed: int) -> Row:
    """λ along runs of Homogenized on S² whose μ is the cloud itself, against -κ of the states that the runs pass."""
    model, dt, steps = homogenized(kind, 8), 0.01, 8
    start = with_partners(initial.samples(initial.von_mises_fisher([0, 0, 1], 1.0), 60, seed).x)
    degrees, sums, kappas = 2 * np.arange(int(model.noise_lmax) + 1) + 1, [], []
    for member in range(members):
        states = path_of(model, start, dt, steps, seed, member)
        kappas.append(np.mean([degrees @ model.spectrum(state.source) / (4 * np.pi) for state in states[:-1]]))
        sums.append(rate(model, states, dt, BrownianPath(seed, member, dt)) + kappas[-1])
    kappa = float(np.mean(kappas))
    return statistical(f"Homogenized, {kind}, d = 3", "λ along runs, against -κ", -kappa, np.array(sums) - kappa, 0.01)


def exact_row(model: Model, name: str, d: int, seed: int) -> Row:
    """λ of a noise whose kernel does not depend on μ, by the rule."""
    exact = float(theory.distance_exponent(model.kernel(), d))  # type: ignore[attr-defined]
    computed = expected_rate(model, few_pairs(d, seed))
    return Row(f"{name}, d = {d}", "distance exponent λ", exact, computed, 1e-3 * max(1.0, abs(exact)))


def heads_row(d: int, draws: int, seed: int) -> Row:
    """λ of random heads of Gaussian A at given tokens, frozen: V averaged by the rule, A over the draws."""
    beta, n = HEADS[d]
    x = initial.samples(initial.uniform(d), n, seed).x
    exact, error = heads_exponent(beta, x, seed)
    model, start = DrawnHeads(beta, heads=1, value_std=1.0), with_partners(x)
    drawn = (model.drawn(BrownianPath(seed, k, 0.01), 0.0, 0.01, d) for k in range(draws))
    samples = [expected_rate(one, start) for one in drawn]
    return statistical(f"random heads, d = {d}", "distance exponent λ", exact, samples, 2e-3, error)


def many_heads_row(d: int, members: int, seed: int) -> Row:
    """The same by statistics alone, where V has too many entries for the rule."""
    beta, n = HEADS[d]
    x = initial.samples(initial.uniform(d), n, seed).x
    exact, error = heads_exponent(beta, x, seed)
    model = DrawnHeads(beta, heads=2, value_std=1.0)
    samples = rates_of(model, with_partners(x), 2e-4, 1, members, seed)
    return statistical(f"random heads, d = {d}", "distance exponent λ", exact, samples, 0.02 * abs(exact), error)


def heads_exponent(beta: float, x: Real, seed: int) -> tuple[float, float]:
    """λ of the kernel of these tokens, and its standard error."""
    law = HeadLaw(beta, key_query="gaussian", value_std=1.0)
    n, d = x.shape
    known = scaling(n, d, 1, 1, 0.1, law, x, mc_samples=20_000, seed=seed, members=0)
    assert known.slope is not None and known.kappa is not None and known.local_exponent_error is not None
    return float(theory.distance_exponent((known.slope, known.kappa), d)), known.local_exponent_error


def layers_row(d: int, members: int, seed: int) -> Row:
    """λ of linear Gaussian layers by statistics: a small difference of d/2 k'(1) and d/2 κ."""
    model = LinearGaussianLayers()
    samples = rates_of(model, with_partners(initial.samples(initial.uniform(d), 40, seed).x), 2e-3, 4, members, seed)
    exact = float(theory.distance_exponent(model.kernel(), d))
    return statistical(f"linear Gaussian layers, d = {d}", "distance exponent λ", exact, samples, 0.02)


def blocks_row(d: int, draws: int, seed: int) -> Row:
    """λ of random ReLU blocks: the second layer averaged by the rule, the first over the draws."""
    model = SynchronisationByNoise(0.0, "relu", value=0.0, draws=8)
    exact = float(theory.distance_exponent(model.kernel(), d))
    start = few_pairs(d, seed)
    samples = [expected_rate(model.drawn(BrownianPath(seed, k, 0.01), 0.0, 0.01, d), start) for k in range(draws)]
    return statistical(f"random ReLU blocks, d = {d}", "distance exponent λ", exact, samples, 2e-3)


@dataclass(frozen=True)
class Given:
    """Stands for a path: the increment is given."""

    values: Real

    def of_term(self, term: int) -> Given:
        """Itself: of the only term that has noise."""
        return self

    def increment(self, t0: float, t1: float, channels: int, stream: str = "common") -> Real:
        """It."""
        return self.values


def expected_rate(model: Model, start: Cloud) -> float:
    """E log-distance ratio over one short step, per unit time, mean over the pairs."""
    return by_rule(model, start, lambda state: float(np.mean(np.log(length(difference(state.x))))))  # type: ignore[attr-defined]


def by_rule(model: Model, start: Measure, observable: Callable[[Measure], float]) -> float:
    """The rate of E observable at the start, by one short step whose increments are the rule ±√n e_k."""
    n, scheme, total = model.channels(start.dimension), SCHEMES["lie_euler"], 0.0
    dt, before = SHORT / n, observable(start)
    for increment in np.sqrt(n * dt) * np.concatenate([np.eye(n), -np.eye(n)]):
        moved = scheme.step(model, start, Given(increment), 0.0, dt)  # type: ignore[arg-type]
        total += observable(moved) - before
    return total / (2 * n * dt)


def few_pairs(d: int, seed: int) -> Cloud:
    """Three close pairs."""
    return with_partners(initial.samples(initial.uniform(d), 3, seed).x)


def with_partners(x: Real) -> Cloud:
    """Tokens x and, after them, a close partner of each; half the weight for each."""
    u = np.random.default_rng(0).normal(size=x.shape)
    u = unit(u - np.einsum("na,na->n", u, x)[:, None] * x)
    both = np.concatenate([x, np.cos(CLOSE) * x + np.sin(CLOSE) * u])
    return Cloud(both, np.full(len(both), 1 / len(both)), rtol=1e-10, tokens=True)


def rates_of(model: Model, start: Cloud, dt: float, steps: int, members: int, seed: int) -> Real:
    """λ estimated on each member's path."""
    return np.array(
        [
            rate(model, path_of(model, start, dt, steps, seed, member), dt, BrownianPath(seed, member, dt))
            for member in range(members)
        ]
    )


def path_of(model: Model, start: Cloud, dt: float, steps: int, seed: int, member: int) -> list[Cloud]:
    """The states of a run."""
    path = BrownianPath(seed, member, dt)
    return [state for _, state in run(model, start, path, t_end=steps * dt, dt=dt)]  # type: ignore[misc]


def rate(model: Model, states: list[Cloud], dt: float, path: BrownianPath) -> float:
    """The mean over pairs and steps of the log-distance ratio, its martingale part taken away, per unit time."""
    total = 0.0
    for n, (before, after) in enumerate(pairwise(states)):
        t0, t1, d = n * dt, (n + 1) * dt, before.dimension
        of_step = model.drawn(path, t0, t1, d)
        v = of_step.noise_field(before.source, path.increment(t0, t1, of_step.channels(d))).on(before.sites)
        gap, speed = difference(before.x), difference(v)
        linear = np.einsum("na,na->n", gap, speed) / np.einsum("na,na->n", gap, gap)
        total += float(np.mean(np.log(length(difference(after.x)) / length(gap)) - linear))
    return total / (dt * (len(states) - 1))


def difference(x: Real) -> Real:
    """Tokens less their partners."""
    first, second = np.split(x, 2)
    return np.asarray(first - second)


def length(x: Real) -> Real:
    """Norms of rows."""
    return np.sqrt(np.einsum("na,na->n", x, x))
