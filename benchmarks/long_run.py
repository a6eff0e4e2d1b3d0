"""Many small steps: memory must not grow, nor the cost of a step; and the cost of twice as many tokens or members."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

import fpsolve as fp
from benchmarks.common import LINEAR, aim, interleaved
from fpsolve.measures import Measure
from fpsolve.measures.build import build
from fpsolve.models.base import Model

T_END = 1.0
GROWTH = 1024.0
"""Kilobytes by which 10⁵ steps may enlarge the process: pages that the allocator keeps, far below a state a step."""

PARTS = 100
"""Steps are timed in so many parts; the medians of ten of them count."""


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: state, steps, microseconds a step in the first and in the last tenth, ratio, growth in kB, aims."""
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
    """The last tenth takes turns with the first tenth of the same run begun anew, so that load hits both alike."""
    dt, part = T_END / steps, steps // PARTS

    def begun() -> Iterator[object]:
        return islice(fp.run(model, state, fp.BrownianPath(1, cell=dt), t_end=T_END, dt=dt), 1, None)

    old, turns = begun(), PARTS // 10
    _advance(old, turns * part)
    before = resident()
    _advance(old, steps - 2 * turns * part)
    young = begun()
    times = [(_advance(young, part), _advance(old, part)) for _ in range(turns)]
    early, late = (1e6 * median(column) / part for column in zip(*times, strict=True))
    return _row(name, steps, early, late, resident() - before if before else None)


def _advance(steps: Iterator[object], count: int) -> float:
    """The seconds that so many steps take."""
    start = time.perf_counter()
    deque(islice(steps, count), maxlen=0)
    return time.perf_counter() - start


def _row(name: str, steps: int, early: float, late: float, growth: int | None) -> dict[str, object]:
    grown = "" if growth is None else growth / 1024
    return {
        "run": name,
        "steps": steps,
        "early_us": early,
        "late_us": late,
        "ratio": late / early,
        "aim": aim(late / early, "<=", LINEAR),
        "growth_kB": grown,
        "aim of growth": "" if growth is None else aim(growth / 1024, "<=", GROWTH),
    }


def _members(quick: bool) -> dict[str, object]:
    """Eight members one after the other against four."""
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.05 * t, 4)
    law = fp.initial.von_mises_fisher([0, 0, 1], 1.0)

    def solve(members: int) -> None:
        for member in range(members):
            fp.solve(flow, law, t_end=0.2, dt=0.01, lmax=31, measure="density", member=member, progress=False)

    works = {str(count): lambda count=count: solve(count) for count in (4, 8)}
    times = interleaved(works, 1, 3 if quick else 7, min)
    early, late = 1e6 * times["4"] / 80, 1e6 * times["8"] / 160
    return _row("8 members against 4", 160, early, late, None)


def resident() -> int:
    """Bytes of this process in memory (Linux; elsewhere 0)."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


if __name__ == "__main__":
    for row in run():
        print(row)
