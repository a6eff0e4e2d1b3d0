"""Rates of convergence with confidence intervals, and what it costs to reach an error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from fpsolve.sphere.harmonics import Real

CONFIDENCE = 0.99
"""Level of the intervals of fitted rates."""

ABOVE_REFERENCE = 3.0
"""Sizes whose error is less than this multiple of the reference's own say nothing about a rate."""

LINEAR_FROM = 1000
"""From so many tokens on a step costs a + bN: fewer are summed pair by pair, or cost nothing beside the noise law."""

APART = 2.0
"""Two sizes give b if the larger is this multiple of the smaller."""

SECOND_ORDER = 0.5
"""An observable is taken to be at a critical point if its second variation makes this share of the errors."""

NOTHING = np.full(3, np.nan)
"""Costs that are not known."""

CLEAN = 0.3
"""Second variations below this share move a fitted rate by a hundredth or two: (share)²/2 over the logarithm of N."""


@dataclass(frozen=True)
class Rate:
    """The exponent p of error = C N^p by least squares, its interval, and how many errors it rests on."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Cost:
    """What an error costs on one route: size, seconds, transformed values, pairs summed, and how that is known.

    status: ``measured`` (a size that was run and has at most this error), ``interpolated`` or ``extrapolated`` (by
    the law N^{-1/2}, cost a + bN), ``unknown`` (NaN: the ladder does not show b), ``not reached``, or ``below
    reference`` where the reference cannot tell.
    """

    size: float
    seconds: float
    values: float
    pairs: float
    status: str


def fit_rate(sizes: Real, errors: Real) -> Rate:
    """p and its ``CONFIDENCE`` interval from pairs (N, error), one for each independent sample.

    Least squares of log error on log N: the errors of samples of size N are C N^p times factors of one law, so that
    the residuals are identically distributed; interval by Student's t. NaN where fewer than two sizes are left.
    """
    kept = errors > 0
    x, y = np.log(sizes[kept]), np.log(errors[kept])
    if len(np.unique(x)) < 2 or len(x) < 3:
        return Rate(np.nan, np.nan, np.nan, int(kept.sum()))
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    residual = y - y.mean() - slope * x
    free = len(x) - 2
    deviation = np.sqrt(residual @ residual / free / (x @ x))
    half = float(student.ppf(0.5 + CONFIDENCE / 2, free) * deviation)
    return Rate(slope, slope - half, slope + half, len(x))


def resolved_sizes(sizes: Real, errors: Real, floor: float | Real) -> NDArray[np.bool_]:
    """Which pairs are of sizes whose root mean square error is above ``ABOVE_REFERENCE`` times the floor there."""
    floors = np.broadcast_to(floor, sizes.shape)
    each = [(n, sizes == n) for n in np.unique(sizes)]
    kept = [n for n, at in each if _rms(errors[at]) > ABOVE_REFERENCE * floors[at].max()]
    return np.isin(sizes, kept)


def verdict(rate: Rate, second: tuple[float, float] | None = None) -> str:
    """Whether the interval contains -1/2: ``yes``, ``NO``, or ``-`` and ``critical point`` where that is not the law.

    second: for a quadratic functional F of the measure, the shares of its second variation in the errors at the
    smallest and the largest N. With δ = μ_N - μ the error 2B(δ, μ) + B(δ, δ) is O(N^{-1/2}) by its first term, and
    O(N^{-1}) where that vanishes, as for |m|² at m = 0. Between these nothing is said unless -1/2 is contained.
    """
    if np.isnan(rate.value):
        return "-"
    if second is not None and not second[1] <= SECOND_ORDER:
        return "critical point"
    if rate.low <= -0.5 <= rate.high:
        return "yes"
    return "NO" if second is None or second[0] <= CLEAN else "-"


def shares(sizes: Real, errors: Real, second: Real) -> tuple[float, float]:
    """Root mean square second variation over that of the errors, at the smallest and the largest size; NaN for none."""
    ends = [sizes == end for end in (sizes.min(initial=np.inf), sizes.max(initial=0))]
    with np.errstate(invalid="ignore"):
        first, last = (float(np.divide(_rms(second[at]), _rms(errors[at]))) if at.any() else np.nan for at in ends)
    return first, last


def token_cost(sizes: Real, errors: Real, costs: Real, target: float) -> Cost:
    """The cost of iid tokens for a root mean square error, from one entry for each size in ascending order.

    costs: (3, sizes), seconds, values and pairs. error = C N^{-1/2}, C the geometric mean over the sizes. Costs between
    the sizes are interpolated, linearly in N; below the smallest the smallest is the answer. Beyond the largest size n
    they are c(n) + b (N - n), b the increment between n and the largest size of at most n / ``APART``; both at least
    ``LINEAR_FROM``, else the cost is ``unknown``. Sums that grow faster than N make that a lower bound.
    """
    size = float(np.exp(np.mean(2 * np.log(errors) + np.log(sizes)))) / target**2
    if size <= sizes[0]:
        return _cost(sizes[0], costs[:, 0], "measured")
    if size <= sizes[-1]:
        return _cost(size, np.array([np.interp(size, sizes, row) for row in costs]), "interpolated")
    below = np.flatnonzero((sizes >= LINEAR_FROM) & (sizes * APART <= sizes[-1]))
    if not len(below):
        return _cost(size, NOTHING, "unknown")
    slope = (costs[:, -1] - costs[:, below[-1]]) / (sizes[-1] - sizes[below[-1]])
    if not slope[0] > 0:  # a clock too coarse for the ladder
        return _cost(size, NOTHING, "unknown")
    return _cost(size, costs[:, -1] + np.maximum(slope, 0) * (size - sizes[-1]), "extrapolated")


def mean_field_cost(sizes: Real, errors: Real, costs: Real, target: float, floor: float) -> Cost:
    """The cheapest run of the ladder with at most this error; costs as above; ``floor``: the error of the reference."""
    if floor > target:
        return _cost(np.nan, NOTHING, "below reference")
    good = [k for k, error in enumerate(errors) if error <= target]
    if not good:
        return _cost(np.nan, NOTHING, "not reached")
    best = min(good, key=lambda k: costs[0, k])
    return _cost(sizes[best], costs[:, best], "measured")


def _cost(size: float, costs: Real, status: str) -> Cost:
    seconds, values, pairs = costs.tolist()
    return Cost(float(size), seconds, values, pairs, status)


def _rms(errors: Real) -> float:
    return float(np.sqrt(np.mean(errors**2)))
