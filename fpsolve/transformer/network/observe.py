"""What a Gram matrix says of its tokens; the same numbers for predictions and for real networks."""

from __future__ import annotations

import numpy as np

from fpsolve.errors import InputError
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.harmonics import Real

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Of the cosines of pairs; 0 and 1 are the least and the largest overlap."""

LONG_NAMES = {
    "mean_overlap": "mean cosine of distinct tokens",
    "overlap_quantile": "quantiles of the cosines of distinct tokens",
    "mean_square": "mean of |x_i|²/d",
    "squared_norm": "|x_i|²/d",
    "effective_rank": "effective rank (tr G)²/tr G² of the tokens",
    "attention_entropy": "mean entropy of the attention weights, nats",
    "entropy_ceiling": "entropy of even attention weights, nats",
    "ordered_weights": "largest attention weights of a row, in order, means over heads and tokens",
    "noise_level": "mean of |m|², attention's output before the value matrix",
    "noise_time": "sum of the attention noise's strength, relative to the stream, over the layers passed",
    "close_exponent": "logarithmic growth of the distance of two close tokens in a layer",
    "gram": "⟨x_i, x_j⟩/d",
    "collapse_layer": "first layer with the mean overlap above the threshold",
    "final_mean_overlap": "mean cosine of distinct tokens after the last normalisation",
    "mean_overlap_error": "standard error of the mean overlap by the heads sampled",
}


def cosines(G: Real) -> Real:
    """The cosines of Gram matrices (…, n, n); zero with a token whose vector is zero, which has no direction."""
    size = np.sqrt(np.diagonal(G, axis1=-2, axis2=-1))
    product = size[..., :, None] * size[..., None, :]
    return np.divide(G, product, out=np.zeros_like(G), where=product > 0)


def mean_overlap(G: Real) -> Real:
    """Mean cosine of distinct tokens, (…,)."""
    n, C = G.shape[-1], cosines(G)
    return np.asarray((C.sum((-2, -1)) - np.trace(C, axis1=-2, axis2=-1)) / (n * (n - 1)))


@checked_arguments
def observed(G: Real) -> dict[str, Real]:
    """The variables of Gram matrices G_ij = ⟨x_i, x_j⟩/d, shape (members, n, n).

    mean_overlap, mean_square, effective_rank (tr G)²/tr G²: (members,); overlap_quantile: (members, quantile), the
    ``QUANTILES`` of the cosines of pairs; squared_norm: (members, token).
    """
    G = np.asarray(G, float)
    if G.ndim != 3 or G.shape[-1] != G.shape[-2] or G.shape[-1] < 2:
        raise InputError("G", G.shape, "not Gram matrices (members, n, n) of n >= 2 tokens", "pass X @ X.T[None] / d")
    n = G.shape[-1]
    pairs = cosines(G)[..., *np.triu_indices(n, 1)]
    square = np.diagonal(G, axis1=-2, axis2=-1)
    return {
        "mean_overlap": pairs.mean(-1),
        "overlap_quantile": np.moveaxis(np.quantile(pairs, QUANTILES, axis=-1), 0, -1),
        "mean_square": square.mean(-1),
        "squared_norm": square.copy(),
        "effective_rank": square.sum(-1) ** 2 / (G * G).sum((-2, -1)),
    }
