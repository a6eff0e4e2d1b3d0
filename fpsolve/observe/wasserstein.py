"""Wasserstein distance between clouds, by the network simplex of POT."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from fpsolve.errors import InputError, MissingDependencyError
from fpsolve.measures.cloud import Cloud

LARGEST_COST = 2**25
"""Entries that the matrix of squared distances may have (256 MB)."""

ITERATIONS = 10**7
"""Pivots that the network simplex may take; it needs about as many as there are pairs of near points."""


def wasserstein(first: Cloud, second: Cloud) -> float:
    """W_2 = min over couplings of (E|x - y|²)^{1/2}, |x - y| in R^d, exactly, for clouds of any sizes and weights.

    Raises InputError for clouds in different dimensions or of too many points, MissingDependencyError without POT.
    """
    if first.dimension != second.dimension:
        problem = f"the first cloud lives in d = {first.dimension}"
        raise InputError("second", second.dimension, problem, "compare in one space")
    shape = (len(first.x), len(second.x))
    if shape[0] * shape[1] > LARGEST_COST:
        raise InputError("first", shape, f"more than {LARGEST_COST} pairs of points", "thin the clouds")
    cost = np.maximum(2 - 2 * np.einsum("na,ma->nm", first.x, second.x), 0.0)
    marginals = (mu.weights / mu.weights.sum() for mu in (first, second))
    return float(np.sqrt(max(transport_library().emd2(*marginals, cost, numItermax=ITERATIONS), 0.0)))


def transport_library() -> Any:
    """The module ``ot``, imported at the first use. Raises MissingDependencyError where it is not installed."""
    try:
        return import_module("ot")
    except ImportError as error:
        raise MissingDependencyError("W_2 needs POT, which is not installed: pip install POT") from error
