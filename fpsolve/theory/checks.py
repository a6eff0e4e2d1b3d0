"""Checked arguments of the closed forms: arrays of numbers in a range, dimensions, integers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from fpsolve.errors import InputError, unknown_name
from fpsolve.plain.arguments import checked_arguments

P = ParamSpec("P")
T = TypeVar("T")

Real = NDArray[np.float64]

UNIT = 1e-9
"""How far the length of a unit vector may be from one."""


def reals(name: str, value: Any, low: float = -np.inf, high: float = np.inf) -> Real:
    """``value`` as an array of floats in [low, high]; infinity passes only where it is a bound that was given."""
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        raise InputError(name, value, "not a number or an array of numbers", "pass real numbers") from None
    inside = (array >= low) & (array <= high) & np.isfinite(array)
    if not inside.all():
        raise InputError(name, value, f"must be finite and lie in {_interval(low, high)}", "pass such numbers")
    return array


def integers(name: str, value: Any, low: int) -> Real:
    """``value`` as an array of floats that are integers >= ``low``."""
    array = np.asarray(value)
    whole = array.dtype.kind in "iuf" and np.isfinite(array).all() and (array == np.floor(array)).all()
    if not (whole and (array >= low).all()):
        raise InputError(name, value, f"must be an integer >= {low}", "pass an integer or an array of integers")
    return np.asarray(array, float)


def elementwise(function: Callable[P, T]) -> Callable[P, T]:
    """:func:`~fpsolve.plain.arguments.checked_arguments` of a function whose arrays broadcast.

    Raises InputError naming the first argument whose shape does not fit to those before it.
    """
    arrays = {name for name, kind in inspect.get_annotations(function).items() if kind.startswith("ArrayLike")}
    signature = inspect.signature(function)

    @wraps(function)
    def broadcast(*args: P.args, **kwargs: P.kwargs) -> T:
        given = signature.bind(*args, **kwargs).arguments
        together(**{name: np.asarray(value) for name, value in given.items() if name in arrays and value is not None})
        return function(*args, **kwargs)

    return checked_arguments(broadcast)


def dimensions(d: Any) -> Real:
    """Dimensions of the tokens' space, d >= 2."""
    return integers("d", d, 2)


def token_numbers(n: Any) -> Real:
    """Numbers of tokens, integers >= 2 or infinity for the mean field."""
    array = np.asarray(n)
    if array.dtype.kind in "iuf" and (array == np.inf).any():
        integers("n", np.where(array == np.inf, 2, array), 2)
        return np.asarray(array, float)
    return integers("n", n, 2)


def scalar(name: str, value: Any, low: float = -np.inf, high: float = np.inf) -> float:
    """One finite number in [low, high]."""
    array = reals(name, value, low, high)
    if array.ndim:
        raise InputError(name, value, "one number is needed here", "loop over the values")
    return float(array)


def together(**arrays: Real) -> list[Real]:
    """The arrays broadcast to one shape. Raises InputError naming the first that does not fit to those before it."""
    shape: tuple[int, ...] = ()
    for name, array in arrays.items():
        try:
            shape = np.broadcast_shapes(shape, array.shape)
        except ValueError:
            problem = f"does not broadcast with the shape {shape} of the arguments before it"
            raise InputError(name, array.shape, problem, "pass arrays of shapes that broadcast") from None
    return [np.broadcast_to(array, shape) for array in arrays.values()]


def function(name: str, value: Any) -> Any:
    """Something that can be called."""
    if not callable(value):
        raise InputError(name, value, "not a function", f"pass a function of arrays, {name}=lambda q: q for example")
    return value


def one_of(name: str, value: Any, known: tuple[str, ...]) -> str:
    """A name from a few; InputError with the nearest known one otherwise."""
    if value not in known:
        raise unknown_name(name, value, known)
    return str(value)


def vectors(name: str, value: Any) -> Real:
    """``value`` as an array of finite vectors, shape (..., d) with d >= 2."""
    array = np.atleast_1d(reals(name, value))
    if array.shape[-1] < 2:
        raise InputError(name, value, "vectors of R^d with d >= 2 are needed", "pass an array of shape (..., d)")
    return array


def unit_vectors(name: str, value: Any) -> Real:
    """``value`` as an array of unit vectors, shape (..., d)."""
    array = vectors(name, value)
    if np.abs(np.linalg.norm(array, axis=-1) - 1).max(initial=0.0) > UNIT:
        raise InputError(name, value, "not on the unit sphere", "divide by the norm")
    return array


def same_dimension(first: str, x: Real, second: str, y: Real) -> None:
    """Both arrays hold vectors of one R^d."""
    if x.shape[-1] != y.shape[-1]:
        problem = f"vectors of R^{y.shape[-1]}, while {first} holds vectors of R^{x.shape[-1]}"
        raise InputError(second, y, problem, "pass vectors of the same dimension")


def _interval(low: float, high: float) -> str:
    left = "(-∞" if low == -np.inf else f"[{low:g}"
    return f"{left}, {'∞)' if high == np.inf else f'{high:g}]'}"
