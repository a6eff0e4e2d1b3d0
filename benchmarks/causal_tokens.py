"""Causal attention of N tokens in order, a step: O(N) by blocks and moments against the pairwise kernel and torch.

All on one core in double precision, tokens of S², β = 4, a decoder's mask (k = 1, own position seen). The pairwise
kernel is the package's own for other d. torch's ``scaled_dot_product_attention`` with ``is_causal`` takes part where
its Python is named, see :mod:`benchmarks.torch_attention`.
"""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

import fpsolve as fp
from benchmarks.common import LINEAR, aim, seconds, unmeasured
from benchmarks.peers import Peer, interpreter
from fpsolve.attention import in_order
from fpsolve.attention.in_order import attention_in_order
from fpsolve.attention.past import Past

BETA, MASK = 4.0, Past(0.0, None, 1.0)
MOST_PAIRS, MOST_TORCH = 20_000, 16_000
"""Tokens up to which the direct ways are timed."""
STEP_AIM, TORCH_AIM = 5.0, 1.0
"""Seconds of a step of 10⁵ tokens; torch's seconds over ours at its most tokens. Of 2,000 it is the faster one."""


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: tokens, µs a token by moments, over the size before; the direct ways' seconds over it; difference in F."""
    sizes = (2000, MOST_TORCH) if quick else (2000, MOST_TORCH, 100_000, 1_000_000)
    rows: list[dict[str, object]] = []
    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(1))
        python = interpreter("FPSOLVE_TORCH_PYTHON")
        peer = stack.enter_context(Peer(python, "torch_softmax.py")) if python else None
        before = None
        for n in sizes:
            row, each = _row(peer, n, before, 1 if quick else 3)
            rows.append(row)
            before = each
    return rows


def _row(peer: Peer | None, n: int, before: float | None, rounds: int) -> tuple[dict[str, object], float]:
    x = fp.initial.samples(fp.initial.von_mises_fisher([0, 0, 1], 2.0), n, seed=1).x
    weights, labels = np.full(n, 1 / n), np.arange(1, n + 1) / n

    def by_moments() -> np.ndarray:
        return attention_in_order(x, weights, labels, BETA, MASK, True)

    found = by_moments()
    ours = median(seconds(by_moments, 1) for _ in range(rounds))
    pairs, difference = _by_pairs(x, weights, labels, found) if n <= MOST_PAIRS else (None, "")
    torch = _by_torch(peer, x, found) if peer and n <= MOST_TORCH else None
    each = 1e6 * ours / n
    row: dict[str, object] = {
        "tokens": n, "step_s": ours, "aim of step_s": aim(ours, "<=", STEP_AIM) if n == 100_000 else "",
        "us_per_token": each, "ratio": "" if before is None else each / before,
        "aim": "" if before is None else aim(each / before, "<=", LINEAR),
        "pairs_over_moments": "" if pairs is None else pairs / ours,
        "torch_over_moments": "" if torch is None else torch / ours, "aim of torch_over_moments": "",
        "difference": difference,
    }  # fmt: skip
    if n == MOST_TORCH:
        missing = unmeasured(">=", TORCH_AIM, "torch is not installed")
        row["aim of torch_over_moments"] = missing if torch is None else aim(torch / ours, ">=", TORCH_AIM)
    return row, each


def _by_pairs(x: np.ndarray, weights: np.ndarray, labels: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """Seconds of the pairwise route, and how far F is from its."""
    usual, in_order.DIRECT_BELOW = in_order.DIRECT_BELOW, len(x) + 1
    try:
        took = seconds(lambda: attention_in_order(x, weights, labels, BETA, MASK, True), 1)
        return took, float(np.abs(attention_in_order(x, weights, labels, BETA, MASK, True) - found).max())
    finally:
        in_order.DIRECT_BELOW = usual


def _by_torch(peer: Peer, x: np.ndarray, found: np.ndarray) -> float:
    """Seconds of torch's causal attention, the first 1,000 tokens of which are compared."""
    peer.ask(x=x.tolist(), beta=BETA)
    answer = peer.ask(way="causal")
    assert np.abs(np.array(answer["F"]) - found[:1000]).max() < 1e-9
    return min(answer["seconds"], peer.ask(way="causal")["seconds"])


if __name__ == "__main__":
    for row in run():
        print(row)
