"""What a value is, told by its content: names and addresses do not tell two functions or two large arrays apart."""

from __future__ import annotations

import builtins
import functools
import hashlib
import json
import pickle
import re
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from fpsolve.errors import FPSolveError

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""Where an object lives, in its repr; no part of what it is."""

INEXACT = re.compile(r" at 0x[0-9a-f]+|\.\.\.|array\(")
"""What in a repr says that others have the same one: an address, NumPy's gaps, and its eight digits."""

INSTALLED = ("site-packages", "dist-packages")

_PLAIN = (str, int, float, complex, bytes, type(None), type(Ellipsis))


class Unidentified(FPSolveError):
    """A value that cannot be told from others of its kind."""


def mark(value: Any) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of a value's content.

    Arrays by type, shape and bytes; functions by bytecode, constants, defaults, closure and the globals named (those of
    installed packages by name and closure); dataclasses by fields; all else as it is pickled. Raises Unidentified.
    """
    return hashlib.sha256(json.dumps(content(value)).encode()).hexdigest()[:16]


def name_of(value: Any) -> str:
    """A function's name, for all else that of its type."""
    return str(getattr(value, "__name__", type(value).__name__))


def content(value: Any, seen: tuple[int, ...] = ()) -> Any:
    """Nested lists of text, equal for values of equal content."""
    if isinstance(value, _PLAIN):
        return [type(value).__name__, repr(value)]
    if id(value) in seen:
        return "again"
    inside = (*seen, id(value))
    if isinstance(value, np.ndarray | np.generic):
        return _array(np.asarray(value), inside)
    if isinstance(value, list | tuple):
        return [type(value).__name__, *(content(one, inside) for one in value)]
    if isinstance(value, set | frozenset):
        return ["set", *sorted(json.dumps(content(one, inside)) for one in value)]
    if isinstance(value, Mapping):
        return ["map", *sorted(json.dumps([content(key), content(one, inside)]) for key, one in value.items())]
    if isinstance(value, type | ModuleType | np.ufunc):
        return [getattr(value, "__module__", None) or "", value.__name__]
    return _callable(value, inside) or _object(value, inside)


def _array(array: Any, seen: tuple[int, ...]) -> Any:
    if array.dtype.hasobject:
        return ["objects", list(array.shape), *(content(one, seen) for one in array.ravel())]
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return ["array", array.dtype.str, list(array.shape), digest]


def _callable(value: Any, seen: tuple[int, ...]) -> Any:
    """A function, a method, a partial or a bare code; None for anything else."""
    if isinstance(value, FunctionType):
        return _function(value, seen)
    if isinstance(value, MethodType):
        return ["method", content(value.__func__, seen), content(value.__self__, seen)]
    if isinstance(value, functools.partial):
        return ["partial", *(content(one, seen) for one in (value.func, value.args, value.keywords))]
    return _code(value, seen) if isinstance(value, CodeType) else None


def _function(function: FunctionType, seen: tuple[int, ...]) -> Any:
    cells = [_cell(cell, seen) for cell in function.__closure__ or ()]
    about = [content(function.__defaults__, seen), content(function.__kwdefaults__, seen), cells]
    if _is_installed(function.__module__):
        return ["function", function.__module__, function.__qualname__, *about]
    named = sorted(name for name in _names(function.__code__) if name in function.__globals__)
    outer = [[name, content(function.__globals__[name], seen)] for name in named]
    return ["function", _code(function.__code__, seen), *about, outer]


def _cell(cell: Any, seen: tuple[int, ...]) -> Any:
    try:
        return content(cell.cell_contents, seen)
    except ValueError:
        return "empty"


def _code(code: CodeType, seen: tuple[int, ...]) -> Any:
    """Bytecode, constants and names, without files and line numbers."""
    constants = [content(one, seen) for one in code.co_consts]
    return ["code", code.co_code.hex(), constants, list(code.co_names), list(code.co_varnames)]


def _names(code: CodeType) -> set[str]:
    """The names that a function and those inside it look up."""
    inner = (one for one in code.co_consts if isinstance(one, CodeType))
    return set(code.co_names).union(*(_names(one) for one in inner))


def _is_installed(module: str | None) -> bool:
    """Whether a module belongs to Python, to an installed package or to fpsolve: its name tells what it is."""
    if module is None or module.partition(".")[0] in ("fpsolve", builtins.__name__):
        return module is not None
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return module in sys.builtin_module_names
    path = Path(file)
    return any(part in INSTALLED for part in path.parts) or path.is_relative_to(sysconfig.get_path("stdlib"))


def _object(value: Any, seen: tuple[int, ...]) -> Any:
    kind = [type(value).__module__, type(value).__qualname__]
    if is_dataclass(value):
        return [*kind, *([one.name, content(getattr(value, one.name), seen)] for one in fields(value))]
    if hasattr(value, "recipe"):
        return [*kind, content(value.recipe, seen)]
    try:
        return [*kind, hashlib.sha256(pickle.dumps(value, protocol=4)).hexdigest()]
    except Exception as error:  # whatever a class raises that does not pickle
        raise Unidentified(f"{ADDRESS.sub('', repr(value))} cannot be pickled ({error})") from error
