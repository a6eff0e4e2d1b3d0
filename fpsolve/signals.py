"""Signals that ask a program to stop: the handler sets a flag, the run looks at it between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGUSR1)
"""What batch systems send before they kill: SIGTERM, and the early signal that a job asks for."""

EX_TEMPFAIL = 75
"""Exit status of a command that was asked to stop and did so in order: the same command goes on (sysexits.h)."""


class Stop:
    """Called, it says whether a signal has come; ``name`` is that of the first one, or None."""

    def __init__(self) -> None:
        self.name: str | None = None

    def __call__(self) -> bool:
        return self.name is not None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.name is None:
            self.name = signal.Signals(number).name


@contextmanager
def stop_on_signal(signals: Sequence[signal.Signals] = STOPPING) -> Iterator[Stop]:
    """Inside the block these signals set the flag that it is given, ``with stop_on_signal() as stop: … stop()``.

    Further ones change nothing, as batch systems send them twice. The handlers of before come back at the end. Only
    the main thread may set handlers: in others the flag stays down.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop._handle) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
