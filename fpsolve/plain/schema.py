"""Keyword arguments of TOML tables checked against the signatures of the functions that take them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

from fpsolve.errors import InputError
from fpsolve.plain.annotations import checkable, hints

if TYPE_CHECKING:
    from pydantic import BaseModel


@contextmanager
def renamed(argument: str, name: str) -> Iterator[None]:
    """Errors about an ``argument`` of a function within leave under the ``name`` that it has outside."""
    try:
        yield
    except InputError as error:
        if error.argument != argument:
            raise
        raise InputError(name, error.value, error.problem, error.remedy) from error.__cause__


@contextmanager
def named_in(table: str, keys: Iterable[str]) -> Iterator[None]:
    """Errors about an argument ``key`` leave as errors about ``table.key``."""
    try:
        yield
    except InputError as error:
        if re.split(r"[.\[]", error.argument)[0] in keys:  # also tokens[0] and transformer.n
            message = str(error)
            error.argument = f"{table}.{error.argument}"
            error.args = (f"{table}.{message}",)
        raise


def checked(
    call: Callable[..., Any],
    keys: Mapping[str, Any],
    where: str,
    errors: list[InputError],
    *,
    skip: Sequence[str] = (),
    owner: str,
    whole: bool = True,
) -> dict[str, Any]:
    """Keyword arguments for ``call`` checked against its signature; what is wrong goes into ``errors``.

    keys: the table ``where``. skip: parameters that a table does not hold. owner: what knows the keys, for messages.
    whole: keys without a default have to be there; otherwise they may come from elsewhere, as from a command line.
    """
    from pydantic import ValidationError

    known = parameters(call, skip)
    try:
        found = _schema(call, tuple(skip), whole).model_validate(dict(keys))
    except ValidationError as refused:
        by_key: dict[str, list[Any]] = {}
        for item in refused.errors(include_url=False):
            by_key.setdefault(str(item["loc"][0]), []).append(item)
        errors += [_explain(key, items, keys, where, known, owner) for key, items in by_key.items()]
        return {}
    return {key: getattr(found, _field(key)) for key in keys}


def parameters(call: Callable[..., Any], skip: Sequence[str] = ()) -> dict[str, inspect.Parameter]:
    """What ``call`` takes by name."""
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    every = inspect.signature(call).parameters
    return {name: one for name, one in every.items() if one.kind in by_name and name not in skip}


def _field(key: str) -> str:
    """The attribute that holds ``key``; prefixed, as pydantic's models have methods such as ``copy``."""
    return f"key_{key}"


@cache
def _schema(call: Callable[..., Any], skip: tuple[str, ...], whole: bool) -> type[BaseModel]:
    """The pydantic model of a signature: strict (``"4"`` and ``true`` are no numbers), no other keys."""
    from pydantic import ConfigDict, Field, create_model

    known, known_hints = parameters(call, skip), hints(call)
    fields: dict[str, Any] = {}
    for name, parameter in known.items():
        default = parameter.default if parameter.default is not inspect.Parameter.empty else ... if whole else None
        fields[_field(name)] = (checkable(known_hints.get(name, Any)), Field(default, alias=name))
    return create_model("Arguments", __config__=ConfigDict(extra="forbid", strict=True), **fields)


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
        return unknown_key(where, key, keys[key], known, owner)
    if items[0]["type"] == "missing":
        return InputError(f"{where}.{key}", NOTHING, f"is required by {owner}", f"give {key} in [{where}]")
    messages = (str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ") for item in items)
    wanted = inspect.formatannotation(known[key].annotation).strip("'")
    return InputError(f"{where}.{key}", keys[key], " or ".join(dict.fromkeys(messages)), f"give {wanted}")


class _Nothing:
    def __repr__(self) -> str:
        return "(nothing)"


NOTHING = _Nothing()
"""The value of a key that is missing, in messages."""


def unknown_key(where: str, key: str, value: object, known: Iterable[str], owner: str) -> InputError:
    """The error about a key of the table ``where`` that ``owner`` does not know."""
    names = list(known)
    near = get_close_matches(key, names, n=1, cutoff=0.4)
    remedy = f"did you mean {near[0]!r}?" if near else "remove it"
    problem = f"unknown key, {owner} knows {', '.join(names) or 'none'}"
    return InputError(f"{where}.{key}" if where else key, value, problem, remedy)
