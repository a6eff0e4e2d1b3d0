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


@dataclass(frozen=True)
class Rate:
    """The exponent p of error = C N^p by least squares, its interval, and how many errors it rests on."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Cost:
    """What an error costs on one route: size, seconds, transformed values, and how that is known.

    status: ``measured`` (a size that was run and has at most this error), ``interpolated`` or ``extrapolated`` (by
    the law N^{-1/2}, cost linear in N), ``not reached``, or ``below reference`` where the reference cannot tell.
    """

    size: float
    seconds: float
    values: float
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


def resolved_sizes(sizes: Real, errors: Real, floor: float) -> NDArray[np.bool_]:
    """Which of the pairs belong to sizes whose root mean square error stands above the reference's own."""
    kept = [n for n in np.unique(sizes) if _rms(errors[sizes == n]) > ABOVE_REFERENCE * floor]
    return np.isin(sizes, kept)


def token_cost(sizes: Real, errors: Real, seconds: Real, values: Real, target: float) -> Cost:
    """The cost of iid tokens for a root mean square error, from one entry for each size in ascending order.

    error = C N^{-1/2}, C the geometric mean over the sizes. Costs between the sizes are interpolated in logarithms,
    beyond the largest they are continued in proportion to N; below the smallest the smallest is the answer.
    """
    size = float(np.exp(np.mean(2 * np.log(errors) + np.log(sizes)))) / target**2
    if size <= sizes[0]:
        return Cost(float(sizes[0]), float(seconds[0]), float(values[0]), "measured")
    if size > sizes[-1]:
        factor = size / sizes[-1]
        return Cost(size, float(seconds[-1] * factor), float(values[-1] * factor), "extrapolated")

    def between(cost: Real) -> float:
        return float(np.exp(np.interp(np.log(size), np.log(sizes), np.log(cost))))

    return Cost(size, between(seconds), between(values), "interpolated")


def mean_field_cost(sizes: Real, errors: Real, seconds: Real, values: Real, target: float, floor: float) -> Cost:
    """The cheapest run of the ladder with at most this error; ``floor``: the error of the reference."""
    if floor > target:
        return Cost(np.nan, np.nan, np.nan, "below reference")
    good = [k for k, error in enumerate(errors) if error <= target]
    if not good:
        return Cost(np.nan, np.nan, np.nan, "not reached")
    best = min(good, key=lambda k: seconds[k])
    return Cost(float(sizes[best]), float(seconds[best]), float(values[best]), "measured")


def _rms(errors: Real) -> float:
    return float(np.sqrt(np.mean(errors**2)))
