"""Steps of quadrature clouds: against the version before tables of fields, and against a density of the same degree.

The earlier version is built from its commit beside this one and runs in a process of its own, in turn with it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import fpsolve as fp
from benchmarks.common import aim, in_turn
from benchmarks.ensemble_steps import NOISES, Before
from benchmarks.peers import steps

BEFORE = "6795cc3"
"""The last commit before fields were tabled for points."""

AIM = 3.0
"""How many times as many steps as before, at degree 31."""


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: noise, degree, points, milliseconds of a step, times before (with its aim), and over a density's step."""
    with tempfile.TemporaryDirectory() as folder:
        before = Before(Path(folder), BEFORE)
        return [_row(name, lmax, before, quick) for lmax in ((31,) if quick else (31, 63)) for name in NOISES]


def _row(name: str, lmax: int, before: Before, quick: bool) -> dict[str, object]:
    count, rounds = (3, 2) if quick else (8, 15)
    cloud, density = (steps.stepping(fp, name, lmax, measure=measure) for measure in ("cloud", "density"))
    works: dict[str, Any] = {
        "now": lambda: cloud(count),
        "before": lambda: before(name, lmax, count, "cloud"),
        "density": lambda: density(count),
    }
    times = in_turn(works, rounds)
    least = {key: min(values) for key, values in times.items()}
    gain = median(b / n for b, n in zip(times["before"], times["now"], strict=True))
    return {
        "noise": name, "lmax": lmax, "points": _points(lmax), "step_ms": 1e3 * least["now"], "times_before": gain,
        "aim of before": aim(gain, ">=", AIM) if lmax == 31 else "",
        "over_density": least["now"] / least["density"],
    }  # fmt: skip


def _points(lmax: int) -> int:
    """Points of a cloud of a law without zeros."""
    return int(fp.Cloud.from_law(fp.initial.uniform(), lmax=lmax, rtol=1e-6).x.shape[0])


if __name__ == "__main__":
    for row in run("--quick" in sys.argv):
        print(row)
