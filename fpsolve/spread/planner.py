"""``fpsolve run --plan``: what one cloud over many ranks takes, before anything of its size is made.

Two small clouds of the same model, law and settings are stepped on this machine; time and memory are linear in the
points of a rank, and what travels is counted.
"""

from __future__ import annotations

import resource
import time
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fpsolve.ensembles.comm import Rows, Serial
from fpsolve.ensembles.planner import MOST_RANKS, amount, machine
from fpsolve.ensembles.watch import duration
from fpsolve.errors import InputError
from fpsolve.measures.cloud import Cloud
from fpsolve.settings import Settings
from fpsolve.sphere.scattered import DIRECT_BLOCK
from fpsolve.spread.drawing import DrawnTokens, points_of
from fpsolve.spread.share import Share
from fpsolve.spread.solving import looked_at, prepared

TRIED = (8 * DIRECT_BLOCK, 32 * DIRECT_BLOCK)
"""Tokens of the two clouds of the trial."""

STEPS = 2
"""Steps of each."""

STAGES = 16
"""States of one block that are in memory while it is moved, at most."""

NETWORK, LATENCY = 1e9, 2e-5
"""Bytes a second that a rank sends, and seconds of a message for each doubling of the ranks: assumed, not measured."""


class CountingRanks(Serial):
    """One rank that counts the sums it is asked for and their columns."""

    def __init__(self) -> None:
        self.sums, self.columns = 0, 0

    def summed(self, rows: Rows, counts: Sequence[int]) -> Rows:
        self.sums, self.columns = self.sums + 1, self.columns + rows.shape[1]
        return super().summed(rows, counts)


@dataclass(frozen=True)
class SpreadPlan:
    """What a run of one cloud will take.

    points: of the busiest rank. memory: bytes of it. seconds: of a step, of which ``network`` on an assumed one.
    travels: bytes that a rank sends in a step. stored, files: of the points and densities that are saved.
    """

    count: int
    ranks: int
    steps: int
    blocks: int
    size: int
    points: int
    memory: int
    seconds: float
    network: float
    travels: int
    stored: int
    files: int
    imbalance: float


@dataclass(frozen=True)
class SpreadTrial:
    """Points of a small cloud; seconds, largest memory, sums over ranks and their columns of one step."""

    points: int
    seconds: float
    memory: int
    sums: float
    columns: float


def plan(model: Any, initial: Any, arguments: Mapping[str, Any], ranks: int) -> SpreadPlan:
    """The plan of a run on so many ranks. Raises the InputErrors of the run, and one for ``ranks`` outside 1 to 10⁵."""
    if not 1 <= ranks <= MOST_RANKS:
        raise InputError("ranks", ranks, f"must be an integer from 1 to {MOST_RANKS}", "pass --ranks 128, for example")
    settings = looked_at(model, initial, arguments)
    whole = points_of(initial, settings.lmax, settings.rtol)
    count = whole if isinstance(whole, int) else len(whole.x)
    share = Share(_Planned(ranks), count)
    share.check()
    base = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    few, many = (_tried(model, _smaller(initial, whole, n), arguments) for n in TRIED)
    points = max(len(share.owned_by(rank)) for rank in range(ranks)) * share.size if ranks > 1 else count
    return _figures(settings, share, points, base, few, many)


class _Planned(Serial):
    """So many ranks, of which nobody is asked anything but their number."""

    def __init__(self, size: int) -> None:
        self.size = size


def _smaller(initial: Any, whole: Cloud | int, n: int) -> Any:
    """A law of about n points like this one; of given points and quadratures some of them, many times over."""
    if isinstance(whole, int):
        return replace(initial, n=n)
    picked = np.arange(n) * len(whole.x) // n
    carried = None if whole.log_density is None else whole.log_density[picked]
    return Cloud(whole.x[picked], np.full(n, 1 / n), carried, whole.rtol, whole.tokens)


def _tried(model: Any, initial: Any, arguments: Mapping[str, Any]) -> SpreadTrial:
    """Steps of a small cloud: the quicker of two, the largest memory, the sums of one."""
    counting = CountingRanks()
    asked = dict(arguments) if isinstance(initial, DrawnTokens) else {**arguments, "lmax": Settings.lmax}
    job = prepared(model, initial, asked, counting)
    state: Any = job.state
    job.stepper(state, 0)  # plans and tables
    counting.sums = counting.columns = 0
    begun, states = [time.perf_counter()], state
    for n in range(STEPS):
        states = job.stepper(states, n)
        begun.append(time.perf_counter())
    tracemalloc.start()
    try:
        job.stepper(state, 0)
        largest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    held = sum(one.nbytes for one in vars(state).values() if isinstance(one, np.ndarray))
    spent = float(np.diff(begun).min())
    return SpreadTrial(len(state.x), spent, largest + held, counting.sums / (STEPS + 1), counting.columns / (STEPS + 1))


def _figures(
    settings: Settings, share: Share, points: int, base: int, few: SpreadTrial, many: SpreadTrial
) -> SpreadPlan:
    """The trial's lines, drawn to the points of a rank."""
    ranks, blocks = share.ranks.size, share.blocks
    each = (many.seconds - few.seconds) / (many.points - few.points)
    if each * many.points < 0.2 * many.seconds:  # a busy machine: the larger cloud alone
        each = many.seconds / many.points
    once = max(0.0, many.seconds - each * many.points)
    bytes_a_point = (many.memory - few.memory) / (many.points - few.points)
    own, columns = -(-blocks // ranks), many.columns
    travels = int(8 * columns * (own + 1)) if ranks > 1 else 0
    network = travels / NETWORK + 2 * many.sums * LATENCY * np.log2(ranks) if ranks > 1 else 0.0
    transient = 8 * STAGES * 4 * share.size + int(8 * columns / max(many.sums, 1) * 2 * own)
    steps = round(settings.t_end / float(settings.dt if settings.dt != "auto" else settings.save_every or 1.0))
    times = steps if settings.save_every is None else round(settings.t_end / settings.save_every)
    kept = 3 * settings.save_points + settings.save_density
    arrays = int(settings.save_points) + int(settings.save_density)
    return SpreadPlan(
        share.count, ranks, steps, blocks, share.size, points, int(base + bytes_a_point * points + transient),
        once + each * points + network, network, travels, 8 * kept * share.count * (times + 1),
        arrays * blocks * (times + 1), points * ranks / share.count,
    )  # fmt: skip


def as_text(found: SpreadPlan) -> str:
    """The plan for people."""
    points = "none saved"
    if found.files:
        points = f"{amount(found.stored)} of points in {found.files} files, not compressed"
    whole = duration(found.seconds * found.steps) if found.seconds * found.steps >= 10 else "less than 10 s"
    facts = {
        "cloud": f"{found.count} points in {found.blocks} blocks of {found.size}, {found.steps} steps",
        "ranks": f"{found.ranks}, {found.points} points on the busiest, {found.imbalance:.2f} times the mean",
        "memory of a rank": f"{amount(found.memory)}, MPI's own not included",
        "time of a step": f"{found.seconds:.3g} s, {found.network:.2g} s of it on an assumed network of 1 GB/s",
        "time": f"{whole}, saving not included",
        "sent in a step": f"{amount(found.travels)} by each rank",
        "store": points,
        "timed on": machine(),
    }
    return "\n".join(f"{name:<19}{value}" for name, value in facts.items())


