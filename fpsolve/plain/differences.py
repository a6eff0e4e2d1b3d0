"""Plain data as one text, as a digest, and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

ABSENT = "-"
"""Stands for what one of two tables does not have."""


def canonical(data: Any) -> bytes:
    """Plain data as text that is equal for equal data: 2 and 2.0 are one number, true is none."""
    return json.dumps(_whole(data), sort_keys=True, ensure_ascii=False).encode()


def _whole(data: Any) -> Any:
    """Plain data with whole numbers as integers."""
    if isinstance(data, Mapping):
        return {key: _whole(one) for key, one in data.items()}
    if isinstance(data, list | tuple):
        return [_whole(one) for one in data]
    return int(data) if isinstance(data, float) and data.is_integer() else data


def digest(data: Any) -> str:
    """SHA-256 of plain data."""
    return hashlib.sha256(canonical(data)).hexdigest()


def differences(was: Any, now: Any, key: str = "") -> dict[str, tuple[Any, Any]]:
    """``{table.key: (was, now)}`` for each entry in which two nested tables differ; those of a list by number."""
    if _are_tables(was) and _are_tables(now) and len(was) == len(now):
        was, now = (dict(enumerate(one)) for one in (was, now))
    if not (isinstance(was, Mapping) and isinstance(now, Mapping)):
        return {} if was == now else {key: (was, now)}
    found: dict[str, tuple[Any, Any]] = {}
    for name in dict.fromkeys([*was, *now]):
        found |= differences(was.get(name, ABSENT), now.get(name, ABSENT), f"{key}.{name}" if key else name)
    return found


def _are_tables(data: Any) -> bool:
    """Whether this is a list of tables, the terms of a sum of models for example."""
    return isinstance(data, list) and bool(data) and all(isinstance(one, Mapping) for one in data)
