"""What a function or a class of a user is, told by its source: bytecode and addresses change, what is written stays."""

from __future__ import annotations

import hashlib
import inspect
import json
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

from fpsolve.plain.identity import Unidentified, content

BY_NAME = ("fpsolve", "numpy", "scipy", "builtins")
"""Packages whose functions and classes their names tell."""


class Sourceless(Exception):
    """A function or class whose source cannot be read; the message says why."""


def source_mark(thing: Any, *about: Any) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of source, defaults, closure, and of all functions that it names.

    about: what else is to be told. Raises Sourceless.
    """
    try:
        parts = [_source(thing, ()), [_source(one, (0,)) for one in about]]
    except (OSError, TypeError, ValueError, Unidentified) as error:
        raise Sourceless(str(error)) from error
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _source(thing: Any, seen: tuple[int, ...]) -> Any:
    """Nested lists of text: the source of functions and of those that they name, the content of all else."""
    if id(thing) in seen:
        return "again"
    inside = (*seen, id(thing))
    if isinstance(thing, MethodType):
        return [_source(thing.__func__, inside), _source(thing.__self__, inside)]
    if isinstance(thing, partial):
        return [_source(part, inside) for part in (thing.func, *thing.args, *thing.keywords.values())]
    if str(getattr(thing, "__module__", None)).partition(".")[0] in BY_NAME and isinstance(thing, FunctionType | type):
        return [thing.__module__, thing.__qualname__]
    if isinstance(thing, FunctionType):
        return _function(thing, inside)
    if not seen and isinstance(thing, type):
        return _class(thing)
    if not seen and callable(thing):  # an object with a __call__
        return [_class(type(thing)), content(thing)]
    return content(thing)


def _class(thing: type) -> Any:
    """Its attributes and methods, whose sources notebooks have, too; those that ``dataclass`` makes have none."""
    if thing.__module__ == "builtins":
        raise TypeError(f"a {thing.__name__} is not written in Python")
    kept = {}
    for name, one in vars(thing).items():
        inner = getattr(one, "__func__", getattr(one, "fget", one))
        function = isinstance(inner, FunctionType)
        if inspect.unwrap(inner).__code__.co_filename != "<string>" if function else not name.startswith("__"):
            kept[name] = _source(inner, (0,))
    bases = (one for one in thing.__bases__ if one.__module__.partition(".")[0] not in BY_NAME)
    return [thing.__qualname__, sorted(kept.items()), [_class(one) for one in bases]]


def _function(function: FunctionType, seen: tuple[int, ...]) -> Any:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    named = {name: function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__}
    about = [function.__defaults__, function.__kwdefaults__, *cells, *(named[name] for name in sorted(named))]
    return [inspect.getsource(function.__code__), _columns(function), [_source(one, seen) for one in about]]


def _names(code: CodeType) -> set[str]:
    """The names that a function and those inside it look up."""
    inner = (one for one in code.co_consts if isinstance(one, CodeType))
    return set(code.co_names).union(*(_names(one) for one in inner))


def _columns(function: FunctionType) -> list[int]:
    """Where in its line a lambda begins and ends: one line may hold several."""
    if function.__name__ != "<lambda>":
        return []
    places = [(start, end) for _, _, start, end in function.__code__.co_positions() if start is not None and end]
    return [min(start for start, _ in places), max(end or 0 for _, end in places)] if places else []
