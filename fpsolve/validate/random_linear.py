"""Random quadratic form and linear Gaussian layers: how often two tokens align."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fpsolve import theory
from fpsolve.models.random_linear import LinearGaussianLayers, RandomLinear, RandomQuadraticForm
from fpsolve.noise import BrownianPath
from fpsolve.sphere.harmonics import Real
from fpsolve.validate.measure import end, pairs, statistical, tokens
from fpsolve.validate.rows import Row

PAIRS = 50
"""Pairs in independent orientations on one path; the paths are the independent samples."""

UNDECIDED = 2e-3
"""Share of pairs that change side after the end, at most: sign(z) = ±1 is then wrong for that many."""


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """P(aligned) = ½ + arcsin(z₀)/π for both systems, several z₀ and d."""
    members = 60 if quick else 400
    cases: list[tuple[RandomLinear, str, int, float]] = [(RandomQuadraticForm(), "random quadratic form", 3, 0.45)]
    if not quick:
        cases += [(RandomQuadraticForm(), "random quadratic form", d, z) for d, z in ((2, -0.7), (3, -0.3), (8, 0.2))]
        cases += [(LinearGaussianLayers(np.sqrt(2)), "linear Gaussian layers", d, z) for d, z in ((3, 0.6), (5, -0.2))]
    for model, name, d, overlap in cases:
        exact = float(theory.alignment_probability(overlap))
        samples = aligned(model, d, overlap, members, seed)
        yield statistical(f"{name}, d = {d}", f"P(aligned), z0 = {overlap:g}", exact, samples, UNDECIDED)


def aligned(model: RandomLinear, d: int, overlap: float, members: int, seed: int) -> Real:
    """The share of pairs with z > 0 at t = 2.4, one number a path."""
    x, y = pairs(overlap, d, PAIRS, seed + d)
    start, shares = tokens(np.concatenate([x, y]), 1e-4), []
    for member in range(members):
        last = end(model, start, 2.4, 0.15, BrownianPath(seed, member, 0.15))
        first, second = np.split(last.x, 2)
        shares.append(np.mean(np.einsum("na,na->n", first, second) > 0))
    return np.array(shares)
