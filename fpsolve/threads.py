"""Several threads at once: what belongs to one of them, and what all of them ask of the linear algebra libraries."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fpsolve.errors import check_integer


class Scratch(threading.local):
    """A work array of a shape, one for every thread: what one of them writes, no other sees."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.array: NDArray[np.float64] = np.empty(shape)


class OneThread:
    """Libraries held to one thread while anybody asks for it; the first sets the limit, the last takes it back.

    ``threadpool_limits`` restores what it found: of two that overlap, one would go on with the other's threads.
    ``libraries``: a ``user_api`` of threadpoolctl, None for all.
    """

    def __init__(self, libraries: str | None) -> None:
        self._libraries, self._lock, self._asking = libraries, threading.Lock(), 0
        self._limits: Any = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self._asking == 0:
                self._limits = threadpool_limits(1, self._libraries)
            self._asking += 1
        try:
            yield
        finally:
            with self._lock:
                self._asking -= 1
                if self._asking == 0:
                    self._limits.restore_original_limits()


one_blas_thread = OneThread("blas")
"""Linear algebra in one thread: it has other bits for each number of threads."""

one_thread_everywhere = OneThread(None)
"""Every library in one thread."""

MOST_THREADS = 1024

_ALLOWED: ContextVar[int | None] = ContextVar("threads", default=None)


def check_threads(threads: int | None) -> None:
    """Raise InputError for a number of threads that is none."""
    if threads is not None:
        check_integer("threads", threads, 1, MOST_THREADS)


def allowed() -> int:
    """Threads that the run at hand may use: those of :func:`using`, otherwise OMP_NUM_THREADS, otherwise one."""
    asked = _ALLOWED.get()
    if asked is not None:
        return asked
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdigit() and int(text) > 0 else 1


def asked() -> int:
    """Those of :func:`using` alone; one without it."""
    return _ALLOWED.get() or 1


@contextmanager
def using(count: int | None) -> Iterator[None]:
    """Let what runs within use so many threads; None changes nothing. The bits are the same for every number."""
    if count is None:
        yield
        return
    token = _ALLOWED.set(count)
    try:
        yield
    finally:
        _ALLOWED.reset(token)
