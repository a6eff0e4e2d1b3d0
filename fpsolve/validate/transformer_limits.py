"""The random transformer against its limits: diffusive in law, ballistic and modified along the path."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fpsolve import theory
from fpsolve.measures import initial
from fpsolve.models.ballistic import Ballistic
from fpsolve.models.base import Model
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer import Gaussian, RandomTransformer
from fpsolve.validate.measure import end, estimate, order, tokens, unit
from fpsolve.validate.rows import Row

BETA, OVERLAP, TIME = 1.0, -0.3, 1.0


def diffusive_rows(quick: bool, seed: int) -> Iterator[Row]:
    """E q and E q² of two tokens at η²L/H = 1, η → 0: the weak error, of order η² ~ 1/L, and the limit without it.

    The extrapolation leaves an error O(η⁴), for which 0.01 is allowed (0.02 in the quick subset); errors of E q beyond
    the first order change the fitted order by up to 0.2.
    """
    depths, members, allowed = ((4, 8, 16), 4000, 0.02) if quick else ((4, 8, 16, 32), 16_000, 0.01)
    for d, heads in ((3, 1),) if quick else ((3, 1), (3, 4), (8, 1)):
        system, chains = f"transformer, d = {d}, H = {heads}", [two_token_chain(d, heads, L, seed) for L in depths]
        for name, f in POWERS.items():
            exact = float(diffusion(d).expect(f, OVERLAP, TIME))
            ends = [samples(chain, f, members) for chain in chains]
            values = np.array([q.mean() for q in ends])
            errors = np.array([q.std(ddof=1) for q in ends]) / np.sqrt(members)
            deviation = float(np.hypot(2 * errors[-1], errors[-2]))
            extrapolated = float(2 * values[-1] - values[-2])
            yield estimate(system, f"{name}, η² → 0", exact, extrapolated, deviation, allowed)
            if name == "E q" and d == 3 and not quick:  # with few members the order has no power
                weak, spread = weak_order(np.array(depths), values - exact, errors)
                yield estimate(system, f"order of {name} in η²", 1.0, weak, spread, 0.2)


POWERS: dict[str, Callable[[Real], Real]] = {"E q": lambda q: q, "E q²": lambda q: q**2}


def weak_order(depths: Real, errors: Real, deviations: Real) -> tuple[float, float]:
    """The slope of log|error| against log η², least squares weighted by the errors' accuracy, and its deviation."""
    weights = (errors / deviations) ** 2
    x = np.sum(weights * np.log(depths)) / weights.sum() - np.log(depths)
    norm = np.sum(weights * x**2)
    return float(np.sum(weights * x * np.log(np.abs(errors))) / norm), float(1 / np.sqrt(norm))


def value_std(d: int) -> float:
    """σ_V = √(3/d): E|V m|² does not depend on d."""
    return float(np.sqrt(3 / d))


def diffusion(d: int) -> theory.OverlapDiffusion:
    """The overlap of two tokens in the diffusive limit."""
    return theory.value_noise_overlap(BETA, d, value_std(d))


def two_token_chain(d: int, heads: int, depth: int, seed: int) -> RandomTransformer:
    """A = I and centred V, at diffusive time TIME."""
    step = float(np.sqrt(TIME * heads / depth))
    return RandomTransformer(2, d, heads, depth, step, BETA, value_std=value_std(d), seed=seed + depth)


def samples(chain: RandomTransformer, f: Callable[[Real], Real], members: int) -> Real:
    """f of the final overlap of every member, less a martingale: the sum of ∂u/∂q times what is linear in V.

    Its mean is zero whatever u is; with u(q,t) the exact expectation most of the fluctuation goes with it.
    """
    start, numbers = initial.simplex(2, OVERLAP, chain.d), range(members)
    batch = chain.batch(np.broadcast_to(start.x, (members, 2, chain.d)), start.weights, numbers)
    weights, martingale = chain.member_weights(numbers), np.zeros(members)
    for layer, x in batch:
        q = np.einsum("ma,ma->m", x[:, 0], x[:, 1])
        if layer == chain.depth:
            break
        values, key_queries = next(weights)
        update = chain.step * np.einsum("mab,mnb->mna", values.mean(1), batch.attention(x, key_queries)[:, 0])
        slope = diffusion(chain.d).backward(f, TIME * (1 - layer / chain.depth)).deriv()(q)
        for i, j in ((0, 1), (1, 0)):
            martingale += slope * np.einsum("ma,ma->m", x[:, j] - q[:, None] * x[:, i], update[:, i])
    return np.asarray(f(q) - martingale)


def ballistic_rows(quick: bool, seed: int) -> Iterator[Row]:
    """Fixed V: the error at ηL = 1 is O(η) against the ODE, O(η²) against the modified one; random V: O((η/H)^½)."""
    depths = (20, 40, 80) if quick else (20, 40, 80, 160)
    for d in (3,) if quick else (2, 3, 16):
        x = unit(np.random.default_rng(seed).normal(size=(8, d)))
        value = np.eye(d) + 0.5 * np.random.default_rng(1).normal(size=(d, d)) / np.sqrt(d)
        for regime, exact in (("ballistic", 1.0), ("modified", 2.0)):
            errors = []
            for depth in depths:
                chain = RandomTransformer(8, d, 1, depth, 1 / depth, 2.0, value=value)
                errors.append(np.abs(moved(chain.limit(regime), x) - last_layer(chain, x)).max())
            found = order(1 / np.array(depths), errors)
            yield Row(f"transformer, d = {d}", f"order in η, {regime} limit", exact, found, 0.1)
    if not quick:
        yield fluctuation_row(seed)


def fluctuation_row(seed: int) -> Row:
    """V = V̄ + Gaussian: the mean square distance from the ODE falls as 1/H; its ratio from H = 4 to 64."""
    x = unit(np.random.default_rng(seed).normal(size=(4, 3)))
    ode, squares = moved(Ballistic(2.0, 0.8), x), []
    for heads in (4, 64):
        chain = RandomTransformer(4, 3, heads, 100, 0.01, 2.0, value=Gaussian(0.5, mean=0.8), seed=seed)
        ends = chain.run_members(x, 200, save_points=True).points.values[:, -1]
        squares.append(((ends - ode) ** 2).sum((1, 2)))
    few, many = squares
    relative = np.hypot(*(s.std() / s.mean() / np.sqrt(len(s)) for s in squares))
    ratio = float(few.mean() / many.mean())
    return estimate("transformer, random V", "square distance, H = 4 over 64", 16.0, ratio, 16 * float(relative), 0.5)


def moved(model: Model, x: Real) -> Real:
    """Tokens at time one of the limit."""
    return end(model, tokens(x, 1e-11), 1.0, 0.25).x


def last_layer(chain: RandomTransformer, x: Real) -> Real:
    """Tokens after the last layer."""
    *_, (_, last) = chain.layers(x)
    return last.x
