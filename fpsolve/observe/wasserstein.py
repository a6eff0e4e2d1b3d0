"""Wasserstein distance between clouds."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment, linprog
from scipy.sparse import eye_array, kron, vstack

from fpsolve.errors import InputError
from fpsolve.measures.cloud import Cloud
from fpsolve.sphere.harmonics import Real

LARGEST_ASSIGNMENT, LARGEST_PLAN = 4096, 300
"""Points that optimal assignment (equal weights) and the linear programme (any weights) take."""


def wasserstein(first: Cloud, second: Cloud) -> float:
    """W_2 = min over couplings of (E|x - y|²)^{1/2}, |x - y| in R^d, exactly.

    By assignment for clouds of equally many points of equal weights, otherwise by a linear programme.
    Raises InputError for clouds in different dimensions or of too many points.
    """
    if first.dimension != second.dimension:
        problem = f"the first cloud lives in d = {first.dimension}"
        raise InputError("second", second.dimension, problem, "compare in one space")
    cost = np.maximum(2 - 2 * np.einsum("na,ma->nm", first.x, second.x), 0.0)
    equal = len(first.x) == len(second.x) and all(np.ptp(mu.weights) <= 1e-12 / len(mu.x) for mu in (first, second))
    largest = LARGEST_ASSIGNMENT if equal else LARGEST_PLAN
    if max(cost.shape) > largest:
        raise InputError("first", cost.shape, f"more than {largest} points", "thin the clouds")
    if equal:
        return float(np.sqrt(cost[linear_sum_assignment(cost)].mean()))
    return float(np.sqrt(_transport_cost(cost, first.weights, second.weights)))


def _transport_cost(cost: Real, first: Real, second: Real) -> float:
    """min Σ P_ij c_ij over P ≥ 0 of given marginals."""
    n, m = cost.shape
    rows, columns = kron(eye_array(n), np.ones((1, m))), kron(np.ones((1, n)), eye_array(m))
    marginals = np.concatenate([first / first.sum(), second / second.sum()])
    solved = linprog(cost.ravel(), A_eq=vstack([rows, columns]).tocsr()[:-1], b_eq=marginals[:-1], method="highs")
    return max(float(solved.fun), 0.0)
