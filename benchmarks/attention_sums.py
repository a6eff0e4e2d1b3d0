"""Softmax attention of N tokens: O(N) sums by moments against the direct pairwise kernel."""

from __future__ import annotations

import numpy as np

import fpsolve as fp
from benchmarks.common import aim, interleaved
from fpsolve.attention.source import PointSource

BETA = 4.0
AIM, FROM = 1.0, 2000
"""The direct sum's seconds over the moments', from so many tokens on."""

ALL_TARGETS, SOME = 32_000, 2000
"""Up to so many tokens the direct sum is taken at all of them; beyond, at some, and its time continued to all."""


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: tokens, seconds of both routes, how the direct one's are known, ratio, aim, largest difference in F."""
    sizes = (1000, 4000) if quick else (500, 1000, 2000, 4000, 8000, 16_000, 32_000, 1_000_000)
    return [_row(n, 3 if quick else 7) for n in sizes]


def _row(n: int, rounds: int) -> dict[str, object]:
    tokens = fp.initial.samples(fp.initial.von_mises_fisher([0, 0, 1], 2.0), n, seed=1)
    targets = BETA * tokens.x[: n if n <= ALL_TARGETS else SOME]

    def by_moments() -> np.ndarray:
        cloud = fp.Cloud(tokens.x, tokens.weights)
        return cloud.source.F_sphere(BETA, cloud.sites)[1]

    def directly() -> np.ndarray:
        return PointSource(tokens.x, tokens.weights).evaluate(targets)[1]

    difference = float(np.abs(by_moments()[: len(targets)] - directly()).max())
    times = interleaved({"moments": by_moments, "direct": directly}, max(1, 8000 // n), rounds, min)
    direct = times["direct"] * n / len(targets)
    ratio = direct / times["moments"]
    return {
        "tokens": n,
        "moments_s": times["moments"],
        "direct_s": direct,
        "direct_known": "measured" if len(targets) == n else f"extrapolated from {SOME} targets",
        "ratio": ratio,
        "aim": aim(ratio, ">=", AIM) if n >= FROM else "",
        "difference": difference,
    }


if __name__ == "__main__":
    for row in run():
        print(row)
