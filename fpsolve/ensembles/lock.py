"""One job at a time on a store: a kernel lock that ends with the process that holds it, however it ends."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import IO

from fpsolve.errors import FPSolveError, InputError


class Lock:
    """A lock on a file, held from :meth:`take` to :meth:`release` or the end of the process (``kill -9`` too).

    output: what it is the lock of, for messages, and argument: which argument that is.
    """

    def __init__(self, path: Path, output: Path | None = None, argument: str = "output") -> None:
        self.path, self.output, self.argument = path, output or path, argument
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raise InputError naming host and process of the job that holds it, FPSolveError where locks do not work."""
        try:
            file = open(self.path, "a+", encoding="utf-8", opener=_no_link)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            remedy = "remove the link, or choose another name"
            problem = f"its lock {str(self.path)!r} is a link"
            raise InputError(self.argument, str(self.output), problem, remedy) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(file)
            file.close()
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                remedy = "wait for that job to end, or choose another name"
                raise InputError(self.argument, str(self.output), f"being written by {holder}", remedy) from None
            problem = f"{self.path}: this file system gives no locks ({error.strerror})"
            raise FPSolveError(f"{problem}; put the output where flock works (Lustre: mount -o flock)") from error
        file.seek(0)
        file.truncate()
        json.dump({"host": socket.gethostname(), "pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}, file)
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let the next job in."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        holder = json.loads(file.read())
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another job"
