"""Two tokens under value noise with A = I: how often they end antipodal, by the transformer's own layers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fpsolve import theory
from fpsolve.measures import initial
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer import RandomTransformer
from fpsolve.validate.measure import estimate
from fpsolve.validate.rows import Row

CASES = ((1.0, 3, -0.5), (3.0, 3, 0.3), (1.5, 5, -0.8))
"""β, d and the initial overlap, antipodal pairs attracting."""

REPELLING = (1.0, 8, -0.9)
"""cosh 2β < d - 2: no pair stays antipodal."""


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """P(antipodal) against the scale function; the weak error of the layers, O(η²), is extrapolated away.

    The side of q = 0 is taken at a time when 0.2 % of the pairs are undecided (1 % in the quick subset).
    """
    members, step, time, late = (5000, 0.2, 12.0, 1e-2) if quick else (8000, 0.14, 20.0, 3e-3)
    for beta, d, overlap in CASES[:1] if quick else CASES:
        coarse, fine = (antipodal(beta, d, overlap, time, h, members, seed) for h in (np.sqrt(2) * step, step))
        exact = float(theory.antipodal_probability(beta, overlap, d))
        computed = 2 * fine.mean() - coarse.mean()
        deviation = np.sqrt((4 * fine.var() + coarse.var()) / members)
        quantity = f"P(antipodal), β = {beta:g}, q0 = {overlap:g}"
        yield estimate(f"value noise, d = {d}", quantity, exact, float(computed), float(deviation), late)
    if not quick:
        beta, d, overlap = REPELLING
        share = antipodal(beta, d, overlap, 30.0, 0.2, 1500, seed)
        exact = float(theory.antipodal_probability(beta, overlap, d))
        deviation = float(np.sqrt(1e-3 / len(share)))  # of a share of 0.1 %
        quantity = f"P(antipodal), β = {beta:g}, q0 = {overlap:g}"
        yield estimate(f"value noise, d = {d}", quantity, exact, float(share.mean()), deviation, 3e-3)


def antipodal(beta: float, d: int, overlap: float, time: float, step: float, members: int, seed: int) -> Real:
    """Whether the overlap is negative at the end, for each member; σ_V = 1, so that time is η²L."""
    chain = RandomTransformer(2, d, 1, round(time / step**2), step, beta, value_std=1.0, seed=seed + round(1e4 * step))
    points = chain.run_members(initial.simplex(2, overlap, d), members, save_points=True).points.values[:, -1]
    return (np.einsum("ma,ma->m", points[:, 0], points[:, 1]) < 0).astype(float)
