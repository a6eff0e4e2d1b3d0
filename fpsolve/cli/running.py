"""``fpsolve run``."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from fpsolve.config import RunConfig, load_config
from fpsolve.errors import InputError, Interrupted
from fpsolve.io import check_output, save
from fpsolve.notes import NOTES, STOPPED
from fpsolve.observe import OBSERVABLES
from fpsolve.observe.own import imported
from fpsolve.settings import OF_THE_CALL
from fpsolve.signals import STOPPING, stop_on_signal, undisturbed
from fpsolve.solving import prepare

if TYPE_CHECKING:
    import xarray as xr

EX_UNRESOLVED = 3
"""Exit status of a run whose numbers could no longer be trusted before its end."""

def run_config(
    config: Path,
    output: Path | None,
    overwrite: bool,
    progress: bool | None,
    changes: Sequence[str],
    checkpoint: Path | None = None,
    checkpoint_every: float | None = None,
    observe: Sequence[str] = (),
) -> Path:
    """Solve and save; every refusal comes before the computing.

    A run that ends early, as its density is no longer resolved, is saved and ends with status 3. With a checkpoint
    SIGTERM, SIGUSR1 and Ctrl-C end the run in order, with status 75 or 130: the same command goes on.
    """
    described = load_config(config, changes)
    target = check_output(output or described.output or Path(config.stem + ".nc"), overwrite)
    options: dict[str, Any] = {} if progress is None else {"progress": progress}
    options |= {} if checkpoint is None else {"checkpoint": checkpoint}
    options |= {} if checkpoint_every is None else {"checkpoint_every": checkpoint_every}
    options |= {"observe": imported(observe)} if observe else {}
    ds = _solved(described, options)
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

        def stoppable(model: Any, initial: Any, **arguments: Any) -> xr.Dataset:
            how = {name: arguments.pop(name) for name in OF_THE_CALL if name in arguments}
            return prepare(model, initial, **arguments).run(**how, stop=stop)

        try:
            return replace(described, solver=stoppable).solve(**options)
        except Interrupted as error:
            typer.echo(f"fpsolve: {stop.name}: {error}", err=True)
            raise typer.Exit(stop.status) from None


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
    degrees = ds["lmax"].values if "lmax" in ds.coords else np.array([np.nan])
    lmax = np.max(degrees, where=np.isfinite(degrees), initial=-np.inf)
    told = [one.summary.format(time=ds.attrs[name], lmax=lmax) for name, one in NOTES.items() if name in ds.attrs]
    return "\n".join([*lines, *(f"  {text}" for text in told)])


def _first_to_last(values: Any, times: Any) -> str:
    """The first and the last value; where there is none at the end, as of a cloud's tail, the last that there is."""
    there = np.flatnonzero(np.isfinite(values))
    if len(there) == 0 or there[-1] == len(values) - 1:
        return f"{float(values[0]): .6g}  ->  {float(values[-1]): .6g}"
    return f"{float(values[0]): .6g}  ->  {float(values[there[-1]]): .6g}  at t = {times[there[-1]]:g}, its last"
