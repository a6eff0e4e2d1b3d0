"""Steps of N tokens with value noise: seconds a step up to N = 10⁶, and microseconds a token: the cost is linear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import fpsolve as fp
from benchmarks.common import LINEAR, aim, interleaved
from fpsolve.measures.build import build


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: tokens, seconds a step (Lie–Euler, rtol 1e-4), microseconds a token, over those of the size before, aim."""
    sizes = (10_000, 50_000) if quick else (10_000, 100_000, 1_000_000)
    times = interleaved({str(n): _step(n) for n in sizes}, 1, 3 if quick else 7, min)
    rows: list[dict[str, object]] = []
    before = None
    for n in sizes:
        step = times[str(n)]
        each = 1e6 * step / n
        grown = {"ratio": "", "aim": ""} if before is None else _grown(each / before)
        rows.append({"tokens": n, "step_s": step, "us_per_token": each, **grown})
        before = each
    return rows


def _grown(ratio: float) -> dict[str, object]:
    return {"ratio": ratio, "aim": aim(ratio, "<=", LINEAR)}


def _step(n: int) -> Callable[[], object]:
    """One step of n tokens; the cloud is made anew, so nothing is kept from the last round."""
    model = fp.models.Homogenized(beta=4.0)
    tokens = fp.initial.samples(fp.initial.von_mises_fisher([0, 0, 1], 2.0), n, seed=1)
    cloud: fp.Cloud = build(tokens, "cloud", 63, 1e-4)  # type: ignore[assignment]
    path = fp.BrownianPath(1)
    return lambda: fp.SCHEMES["lie_euler"].step(model, replace(cloud), path, 0.0, 0.01)


if __name__ == "__main__":
    for row in run():
        print(row)
