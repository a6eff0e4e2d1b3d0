"""``fpsolve run``."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from fpsolve.config import RunConfig, load_config
from fpsolve.errors import InputError, Interrupted
from fpsolve.io import check_output, check_space, save
from fpsolve.notes import STOPPED, sentences
from fpsolve.observe import OBSERVABLES
from fpsolve.observe.flow_recorder import FlowRecorder
from fpsolve.observe.own import imported
from fpsolve.settings import OF_THE_CALL
from fpsolve.signals import EX_IOERR, STOPPING, stop_on_signal, undisturbed
from fpsolve.solving import prepare_single, solve
from fpsolve.surroundings import user_path

if TYPE_CHECKING:
    import xarray as xr

EX_UNRESOLVED = 3
"""Exit status of a run whose numbers could no longer be trusted before its end."""

def run_config(
    config: Path,
    output: Path | None,
    overwrite: bool,
    changes: Sequence[str],
    given: Mapping[str, Any],
    observe: Sequence[str] = (),
) -> Path:
    """Solve and save; every refusal comes before the computing.

    given: options of ``fp.solve``, which come before the ``[solve]`` table. A run that ends early, as its density is no
    longer resolved, is saved and ends with status 3. With a checkpoint SIGTERM, SIGUSR1 and Ctrl-C end the run in
    order, with status 75 or 130: the same command goes on; with 74 where its progress could not be written.
    """
    described = load_config(config, changes)
    target = check_output(output or described.output or Path(config.stem + ".nc"), overwrite)
    options = {**given, "observe": imported(observe)} if observe else dict(given)
    if described.solver is solve:
        described = replace(described, solver=_with_room(target))
    ds = _solved(described, options)
    with stop_on_signal((*STOPPING, signal.SIGINT)):  # a run that is finished is saved
        target = save_finished(ds, target, overwrite)
    typer.echo(summary(ds, target))
    if STOPPED.name in ds.attrs:
        raise typer.Exit(EX_UNRESOLVED)
    return target


def _solved(described: RunConfig, options: dict[str, Any]) -> xr.Dataset:
    """The run; stopped by a signal where there is a checkpoint to go on from."""
    if {**described.arguments, **options}.get("checkpoint") is None:
        if "checkpoint_every" in options:
            given = options["checkpoint_every"]
            raise InputError("checkpoint_every", given, "there is no checkpoint", "pass --checkpoint FILE too")
        with undisturbed():
            return described.solve(**options)
    with stop_on_signal((*STOPPING, signal.SIGINT)) as stop:
        try:
            return replace(described, solver=partial(described.solver, stop=stop)).solve(**options)
        except Interrupted as error:
            typer.echo(f"fpsolve: {stop.name}: {error}", err=True)
            raise typer.Exit(EX_IOERR if error.lost else stop.status) from None


def _with_room(target: Path) -> Callable[..., xr.Dataset]:
    """``fp.solve`` that refuses disks without room for its result, or two checkpoints, before the first step.

    Of a flow that points make from the start the first step is counted for all. ``stop`` is that of :meth:`Job.run`.
    """

    def solver(model: Any, initial: Any, **arguments: Any) -> xr.Dataset:
        how = {name: arguments.pop(name) for name in (*OF_THE_CALL, "stop") if name in arguments}
        job = prepare_single(model, initial, **arguments)
        result = _bytes_of(job.recorder(job.state)) * (job.steps // job.stride + 1)
        if job.settings.save_flow and job.state.points is not None:
            result += FlowRecorder(job.stepper, job.state).bytes_a_step(job.state) * job.steps
        remedy = "save less (save_every, save_density), or choose another disk"
        check_space("output", target, result, remedy)
        checkpoint = how.get("checkpoint")
        if checkpoint is not None:
            place = user_path(checkpoint, "checkpoint")
            check_space("checkpoint", place, 2 * (result + _bytes_of(vars(job.state))), remedy)
        return job.run(**how)

    return solver


def _bytes_of(values: Mapping[str, Any]) -> int:
    return sum(np.asarray(one).nbytes for one in values.values() if isinstance(one, np.ndarray | np.number | float))


def save_finished(ds: xr.Dataset, target: Path, overwrite: bool) -> Path:
    """Save; if the place was taken while the run was computing, beside it: a finished run is not thrown away."""
    try:
        return save(ds, target, overwrite)
    except InputError as error:
        number = next(n for n in count(1) if not target.with_stem(f"{target.stem}-{n}").exists())
        typer.echo(f"fpsolve: {error}", err=True)
        return save(ds, target.with_stem(f"{target.stem}-{number}"))


def summary(ds: xr.Dataset, target: Path) -> str:
    """What was written, the last value of each observable of the run, and which method carried it from when on."""
    times = ds["time"].values
    lines = [f"wrote {target}: {len(times)} saved times, t = {times[0]:g} to {times[-1]:g}"]
    names = [name for name, one in OBSERVABLES.items() if one.summary and name in ds]
    names += [str(name) for name in ds.data_vars if "panel" in ds[name].attrs and ds[name].dims == ("time",)]
    lines += [f"  {name:<16}{_first_to_last(ds[name].values, times)}" for name in names]
    return "\n".join([*lines, *(f"  {text}" for text in sentences(ds))])


def _first_to_last(values: Any, times: Any) -> str:
    """The first and the last value, with their times where they are those of a part of the run.

    A tail ends where a cloud takes over, and the error of the cloud begins.
    """
    there = np.flatnonzero(np.isfinite(values))
    first, last = (0, len(values) - 1) if len(there) == 0 else (there[0], there[-1])
    begun = f"  at t = {times[first]:g}, its first" if first > 0 else ""
    ended = f"  at t = {times[last]:g}, its last" if last < len(values) - 1 else ""
    return f"{float(values[first]): .6g}{begun}  ->  {float(values[last]): .6g}{ended}"
