"""``fpsolve run`` on several ranks: one cloud over all of them."""

from __future__ import annotations

import os
import signal
import socket
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from fpsolve.cli.running import summary
from fpsolve.config import Catalogue, RunConfig, load_config
from fpsolve.ensembles.comm import RANKS, Ranks, communicator, die, launched, on_first, together
from fpsolve.ensembles.main import crowded
from fpsolve.errors import FPSolveError, InputError, Interrupted, exit_code
from fpsolve.observe.own import imported
from fpsolve.plain.schema import named_in
from fpsolve.settings import OF_THE_CALL
from fpsolve.signals import EX_IOERR, STOPPING, stop_on_signal
from fpsolve.spread.drawing import drawn_later
from fpsolve.spread.planner import as_text, plan
from fpsolve.spread.solving import Call, prepared, solved
from fpsolve.surroundings import tell, warn
from fpsolve.threads import one_thread_everywhere

PATIENCE = 30.0
"""Seconds that a rank with an error waits for the others to have the same; then it ends them."""


def run_spread(
    config: Path,
    output: Path | None,
    overwrite: bool,
    changes: Sequence[str],
    given: Mapping[str, Any],
    observe: Sequence[str] = (),
) -> None:
    """Solve and save over all ranks; one message of rank 0, and one status of all.

    An error that all ranks have is said once; where it is that of some alone the job is ended with it.
    """
    ranks = communicator()
    if ranks.rank:
        warnings.simplefilter("ignore")  # rank 0 has the same
    try:
        with stop_on_signal((*STOPPING, signal.SIGINT)) as stop:
            try:
                with one_thread_everywhere():
                    _run(ranks, config, output, overwrite, changes, given, observe, stop)
            except Interrupted as error:
                if ranks.rank == 0:
                    typer.echo(f"fpsolve: {stop.name or 'stopped by another rank'}: {error}", err=True)
                raise typer.Exit(EX_IOERR if error.lost else stop.status) from None
    except FPSolveError as error:
        if not ranks.all_here(PATIENCE):
            tell(f"fpsolve: error: rank {ranks.rank} on {socket.gethostname()}: {error}")
            ranks.abort(exit_code(error))
        if ranks.rank == 0:
            raise
        raise typer.Exit(exit_code(error)) from None
    except typer.Exit:
        raise
    except BaseException:
        if ranks.size > 1:
            die(ranks, "")
        raise


def _run(
    ranks: Ranks, config: Path, output: Path | None, overwrite: bool, changes: Sequence[str], given: Mapping[str, Any],
    observe: Sequence[str], stop: Any,
) -> None:  # fmt: skip
    _refuse_strangers(ranks)
    for node in crowded(ranks.gather((socket.gethostname(), os.sched_getaffinity(0)))):
        warn(f"oversubscribed: {node}", UserWarning)
    described, arguments = together(ranks, lambda: _called(config, changes, given))
    target = output or described.output or Path(f"{config.stem}.zarr")
    call = {name: arguments.pop(name) for name in OF_THE_CALL if name in arguments}
    if observe:
        arguments["observe"] = together(ranks, lambda: imported(observe))
    if "checkpoint_every" in call and "checkpoint" not in call:
        raise InputError("checkpoint_every", call["checkpoint_every"], "there is no checkpoint", "pass --checkpoint")
    where = Path(call["checkpoint"]) if call.get("checkpoint") is not None else None
    with named_in("solve", set(arguments)):
        job = prepared(described.model, described.initial, arguments, ranks)
    call |= {"checkpoint": where, "stop": stop if where is not None else lambda: False}
    ds = solved(job, Call(target, overwrite, **call))
    on_first(ranks, lambda: typer.echo(summary(ds, target)))


def plan_spread(config: Path, changes: Sequence[str], given: Mapping[str, Any], ranks: int) -> str:
    """What the run of this configuration would take on so many ranks; nothing of its size is made."""
    described, arguments = _called(config, changes, given)
    arguments = {name: one for name, one in arguments.items() if name not in OF_THE_CALL}
    with named_in("solve", set(arguments)):
        return as_text(plan(described.model, described.initial, arguments, ranks))


def _called(
    config: Path, changes: Sequence[str], given: Mapping[str, Any]
) -> tuple[RunConfig, dict[str, Any]]:
    """A configuration whose samples are not drawn yet, and the arguments of ``fp.solve``."""
    usual = Catalogue.of_fpsolve()
    described = load_config(config, changes, replace(usual, laws={**usual.laws, "samples": drawn_later}))
    if described.sweep:
        raise InputError("sweep", dict(described.sweep), "describes several runs", "use fpsolve ensemble")
    return described, {**described.arguments, **given}


def _refuse_strangers(ranks: Ranks) -> None:
    """Raise InputError where a launcher started several processes, of which MPI knows one: each would do all of it."""
    launcher = launched()
    if launcher is not None and launcher not in RANKS and ranks.size == 1:
        problem = "the launcher's ranks know nothing of each other: it and mpi4py speak of different MPIs"
        raise InputError(launcher, os.environ[launcher], problem, "see Installing in docs/cluster.md")
