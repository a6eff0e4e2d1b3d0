"""``fpsolve ensemble``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fpsolve.config import load_config
from fpsolve.ensemble.comm import Ranks, communicator, together
from fpsolve.ensemble.main import ensemble
from fpsolve.errors import FPSolveError, InputError, Interrupted, UnresolvedError
from fpsolve.observe.own import imported
from fpsolve.signals import EX_IOERR, EX_TEMPFAIL, stop_on_signal

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Options:
    """What the command line says beside the configuration; None leaves it to the ``[ensemble]`` table."""

    members: str | None = None
    block: int | None = None
    schedule: str | None = None
    fail_fast: bool | None = None
    progress: bool | None = None
    log_dir: Path | None = None
    observe: Sequence[str] = ()


def run_ensemble(config: Path, output: Path | None, changes: Sequence[str], options: Options) -> None:
    """Compute what is missing of an ensemble; rank 0 says what was done.

    All ranks leave with the same status; only rank 0 has a message, unless a rank fails on its own. Raises what
    ``fp.ensemble`` raises, UnresolvedError when none is done, as all failed or ended early.
    """
    ranks = communicator()
    try:
        _run(ranks, config, output, changes, options)
    except FPSolveError as error:
        if ranks.rank == 0:
            raise
        from fpsolve.cli.app import exit_code

        raise typer.Exit(exit_code(error)) from None


def _run(ranks: Ranks, config: Path, output: Path | None, changes: Sequence[str], options: Options) -> None:
    model, initial, arguments = together(ranks, lambda: asked(config, changes, options))
    target = output or arguments.pop("output", None) or Path(f"{config.stem}.zarr")
    arguments.pop("output", None)
    told: dict[str, Any] = {"output": target, "comm": ranks, "progress": options.progress, "log_dir": options.log_dir}
    with stop_on_signal() as stop:
        try:
            ds = ensemble(model, initial, stop=stop, **told, **arguments)
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


def asked(config: Path, changes: Sequence[str], options: Options) -> tuple[Any, Any, dict[str, Any]]:
    """Model, initial law and arguments of ``fp.ensemble`` for a configuration under the command line's options."""
    described = load_config(config, changes)
    given = {name: getattr(options, name) for name in ("members", "block", "schedule", "fail_fast")}
    table = {**described.extras.get("ensemble", {})} | {key: one for key, one in given.items() if one is not None}
    table["members"] = members_of(table.get("members", 1))
    solve = {key: value for key, value in described.arguments.items() if key != "progress"}
    arguments = {**solve, **table, "sweep": described.sweep}
    arguments |= {"observe": imported(options.observe)} if options.observe else {}
    if described.output is not None:
        arguments["output"] = described.output
    return described.model, described.initial, arguments


def members_of(text: int | str) -> int | range:
    """``256``, or ``256:512`` for the members 256 to 511. Raises InputError for anything else."""
    start, colon, end = str(text).partition(":")
    try:
        return range(int(start), int(end)) if colon else int(start)
    except ValueError:
        raise InputError("members", text, "not a number or a range of members", "write 256, or 256:512") from None


def summary(ds: xr.Dataset, target: Path, done: int, failed: int) -> str:
    """What the store holds."""
    sizes = " x ".join(f"{name} {ds.sizes[name]}" for name in ds["status"].dims)
    under = int((ds["status"] == 3).sum())
    told = f", {under} under-resolved" if under else ""
    lines = [f"wrote {target}: {sizes}; {done} members done, {failed} failed{told}"]
    if failed or under:
        causes = dict.fromkeys(str(cause) for cause in ds["cause"].values.ravel() if cause)
        lines += [f"  {cause}" for cause in list(causes)[:3]]
    return "\n".join(lines)
