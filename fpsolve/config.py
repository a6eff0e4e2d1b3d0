"""Runs described in TOML: read, checked against the signatures of the code, ready to solve.

``[model]`` and ``[initial]`` hold a ``name`` from ``fpsolve.MODELS`` or ``fpsolve.initial.LAWS`` and that
object's own keyword arguments, ``[solve]`` those of ``fpsolve.solve``, ``[output]`` a ``path``; the table of
another command, such as ``[compare]``, what that command's function has and ``fpsolve.solve`` has not. A law
inside a law is a table with a ``name``. Keys and their types are read from the signatures, so a new model,
law or argument needs no line here. For ``fpsolve ensemble`` ``[ensemble]`` holds ``members`` and how they are
computed, ``[sweep]`` lists of values by parameter.
"""

from __future__ import annotations

import copy
import inspect
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from fpsolve.errors import InputError, unknown_name

if TYPE_CHECKING:
    import xarray as xr
    from pydantic import BaseModel

TABLES = ("model", "initial", "solve", "output", "sweep")


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
        import fpsolve
        from fpsolve.compare import compare
        from fpsolve.ensemble.table import ensemble_table

        tables: dict[str, Callable[..., Any]] = {"compare": compare, "ensemble": ensemble_table}
        return cls(fpsolve.MODELS, fpsolve.initial.LAWS, fpsolve.solve, tables)


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

        Raises what ``fpsolve.solve`` raises, arguments of the configuration named as ``solve.key``, and InputError
        for a configuration with a sweep.
        """
        if self.sweep:
            raise InputError("sweep", dict(self.sweep), "describes several runs", "use fpsolve ensemble")
        arguments = {**self.arguments, **changes}
        with _named_in("solve", set(arguments)):
            return self.solver(self.model, self.initial, **arguments)


def load_config(
    path: str | os.PathLike[str], overrides: Sequence[str] = (), catalogue: Catalogue | None = None
) -> RunConfig:
    """Read and check ``path``; ``overrides`` are strings ``table.key=value``, the value in TOML or a bare
    word.

    Raises :class:`~fpsolve.errors.InputError` for an unreadable file and :class:`ConfigError` listing all
    that is wrong.
    """
    raw = _read_toml(Path(path).expanduser())
    for text in overrides:
        _merge(raw, _parse_override(text))
    return parse_config(raw, catalogue)


def parse_config(raw: Mapping[str, Any], catalogue: Catalogue | None = None) -> RunConfig:
    """Check a configuration that is already a dictionary; every error in it is listed, as ``table.key``."""
    catalogue = catalogue or Catalogue.of_fpsolve()
    errors: list[InputError] = []
    known = (*TABLES, *catalogue.extras)
    tables = {name: _table(raw, name, errors) for name in known}
    errors += [_unknown_key("", key, raw[key], known, "a configuration") for key in raw if key not in known]
    model = _build_named(tables["model"], "model", catalogue.models, errors)
    sweep = _sweep(tables["sweep"], catalogue.laws, errors)
    if sweep.get("initial") and "initial" not in raw:
        tables["initial"] = tables["sweep"]["initial"][0]  # the first of them stands for all
    initial = _build_named(tables["initial"], "initial", catalogue.laws, errors)
    arguments = _check(
        catalogue.solve, tables["solve"], "solve", errors, skip=("model", "initial"), owner="[solve]"
    )
    output = _check(_output, tables["output"], "output", errors, owner="[output]").get("path")
    shared = ("model", "initial", *_parameters(catalogue.solve, ()))
    extras = {
        name: _check(call, tables[name], name, errors, skip=shared, owner=f"[{name}]")
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
            found[key] = _nested_laws(value, f"sweep.{key}", laws, errors)
        else:
            errors.append(InputError(f"sweep.{key}", value, "is not a list", f"write {name} = [1, 2], for example"))
    return found


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            "config", str(path), f"cannot be read ({error.strerror})", "check the name"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("config", str(path), f"is not TOML ({error})", "mend that line") from error


def _parse_override(text: str) -> dict[str, Any]:
    """``model.beta=2`` as the nested dictionary that a TOML file with that line would give."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not all(part.isidentifier() for part in key.split(".")):
        raise InputError("set", text, "is not of the form table.key=value", "write for example model.beta=2")
    try:
        return tomllib.loads(f"{key} = {value}")
    except tomllib.TOMLDecodeError:  # a bare word
        nested: Any = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        return dict(nested)


