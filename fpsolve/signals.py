"""Signals that ask a program to stop: the handler sets a flag, the run looks at it between two steps."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGUSR1)
"""What batch systems send before they kill: SIGTERM, and the early signal that a job asks for."""

EX_TEMPFAIL = 75
"""Exit status of a command that was asked to stop and did so in order: the same command goes on (sysexits.h)."""

EX_IOERR = 74
"""Exit status of a command that was asked to stop and could not keep its progress (sysexits.h)."""

EX_INTERRUPTED = 128 + signal.SIGINT
"""Exit status after Ctrl-C."""


class StopRequest:
    """Called, it says whether a signal has come; ``name`` is that of the first one, or None."""

    def __init__(self) -> None:
        self.name: str | None = None

    @property
    def status(self) -> int:
        """With which a command ends that this stopped."""
        return EX_INTERRUPTED if self.name == "SIGINT" else EX_TEMPFAIL

    def __call__(self) -> bool:
        return self.name is not None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.name is not None and number == signal.SIGINT:
            raise KeyboardInterrupt  # whoever presses Ctrl-C again does not want to wait
        if self.name is None:
            self.name = signal.Signals(number).name


def is_program(words: Sequence[str]) -> bool:
    """Whether Python was begun, by these words (``sys.orig_argv``), as the program: ``fpsolve``, ``-m fpsolve``."""
    if "-m" in words:
        return words[words.index("-m") + 1 :][:1] == ["fpsolve"]
    return any(PurePath(word).stem == "fpsolve" for word in words[1:2])


def stop_at_start() -> None:
    """While the program starts, and until a command takes over, the signals end it in order with status 75.

    Called as the package begins to be imported, and in the program alone: a library leaves signals alone.
    """
    if is_program(sys.orig_argv) and threading.current_thread() is threading.main_thread():
        for number in STOPPING:
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    if sys.stderr is not None:
        print(f"fpsolve: {signal.Signals(number).name}: stopped, with nothing kept", file=sys.stderr)
    raise SystemExit(EX_TEMPFAIL)


@contextmanager
def undisturbed() -> Iterator[None]:
    """What computes with nothing to go on from is ended by the signals, as if nobody had set anything."""
    mine = [number for number in STOPPING if signal.getsignal(number) is _leave]
    for number in mine:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, _leave)


@contextmanager
def stop_on_signal(signals: Sequence[signal.Signals] = STOPPING) -> Iterator[StopRequest]:
    """Inside the block these signals set the flag that it is given, ``with stop_on_signal() as stop: … stop()``.

    Further ones change nothing, as batch systems send them twice; but a SIGINT, where it is among them, raises
    KeyboardInterrupt once there has been another, and stays ignored in a command that was begun so, in the background.
    The handlers of before come back at the end. Only the main thread may set them: in others the flag stays down.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    heeded = [number for number in signals if number != signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop._handle) for number in heeded}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
