"""The trial behind a plan: members of some points timed on this machine, and a small store measured."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from fpsolve.course import Instant
from fpsolve.ensembles.layout import Layout, make_layout
from fpsolve.ensembles.member import is_a_members
from fpsolve.ensembles.records import DONE, Outcome, Records
from fpsolve.ensembles.statistics import statistics
from fpsolve.ensembles.store import create, open_store, opened, write_statistics
from fpsolve.ensembles.sweep import Sweep, SweepPoint
from fpsolve.ensembles.tasks import MemberBlock
from fpsolve.ensembles.variables import padded
from fpsolve.errors import FPSolveError
from fpsolve.observe.saved import SavedStates
from fpsolve.solving import Job, prepare

TRIAL_POINTS = 8
"""Points of a sweep that are timed; the others take the nearest one's time for a step."""


@dataclass(frozen=True)
class MemberCost:
    """What a member of a point costs: seconds to prepare the point, for a step, and for a saved state.

    values: by variable what the trial saw, (member, time, …). later: seconds for a step of the cloud that may take
    over; ``step`` where none may.
    """

    prepare: float
    step: float
    record: float
    values: Mapping[str, Any]
    later: float


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
    end, runs, laps = perf_counter() + budget, [], Laps()
    for member in layout.members[: layout.block]:
        job = prepare(point.model, point.initial, **{**point.arguments, "member": member})
        saved = SavedStates(job.recorder, job.stride)
        runs.append(saved.records)
        try:
            for n, (t, state) in enumerate(job.course().states()):
                laps.end("step" if n else "prepare")
                if n % job.stride == 0:
                    saved.see(t, Instant(n, state))
                    laps.end("record")
                if n >= 3 and perf_counter() > end:
                    break
        except FPSolveError as error:  # of an unresolved member what was until then
            if not is_a_members(error):
                raise
        if perf_counter() > end:
            break
    whole = [run for run in runs if len(run) == len(layout.times)] or runs[:1]
    names = [name for name in whole[0][0] if all(name in record for run in whole for record in run)]
    values = {name: np.array([[record[name] for record in run] for run in whole]) for name in names}
    step, record = laps.usual("step"), laps.usual("record")
    tables = max(laps.of["step"][:1], default=step) - step
    return MemberCost(laps.of["prepare"][0] + max(0.0, tables), step, record, values, _later(job, step))


def _later(job: Job, step: float) -> float:
    """Seconds for a step of the cloud that may take over: the second one, as the first makes tables."""
    cloud = job.policy.later(job.state)
    if cloud is None:
        return step
    laps = Laps()
    for n in range(min(2, job.steps)):
        cloud = job.stepper(cloud, n)
        laps.end("later")
    return laps.of["later"][-1]


class Laps:
    """Seconds of one thing after the other, by what was done in them."""

    def __init__(self) -> None:
        self.of = defaultdict[str, list[float]](list)
        self.since = perf_counter()

    def end(self, what: str) -> None:
        """What was done since the last end."""
        begun, self.since = self.since, perf_counter()
        self.of[what].append(self.since - begun)

    def usual(self, what: str) -> float:
        """The first one, which may have made tables, does not count unless it is the only one; 0 for none at all."""
        return median(self.of[what][1:] or self.of[what] or [0.0])


def beside_blocks(layout: Layout, sweep: Sweep, cost: MemberCost) -> Extra:
    """What the template has, and a store of one member with its records and statistics, which goes again."""
    point = next(sweep.points())
    one = make_layout(Sweep(point.model, point.initial, point.arguments), 1)
    seen = {name: cost.values[name][0] if name in cost.values else [] for name in one.variables}
    outcome = Outcome({name: padded(seen[name], v.shape, v.dtype) for name, v in one.variables.items()}, DONE)
    with TemporaryDirectory() as folder:
        path, records, block = Path(folder) / "one.zarr", Records(Path(folder), ""), MemberBlock(0, 0, (), one.members)
        create(path, layout)
        template = _sizes(path)
        shutil.rmtree(path)
        create(path, one)
        records.prepare()
        laps = Laps()
        records.write_member(block.name, 0, 0, outcome)
        laps.end("record")
        open_store(path, one).write(block, {0: outcome})
        records.write_block(block.name, {0: outcome.digest})
        laps.end("block")
        before, found = _sizes(path), statistics(opened(path))
        write_statistics(path, found)
        added = _sizes(path)
    a_point = sum(v.nbytes for v in found.data_vars.values())
    size = sum(template) + sum(added) - sum(before) + a_point * (layout.points - 1)
    files = len(template) + len(added) - len(before) + len(("lock", "log.txt"))
    return Extra(size, files, laps.usual("record"), laps.usual("block"))


def _sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