def _merge(into: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _table(raw: Mapping[str, Any], name: str, errors: list[InputError]) -> dict[str, Any]:
    value = raw.get(name, {})
    if isinstance(value, Mapping):
        return dict(value)
    errors.append(InputError(name, value, "is not a table", f"write [{name}] on a line of its own"))
    return {}


def _build_named(
    table: Mapping[str, Any], where: str, known: Mapping[str, Callable[..., Any]], errors: list[InputError]
) -> Any:
    """The object that a table with a ``name`` describes; None, and the errors listed, if it is wrong."""
    if "name" not in table:
        errors.append(InputError(f"{where}.name", _NOTHING, "is missing", f"give one of {', '.join(known)}"))
        return None
    name = table["name"]
    if not isinstance(name, str) or name not in known:
        errors.append(unknown_name(f"{where}.name", name, known))
        return None
    already = len(errors)
    keys = {key: value for key, value in table.items() if key != "name"}
    if where.startswith("initial"):
        keys = {key: _nested_laws(value, f"{where}.{key}", known, errors) for key, value in keys.items()}
    keys = _check(known[name], keys, where, errors, owner=name)
    if len(errors) > already:
        return None
    try:
        with _named_in(where, set(keys)):
            return known[name](**keys)
    except InputError as error:
        errors.append(error)
        return None


def _nested_laws(
    value: Any, where: str, known: Mapping[str, Callable[..., Any]], errors: list[InputError]
) -> Any:
    """Tables with a ``name`` become laws, in lists too; everything else stays as it is."""
    if isinstance(value, Mapping) and "name" in value:
        return _build_named(value, where, known, errors)
    if isinstance(value, list):
        return [_nested_laws(item, f"{where}[{i}]", known, errors) for i, item in enumerate(value)]
    return value


@contextmanager
def _named_in(table: str, keys: Iterable[str]) -> Iterator[None]:
    """Errors about an argument ``key`` leave as errors about ``table.key``."""
    try:
        yield
    except InputError as error:
        if error.argument in keys:
            message = str(error)
            error.argument = f"{table}.{error.argument}"
            error.args = (f"{table}.{message}",)
        raise


def _check(
    call: Callable[..., Any],
    keys: Mapping[str, Any],
    where: str,
    errors: list[InputError],
    *,
    skip: Sequence[str] = (),
    owner: str,
) -> dict[str, Any]:
    """Keyword arguments for ``call`` checked against its signature; what is wrong goes into ``errors``."""
    from pydantic import ValidationError

    known = _parameters(call, skip)
    try:
        checked = _schema(call, known).model_validate(dict(keys))
    except ValidationError as found:
        by_key: dict[str, list[Any]] = {}
        for item in found.errors(include_url=False):
            by_key.setdefault(str(item["loc"][0]), []).append(item)
        errors += [_explain(key, items, keys, where, known, owner) for key, items in by_key.items()]
        return {}
    return {key: getattr(checked, _field(key)) for key in keys}


def _parameters(call: Callable[..., Any], skip: Sequence[str]) -> dict[str, inspect.Parameter]:
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    every = inspect.signature(call).parameters
    return {name: one for name, one in every.items() if one.kind in by_name and name not in skip}


def _field(key: str) -> str:
    """The attribute that holds ``key``; prefixed, as pydantic's models have methods such as ``copy``."""
    return f"key_{key}"


def _schema(call: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]) -> type[BaseModel]:
    """The pydantic model of a signature: strict (``"4"`` and ``true`` are no numbers), no other keys."""
    from pydantic import ConfigDict, Field, create_model

    hints = _hints(call)
    fields: dict[str, Any] = {}
    for name, parameter in parameters.items():
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[_field(name)] = (_checkable(hints.get(name, Any)), Field(default, alias=name))
    return create_model("Arguments", __config__=ConfigDict(extra="forbid", strict=True), **fields)


