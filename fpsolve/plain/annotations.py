"""What an annotation allows, as a type that pydantic checks: of values from TOML, or of any from Python."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

Name = Annotated[str, "a name"]
"""Text beside an array in a union, whose own text would be taken for it."""

MOST = 1 << 24
"""Numbers of a range that becomes an array."""

LARGEST = 1 << 1023
"""Integers below are finite as floats."""

PLAIN = (float, int, bool, str, type(None))


def hints(call: Callable[..., Any]) -> dict[str, Any]:
    """Annotations by parameter; those that cannot be resolved here are left out."""
    owner = vars(call).get("__init__", call) if isinstance(call, type) else call
    if isinstance(call, type) and getattr(owner, "__code__", hints.__code__).co_filename == "<string>":
        owner = call  # a dataclass: its fields, each read in the module of the class that has it
    try:
        return get_type_hints(owner, include_extras=True)
    except (NameError, TypeError, AttributeError):  # a name imported for type checkers alone
        written = getattr(owner, "__annotations__", {})
        spaces = getattr(owner, "__globals__", {}), {"xr": sys.modules.get("xarray")}
        return {name: found for name, text in written.items() if (found := _resolved(text, *spaces)) is not None}


def _resolved(text: Any, *spaces: dict[str, Any]) -> Any:
    """What an annotation means, None where a name in it is not known."""
    try:
        return eval(text, *spaces) if isinstance(text, str) else text
    except (NameError, TypeError, AttributeError):
        return None


def checkable(annotation: Any, of_python: bool = False) -> Any:
    """What pydantic shall check: the annotation if TOML has such values, numbers for arrays, or Any.

    of_python: what only Python has, too: classes, functions, paths, sequences of them.
    """
    origin, members = get_origin(annotation), get_args(annotation)
    if annotation is float and of_python:
        return _which(_is_real, "a number")
    if annotation is int and of_python:
        return _which(lambda value: type(value) is int and abs(value) < LARGEST, "a valid integer")
    if annotation in PLAIN or origin is Literal:
        return annotation
    if origin is Annotated:
        return checkable(members[0], of_python)
    if origin in (Union, UnionType):
        return _union(members, of_python)
    if _is_array(annotation, origin, members):
        several = origin in _SEVERAL
        one_shape = not several or checkable(members[0]) in (float, int)
        return _numbers_type("iufc" if _is_complex(members) else "iuf", several, one_shape)
    return _of_python(annotation, origin, members) if of_python else Any


def _union(members: tuple[Any, ...], of_python: bool) -> Any:
    """``float | ArrayLike`` is one flat union of many protocols: find ArrayLike in it and keep the rest.

    TOML has no ranges: who takes one takes another type, too.
    """
    array_like = set(get_args(ArrayLike))
    has_array = array_like <= set(members)
    left = [one for one in members if not (has_array and one in array_like) and (of_python or one is not range)]
    kinds = [checkable(one, of_python) for one in left]
    if has_array:
        kinds.append(_numbers_type())
    return Any if Any in kinds else Union[tuple(kinds)]  # noqa: UP007


def _is_array(annotation: Any, origin: Any, members: tuple[Any, ...]) -> bool:
    if np.ndarray in (annotation, origin):
        return True
    number_like = (float, int, _numbers_type())
    of_numbers = bool(members) and all(checkable(one) in number_like for one in members if one is not ...)
    return origin in _SEVERAL and of_numbers


_SEVERAL = (list, tuple, Sequence, Iterable)


def _is_complex(members: tuple[Any, ...]) -> bool:
    """Of the members of ``np.ndarray[shape, np.dtype[np.complex128]]``."""
    scalars = [one for member in members for one in get_args(member)]
    return any(isinstance(one, type) and issubclass(one, np.complexfloating) for one in scalars)


def _of_python(annotation: Any, origin: Any, members: tuple[Any, ...]) -> Any:
    if origin is Callable or annotation is Callable:
        return _function(members[0] if members and isinstance(members[0], list) else None)
    if origin in _SEVERAL and members:
        allowed = {list: (list, tuple), tuple: (list, tuple), Iterable: Iterable}.get(origin, (Sequence, ndarray))
        return _sequence(checkable(members[0], of_python=True), allowed)
    if origin is Mapping:
        return _which(_is_table, "a mapping whose keys are text")
    kind = members[0] if origin is type else origin or annotation
    if kind is Any or not isinstance(kind, type) or getattr(kind, "_is_protocol", False):
        return Any
    if origin is type:
        return _which(lambda value: isinstance(value, type) and issubclass(value, kind), f"a class of {kind.__name__}")
    return _which(lambda value: isinstance(value, kind), f"of the kind {kind.__name__}")


def _is_real(value: Any) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < LARGEST)


def _function(parameters: list[Any] | None) -> Any:
    """What can be called with as many arguments as the annotation lists, where that can be seen."""

    def allowed(value: Any) -> bool:
        if not callable(value) or isinstance(value, type) or parameters is None:
            return callable(value) and not isinstance(value, type)
        try:
            inspect.signature(value).bind(*parameters)
        except TypeError:
            return False
        except ValueError:  # of compiled code, which says nothing
            return True
        return True

    count = "" if parameters is None else f" of {len(parameters)} argument{'s' * (len(parameters) != 1)}"
    return _which(allowed, f"a function{count}")


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _sequence(kind: Any, allowed: Any) -> Any:
    """Several values of a kind; text is none, and what can be gone through once only stays whole."""
    from pydantic import AfterValidator, ConfigDict, TypeAdapter

    each = TypeAdapter(kind, config=ConfigDict(strict=True))

    def checked(value: Any) -> Any:
        if isinstance(value, str | bytes | Mapping | Set) or not isinstance(value, allowed):
            raise ValueError("should be a list")
        if isinstance(value, Sequence | ndarray) and not isinstance(value, range):
            for one in value:
                each.validate_python(one)
        return value

    return Annotated[Any, AfterValidator(checked)]


def _which(allowed: Callable[[Any], bool], what: str) -> Any:
    """Any value that is allowed, ``what`` in words."""
    from pydantic import AfterValidator

    def checked(value: Any) -> Any:
        if not allowed(value):
            raise ValueError(f"should be {what}")
        return value

    return Annotated[Any, AfterValidator(checked)]


@cache
def _numbers_type(kinds: str = "iuf", several: bool = False, one_shape: bool = True) -> Any:
    """A number or lists of numbers, of any depth; arrays of NumPy's ``kinds``, and what makes itself such an array.

    several: lists alone. one_shape: no ragged ones.
    """
    from pydantic import AfterValidator

    def whole(value: Any) -> Any:
        if several and isinstance(value, int | float):
            raise ValueError("should be a list of numbers")
        return numbers(value)

    def numbers(value: Any) -> Any:
        if isinstance(value, list | tuple):
            parts = [numbers(item) for item in value]
            if one_shape and value and not _has_kind(parts, kinds):
                raise ValueError("should be lists of one length")
            return value
        if isinstance(value, bool | str | bytes | Mapping | Set) or value is None or not _has_kind(value, kinds):
            raise ValueError("should be a number or a list of numbers")
        return value

    return Annotated[Any, AfterValidator(whole)]


def _has_kind(value: Any, kinds: str) -> bool:
    if isinstance(value, float):
        return True
    if isinstance(value, range):
        return abs(value.stop - value.start) <= MOST * abs(value.step)
    if isinstance(value, int):
        return abs(value) < LARGEST
    try:
        return np.asarray(value).dtype.kind in kinds and not np.ma.is_masked(value)
    except Exception:  # whatever an object raises that is asked for its array
        return False
