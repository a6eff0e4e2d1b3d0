"""``fpsolve compare``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from fpsolve.cli.running import _saved as saved
from fpsolve.compare import as_text, compare
from fpsolve.config import RunConfig, _named_in, _parameters, load_config
from fpsolve.errors import InputError
from fpsolve.io import FIGURE_SUFFIXES, check_output, replacing


def compare_config(
    config: Path,
    output: Path | None,
    figure: Path | None,
    overwrite: bool,
    progress: bool | None,
    changes: Sequence[str],
) -> Path:
    """Compare, print the table, save the Dataset and draw the figure; every refusal comes before the computing.

    Without ``output`` and ``figure`` they are CONFIG-compare.nc and its name with .png, in the current folder.
    """
    described = load_config(config, changes)
    target = check_output(output or Path(f"{config.stem}-compare.nc"), overwrite)
    picture = check_output(figure or target.with_suffix(".png"), overwrite, FIGURE_SUFFIXES)
    ds = called(described, "compare", compare, progress=progress)
    typer.echo(as_text(ds))
    target = saved(ds, target, overwrite)
    _draw(ds, picture, overwrite)
    typer.echo(f"\nwrote {target} and {picture}")
    return target


def called(described: RunConfig, table: str, function: Callable[..., Any], **options: Any) -> Any:
    """``function(model, initial, …)`` with what it takes of [solve], all of [table] and the options.

    Raises what it raises, arguments of the configuration named as ``table.key``; InputError for a sweep.
    """
    if described.sweep:
        raise InputError("sweep", dict(described.sweep), "describes several runs", "take the [sweep] table out")
    taken = _parameters(function, ())
    shared = {key: value for key, value in described.arguments.items() if key in taken}
    own = described.extras.get(table, {})
    with _named_in("solve", set(shared)), _named_in(table, set(own)):
        return function(described.model, described.initial, **{**shared, **own, **options})


def _draw(ds: Any, picture: Path, overwrite: bool) -> None:
    from fpsolve.plot.compared import comparison

    with replacing(picture, overwrite) as temporary:
        comparison(ds).savefig(temporary, dpi=150)
