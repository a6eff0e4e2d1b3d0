"""``fp.ensemble``: check on rank 0, share, deal out blocks, work, and take the statistics."""

from __future__ import annotations

import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from fpsolve.ensembles import store as stores
from fpsolve.ensembles.comm import Ranks, communicator, die, ending_all, on_first, together
from fpsolve.ensembles.layout import Layout, make_layout
from fpsolve.ensembles.lock import Lock
from fpsolve.ensembles.logs import logs
from fpsolve.ensembles.member import Runner
from fpsolve.ensembles.mending import renew
from fpsolve.ensembles.records import DONE, PENDING, Records
from fpsolve.ensembles.statistics import statistics
from fpsolve.ensembles.sweep import Sweep, make_sweep
from fpsolve.ensembles.tasks import Deal, Desk, ordered
from fpsolve.ensembles.watch import Watch
from fpsolve.ensembles.worker import MemberFailed, Worker
from fpsolve.errors import InputError, Interrupted, exit_code
from fpsolve.io import check_output, check_space
from fpsolve.measures.initial import Initial
from fpsolve.models.base import Model
from fpsolve.observe import Result, as_result
from fpsolve.plain.arguments import checked_arguments
from fpsolve.surroundings import user_path
from fpsolve.threads import one_thread_everywhere

if TYPE_CHECKING:
    import zarr

log = logging.getLogger(__name__)

Schedule = Literal["static", "dynamic"]

OF_THE_CALL = ("sweep", "output", "comm", "log_dir", "stop")
"""Arguments of ``ensemble`` that are no keys of the table ``[ensemble]``."""


@dataclass(frozen=True)
class StorePlace:
    """Where an ensemble lives: the store, and beside it the folder of its records, lock and log."""

    path: Path

    @property
    def work(self) -> Path:
        return self.path.with_name(f"{self.path.name}.work")

    @property
    def checkpoints(self) -> Path:
        return self.work / "checkpoints"

    def lock(self) -> Lock:
        return Lock(self.work / "lock", self.path)


@checked_arguments
def ensemble(
    model: Model,
    initial: Initial,
    *,
    members: int | range | str,
    sweep: Mapping[str, Any] | None = None,
    output: str | os.PathLike[str] | None = None,
    comm: Any = None,
    block: int | None = None,
    schedule: Schedule | None = None,
    fail_fast: bool = False,
    progress: bool | None = None,
    log_dir: str | os.PathLike[str] | None = None,
    stop: Callable[[], bool] = lambda: False,
    **arguments: Any,
) -> Result:
    """Runs of ``solve`` for many members of the common noise and every point of a sweep, over the ranks of MPI.

    members: their number, or a range of them (as text ``"256:512"``); a member is the Brownian path ``(seed, member)``,
    one for all points.
    sweep: ``{"beta": [1, 2, 4], "initial": [laws], …}``, the product of lists for parameters of the model, of the law
    or of ``solve``. output: a ``.zarr`` store; where it exists, only what is missing is computed, further members
    included. comm: an mpi4py communicator, by default COMM_WORLD under an MPI launcher. block: members that one rank
    computes and writes together. schedule: ``static`` (default without a sweep) or ``dynamic``. fail_fast: end at the
    first failed member. progress: a bar or lines on rank 0. log_dir: a folder for logs of every rank. stop: asked after
    every step.
    arguments: those of ``solve``; what ``observe`` names has to be there in the first state, NaN where there is none.

    Returns a Dataset with dimensions (sweep…, member, time, …), ``status`` (0 pending, 1 done, 2 failed) and ``cause``
    for every member; in a store the group ``statistics`` has what :func:`statistics` gives. The bits do not depend on
    the number of ranks. Raises InputError before any computing on all ranks, Interrupted when stopped.
    """
    ranks = communicator(comm)
    place = None if output is None else StorePlace(user_path(output, "output").absolute())
    if schedule not in (None, *get_args(Schedule)):
        raise InputError("schedule", schedule, f"not one of {', '.join(get_args(Schedule))}", "leave it out")
    if place is None and ranks.size > 1:
        raise InputError("output", None, f"{ranks.size} ranks share no memory", "name a store, out.zarr for example")
    with ExitStack() as stack:
        stack.enter_context(ending_all(ranks))
        stack.enter_context(one_thread_everywhere())
        points = together(ranks, lambda: make_sweep(model, initial, arguments, sweep))
        layout, lock, group, mended = _set_up(ranks, points, members, place, block)
        stack.callback(lock.release if lock else lambda: None)
        together(ranks, lambda: stack.enter_context(logs(ranks, place.work if place else None, log_dir)))
        for repairs in mended:
            log.warning("%s", repairs)
        if fail_fast and place is not None:
            on_first(ranks, lambda: _refuse_failed(place.path))
        run = Run(ranks, points, layout, place, group, schedule or ("dynamic" if layout.points > 1 else "static"))
        run.guarded(fail_fast, progress, stop)
        if fail_fast and place is not None:
            on_first(ranks, lambda: _refuse_failed(place.path))  # of an unfinished block that a former call left
        return as_result(stores.opened(run.store_at))


