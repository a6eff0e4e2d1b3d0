"""Runs described in TOML: read, checked against the signatures of the code, ready to solve.

``[model]`` and ``[initial]`` hold a ``name`` from ``fpsolve.MODELS`` or ``fpsolve.initial.LAWS`` and that
object's own keyword arguments (tables ``[[model]]`` are the terms of a sum), ``[solve]`` those of
``fpsolve.solve``, ``[output]`` a ``path``; the table of another command, such as ``[compare]``, what that
command's function has and ``fpsolve.solve`` has not. A law inside a law is a table with a ``name``. Keys and
their types are read from the signatures, so a new model, law or argument needs no line here. For ``fpsolve
ensemble`` ``[ensemble]`` holds ``members`` and how they are computed, ``[sweep]`` lists of values by
parameter.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpsolve.comparison import compare
from fpsolve.ensembles import ensemble
from fpsolve.ensembles.main import OF_THE_CALL
from fpsolve.errors import InputError
from fpsolve.measures.initial import LAWS
from fpsolve.models import MODELS
from fpsolve.plain.objects import made_of, within
from fpsolve.plain.schema import checked, named_in, parameters, unknown_key
from fpsolve.plain.toml import assigned, read_toml
from fpsolve.solving import refusals, solve
from fpsolve.surroundings import user_path

if TYPE_CHECKING:
    import xarray as xr

TABLES = ("model", "initial", "solve", "output", "sweep")

SUM = "Sum"
"""The model that a list of tables ``[[model]]`` describes."""

NOT_KEYS = ("model", "initial", "observe")
"""Arguments of ``solve`` that are no keys of its table."""


class ConfigError(InputError):
    """Everything that is wrong with a configuration, one line each; ``errors`` holds them apart."""

    def __init__(self, errors: Sequence[InputError]) -> None:
        first = errors[0]
        super().__init__(first.argument, first.value, "wrong", "see the message")
        self.errors = tuple(errors)
        self.args = ("\n".join(str(error) for error in errors),)


@dataclass(frozen=True)
class Catalogue:
    """What a configuration may name: models and initial laws by name, and the function that solves."""

    models: Mapping[str, Callable[..., Any]]
    laws: Mapping[str, Callable[..., Any]]
    solve: Callable[..., xr.Dataset]
    extras: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    """Tables of other commands: the function whose arguments, those of ``solve`` apart, a table may hold."""

    @classmethod
    def of_fpsolve(cls) -> Catalogue:
        """The models, laws and solver of the package."""
        return cls(MODELS, LAWS, solve, {"compare": compare, "ensemble": ensemble})


@dataclass(frozen=True)
class RunConfig:
    """One checked run: model, initial law, keyword arguments of ``fpsolve.solve`` and output path."""

    model: Any
    initial: Any
    arguments: Mapping[str, Any]
    output: Path | None
    raw: Mapping[str, Any]
    solver: Callable[..., xr.Dataset]
    extras: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Keyword arguments from the tables of other commands, by table."""
    sweep: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def solve(self, **changes: Any) -> xr.Dataset:
        """Run it; ``changes`` replace keyword arguments of the ``[solve]`` table.

        Raises what ``fpsolve.solve`` raises, arguments of the configuration named as ``solve.key``, all that are wrong
        at once (ConfigError), and InputError for a configuration with a sweep.
        """
        if self.sweep:
            raise InputError("sweep", dict(self.sweep), "describes several runs", "use fpsolve ensemble")
        arguments = {**self.arguments, **changes}
        try:
            with named_in("solve", set(arguments)):
                return self.solver(self.model, self.initial, **arguments)
        except InputError as first:
            raise self._with_others(first, arguments) from first.__cause__

    def _with_others(self, first: InputError, arguments: Mapping[str, Any]) -> InputError:
        """The error, or that of all values of the ``[solve]`` table that are wrong."""
        others = refusals(self.model, self.initial, arguments)
        for error in others:
            with suppress(InputError), named_in("solve", set(arguments)):
                raise error
        return ConfigError(others) if first.argument in [one.argument for one in others[:1]] and others[1:] else first


def load_config(
    path: str | os.PathLike[str], overrides: Sequence[str] = (), catalogue: Catalogue | None = None
) -> RunConfig:
    """Read and check ``path``; ``overrides`` are strings ``table.key=value``, the value in TOML or a bare
    word.

    Raises :class:`~fpsolve.errors.InputError` for an unreadable file and :class:`ConfigError` listing all
    that is wrong.
    """
    raw, changes = read_toml(user_path(path, "config"), "config"), [_change(text) for text in overrides]
    for change in changes:
        _merge(raw, change)
    described = parse_config(raw, catalogue)
    for change in changes:
        _refuse_swept(described, change)
    return described