def _hints(call: Callable[..., Any]) -> dict[str, Any]:
    """Annotations by parameter; those that cannot be resolved here are left out."""
    owner = vars(call).get("__init__", call) if isinstance(call, type) else call
    try:
        return get_type_hints(owner, include_extras=True)
    except (NameError, TypeError, AttributeError):  # a name imported for type checkers alone
        plain = {repr(kind): kind for kind in _PLAIN} | {kind.__name__: kind for kind in _PLAIN}
        written = getattr(owner, "__annotations__", {})
        return {name: plain[text] for name, text in written.items() if text in plain}


_PLAIN = (float, int, bool, str, type(None))


def _checkable(annotation: Any) -> Any:
    """What pydantic shall check: the annotation if TOML has such values, numbers for arrays, or Any."""
    origin, members = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN or origin is Literal:
        return annotation
    if origin in (Union, UnionType):
        return _checkable_union(members)
    return _numbers_type() if _is_array(annotation, origin, members) else Any


def _checkable_union(members: tuple[Any, ...]) -> Any:
    """``float | ArrayLike`` is one flat union of many protocols: find ArrayLike in it and keep the rest."""
    from numpy.typing import ArrayLike

    array_like = set(get_args(ArrayLike))
    has_array = array_like <= set(members)
    kinds = [_checkable(one) for one in members if not (has_array and one in array_like)]
    if has_array:
        kinds.append(_numbers_type())
    return Any if Any in kinds else Union[tuple(kinds)]  # noqa: UP007


def _is_array(annotation: Any, origin: Any, members: tuple[Any, ...]) -> bool:
    from numpy import ndarray

    if ndarray in (annotation, origin):
        return True
    number_like = (float, int, _numbers_type())
    of_numbers = bool(members) and all(_checkable(one) in number_like for one in members if one is not ...)
    return origin in (list, tuple, Sequence, Iterable) and of_numbers


@cache
def _numbers_type() -> Any:
    from pydantic import AfterValidator

    return Annotated[Any, AfterValidator(_numbers)]


def _numbers(value: Any) -> Any:
    """A number or lists of numbers, of any depth; arrays given from Python pass."""
    if isinstance(value, list | tuple):
        return [_numbers(item) for item in value]
    if isinstance(value, bool | str | Mapping) or value is None:
        raise ValueError("should be a number or a list of numbers")
    return value


def _explain(
    key: str,
    items: Sequence[Any],
    keys: Mapping[str, Any],
    where: str,
    known: Mapping[str, inspect.Parameter],
    owner: str,
) -> InputError:
    """One error of ours for all that pydantic says about a key (one item per member of a union)."""
    if items[0]["type"] == "extra_forbidden":
        return _unknown_key(where, key, keys[key], known, owner)
    if items[0]["type"] == "missing":
        return InputError(f"{where}.{key}", _NOTHING, f"is required by {owner}", f"give {key} in [{where}]")
    messages = (str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ") for item in items)
    wanted = inspect.formatannotation(known[key].annotation).strip("'")
    return InputError(f"{where}.{key}", keys[key], " or ".join(dict.fromkeys(messages)), f"give {wanted}")


class _Nothing:
    def __repr__(self) -> str:
        return "(nothing)"


_NOTHING = _Nothing()


def _unknown_key(where: str, key: str, value: object, known: Iterable[str], owner: str) -> InputError:
    names = list(known)
    near = get_close_matches(key, names, n=1, cutoff=0.4)
    remedy = f"did you mean {near[0]!r}?" if near else "remove it"
    problem = f"unknown key, {owner} knows {', '.join(names) or 'none'}"
    return InputError(f"{where}.{key}" if where else key, value, problem, remedy)
