"""The trial behind a plan: members of some points timed on this machine, and a small store measured."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fpsolve.course import Instant
from fpsolve.ensemble.layout import Layout, make_layout
from fpsolve.ensemble.records import DONE, Outcome, Records
from fpsolve.ensemble.statistics import statistics
from fpsolve.ensemble.store import create, open_store, opened, write_statistics
from fpsolve.ensemble.sweep import Sweep, SweepPoint
from fpsolve.ensemble.tasks import Block
from fpsolve.ensemble.variables import padded
from fpsolve.errors import FPSolveError
from fpsolve.observe.saved import SavedStates
from fpsolve.solving import Job, prepare

TRIAL_POINTS = 8
"""Points of a sweep that are timed; the others take the nearest one's time for a step."""


@dataclass(frozen=True)
class MemberCost:
    """What a member of a point costs: seconds to prepare the point, for a step, and for a saved state.

    values: by variable what the trial saw, (member, time, …).
    """

    prepare: float
    step: float
    record: float
    values: Mapping[str, Any]

    def member(self, steps: int, saved: int) -> float:
        """Seconds of one member."""
        return steps * self.step + saved * self.record


@dataclass(frozen=True)
class Extra:
    """What comes to the blocks: bytes and files beside them, seconds to write a member's record and a block."""

    size: int
    files: int
    record: float
    block: float


def trial(sweep: Sweep, layout: Layout, budget: float) -> list[MemberCost]:
    """The cost of a member at each point, timed at up to ``TRIAL_POINTS`` of them."""
    numbers = np.unique(np.linspace(0, layout.points - 1, min(TRIAL_POINTS, layout.points)).astype(int))
    points = list(sweep.points())
    measured = {int(n): _timed(points[n], layout, budget / len(numbers)) for n in numbers}
    return [measured[min(measured, key=lambda n: abs(n - number))] for number in range(layout.points)]


def _timed(point: SweepPoint, layout: Layout, budget: float) -> MemberCost:
    """Members of a block, one after the other, until the budget is spent; of the first at least three steps."""
    end = time.perf_counter() + budget
    stretches, runs = Stretches(), []
    for member in layout.members[: layout.block]:
        with stretches.timed("prepare"):
            job = prepare(point.model, point.initial, **{**point.arguments, "member": member})
        runs.append(_steps(job, stretches, end))
        if time.perf_counter() > end:
            break
    whole = runs[: max(1, sum(len(run) == len(layout.times) for run in runs))]
    usual = stretches.median("step")
    first = stretches.of["prepare"][0] + max(0.0, stretches.of["step"][0] - usual)
    return MemberCost(first, usual, stretches.median("record"), _values(whole))


class Stretches:
    """Stretches of time by what was done in them."""

    def __init__(self) -> None:
        self.of: dict[str, list[float]] = {"prepare": [], "step": [], "record": []}

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Add the time of the block."""
        begun = time.perf_counter()
        yield
        self.of[what].append(time.perf_counter() - begun)

    def median(self, what: str) -> float:
        """The usual time; the first one, which may have made tables, does not count unless it is the only one."""
        return median(self.of[what][1:] or self.of[what])


def _steps(job: Job, stretches: Stretches, end: float) -> list[dict[str, Any]]:
    """The records of a member's steps, to its end or that of the time; an unresolved one's until then."""
    states, records = job.course().states(), SavedStates(job.recorder, job.stride)
    for n in range(job.steps + 1):
        try:
            with stretches.timed("step" if n else "prepare"):
                t, state = next(states)
        except (FPSolveError, StopIteration):
            break
        if n % job.stride == 0:
            with stretches.timed("record"):
                records.see(t, Instant(n, state))
        if n >= 3 and time.perf_counter() > end:
            break
    return records.records


def _values(runs: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Arrays (member, time, …) of the variables that every record has, times cut to those of the shortest run."""
    shortest = min(map(len, runs))
    names = [name for name in runs[0][0] if all(name in record for run in runs for record in run)]
    return {name: np.array([[record[name] for record in run[:shortest]] for run in runs]) for name in names}


def beside_blocks(layout: Layout, sweep: Sweep, cost: MemberCost) -> Extra:
    """Measured on a real template, and on a store of one member with its records and statistics; both go again."""
    with TemporaryDirectory() as folder:
        empty, small, records = Path(folder) / "empty.zarr", Path(folder) / "small.zarr", Records(Path(folder), "")
        create(empty, layout)
        point = next(sweep.points())
        one = make_layout(Sweep(point.model, point.initial, point.arguments), 1)
        create(small, one)
        records.prepare()
        values = {name: padded(_first(cost, name), v.shape, v.dtype) for name, v in one.variables.items()}
        block, outcome, begun = Block(0, 0, (), one.members), Outcome(values, DONE), time.perf_counter()
        records.write_member(block.name, 0, 0, outcome)
        record, begun = time.perf_counter() - begun, time.perf_counter()
        open_store(small, one).write(block, {0: outcome})
        records.write_block(block.name, {0: outcome.digest})
        writing = time.perf_counter() - begun
        before, found = _measured(small), statistics(opened(small))
        write_statistics(small, found)
        after, whole = _measured(small), _measured(empty)
    size = whole[0] + after[0] - before[0] + sum(v.nbytes for v in found.data_vars.values()) * (layout.points - 1)
    return Extra(size, whole[1] + after[1] - before[1] + len(("lock", "log.txt")), record, writing)


def _first(cost: MemberCost, name: str) -> Any:
    return cost.values[name][0] if name in cost.values else []


def _measured(folder: Path) -> tuple[int, int]:
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)
