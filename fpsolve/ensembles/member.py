"""One member: run, and its values in the shapes of the store, or the cause of its failure."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.ensembles.layout import Layout
from fpsolve.ensembles.merging import of_members
from fpsolve.ensembles.records import DONE, FAILED, UNRESOLVED, Outcome
from fpsolve.ensembles.sweep import Sweep
from fpsolve.ensembles.variables import CAUSE_LENGTH, LOST, Variable, padded
from fpsolve.errors import FPSolveError, InputError, Interrupted, UnderResolvedWarning, UnresolvedError
from fpsolve.io.keeper import set_aside_stranger
from fpsolve.notes import ATTENTION, STOPPED
from fpsolve.solving import Job, prepare

CHECKPOINT_EVERY = 20.0
"""Seconds between two checkpoints of a member, the first one after as many: a kill costs no more of its work."""

BAD = (FPSolveError, ArithmeticError, ValueError)
"""What ends one member and not the job: its numbers (``LinAlgError`` is a ValueError), no mistake in a program."""

log = logging.getLogger(__name__)


class Runner:
    """Runs members on one rank; those of one point share what ``prepare`` has built."""

    def __init__(self, sweep: Sweep, layout: Layout, checkpoints: Path | None, stop: Callable[[], bool]) -> None:
        self.sweep, self.layout, self.checkpoints, self.stop = sweep, layout, checkpoints, stop
        self._index: tuple[int, ...] | None = None
        self._job: Job | None = None

    def run(self, index: tuple[int, ...], point: int, member: int) -> Outcome:
        """The outcome of a member; raises Interrupted when asked to stop, and errors that are not a member's own."""
        job = self._member(index, member)
        checkpoint = self._checkpoint(point, member)
        if checkpoint is not None and (aside := set_aside_stranger(checkpoint)):
            message = "member %d%s: what stood in the place of its checkpoint is now %s"
            log.warning(message, member, self.where(index), aside)
        try:
            with warnings.catch_warnings(record=True) as found:
                warnings.simplefilter("always")
                warnings.simplefilter("ignore", UnderResolvedWarning)  # kept as unresolved_from
                result = job.run(
                    progress=False, checkpoint=checkpoint, checkpoint_every=CHECKPOINT_EVERY, stop=self.stop,
                    keep_last=False,
                )  # fmt: skip
            outcome = self._outcome(of_members(result), under_resolved(job, result.attrs))
        except BAD as error:
            if not is_a_members(error):
                raise
            log.warning("member %d%s failed: %s", member, self.where(index), error)
            outcome = self.failure(error)
        else:
            for one in found:
                log.warning("member %d%s: %s", member, self.where(index), one.message)
            if outcome.status == UNRESOLVED:
                log.warning("member %d%s: %s", member, self.where(index), outcome.cause)
        return outcome

    def forget(self, point: int, member: int) -> None:
        """Remove the checkpoint of a member that has its record."""
        checkpoint = self._checkpoint(point, member)
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)

    def where(self, index: tuple[int, ...]) -> str:
        """`` (beta = 2)``, or nothing without a sweep."""
        point = self.sweep.describe(index)
        return f" ({point})" if point else ""

    def _member(self, index: tuple[int, ...], member: int) -> Job:
        """The job of a member: that of its point on another path."""
        if self._job is None or index != self._index:
            self._job = None  # the last point's tables go first
            point = self.sweep.point(index)
            self._index, self._job = index, prepare(point.model, point.initial, **point.arguments)
        job = self._job
        stepper = replace(job.stepper, path=replace(job.stepper.path, member=member))
        return replace(job, stepper=stepper, settings=replace(job.settings, member=member))

    def _checkpoint(self, point: int, member: int) -> Path | None:
        """Where a member keeps its checkpoint: once it has run for ``CHECKPOINT_EVERY``, and when it is stopped."""
        return None if self.checkpoints is None else self.checkpoints / f"{point}-{member}.checkpoint"

    def _outcome(self, ds: xr.Dataset, cause: str) -> Outcome:
        """The values of a run in the shapes of the store; raises UnresolvedError for moments that are not finite."""
        summed = [ds[name].values for name in ("mean_vector", "moments") if name in ds]
        finite = np.all([np.isfinite(values).all(1) for values in summed], axis=0)
        if not finite.all():
            bad = float(ds["time"].values[~finite][0])
            raise UnresolvedError(bad, "the moments are not finite", "raise lmax, or take a smaller dt")
        values = {name: _value(ds, name, variable) for name, variable in self.layout.variables.items()}
        return Outcome(values, UNRESOLVED if cause else DONE, cause)

    def failure(self, error: BaseException) -> Outcome:
        """A failed member: no values and the cause."""
        cause = f"{type(error).__name__}: {error}".replace("\n", " ")[:CAUSE_LENGTH].rstrip()
        blank = {name: padded([], one.shape, one.dtype) for name, one in self.layout.variables.items()}
        return Outcome(blank, FAILED, cause)


def is_a_members(error: BaseException) -> bool:
    """Whether an error is one member's own: no stop, package that lacks, other run's checkpoint, false observable."""
    shared = isinstance(error, Interrupted | ImportError)
    return not shared and not (isinstance(error, InputError) and error.argument.startswith(("checkpoint", "observe")))


def under_resolved(job: Job, attributes: Mapping[str, Any]) -> str:
    """Why the end of a run does not count; empty where its density was resolved, or where a policy took care of it."""
    stopped = attributes.get(STOPPED.name)
    if stopped is not None:
        later = stopped + job.stepper.dt
        begun = min((attributes[one.name] for one in LOST if one.name in attributes), default=later)
        return f"under-resolved from t = {begun:.6g}, stopped at t = {stopped:.6g}"
    cared_for = job.policy.acts or getattr(job.state, "filter", None) is not None
    shown = (ATTENTION,) if cared_for else LOST  # no filter helps far attention
    begun = min((attributes[one.name] for one in shown if one.name in attributes), default=None)
    return "" if begun is None else f"under-resolved from t = {begun:.6g}"


def _value(ds: xr.Dataset, name: str, variable: Variable) -> Any:
    if not variable.dims:  # a note
        return np.array(ds.attrs.get(name, np.nan))
    if name not in ds:
        return padded([], variable.shape, variable.dtype)
    return padded(ds[name].values, variable.shape, variable.dtype)
