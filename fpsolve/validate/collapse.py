"""The layer at which tokens collapse, as ``fp.scaling`` predicts it, against random transformers themselves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fpsolve.measures import initial
from fpsolve.transformer import HeadLaw, RandomTransformer, scaling
from fpsolve.validate.rows import Row

OVERLAP = 0.9
"""The mean overlap of distinct tokens that counts as collapse."""

GRID = {  # (n, d, heads, β, law of A): (depth, members)
    (8, 8, 1, 2.0, "gaussian"): (40, 300),
    (16, 16, 1, 0.2, "product"): (34, 150),
    (12, 3, 1, 2.0, "gaussian"): (90, 300),
    (6, 4, 2, 1.0, "product"): (120, 400),
    (8, 8, 4, 0.5, "identity"): (140, 300),
    (32, 16, 1, 1.0, "gaussian"): (40, 300),
    (32, 64, 1, 1.0, "gaussian"): (30, 60),
    (32, 64, 1, 4.0, "gaussian"): (40, 60),
    (64, 64, 2, 1.0, "gaussian"): (80, 40),
    (32, 64, 2, 0.1, "product"): (80, 40),
    (16, 128, 1, 4.0, "gaussian"): (34, 40),
    (24, 32, 4, 2.0, "gaussian"): (120, 60),
}
"""All at step 0.6; the first two are the quick subset."""


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """The median layer of all members, allowed a layer or 10 %: about three standard errors of both medians."""
    for (n, d, heads, beta, key_query), (depth, members) in list(GRID.items())[: 2 if quick else None]:
        chain = RandomTransformer(n, d, heads, depth, 0.6, beta, key_query=key_query, seed=seed + 1)
        law = HeadLaw(beta, key_query=key_query)
        known = scaling(n, d, heads, depth, 0.6, law, members=members, threshold=OVERLAP, mc_samples=2, seed=seed)
        assert known.collapse_layers is not None
        measured = median_passage(chain, members)
        system = f"n = {n}, d = {d}, H = {heads}, β = {beta:g}, {key_query} A"
        note = f"medians of {members} members each; a layer or 10 %"
        allowed = max(1.0, 0.1 * min(measured, depth))  # finite where most do not collapse: then nothing is shown
        yield Row(system, "layer of collapse", measured, known.collapse_layers, allowed, note)


def median_passage(chain: RandomTransformer, members: int) -> float:
    """The least layer after which half of the members have had a mean overlap of distinct tokens over ``OVERLAP``."""
    ds = chain.run_members(initial.uniform(chain.d), members, save_every=1)
    over = (chain.n * ds["overlap"].values - 1) / (chain.n - 1) > OVERLAP
    first = np.where(over.any(1), over.argmax(1), np.inf)
    return float(np.quantile(first, 0.5, method="inverted_cdf"))
