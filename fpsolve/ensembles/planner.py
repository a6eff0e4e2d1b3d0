"""``fpsolve ensemble --plan``: members and memory of a rank, the store and the time, before anything is computed.

A trial on this machine times steps and records of one member at some points of the sweep and sees how well their values
are compressed; all else is arithmetic on the layout and the order in which blocks are dealt out, up to 10⁵ ranks.
"""

from __future__ import annotations

import heapq
import os
import platform
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fpsolve.ensembles.layout import Layout, make_layout
from fpsolve.ensembles.sweep import make_sweep
from fpsolve.ensembles.tasks import ordered
from fpsolve.ensembles.trial import Extra, MemberCost, beside_blocks, trial
from fpsolve.ensembles.watch import duration
from fpsolve.errors import InputError
from fpsolve.io.files import codec
from fpsolve.measures.initial import Initial
from fpsolve.models.base import Model
from fpsolve.plain.arguments import checked_arguments

MOST_RANKS = 100_000
"""Beyond this nothing was planned or tried."""

FRAME, STATUS, DIGEST, BLOCK_RECORD = 17, 20, 73, 436
"""Bytes of a compressed chunk's frame, a chunk of statuses, a member's line in a block's record, the rest of it."""

AT_WORK = 3
"""Files beside a block in work: its record, a member's checkpoint, and one half written. Those of blocks that other
ranks had begun in a job before this one go when those are complete."""

MANY_FILES = 1_000_000
"""More are refused or slow on the file systems of many clusters."""


@dataclass(frozen=True)
class EnsemblePlan:
    """What an ensemble will take.

    members: least and most of a rank. memory: bytes of a rank. stored, files: bytes and files of the store and of the
    folder beside it; peak: the files there are at most at any time. seconds: until the last rank has done its share,
    statistics not included. imbalance: the busiest rank's time over the mean of all. trial: where the times come from.
    longest: seconds if clouds took over from all densities at once, where they may; when they do nobody knows before.
    """

    layout: Layout
    ranks: int
    schedule: str
    members: tuple[int, int]
    memory: int
    stored: int
    files: int
    peak: int
    seconds: float
    imbalance: float
    trial: str
    longest: float


@checked_arguments
def plan(
    model: Model,
    initial: Initial,
    *,
    members: int | range | str,
    ranks: int,
    sweep: Mapping[str, Any] | None = None,
    block: int | None = None,
    schedule: str | None = None,
    budget: float = 4.0,
    **arguments: Any,
) -> EnsemblePlan:
    """The plan of ``fp.ensemble`` with these arguments on so many ranks.

    budget: seconds for the trial, about. Raises the InputErrors of ``fp.ensemble``, and one for ``ranks`` outside 1 to
    10⁵.
    """
    if isinstance(ranks, bool) or not isinstance(ranks, int) or not 1 <= ranks <= MOST_RANKS:
        raise InputError("ranks", ranks, f"must be an integer from 1 to {MOST_RANKS}", "pass ranks=128, for example")
    points = make_sweep(model, initial, arguments, sweep)
    layout = make_layout(points, members, block, ranks)
    costs = trial(points, layout, budget)
    how = schedule or ("dynamic" if layout.points > 1 else "static")
    extra = beside_blocks(layout, points, costs[0])
    seconds, counts = shares(layout, costs, extra, ranks, how)
    longest, _ = shares(layout, [replace(cost, step=max(cost.step, cost.later)) for cost in costs], extra, ranks, how)
    size, files = stored(layout, costs, extra)
    peak = files + AT_WORK * min(ranks, layout.points * layout.blocks_a_point)
    # this process at its largest so far, trial included, and a block twice, as it is written
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + 2 * layout.block * layout.member_bytes
    return EnsemblePlan(
        layout, ranks, how, (int(counts.min()), int(counts.max())), memory, size, files, peak,
        float(seconds.max()), float(seconds.max() / seconds.mean()), machine(), float(longest.max()),
    )  # fmt: skip


