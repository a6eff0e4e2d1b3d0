"""Models, laws, measures and weights as plain data, and made again from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from fpsolve.errors import InputError, unknown_name
from fpsolve.plain.identity import ADDRESS, INEXACT, Unidentified, mark, name_of
from fpsolve.plain.schema import NOTHING, checked, named_in

Table = Mapping[str, Callable[..., Any]]
"""What may be made, by name: ``MODELS`` or ``LAWS``."""


def to_plain(thing: Any, strict: bool = False) -> Any:
    """A thing as what JSON has: numbers, text, lists, and for objects tables with a ``name``.

    A law of ``fp.initial`` is its ``recipe``, a measure what its ``to_plain`` says, a dataclass its fields. What has no
    exact text, such as a function, is told by its content, so that what differs is told apart; strict: raise
    Unidentified where that fails.
    """
    plain = _plain(thing, strict)
    if isinstance(plain, str) and not isinstance(thing, str):
        plain = {"name": type(thing).__name__, "content": plain}
    return json.loads(json.dumps(plain))


def _plain(thing: Any, strict: bool) -> Any:
    if hasattr(thing, "recipe"):
        return thing.recipe
    if isinstance(thing, list | tuple):
        return [_plain(one, strict) for one in thing]
    if isinstance(thing, Mapping):
        return {str(key): _plain(one, strict) for key, one in thing.items()}
    if isinstance(thing, np.ndarray):
        return thing.tolist()
    if isinstance(thing, np.generic):
        return thing.item()
    if isinstance(thing, str | int | float | bool | type(None)):
        return thing
    if hasattr(thing, "to_plain"):
        return thing.to_plain()
    if is_dataclass(thing) and not isinstance(thing, type):
        return {"name": type(thing).__name__} | {f.name: _plain(getattr(thing, f.name), strict) for f in fields(thing)}
    return _text(thing, strict)


def _text(thing: Any, strict: bool) -> str:
    """The repr of what that tells apart, otherwise a name and the mark of the content."""
    text = repr(thing)
    if not INEXACT.search(text):
        return text
    try:
        return f"{name_of(thing)} {mark(thing)}"
    except Unidentified:
        if strict:
            raise
        return ADDRESS.sub("", text)


def from_plain(table: Any, known: Table, where: str) -> Any:
    """The object that a table with a ``name`` in ``known`` describes, laws within laws too.

    where: the argument's name in errors. Raises InputError for the first key that is wrong.
    """
    errors: list[InputError] = []
    thing = made_of(table, where, known, errors)
    if errors:
        raise errors[0]
    return thing


def made_of(table: Any, where: str, known: Table, errors: list[InputError]) -> Any:
    """The object that a table describes; None, and everything that is wrong listed in ``errors``, if it is wrong."""
    if not isinstance(table, Mapping) or "name" not in table:
        errors.append(InputError(f"{where}.name", NOTHING, "is missing", f"give one of {', '.join(known)}"))
        return None
    name = table["name"]
    if not isinstance(name, str) or name not in known:
        errors.append(unknown_name(f"{where}.name", name, known))
        return None
    already = len(errors)
    keys = {key: within(value, f"{where}.{key}", known, errors) for key, value in table.items() if key != "name"}
    keys = checked(known[name], keys, where, errors, owner=name)
    if len(errors) > already:
        return None
    try:
        with named_in(where, set(keys)):
            return known[name](**keys)
    except InputError as error:
        errors.append(error)
        return None


def within(value: Any, where: str, known: Table, errors: list[InputError]) -> Any:
    """Tables with a ``name`` become what they describe, in lists too; everything else stays as it is."""
    if isinstance(value, Mapping) and "name" in value:
        return made_of(value, where, known, errors)
    if isinstance(value, list):
        return [within(item, f"{where}[{i}]", known, errors) for i, item in enumerate(value)]
    return value
