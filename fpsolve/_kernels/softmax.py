r"""Exact pairwise softmax attention, compiled.

With $M(g) = \sum_j w_j e^{g\cdot y_j}$ the sums run over every source for every target, streaming (no
$n\times N$ array), with the running maximum taken out of the exponent. OpenMP (``OMP_NUM_THREADS``) shares
out the targets; each target's sum has a fixed order, so its bits depend neither on the number of threads nor
on the other targets. Rounding is that of the exponent: relative errors of order
$10^{-16}(1 + \max_j|g\cdot y_j|)$.
The readable twin is `fpsolve._kernels.softmax_numpy`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fpsolve._kernels import _softmax
from fpsolve._kernels.softmax_arguments import Array, softmax_arguments


def softmax_attention(g: ArrayLike, y: ArrayLike, weights: ArrayLike) -> tuple[Array, Array]:
    r"""$\log M(g)$ and the barycentre $F = \nabla_g\log M = \sum_j w_j y_j e^{g\cdot y_j}/M$.

    Shapes: ``g`` (n, d), ``y`` (N, d), ``weights`` (N,) >= 0, of any sum; returns (n,) and (n, d).
    Raises InputError on wrong shapes, non-finite entries, negative weights or no positive weight.
    """
    targets, sources, log_w = softmax_arguments(g, y, weights)
    log_M, F = np.empty(len(targets)), np.empty_like(targets)
    _softmax.first(targets, sources, log_w, log_M, F)
    return log_M, F


def softmax_second(g: ArrayLike, y: ArrayLike, weights: ArrayLike) -> tuple[Array, Array, Array]:
    r"""As `softmax_attention`, with the second moment $\sum_j w_j y_j y_j^T e^{g\cdot y_j}/M$, (n, d, d).

    The Hessian $\nabla_g^2\log M$ is that moment minus $F F^T$.
    """
    targets, sources, log_w = softmax_arguments(g, y, weights)
    n, d = targets.shape
    log_M, F, second = np.empty(n), np.empty((n, d)), np.empty((n, d, d))
    _softmax.first_and_second(targets, sources, log_w, log_M, F, second)
    return log_M, F, second