def shares(layout: Layout, costs: Sequence[MemberCost], extra: Extra, ranks: int, schedule: str) -> tuple[Any, Any]:
    """Seconds and members of every rank, blocks dealt out as the ensemble does; a rank prepares each point it meets."""
    seconds, members, last = np.zeros(ranks), np.zeros(ranks, int), np.full(ranks, -1)
    free = [(0.0, rank) for rank in range(ranks)]
    for n, block in enumerate(ordered(layout, ())):
        rank = n % ranks if schedule == "static" else free[0][1]
        cost = costs[block.point]
        member = layout.steps[block.point] * cost.step + len(layout.times) * cost.record + extra.record
        seconds[rank] += len(block.members) * member + extra.block + (cost.prepare if last[rank] != block.point else 0)
        members[rank] += len(block.members)
        last[rank] = block.point
        if schedule == "dynamic":
            heapq.heapreplace(free, (seconds[rank], rank))
    return seconds, members


def stored(layout: Layout, costs: Sequence[MemberCost], extra: Extra) -> tuple[int, int]:
    """Bytes and files of the finished store and the folder beside it; of what is NaN throughout Zarr writes no chunks.

    Values are compressed as those that the trial saw.
    """
    members, blocks = len(layout.members), layout.points * layout.blocks_a_point
    size = extra.size + blocks * (STATUS + BLOCK_RECORD) + layout.points * members * DIGEST
    files = extra.files + 2 * blocks
    for cost in costs:
        for name, variable in layout.variables.items():
            if name in cost.values:
                raw = np.ascontiguousarray(cost.values[name], variable.dtype).tobytes()
                share = (len(codec().encode(raw)) - FRAME) / len(raw)
                chunks = layout.blocks_a_point * layout.pieces(variable)
                size += int(members * variable.nbytes * share) + chunks * FRAME
                files += chunks
    return size, files


def machine() -> str:
    """Processor, cores and load."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{platform.node()}, {name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def as_text(found: EnsemblePlan) -> str:
    """The plan for people."""
    layout, (fewest, most) = found.layout, found.members
    members = len(layout.members)
    idle = found.ranks - min(found.ranks, layout.points * layout.blocks_a_point)
    time, longest = (duration(s) if s >= 10 else f"{s:.2g} s" for s in (found.seconds, found.longest))
    facts = {
        "runs": f"{layout.points} points x {members} members, {sum(layout.steps) * members} steps",
        "ranks": f"{found.ranks}, {found.schedule}" + (f"; {idle} idle" if idle else ""),
        "members of a rank": f"{fewest} to {most}, in blocks of {layout.block}",
        "memory of a rank": f"{found.memory / 1e6:.0f} MB, MPI's own not included",
        "store": f"{amount(found.stored)} in {found.files} files ({amount(layout.nbytes)} not compressed)",
        "files at a time": f"{found.peak} at most",
        "time": f"{time}, statistics not included; writing as on this machine's temporary folder",
        "with clouds": f"{longest}, if clouds took over from every density at once",
        "imbalance": f"{found.imbalance:.2f}, the busiest rank over the mean",
        "timed on": found.trial,
    }
    if found.longest == found.seconds:
        del facts["with clouds"]
    whole = layout.points * members // found.ranks
    if found.peak > MANY_FILES:
        facts["note"] = f"more than {MANY_FILES} files: pass a larger --block, or plan for fewer ranks"
    elif idle and 0 < whole < layout.block:
        more = f"--block {whole} gives every rank work, and {layout.block // whole} times the files"
        facts["note"] = f"blocks are large to keep files few: {more}"
    return "\n".join(f"{name:<19}{value}" for name, value in facts.items())


def amount(count: int) -> str:
    """Bytes in words."""
    power = min(max(0, len(str(count)) - 1) // 3, 4)
    return f"{count / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"