def parse_config(raw: Mapping[str, Any], catalogue: Catalogue | None = None) -> RunConfig:
    """Check a configuration that is already a dictionary; every error in it is listed, as ``table.key``."""
    catalogue = catalogue or Catalogue.of_fpsolve()
    errors: list[InputError] = []
    known = (*TABLES, *catalogue.extras)
    tables = {name: _table(raw, name, errors) for name in known if not _is_sum(raw, name, catalogue)}
    errors += [unknown_key("", key, raw[key], known, "a configuration") for key in raw if key not in known]
    model = _model(raw["model"] if "model" not in tables else tables["model"], catalogue.models, errors)
    sweep = _sweep(tables["sweep"], catalogue.laws, errors)
    if sweep.get("initial") and "initial" not in raw:
        tables["initial"] = tables["sweep"]["initial"][0]  # the first of them stands for all
    initial = made_of(tables["initial"], "initial", catalogue.laws, errors)
    if "observe" in tables["solve"]:  # code has no place in a configuration
        problem, remedy = "is no key of a configuration", "pass --observe module:function, or observe= in Python"
        errors.append(InputError("solve.observe", tables["solve"].pop("observe"), problem, remedy))
    arguments = checked(catalogue.solve, tables["solve"], "solve", errors, skip=NOT_KEYS, owner="[solve]")
    output = checked(_output, tables["output"], "output", errors, owner="[output]").get("path")
    shared = ("model", "initial", *parameters(catalogue.solve), *OF_THE_CALL)
    extras = {
        name: checked(call, tables[name], name, errors, skip=shared, owner=f"[{name}]", whole=False)
        for name, call in catalogue.extras.items()
        if tables[name]
    }
    if errors:
        raise errors[0] if len(errors) == 1 else ConfigError(errors)
    return RunConfig(
        model=model,
        initial=initial,
        arguments=arguments,
        output=None if output is None else Path(output),
        raw=copy.deepcopy(dict(raw)),
        solver=catalogue.solve,
        extras=extras,
        sweep=sweep,
    )


def _is_sum(raw: Mapping[str, Any], name: str, catalogue: Catalogue) -> bool:
    """Whether a table is a list ``[[model]]``."""
    return name == "model" and isinstance(raw.get(name), list) and SUM in catalogue.models


def _model(described: Any, models: Mapping[str, Callable[..., Any]], errors: list[InputError]) -> Any:
    """The model of a table, or the sum of the models of a list of tables, named ``model.0``, … in errors."""
    if not isinstance(described, list):
        return made_of(described, "model", models, errors)
    already = len(errors)
    terms = [made_of(one, f"model.{k}", models, errors) for k, one in enumerate(described)]
    if len(errors) > already:
        return None
    try:
        return models[SUM](terms)
    except InputError as error:
        errors.append(InputError("model", error.value, error.problem, error.remedy))
        return None


def _output(*, path: str | None = None) -> None:
    """The signature of the ``[output]`` table."""


def _sweep(
    table: Mapping[str, Any], laws: Mapping[str, Callable[..., Any]], errors: list[InputError], prefix: str = ""
) -> dict[str, Any]:
    """Lists of values by parameter; ``model.beta`` in a table is one key, tables with a ``name`` are laws."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and "name" not in value:
            found |= _sweep(value, laws, errors, f"{key}.")
        elif isinstance(value, list):
            found[key] = within(value, f"sweep.{key}", laws, errors)
        else:
            errors.append(InputError(f"sweep.{key}", value, "is not a list", f"write {name} = [1, 2], for example"))
    return found


def _change(text: str) -> dict[str, Any]:
    """``model.beta=2`` as the nested dictionary that a TOML file with that line would give."""
    key, nested = assigned(text, "table.key=value", "model.beta=2")
    for part in reversed(key.split(".")):
        nested = {part: nested}
    return dict(nested)


def _refuse_swept(described: RunConfig, change: Mapping[str, Any]) -> None:
    """Raise InputError for a key that is set and swept as well: its value would be that of no member."""
    solved = parameters(described.solver)
    for table, keys in change.items():
        known = isinstance(keys, Mapping) and table in ("model", "initial", "solve")
        for key, value in _set_keys(keys) if known else ():
            last = key.rpartition(".")[2]
            bare = last if (last in solved) == (table == "solve") else ""
            swept = next((one for one in described.sweep if one in (f"{table}.{key}", bare)), None)
            swept = "initial" if swept is None and table == "initial" and "initial" in described.sweep else swept
            if swept is not None:
                remedy = f"set sweep.{swept}=[...] instead, or take it out of the [sweep] table"
                raise InputError("set", f"{table}.{key}={value}", f"[sweep] gives values of {swept}", remedy)


def _set_keys(keys: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Keys and values of a table that are set; those of a term of a sum as ``0.beta``."""
    found = []
    for key, value in keys.items():
        is_term = key.isdecimal() and isinstance(value, Mapping)
        found += [(f"{key}.{inner}", one) for inner, one in value.items()] if is_term else [(key, value)]
    return found


def _merge(into: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), list):
            _merge_list(key, into[key], value)
            continue
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _merge_list(name: str, tables: list[Any], changes: Mapping[str, Any]) -> None:
    """Changes by number, ``model.0.beta=3``, of the tables of a list ``[[model]]``."""
    for number, value in changes.items():
        if not number.isdecimal() or int(number) >= len(tables) or not isinstance(value, Mapping):
            problem = f"{name} is a list of {len(tables)} tables"
            raise InputError("set", f"{name}.{number}", problem, f"write for example {name}.0.beta=2")
        _merge(tables[int(number)], value)


def _table(raw: Mapping[str, Any], name: str, errors: list[InputError]) -> dict[str, Any]:
    value = raw.get(name, {})
    if isinstance(value, Mapping):
        return dict(value)
    errors.append(InputError(name, value, "is not a table", f"write [{name}] on a line of its own"))
    return {}