def _set_up(
    ranks: Ranks, sweep: Sweep, members: int | range | str, place: StorePlace | None, block: int | None
) -> tuple[Layout, Lock | None, zarr.Group | None, list[str]]:
    """Everything that can be refused, on rank 0; then the layout on every rank.

    Only rank 0 has the lock, and what it tells of damage in the store that it has mended.
    """
    lock = place.lock() if place and ranks.rank == 0 else None
    group: list[zarr.Group | None] = [None]
    mended: list[str] = []

    def first() -> Layout:
        layout = make_layout(sweep, members, block, ranks.size)
        if place is None:
            group[0] = stores.create(None, layout)
            return layout
        assert lock is not None
        layout, repairs = _claimed(place, layout, lock)
        mended.extend(repairs)
        return layout

    try:
        layout = on_first(ranks, first)
    except BaseException:
        if lock is not None:
            lock.release()
        raise
    return layout, lock, group[0], mended


def _claimed(place: StorePlace, layout: Layout, lock: Lock) -> tuple[Layout, list[str]]:
    """The store under the lock, created or mended as it must be; its layout and what was mended."""
    check_output(place.path, overwrite=True, suffixes=(".zarr",))
    if place.path.exists():
        stores.check_existing(place.path, layout)
        stores.members_of(place.path, layout.members)
        if not place.work.is_dir():
            problem = f"its folder of records {str(place.work)!r} is missing, so that nothing in it can be verified"
            raise InputError("output", str(place.path), problem, "move it along with the store, or choose another name")
    with stores.naming("creating the folder of records"):
        place.work.mkdir(exist_ok=True)
        lock.take()
        Records(place.work, layout.digest).prepare()
        place.checkpoints.mkdir(exist_ok=True)
    if place.path.exists():
        layout = stores.check_existing(place.path, layout)  # again: it may have come while this job waited
        had = stores.members_of(place.path, layout.members)
        with stores.naming("mending the store"):
            mended = [f"{name} was damaged: written again" for name in renew(place.path, layout.having(had))]
            if had != layout.members:
                _check_space(place.path, layout.nbytes - layout.having(had).nbytes)
                renew(place.path, layout)
        return layout, mended
    _check_space(place.path, layout.nbytes)
    stores.create(place.path, layout)
    return layout, []


def _check_space(path: Path, nbytes: int) -> None:
    check_space("output", path, nbytes, "save less (save_every, save_density), or choose another disk")


def _refuse_failed(path: Path) -> None:
    """Raise MemberFailed for the first member that the store holds as bad, with its cause."""
    ds = stores.opened(path)[["status", "cause"]]
    for at in np.argwhere(~np.isin(ds["status"].values, (PENDING, DONE)))[:1]:
        one = ds.isel(dict(zip(ds["status"].dims, map(int, at), strict=True)))
        where = ", ".join(f"{name} = {one[name].item()}" for name in ds["status"].dims if name != "member")
        problem = f"member {one['member'].item()}{f' ({where})' if where else ''} failed: {one['cause'].item()}"
        raise MemberFailed(f"{problem}; the store {str(path)!r} keeps it")


