"""``fpsolve compare``."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial, update_wrapper
from pathlib import Path
from typing import Any

import typer

from fpsolve import plot
from fpsolve.cli.plotting import draw
from fpsolve.cli.running import save_finished
from fpsolve.comparison import as_text, compare
from fpsolve.comparison.comparison import compare_until
from fpsolve.config import RunConfig, load_config
from fpsolve.errors import InputError, Interrupted
from fpsolve.io import FIGURE_SUFFIXES, check_output
from fpsolve.plain.schema import named_in, parameters
from fpsolve.signals import STOPPING, StopRequest, stop_on_signal


def compare_config(
    config: Path,
    output: Path | None,
    figure: Path | None,
    overwrite: bool,
    changes: Sequence[str],
    given: Mapping[str, Any],
) -> Path:
    """Compare, print the table, save the Dataset and draw the figure; every refusal comes before the computing.

    given: options of ``fp.compare``. Without ``output`` and ``figure`` they are CONFIG-compare.nc and its name with
    .png, in the current folder. SIGTERM, SIGUSR1 and Ctrl-C end it in order: the same of the runs that are complete,
    then status 75, or 130.
    """
    described = load_config(config, changes)
    target = check_output(output or Path(f"{config.stem}-compare.nc"), overwrite)
    picture = check_output(figure or target.with_suffix(".png"), overwrite, FIGURE_SUFFIXES)
    with stop_on_signal((*STOPPING, signal.SIGINT)) as stop:
        ds = _compared(described, stop, given)
        typer.echo(as_text(ds))
        target = save_finished(ds, target, overwrite)
        draw(plot.comparison, ds, picture, overwrite)
        typer.echo(f"\nwrote {target} and {picture}")
    if "stopped" in ds.attrs:
        typer.echo(f"fpsolve: {stop.name}: stopped on request: {ds.attrs['stopped']} and kept in {target}", err=True)
        raise typer.Exit(stop.status)
    return target


def _compared(described: RunConfig, stop: StopRequest, given: Mapping[str, Any]) -> Any:
    """The comparison, or what is complete of it when a signal comes."""
    stoppable = update_wrapper(partial(compare_until, stop), compare)  # the signature tells what it takes
    try:
        return called(described, "compare", stoppable, **given)
    except Interrupted:
        problem = "stopped on request before a run of tokens was complete; nothing was kept"
        typer.echo(f"fpsolve: {stop.name}: {problem}", err=True)
        raise typer.Exit(stop.status) from None


def called(described: RunConfig, table: str, function: Callable[..., Any], **options: Any) -> Any:
    """``function(model, initial, …)`` with what it takes of [solve], all of [table] and the options.

    Raises what it raises, arguments of the configuration named as ``table.key``; InputError for a sweep.
    """
    if described.sweep:
        raise InputError("sweep", dict(described.sweep), "describes several runs", "take the [sweep] table out")
    taken = parameters(function)
    shared = {key: value for key, value in described.arguments.items() if key in taken}
    own = described.extras.get(table, {})
    with named_in("solve", set(shared)), named_in(table, set(own)):
        return function(described.model, described.initial, **{**shared, **own, **options})
