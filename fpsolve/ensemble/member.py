"""One member: run, and its values in the shapes of the store, or the cause of its failure."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.ensemble.layout import CAUSE_LENGTH, Layout, Variable, of_members, padded
from fpsolve.ensemble.records import DONE, FAILED, Outcome
from fpsolve.ensemble.sweep import Sweep
from fpsolve.errors import FPSolveError, Interrupted, UnderResolvedWarning, UnresolvedError
from fpsolve.noise import BrownianPath
from fpsolve.solve import Job, prepare

LONG_MEMBER = 10.0
"""Seconds from which on members keep checkpoints of their own; shorter ones are computed again from their start."""

BAD = (FPSolveError, ArithmeticError, np.linalg.LinAlgError)
"""What ends one member and not the job."""

log = logging.getLogger(__name__)


class Runner:
    """Runs members on one rank; those of one point share what ``prepare`` has built."""

    def __init__(self, sweep: Sweep, layout: Layout, checkpoints: Path | None, stop: Callable[[], bool]) -> None:
        self.sweep, self.layout, self.checkpoints, self.stop = sweep, layout, checkpoints, stop
        self._index: tuple[int, ...] | None = None
        self._job: Job | None = None
        self.seconds = LONG_MEMBER
        """What the last member took; the first one of a rank is taken for a long one."""

    def run(self, index: tuple[int, ...], point: int, member: int) -> Outcome:
        """The outcome of a member; raises Interrupted when asked to stop, and errors that are not a member's own."""
        started = time.perf_counter()
        job = self._member(index, member)
        checkpoint = self._checkpoint(point, member)
        try:
            with warnings.catch_warnings(record=True) as found:
                warnings.simplefilter("always")
                warnings.simplefilter("ignore", UnderResolvedWarning)  # kept as unresolved_from
                result = job.run(progress=False, checkpoint=checkpoint, stop=self.stop)
            outcome = self._outcome(of_members(result))
        except Interrupted:
            raise
        except BAD as error:
            log.warning("member %d%s failed: %s", member, self.where(index), error)
            outcome = self.failure(error)
        else:
            for one in found:
                log.warning("member %d%s: %s", member, self.where(index), one.message)
        self.seconds = time.perf_counter() - started
        return outcome

    def forget(self, point: int, member: int) -> None:
        """Remove the checkpoint of a member that has its record."""
        checkpoint = self._checkpoint(point, member)
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)

    def where(self, index: tuple[int, ...]) -> str:
        """`` (beta = 2)``, or nothing without a sweep."""
        told = self.sweep.describe(index)
        return f" ({told})" if told else ""

    def _member(self, index: tuple[int, ...], member: int) -> Job:
        """The job of a member: that of its point on another path."""
        if self._job is None or index != self._index:
            self._job = None  # the last point's tables go first
            point = self.sweep.point(index)
            self._index, self._job = index, prepare(point.model, point.initial, **point.arguments)
        job = self._job
        config = {**job.config, "solve": {**job.config["solve"], "member": member}}
        return replace(job, path=BrownianPath(job.path.seed, member, job.path.cell), config=config)

    def _checkpoint(self, point: int, member: int) -> Path | None:
        """Where a member keeps its checkpoint; None if it is short and has none."""
        if self.checkpoints is None:
            return None
        path = self.checkpoints / f"{point}-{member}.checkpoint"
        return path if self.seconds >= LONG_MEMBER or path.exists() else None

    def _outcome(self, ds: xr.Dataset) -> Outcome:
        """The values of a run in the shapes of the store; raises UnresolvedError for means that are not finite."""
        mean = ds["mean_vector"].values
        if not np.isfinite(mean).all():
            bad = ds["time"].values[~np.isfinite(mean).all(axis=1)][0]
            raise UnresolvedError(float(bad), "the mean is not finite", "raise lmax, or take a smaller dt")
        values = {name: _value(ds, name, variable) for name, variable in self.layout.variables.items()}
        return Outcome(values, DONE)

    def failure(self, error: BaseException) -> Outcome:
        """A failed member: no values and the cause."""
        cause = f"{type(error).__name__}: {error}".replace("\n", " ")[:CAUSE_LENGTH].rstrip()
        blank = {name: padded([], one.shape, one.dtype) for name, one in self.layout.variables.items()}
        return Outcome(blank, FAILED, cause)


def _value(ds: xr.Dataset, name: str, variable: Variable) -> Any:
    if name == "unresolved_from":
        return np.array(ds.attrs.get(name, np.nan))
    if name not in ds:
        return padded([], variable.shape, variable.dtype)
    return padded(ds[name].values, variable.shape, variable.dtype)
