"""Softmax attention of N tokens: O(N) sums by moments against the direct pairwise kernel."""

from __future__ import annotations

import numpy as np

import fpsolve as fp
from benchmarks.common import seconds
from fpsolve.attention.source import PointSource

BETA = 4.0


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: tokens, seconds of both routes, ratio, largest difference in F."""
    sizes = (1000, 4000) if quick else (500, 1000, 2000, 4000, 8000, 16000, 32000, 1_000_000)
    return [_row(n) for n in sizes]


def _row(n: int) -> dict[str, object]:
    tokens = fp.initial.samples(fp.initial.von_mises_fisher([0, 0, 1], 2.0), n, seed=1)

    def by_moments() -> np.ndarray:
        cloud = fp.Cloud(tokens.x, tokens.weights)
        return cloud.source.F_sphere(BETA, cloud.sites)[1]

    def directly(targets: np.ndarray) -> np.ndarray:
        return PointSource(tokens.x, tokens.weights).evaluate(BETA * targets)[1]

    some = tokens.x[: min(n, 32000)]
    difference = float(np.abs(by_moments()[: len(some)] - directly(some)).max()) if n <= 32000 else float("nan")
    repeats = max(1, 4000 // n)
    fast = min(seconds(by_moments, repeats) for _ in range(5))
    part = some[: min(len(some), 2000)] if n > 32000 else some
    direct = min(seconds(lambda: directly(part), 1 if n > 4000 else repeats) for _ in range(3)) * n / len(part)
    return {"tokens": n, "moments_s": fast, "direct_s": direct, "ratio": direct / fast, "difference": difference}
