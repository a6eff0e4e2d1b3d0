"""Checks shared by the compiled kernel and its NumPy twin."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpsolve.errors import InputError

Array = NDArray[np.float64]


def softmax_arguments(g: ArrayLike, y: ArrayLike, weights: ArrayLike) -> tuple[Array, Array, Array]:
    """Targets (n, d), sources (N', d) and log weights (N',), the N - N' sources of zero weight left out.

    Raises InputError on wrong shapes, NaN, infinite or huge entries, negative weights, or no positive weight.
    """
    targets, sources, w = (_floats("g", g, 2), _floats("y", y, 2), _floats("weights", weights, 1))
    n, d = sources.shape
    if targets.shape[1] != d or d == 0:
        problem = f"does not fit the sources' shape {sources.shape}"
        raise InputError("g", targets.shape, problem, "give g as (n, d) and y as (N, d)")
    reach = float(np.abs(targets).max(initial=0.0)) * float(np.abs(sources).max(initial=0.0))
    if reach > 1e250:
        raise InputError("g", reach, "g.y is too large to be summed", "give smaller targets g")
    if w.shape != (n,):
        raise InputError("weights", w.shape, f"there are {n} sources", "give one weight for each")
    if (w < 0).any():
        raise InputError("weights", float(w[w < 0][0]), "negative", "give weights >= 0")
    positive = w > 0
    if not positive.any():
        raise InputError("weights", w, "no weight is positive", "give at least one positive weight")
    if not positive.all():
        sources, w = np.ascontiguousarray(sources[positive]), w[positive]
    return targets, sources, np.log(w)


def _floats(name: str, value: ArrayLike, ndim: int) -> Array:
    """A C-contiguous float64 array of finite numbers with `ndim` axes."""
    try:
        array = np.ascontiguousarray(value, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise InputError(name, value, "not an array of real numbers", "give floats") from problem
    if np.ndim(value) != ndim:
        raise InputError(name, np.shape(value), f"{np.ndim(value)} axes", f"give an array with {ndim}")
    finite = np.isfinite(array)
    if not finite.all():
        raise InputError(name, float(array[~finite][0]), "not finite", "give finite numbers")
    return array
