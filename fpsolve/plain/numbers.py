"""NumPy's scalars at the door: inside the package a number is Python's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

import numpy as np

from fpsolve.plain.annotations import LARGEST, hints


def python_number(value: Any) -> Any:
    """A NumPy scalar, or an array of no dimensions, as Python's number, truth value or text of the same value.

    np.float32(0.1) is 0.10000000149011612; what has no exact counterpart in Python (long double) stays.
    """
    if not isinstance(value, np.generic) and not (isinstance(value, np.ndarray) and value.ndim == 0):
        return value
    found = value.item()
    return found if isinstance(found, bool | int | float | str) else value


def _inside(value: Any) -> Any:
    if type(value) in (list, tuple):
        return type(value)(map(_inside, value))
    return python_number(value)


def as_annotated(call: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``call`` as Python's numbers, whole ones as floats where the signature says ``float``."""
    wanted = _floats(call)
    found = {name: _inside(value) for name, value in arguments.items()}
    return {name: float(one) if name in wanted and _is_exact(one) else one for name, one in found.items()}


def _is_exact(value: Any) -> bool:
    return type(value) is int and abs(value) < LARGEST and int(float(value)) == value


@cache
def _floats(call: Callable[..., Any]) -> frozenset[str]:
    """The parameters that are floats: annotated so, perhaps with None and text beside it."""
    return frozenset(name for name, one in hints(call).items() if name != "return" and _is_float(one))


def _is_float(annotation: Any) -> bool:
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return float in members and set(members) <= {float, str, type(None)}

