"""Files and folders that are never half there: made in a folder beside their place, on to the disk, renamed into it.

That folder is ``.NAME.<token>.partial``, of a name that nobody can guess, and locked by the process that made it, for
as long as that lives: so what a killed process left is known, and nothing else is ever cleaned away.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fpsolve.errors import FPSolveError, InputError

LONGEST_NAME = 180
"""Bytes of a name that its folder repeats; a longer one is told by its SHA-256."""

TOKEN = r"[a-z0-9_]{8}"
"""What ``tempfile`` puts into a name."""

_EXCHANGE, _HERE = 2, -100


def place_of(path: Path, argument: str = "output") -> Path:
    """Where a file of this name is written: behind a symbolic link, which stays one.

    Raises InputError for links in a circle and for what is neither a file nor a folder.
    """
    try:
        place = path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError) as error:
        raise InputError(argument, str(path), "is a link that leads to itself", "name another file") from error
    if os.path.lexists(place) and not (place.is_file() or place.is_dir()):
        raise InputError(argument, str(path), "is a device, a pipe or a socket", "name a file")
    return place


@contextmanager
def room_for(place: Path) -> Iterator[Path]:
    """A name in a folder of its own beside ``place``, removed at the end with all that is left in it."""
    folder, descriptor = _locked_folder(place)
    try:
        yield folder / place.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def clean(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes have left of ``name``, or of every name, in a folder."""
    which = re.escape(_told(name)) if name is not None else ".+"
    pattern = re.compile(rf"\.{which}\.{TOKEN}\.partial", re.DOTALL)
    with suppress(OSError):
        for left in [entry.path for entry in os.scandir(folder) if pattern.fullmatch(entry.name)]:
            _remove_abandoned(left)


def write_whole(path: Path, *parts: bytes | memoryview) -> None:
    """Write the parts beside ``path``, on to the disk, and rename them to it, which is never half written.

    Raises FPSolveError where the system refuses; what stood at ``path`` stays then.
    """
    place = place_of(path)
    try:
        with room_for(place) as temporary:
            with temporary.open("xb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, place)
        sync_folder(place.parent)
    except OSError as error:
        problem = f"writing {str(path)!r} failed ({error.strerror}); what was there before is unchanged"
        raise FPSolveError(problem) from error


def put(temporary: Path, place: Path) -> None:
    """Give what stands at ``temporary`` its place; what was there is then at ``temporary``, or gone.

    Folders change places in one call where the system has it (Linux), else one first steps aside.
    """
    if not (place.is_dir() or temporary.is_dir()) or not os.path.lexists(place):
        os.replace(temporary, place)
        return
    if _exchanged(temporary, place):
        return
    aside = temporary.with_name(f"{temporary.name}.before")
    os.rename(place, aside)
    try:
        os.rename(temporary, place)
    except OSError:
        os.rename(aside, place)
        raise


def sync_folder(folder: Path) -> None:
    """The new name itself to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _told(name: str) -> str:
    raw = os.fsencode(name)
    return name if len(raw) <= LONGEST_NAME else hashlib.sha256(raw).hexdigest()


def _locked_folder(place: Path) -> tuple[Path, int]:
    """A new folder and the descriptor that locks it."""
    while True:
        folder = tempfile.mkdtemp(dir=place.parent, prefix=f".{_told(place.name)}.", suffix=".partial")
        descriptor = os.open(folder, os.O_RDONLY)
        with suppress(OSError):  # a file system without locks: nobody will clean there
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.isdir(folder):  # nobody has taken it for abandoned before it was locked
            return Path(folder), descriptor
        os.close(descriptor)


def _remove_abandoned(folder: str) -> None:
    """Remove the folder of a process that is no more: its lock can be had."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two names have changed places, in one step (renameat2)."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    status: int = call(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE)
    return status == 0
