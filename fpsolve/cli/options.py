"""Options of the commands, made from the signatures of the functions behind them.

A table says which parameters of a function a command has as options, and what ``--help`` says of each; names and types
are those of the signature. An option that is not given is not passed on: defaults stand in the function, or in a
configuration.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import typer

from fpsolve.plain.annotations import hints
from fpsolve.plain.schema import parameters


class Help(NamedTuple):
    """What ``--help`` says of an option, and what it calls its value where the type does not."""

    text: str
    metavar: str | None = None


RUN: Mapping[str, Help] = {
    "progress": Help("Show a bar; default: long runs in a terminal."),
    "checkpoint": Help("Keep the run's progress here; go on from it if it exists.", "FILE"),
    "checkpoint_every": Help("Between two writings of it; default: 60.", "SECONDS"),
    "threads": Help("Of one large run (lmax >= 255, many points); the bits are the same.", "N"),
}
"""Of ``fp.solve``, for ``fpsolve run``."""

ENSEMBLE: Mapping[str, Help] = {
    "members": Help("Members 0..N-1, or FIRST..LAST-1.", "N | FIRST:LAST"),
    "block": Help("Members of one block: one shard, one writer."),
    "schedule": Help("static or dynamic; default: by the sweep."),
    "fail_fast": Help("Stop at the first member that fails."),
    "progress": Help("Say how far it is; default: yes."),
    "log_dir": Help("A log of every rank.", "FOLDER"),
}
"""Of ``fp.ensemble``, for ``fpsolve ensemble``."""

COMPARE: Mapping[str, Help] = {"progress": Help("Show a bar; default: in a terminal.")}
"""Of ``fp.compare``, for ``fpsolve compare``."""

REPORT: Mapping[str, Help] = {
    "title": Help("The heading; default: the model and how it was solved."),
    "times": Help("Saved times on the slider, at most; default: 60."),
    "overwrite": Help("Replace the output if it exists."),
}
"""Of ``fp.plot.report``, for ``fpsolve report``."""


def with_options(call: Callable[..., Any], table: Mapping[str, Help]) -> Callable[[Callable[..., None]], Any]:
    """A command ``(config, output, *, given, …)`` whose ``given`` are the options of ``call`` that a user has given."""

    def decorator(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def called(**every: Any) -> None:
            options = {name: every.pop(name) for name in table}
            command(**every, given={name: one for name, one in options.items() if one is not None})

        own = inspect.signature(command, eval_str=True)
        collected = list(_options(call, table))
        listed = [piece for one in own.parameters.values() for piece in (collected if one.name == "given" else [one])]
        called.__signature__ = own.replace(parameters=listed)  # type: ignore[attr-defined]
        called.__annotations__ = {one.name: one.annotation for one in listed} | {"return": None}
        return called

    return decorator


def _options(call: Callable[..., Any], table: Mapping[str, Help]) -> Iterator[inspect.Parameter]:
    """An option for each parameter of the table, None where it is not given."""
    known, annotations = parameters(call), hints(call)
    for name, about in table.items():
        assert name in known, f"{call.__name__} has no parameter {name}"
        option = typer.Option(help=about.text, metavar=about.metavar)
        kind: Any = Annotated[_kind(annotations[name]) | None, option]
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)


def _kind(annotation: Any) -> Any:
    """The type of an option: a flag and its opposite for a truth value, a path where there may be one, else text."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    if any(getattr(get_origin(one) or one, "__name__", "") == "PathLike" for one in kinds):
        return Path
    return next((one for one in (bool, str, float, int) if one in kinds), str)
