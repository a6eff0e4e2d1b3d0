"""Many small steps: memory must not grow, nor the cost of a step; and the cost of twice as many tokens or members."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

import fpsolve as fp
from benchmarks.common import interleaved
from fpsolve.measures import Measure
from fpsolve.measures.build import build
from fpsolve.models.base import Model

T_END = 1.0


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: state, steps, microseconds a step in the second and in the last tenth, ratio, growth in kilobytes."""
    law = fp.initial.von_mises_fisher([0, 0, 1], 1.0)
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.05 * t, 4)
    states: dict[str, tuple[Model, Measure]] = {
        "density, lmax 15": (flow, build(law, "density", 15, 1e-6)),
        "half density, lmax 15": (flow, build(law, "half_density", 15, 1e-6)),
        "64 tokens": (fp.models.Homogenized(beta=1.0), build(fp.initial.samples(law, 64, 1), "cloud", 15, 1e-4)),
    }
    steps = 2000 if quick else 100_000
    return [_long(name, *state, steps) for name, state in states.items()] + [_members(quick)]


def _long(name: str, model: Model, state: Measure, steps: int) -> dict[str, object]:
    dt, tenth = T_END / steps, steps // 10
    marks, memory = [], []
    for n, _ in enumerate(fp.run(model, state, fp.BrownianPath(1, cell=dt), t_end=T_END, dt=dt)):
        if n % tenth == 0:
            marks.append(time.perf_counter())
            memory.append(resident())
    each = 1e6 * np.diff(marks) / tenth
    return {
        "run": name,
        "steps": steps,
        "early_us": float(each[1]),
        "late_us": float(each[-1]),
        "ratio": float(each[-1] / each[1]),
        "growth_kB": (memory[-1] - memory[1]) / 1024,
    }


def _members(quick: bool) -> dict[str, object]:
    """Eight members one after the other against four."""
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.05 * t, 4)
    law = fp.initial.von_mises_fisher([0, 0, 1], 1.0)

    def solve(members: int) -> None:
        for member in range(members):
            fp.solve(flow, law, t_end=0.2, dt=0.01, lmax=31, member=member, progress=False)

    works = {str(count): lambda count=count: solve(count) for count in (4, 8)}  # type: ignore[misc]
    times = interleaved(works, 1, 3 if quick else 7, min)
    early, late = 1e6 * times["4"] / 80, 1e6 * times["8"] / 160
    return {
        "run": "8 members against 4",
        "steps": 160,
        "early_us": early,
        "late_us": late,
        "ratio": late / early,
        "growth_kB": float("nan"),
    }


def resident() -> int:
    """Bytes of this process in memory (Linux; elsewhere 0)."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


if __name__ == "__main__":
    for row in run():
        print(row)
