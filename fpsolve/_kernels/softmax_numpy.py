"""The NumPy twin of `fpsolve._kernels.softmax`: the same functions, to be read and to be compared with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from fpsolve._kernels.softmax_arguments import Array, softmax_arguments

CHUNK = 2**20  # pairs held in memory at once


def softmax_attention(g: ArrayLike, y: ArrayLike, weights: ArrayLike) -> tuple[Array, Array]:
    """log M (n,) and F (n, d); see `fpsolve._kernels.softmax.softmax_attention`."""
    targets, sources, log_w = softmax_arguments(g, y, weights)
    log_M, F = np.empty(len(targets)), np.empty_like(targets)
    for part in _chunks(len(targets), len(sources)):
        log_M[part], p = _probabilities(targets[part], sources, log_w)
        F[part] = p @ sources
    return log_M, F


def softmax_second(g: ArrayLike, y: ArrayLike, weights: ArrayLike) -> tuple[Array, Array, Array]:
    """log M (n,), F (n, d) and the second moment (n, d, d); see `fpsolve._kernels.softmax.softmax_second`."""
    targets, sources, log_w = softmax_arguments(g, y, weights)
    n, d = targets.shape
    log_M, F, second = np.empty(n), np.empty((n, d)), np.empty((n, d, d))
    for part in _chunks(n, len(sources) * d):
        log_M[part], p = _probabilities(targets[part], sources, log_w)
        F[part] = p @ sources
        second[part] = (p[:, None, :] * sources.T) @ sources
    return log_M, F, second


def _probabilities(g: Array, y: Array, log_w: Array) -> tuple[Array, Array]:
    """log M (n,) and the attention matrix (n, N), whose rows sum to 1."""
    exponent = g @ y.T + log_w
    top = exponent.max(axis=1, keepdims=True)
    p = np.exp(exponent - top)
    mass = p.sum(axis=1, keepdims=True)
    return (top + np.log(mass))[:, 0], p / mass


def _chunks(n: int, row: int) -> Iterator[slice]:
    """Slices of range(n) with at most CHUNK entries when a target has `row` of them."""
    step = max(1, CHUNK // row)
    return (slice(start, start + step) for start in range(0, n, step))
