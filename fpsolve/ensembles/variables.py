"""What a store has for every member: variables, their names and their values in the store's shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpsolve.notes import ATTENTION, CLOUD, UNRESOLVED

OWN: Mapping[str, Mapping[str, Any]] = {
    "status": {
        "long_name": "what became of the member",
        "flag_values": [0, 1, 2, 3],
        "flag_meanings": "pending done failed under_resolved",
    },
    "cause": {"long_name": "why the member failed, or from when it is under-resolved"},
}
"""What a store has for every member beside the variables of its run and the notes of its policy."""

LOST = (UNRESOLVED, ATTENTION)
"""From when on the density of a member, or the attention to it, is not resolved: it counts no more."""

ALWAYS = (*LOST, CLOUD)
"""What a member notes under every policy."""

CAUSE_LENGTH, TEXT_LENGTH = 240, 16


@dataclass(frozen=True)
class Variable:
    """A variable of one member: ``dims`` and ``shape`` without those of the sweep and ``member``."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    attrs: Mapping[str, Any]
    dtype: str = "float64"

    @property
    def nbytes(self) -> int:
        """Bytes of one member."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def padded(values: Any, shape: tuple[int, ...], dtype: str = "float64") -> Any:
    """``values`` in the corner of an array of this shape; the rest is NaN, or empty text."""
    array = np.asarray(values, dtype)
    if array.shape == shape:
        return np.ascontiguousarray(array)
    filled = np.full(shape, "" if array.dtype.kind == "U" else np.nan, dtype)
    if array.ndim == len(shape):
        filled[tuple(slice(0, n) for n in array.shape)] = array
    return filled


def padded_stack(values: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """Arrays of several sizes, each padded to ``shape``, as one."""
    return np.stack([padded(one, shape) for one in values])
