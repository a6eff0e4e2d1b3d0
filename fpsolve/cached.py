"""What is computed once and shared: its arrays are read-only, so that no holder changes another's numbers.

The decorators have the names of :mod:`functools`, whose own the package does not use.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

Made = TypeVar("Made")


def read_only(value: Made) -> Made:
    """The same object, its arrays read-only: an array, those in tuples, lists, mappings and dataclasses."""
    if isinstance(value, np.ndarray):
        value.setflags(write=False)
    elif isinstance(value, tuple | list):
        for one in value:
            read_only(one)
    elif isinstance(value, dict):
        for one in value.values():
            read_only(one)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            read_only(getattr(value, field.name))
    return value


def lru_cache(maxsize: int) -> Callable[[Callable[..., Made]], functools._lru_cache_wrapper[Made]]:
    """``functools.lru_cache`` of what is :func:`read_only`, with the arrays that an object of the package holds."""

    def decorator(make: Callable[..., Made]) -> functools._lru_cache_wrapper[Made]:
        @functools.wraps(make)
        def made(*args: Any, **kwargs: Any) -> Made:
            value = make(*args, **kwargs)
            if type(value).__module__.startswith("fpsolve") and hasattr(value, "__dict__"):
                read_only(list(vars(value).values()))
            return read_only(value)

        return functools.lru_cache(maxsize)(made)

    return decorator


if TYPE_CHECKING:
    from functools import cached_property as cached_property
else:

    class cached_property(functools.cached_property):
        """``functools.cached_property`` of what is :func:`read_only`."""

        def __get__(self, instance, owner=None):
            value = super().__get__(instance, owner)
            return value if instance is None else read_only(value)
