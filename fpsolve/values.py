"""Objects that are what their data is: laws and measures."""

from __future__ import annotations

import inspect
from abc import ABCMeta
from collections.abc import Mapping
from dataclasses import fields
from html import escape
from typing import Any, TypeVar

import numpy as np

from fpsolve.cached import cached_property, lru_cache, read_only
from fpsolve.errors import InputError
from fpsolve.plain.arguments import arguments_of

T = TypeVar("T")

SHOWN = 8
"""Lists of more entries are cut short where an object shows itself."""


class Checked(type):
    """Classes whose arguments are checked: :func:`~fpsolve.plain.arguments.arguments_of`."""

    @property
    def __signature__(cls) -> inspect.Signature:
        """That of the constructor, not of the call below."""
        whole = inspect.signature(cls.__init__)  # type: ignore[misc]
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        bound = arguments_of(cls, args, kwargs)
        return super().__call__(*bound.args, **bound.kwargs)


class Named(Checked, ABCMeta):
    """The same for abstract classes."""


class Value:
    """Pickled without caches, equal where the data is equal, shown in a line; its arrays are read-only."""

    def __getstate__(self) -> dict[str, Any]:
        kind = type(self)
        return {
            name: value
            for name, value in vars(self).items()
            if not isinstance(getattr(kind, name, None), cached_property)
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        read_only(list(state.values()))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        mine, its = _data(self), _data(other)
        return mine.keys() == its.keys() and all(_equal(value, its[name]) for name, value in mine.items())

    def __hash__(self) -> int:
        return hash((type(self), *(_hashable(value) for value in _data(self).values())))

    def __repr__(self) -> str:
        recipe = dict(getattr(self, "recipe", {"name": type(self).__name__, **_data(self)}))
        name = recipe.pop("name")
        return f"{name}({', '.join(f'{key}={shown(value)}' for key, value in recipe.items())})"


    def _repr_html_(self) -> str:
        """For notebooks."""
        recipe = dict(getattr(self, "recipe", {"name": type(self).__name__, **_data(self)}))
        return html_table(str(recipe.pop("name")), recipe)


def html_table(name: str, values: Mapping[str, Any]) -> str:
    """A table for notebooks: a row for each value, as :func:`shown`."""
    rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(shown(one))}</td></tr>" for key, one in values.items())
    return f"<table><caption>{escape(name)}</caption><tbody>{rows}</tbody></table>"


def changed(one: T, **values: Any) -> T:
    """``dataclasses.replace`` within a step: of what the package made itself only ``_settle`` is asked."""
    new = unsettled(one, **values)
    new._settle()  # type: ignore[attr-defined]
    return new


def unsettled(one: T, **values: Any) -> T:
    """The same without any question, of a stage whose mass is one only to the order of a scheme; caches stay behind."""
    new = object.__new__(type(one))
    state = {name: getattr(one, name) for name in _names(type(one))}  # type: ignore[arg-type]
    vars(new).update(state | read_only(values))
    return new


@lru_cache(maxsize=64)
def _names(kind: Any) -> tuple[str, ...]:
    """The names of a dataclass's fields."""
    return tuple(field.name for field in fields(kind))


def as_array(one: Any, name: str, kind: type) -> None:
    """Make a field of a frozen dataclass an array of float or complex numbers, if it is none; None stays."""
    value = getattr(one, name)
    if value is None or (isinstance(value, np.ndarray) and value.dtype == kind):
        return
    try:
        object.__setattr__(one, name, np.array(value, kind))
    except (TypeError, ValueError):
        raise InputError(name, value, "not an array of numbers of one shape", "pass a NumPy array") from None


def own_arrays(value: Value) -> None:
    """Give a frozen dataclass arrays of its own, so that nobody else writes into them."""
    for name, one in vars(value).items():
        if isinstance(one, np.ndarray) and (one.flags.writeable or not one.flags.owndata):
            vars(value)[name] = read_only(one.copy())


def shown(value: Any) -> str:
    """One line for a value: arrays by their shape (and so marked as told by more than this), long lists cut short."""
    if isinstance(value, np.ndarray):
        return f"array(shape={value.shape})"
    if isinstance(value, dict) and "name" in value:
        return f"{value['name']}({', '.join(f'{key}={shown(one)}' for key, one in value.items() if key != 'name')})"
    if isinstance(value, list | tuple):
        parts = [shown(one) for one in value[:SHOWN]] + ["..."] * (len(value) > SHOWN)
        return f"[{', '.join(parts)}]"
    return repr(value)


def _data(value: Value) -> dict[str, Any]:
    """The state without the name by which it was asked for."""
    return {name: one for name, one in value.__getstate__().items() if name != "recipe"}


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        same = np.shape(one) == np.shape(other) and np.asarray(one).dtype == np.asarray(other).dtype
        return same and np.array_equal(one, other, equal_nan=np.asarray(one).dtype.kind in "fc")
    return bool(one == other)


def _hashable(value: Any) -> Any:
    return (value.shape, np.add(value, 0).tobytes()) if isinstance(value, np.ndarray) else value