class Run:
    """The parallel part: every rank has one, equal but for the rank."""

    def __init__(
        self, ranks: Ranks, sweep: Sweep, layout: Layout, place: StorePlace | None, group: zarr.Group | None,
        schedule: str,
    ) -> None:  # fmt: skip
        self.ranks, self.sweep, self.layout, self.place, self.schedule = ranks, sweep, layout, place, schedule
        self.store_at: Any = group if place is None else place.path
        self.records = None if place is None else Records(place.work, layout.digest)

    def guarded(self, fail_fast: bool, progress: bool | None, stop: Callable[[], bool]) -> None:
        """:meth:`compute` and the statistics; an error on one of several ranks ends them all, with its traceback."""
        self.worker: Worker | None = None
        try:
            interrupted = self.compute(fail_fast, progress, stop)
            if not any(self.ranks.gather(interrupted is not None)):
                self.finish()
        except BaseException as error:
            if self.ranks.size == 1:
                raise
            die(self.ranks, self.worker.at if self.worker else "", exit_code(error))
            raise
        stopped = [one for one in self.ranks.gather(interrupted) if one is not None]
        if stopped:
            time, path = stopped[0][0], self.place.path if self.place else None
            raise Interrupted(time, path, next((lost for _, lost in stopped if lost), ""), time if path else None)

    def compute(self, fail_fast: bool, progress: bool | None, stop: Callable[[], bool]) -> tuple[float, str] | None:
        """Blocks until there are no more; the time reached by the member that was asked to stop, if one was, and why
        that could not be kept."""
        finished = self.ranks.share(self.records.finished() if self.records and self.ranks.rank == 0 else set())
        deal = Deal(ordered(self.layout, finished), self.ranks.size, self._dynamic())
        watch = Watch(self.layout.points * len(self.layout.members), progress if self.ranks.rank == 0 else False)
        nodes = crowded(self.ranks.gather((socket.gethostname(), os.sched_getaffinity(0))))
        if self.ranks.rank == 0:
            self._announce(len(finished), nodes)
        runner = Runner(self.sweep, self.layout, self.place.checkpoints if self.place else None, stop)
        desk = Desk(self.ranks, deal, watch.hear)
        store = stores.open_store(self.store_at, self.layout)
        self.worker = Worker(store, self.records, runner, desk.tell, fail_fast)
        interrupted = None
        try:
            while (block := desk.take()) is not None:
                self.worker.work(block)
        except Interrupted as error:
            interrupted = error.time, f"of a member in work: {error.lost}" if error.lost else ""
            desk.stop()
        self.worker.at = ""
        desk.leave()
        watch.close() if self.ranks.rank == 0 else None
        return interrupted

    def _dynamic(self) -> bool:
        return self.schedule == "dynamic" and self.ranks.threads

    def _announce(self, finished: int, nodes: Sequence[str]) -> None:
        layout = self.layout
        for node in nodes:
            log.warning("oversubscribed: %s", node)
        if self.ranks.size > (blocks := layout.points * layout.blocks_a_point):
            log.warning("%d ranks but %d blocks: the rest are idle; fewer members a block need a new store (--block)",
                        self.ranks.size, blocks)  # fmt: skip
        line = f"{layout.points} points x {len(layout.members)} members, blocks of {layout.block}"
        log.info("%s, %d of %d blocks have records", line, finished, layout.points * layout.blocks_a_point)
        if self.place and (other := stores.other_versions(self.place.path)):
            changed = ", ".join(f"{name} {was} -> {now}" for name, (was, now) in other.items())
            log.warning("the store was begun with other versions (%s): last bits may differ between members", changed)

    def finish(self) -> None:
        """Statistics by rank 0, once every rank has written."""
        self.ranks.barrier()
        if self.ranks.rank == 0 and self.place is not None:
            with stores.naming("writing the statistics"):
                stores.write_statistics(self.place.path, statistics(stores.opened(self.place.path)))
        self.ranks.barrier()


def crowded(places: Sequence[tuple[str, set[int]]]) -> list[str]:
    """``host: 4 ranks on 2 cores`` for every node with more ranks than cores that they may use."""
    ranks, cores = Counter(host for host, _ in places), {host: set[int]() for host, _ in places}
    for host, allowed in places:
        cores[host] |= allowed
    return [f"{host}: {n} ranks on {len(cores[host])} cores" for host, n in ranks.items() if n > len(cores[host])]
