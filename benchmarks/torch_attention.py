"""Softmax attention of N tokens: O(N) sums by moments against the direct sum in torch, one core, double precision.

torch is installed by hand, in an environment of its own (its wheel brings libraries of some gigabytes):

    python3 -m venv ~/torch && ~/torch/bin/pip install torch
    FPSOLVE_TORCH_PYTHON=~/torch/bin/python python -m benchmarks --only torch_attention

Without it the direct sum is done by NumPy's matrix products instead, and the row says so. Of torch's two ways, rows of
the softmax matrix in blocks and its fused attention, the faster counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import fpsolve as fp
from benchmarks.common import aim, seconds, unmeasured
from benchmarks.peers import Peer, interpreter

BETA, ROWS = 4.0, 512
AIM, AT = 100.0, 16_000
"""torch's seconds over ours, for so many tokens."""


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: tokens, peer, its seconds and ours, ratio, aim, largest difference in F."""
    sizes = (4000,) if quick else (2000, 4000, 8000, AT)
    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(1))
        python = interpreter("FPSOLVE_TORCH_PYTHON")
        peer = stack.enter_context(Peer(python, "torch_softmax.py")) if python else None
        return [_row(peer, n, 3 if quick else 7) for n in sizes]


def _row(peer: Peer | None, n: int, rounds: int) -> dict[str, object]:
    tokens = fp.initial.samples(fp.initial.von_mises_fisher([0, 0, 1], 2.0), n, seed=1)

    def by_moments() -> np.ndarray:
        cloud = fp.Cloud(tokens.x, tokens.weights)
        return cloud.source.F_sphere(BETA, cloud.sites)[1]

    name, ways = _directly(peer, tokens.x)
    difference = max(float(np.abs(way()[1] - by_moments()[:1000]).max()) for way in ways.values())
    ours: list[float] = []
    theirs: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        ours.append(seconds(by_moments, 5))
        for way, work in ways.items():
            theirs[way].append(work()[0])
    fastest = min(theirs, key=lambda way: median(theirs[way]))
    direct, here = median(theirs[fastest]), median(ours)
    ratio = median(a / b for a, b in zip(theirs[fastest], ours, strict=True))
    judged = aim(ratio, ">=", AIM) if peer else unmeasured(">=", AIM, "torch is not installed")
    return {
        "tokens": n,
        "peer": f"{name}, {fastest}",
        "peer_s": direct,
        "moments_s": here,
        "ratio": ratio,
        "aim": judged if n == AT else "",
        "difference": difference,
    }


def _directly(peer: Peer | None, x: np.ndarray) -> tuple[str, dict[str, Callable[[], tuple[float, Any]]]]:
    """The peer's name and its ways: each returns seconds and F at the first 1,000 tokens."""
    if peer is None:
        return "NumPy (torch is not installed)", {"blocks": lambda: _by_numpy(x)}
    version = peer.ask(x=x.tolist(), beta=BETA)["version"]

    def ask(way: str) -> tuple[float, np.ndarray]:
        answer = peer.ask(way=way)
        return answer["seconds"], np.array(answer["F"])

    return f"torch {version}", {way: lambda way=way: ask(way) for way in ("blocks", "library")}  # type: ignore[misc]


def _by_numpy(x: np.ndarray) -> tuple[float, np.ndarray]:
    """The same direct sum by matrix products, rows in blocks."""
    start, parts = time.perf_counter(), []
    for first in range(0, len(x), ROWS):
        exponent = BETA * (x[first : first + ROWS] @ x.T)
        weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        parts.append(weights @ x / weights.sum(axis=1, keepdims=True))
    return time.perf_counter() - start, np.concatenate(parts)[:1000]


if __name__ == "__main__":
    for row in run():
        print(row)
