"""What a Dataset says, as one digest: equal for equal names, shapes, values and attributes, however they are stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


def content_digest(ds: xr.Dataset) -> str:
    """SHA-256 of the variables' names, roles, dimensions, types, attributes and bytes, and of the attributes.

    The order of variables and attributes, byte order, chunks and compression do not count, nor whether an attribute of
    one entry is a list: formats differ in these. One variable at a time is in memory.
    """
    found = hashlib.sha256(_text(ds.attrs))
    for name in sorted(map(str, ds.variables)):
        one = ds.variables[name]
        kind, content = _content(one.values)
        about = [name, name in ds.coords, list(one.dims), list(one.shape), kind]
        found.update(json.dumps(about).encode() + _text(one.attrs))
        found.update(content)
    return found.hexdigest()


def _content(values: Any) -> tuple[str, Any]:
    """The type of an array and its bytes: text as JSON, whatever the width; numbers in the order of this machine."""
    if values.dtype.kind in "OUT":
        return "text", json.dumps([str(one) for one in values.ravel()]).encode()
    native = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    return np.dtype(native.dtype).name, native.reshape(-1).view(np.uint8).data


def _text(attrs: Mapping[Any, Any]) -> bytes:
    return json.dumps({str(name): _plain(value) for name, value in attrs.items()}, sort_keys=True).encode()


def _plain(value: Any) -> Any:
    """An attribute as JSON has it: bytes are text, arrays and lists are lists, those of one entry are that entry."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, bytes | np.bytes_):
        return value.decode(errors="surrogateescape")
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        listed = [_plain(one) for one in value]
        return listed[0] if len(listed) == 1 else listed
    return int(value) if isinstance(value, bool) else value
