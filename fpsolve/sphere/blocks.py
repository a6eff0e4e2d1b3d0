"""Fixed blocks of points, each worked on one thread: sums run in block order, so threads do not change their bits."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fpsolve.threads import allowed

T = TypeVar("T")

BLOCK = 65536
"""Points in one block of a non-uniform transform."""


def in_blocks(work: Callable[[slice], T], count: int, size: int = BLOCK) -> list[T]:
    """Apply ``work`` to fixed blocks of points, on as many threads as are allowed, in block order."""
    parts = [slice(start, min(start + size, count)) for start in range(0, count, size)]
    threads = min(len(parts), allowed())
    if threads <= 1:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, parts))
