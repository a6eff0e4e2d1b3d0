"""Attention weights of given queries and keys: positions, logit caps and masks, one place for every route.

Arrays are (…, heads, tokens, head_dim). ``places`` (tokens,) are the tokens' places 0, 1, … in the sequence; two tokens
may share one.
"""

from __future__ import annotations

from math import floor, log2
from typing import Any

import numpy as np

from fpsolve.sphere.harmonics import Real
from fpsolve.transformer.network.architecture import Architecture


def visible(arch: Architecture, layer: int, places: Any, keys: int) -> Any:
    """Whether the token of a row sees that of a column, (tokens, keys), in layer 1, 2, …: causal mask and window."""
    attention = arch.attention
    assert attention is not None
    apart = places[:, None] - places[None, :keys]
    seen = apart >= 0 if attention.mask == "causal" else np.ones_like(apart, bool)
    window = attention.window_of(layer)
    return seen if window is None else seen & (np.abs(apart) < window)


def slopes(heads: int) -> Real:
    """The slopes of ALiBi :cite:`alibi2022`: 2^{-8h/H}, h = 1, …, H, for a power of two.

    Otherwise those of the power of two below, followed by every other one of the next.
    """
    power = 2 ** floor(log2(heads))
    first = 2.0 ** (-8 / power * np.arange(1, power + 1))
    return np.concatenate([first, 2.0 ** (-4 / power * np.arange(1, 2 * (heads - power), 2))])


def rotated(q: Real, places: Any, theta: float, components: int) -> Real:
    """Rotary positions :cite:`rope2021` on the first ``components`` of every head.

    Component c < components/2 and c + components/2 turn together by place·theta^{-2c/components} (the pairing of the
    `transformers` library; another one is another order of iid components).
    """
    if not components:
        return q
    half = components // 2
    angle = places[:, None] * theta ** (-np.arange(half) / half)
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = q[..., :half], q[..., half:components]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin, q[..., components:]], -1)


def normalised_heads(q: Real, kind: str, eps: float, axes: tuple[int, ...]) -> Real:
    """Query-key normalisation: q/√(mean q² + eps) over ``axes``, ``layer`` after the mean is taken off."""
    if kind == "layer":
        q = q - q.mean(axes, keepdims=True)
    return np.asarray(q / np.sqrt((q * q).mean(axes, keepdims=True) + eps))


def attention_weights(arch: Architecture, layer: int, q: Real, k: Real, places: Any, heads: Any = None) -> Real:
    """π = softmax of the scores of queries (…, H, tokens, dh) and keys (…, H, keys, dh), shape (…, H, tokens, keys).

    heads: which heads these are, for ALiBi; all of them by default. Scores are scale·q kᵀ after rotary positions, then
    capped, then biased by -m_h|i-j|, then masked.
    """
    attention = arch.attention
    assert attention is not None
    keys = k.shape[-2]
    if arch.positions.kind == "rope":
        q = rotated(q, places, arch.positions.theta, arch.rotated)
        k = rotated(k, places[:keys], arch.positions.theta, arch.rotated)
    return softmax(arch, layer, attention.logit_factor(keys) * (q @ k.swapaxes(-1, -2)), places, heads)


def softmax(arch: Architecture, layer: int, scores: Real, places: Any, heads: Any = None) -> Real:
    """π of scores (…, H, tokens, keys): cap, ALiBi, mask, softmax; the scores are overwritten."""
    attention = arch.attention
    assert attention is not None
    keys = scores.shape[-1]
    if attention.softcap is not None:
        scores = attention.softcap * np.tanh(scores / attention.softcap)
    if arch.positions.kind == "alibi":
        every = slopes(attention.heads)
        m = every if heads is None else every[heads]
        scores = scores - m[:, None, None] * np.abs(places[:, None] - places[None, :keys])
    seen = visible(arch, layer, places, keys)
    if not seen.all():
        scores[..., ~seen] = -np.inf
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    return scores


RANKS = 8
"""Attention weights of a row that are told, the largest ones."""


def ordered(pi: Real) -> Real:
    """The ``RANKS`` largest weights of a row in order, means over heads and tokens; pi (…, heads, tokens, n)."""
    k = min(RANKS, pi.shape[-1])
    largest = np.partition(pi, pi.shape[-1] - k, axis=-1)[..., -k:]
    return np.sort(largest, axis=-1)[..., ::-1].mean((-3, -2))


def entropy(pi: Real) -> Real:
    """-Σ_j π_ij log π_ij in nats, shape (…, tokens)."""
    return -np.einsum("...j,...j->...", pi, np.log(np.maximum(pi, 1e-300)))
