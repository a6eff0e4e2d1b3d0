"""``fpsolve ensemble``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fpsolve.config import load_config
from fpsolve.ensembles.comm import Ranks, communicator, together
from fpsolve.ensembles.main import ensemble
from fpsolve.ensembles.planner import as_text, plan
from fpsolve.errors import FPSolveError, Interrupted, UnresolvedError, exit_code
from fpsolve.observe.own import imported
from fpsolve.plain.schema import parameters
from fpsolve.settings import SETTINGS
from fpsolve.signals import EX_IOERR, EX_TEMPFAIL, stop_on_signal

if TYPE_CHECKING:
    import xarray as xr

NO_KEYS: Mapping[str, Any] = {}


def run_ensemble(
    config: Path,
    output: Path | None,
    changes: Sequence[str] = (),
    given: Mapping[str, Any] = NO_KEYS,
    observe: Sequence[str] = (),
) -> None:
    """Compute what is missing of an ensemble; rank 0 says what was done.

    given: options of ``fp.ensemble``, which come before the ``[ensemble]`` table. All ranks leave with the same status;
    only rank 0 has a message, unless a rank fails on its own. Raises what ``fp.ensemble`` raises, UnresolvedError when
    none is done, as all failed or ended early.
    """
    ranks = communicator()
    try:
        _run(ranks, config, output, changes, given, observe)
    except FPSolveError as error:
        if ranks.rank == 0:
            raise
        raise typer.Exit(exit_code(error)) from None


def plan_ensemble(
    config: Path,
    changes: Sequence[str] = (),
    given: Mapping[str, Any] = NO_KEYS,
    observe: Sequence[str] = (),
    ranks: int = 1,
) -> str:
    """What the ensemble of this configuration would take on so many ranks; nothing is computed or written."""
    model, initial, arguments = ensemble_call(config, changes, given, observe)
    known = {*parameters(plan), *SETTINGS}
    return as_text(plan(model, initial, **{key: one for key, one in arguments.items() if key in known}, ranks=ranks))


def _run(
    ranks: Ranks, config: Path, output: Path | None, changes: Sequence[str], given: Mapping[str, Any],
    observe: Sequence[str],
) -> None:  # fmt: skip
    model, initial, arguments = together(ranks, lambda: ensemble_call(config, changes, given, observe))
    target = output or arguments["output"] or Path(f"{config.stem}.zarr")
    with stop_on_signal() as stop:
        try:
            ds = ensemble(model, initial, **{**arguments, "output": target, "comm": ranks, "stop": stop})
        except Interrupted as error:
            if ranks.rank == 0:
                typer.echo(f"fpsolve: {stop.name or 'stopped by another rank'}: {error}", err=True)
            raise typer.Exit(EX_IOERR if error.lost else EX_TEMPFAIL) from None
    done, failed = (int((ds["status"] == flag).sum()) for flag in (1, 2))
    if ranks.rank == 0:
        typer.echo(summary(ds, target, done, failed))
    early = int(ds["stopped_at"].notnull().sum()) if "stopped_at" in ds else 0
    if (failed or early) and not done:
        count, last = ds["status"].size, float(ds["stopped_at"].max() if early else ds["time"][0])
        problem = f"none of {count} members is done, {early} ended early" if early else f"all {count} members failed"
        raise UnresolvedError(last, problem, "see the variable cause")


def ensemble_call(
    config: Path, changes: Sequence[str], given: Mapping[str, Any], observe: Sequence[str]
) -> tuple[Any, Any, dict[str, Any]]:
    """Model, initial law and arguments of ``fp.ensemble`` for a configuration under the command line's options."""
    described = load_config(config, changes)
    solve = {key: value for key, value in described.arguments.items() if key != "progress"}
    table = {"members": 1, **described.extras.get("ensemble", {}), **given}
    arguments = {**solve, **table, "sweep": described.sweep, "output": described.output}
    return described.model, described.initial, arguments | ({"observe": imported(observe)} if observe else {})


def summary(ds: xr.Dataset, target: Path, done: int, failed: int) -> str:
    """What the store holds."""
    sizes = " x ".join(f"{name} {ds.sizes[name]}" for name in ds["status"].dims)
    under = int((ds["status"] == 3).sum())
    note = f", {under} under-resolved" if under else ""
    lines = [f"wrote {target}: {sizes}; {done} members done, {failed} failed{note}"]
    if failed or under:
        causes = dict.fromkeys(str(cause) for cause in ds["cause"].values.ravel() if cause)
        lines += [f"  {cause}" for cause in list(causes)[:3]]
    return "\n".join(lines)
