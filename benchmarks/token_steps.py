"""Steps of N tokens with value noise: seconds a step up to N = 10⁶, and microseconds a token: the cost is linear."""

from __future__ import annotations

import fpsolve as fp
from benchmarks.common import seconds
from fpsolve.measures.build import build


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: tokens, seconds a step (Lie–Euler, rtol 1e-4), microseconds a token."""
    return [_row(n) for n in ((10_000,) if quick else (10_000, 100_000, 1_000_000))]


def _row(n: int) -> dict[str, object]:
    model = fp.models.Homogenized(beta=4.0)
    tokens = fp.initial.samples(fp.initial.von_mises_fisher([0, 0, 1], 2.0), n, seed=1)
    cloud = build(tokens, "cloud", 63, 1e-4)
    path = fp.BrownianPath(1)
    step = fp.SCHEMES["lie_euler"].step
    each = min(seconds(lambda: step(model, cloud, path, 0.0, 0.01), 1) for _ in range(3))
    return {"tokens": n, "step_s": each, "us_per_token": 1e6 * each / n}
