"""Steps of N tokens: seconds a step, microseconds a token: linear up to N = 10⁶; and of 100 with the Gaussian law."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import fpsolve as fp
from benchmarks.common import LINEAR, aim, interleaved
from fpsolve.measures.build import build

LAWS, FEW = ("identity", "gaussian"), 100
"""Value noise for the large clouds; the law of A for so few tokens, whose noise is that of a spectrum."""


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: tokens, law of A, seconds a step (Lie–Euler, rtol 1e-4), µs a token, over the size before, aim."""
    sizes = (10_000, 50_000) if quick else (10_000, 100_000, 1_000_000)
    rounds = 3 if quick else 7
    times = interleaved({str(n): _step(n, LAWS[0]) for n in sizes}, 1, rounds, min)
    rows: list[dict[str, object]] = []
    before = None
    for n in sizes:
        step = times[str(n)]
        each = 1e6 * step / n
        grown = {"ratio": "", "aim": ""} if before is None else _grown(each / before)
        rows.append({"tokens": n, "key_query": LAWS[0], "step_s": step, "us_per_token": each, **grown})
        before = each
    few = interleaved({"step": _step(FEW, LAWS[1])}, 5, rounds, min)["step"]
    told = {"tokens": FEW, "key_query": LAWS[1], "step_s": few, "us_per_token": 1e6 * few / FEW}
    return [*rows, {**told, "ratio": "", "aim": ""}]


def _grown(ratio: float) -> dict[str, object]:
    return {"ratio": ratio, "aim": aim(ratio, "<=", LINEAR)}


def _step(n: int, key_query: str) -> Callable[[], object]:
    """One step of n tokens; the cloud is made anew, so nothing is kept from the last round."""
    model = fp.models.Homogenized(beta=4.0, key_query=key_query, noise_lmax=16)  # type: ignore[arg-type]
    tokens = fp.initial.samples(fp.initial.von_mises_fisher([0, 0, 1], 2.0), n, seed=1)
    cloud: fp.Cloud = build(tokens, "cloud", 63, 1e-4)  # type: ignore[assignment]
    path = fp.BrownianPath(1)
    return lambda: fp.SCHEMES["lie_euler"].step(model, replace(cloud), path, 0.0, 0.01)


if __name__ == "__main__":
    for row in run():
        print(row)
