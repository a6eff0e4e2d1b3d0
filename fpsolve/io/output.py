"""Output paths: refused before computing, replaced only as a whole."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fpsolve.errors import FPSolveError, InputError
from fpsolve.io.atomic import clean, place_of, put, room_for
from fpsolve.surroundings import user_path

RESULT_SUFFIXES = (".nc", ".zarr")
FIGURE_SUFFIXES = (".png", ".pdf", ".svg")
ANIMATION_SUFFIXES = (".gif", ".mp4")

LONGEST_NAME = 255
"""Bytes of a name where the system does not say how many it takes."""

BESIDE = ".work"
"""The longest ending of what is put beside an output: the folder of an ensemble's records."""

_ZARR_MARKS = (".zgroup", "zarr.json")


def check_output(
    path: str | os.PathLike[str], overwrite: bool = False, suffixes: Sequence[str] = RESULT_SUFFIXES
) -> Path:
    """The path of an output that may be written; to be called before anything is computed.

    Raises :class:`~fpsolve.errors.InputError` naming ``output`` for another suffix than ``suffixes``, a
    missing or unwritable folder, a device, and an existing file unless ``overwrite``. Nothing is created.
    """
    target = user_path(path, "output")
    if target.suffix not in suffixes:
        raise InputError(
            "output",
            str(path),
            f"the suffix {target.suffix!r} is not one of {', '.join(suffixes)}",
            f"end the name with {' or '.join(suffixes)}",
        )
    _check_length(target)
    place = place_of(target)
    _check_folder(target, place.parent)
    if os.path.lexists(place):
        _check_existing(target, overwrite)
    return target


def check_space(argument: str, path: Path, nbytes: int, remedy: str) -> None:
    """Raise InputError naming the argument unless the disk has room for so many bytes beside ``path``."""
    folder = place_of(path, argument).parent
    free = shutil.disk_usage(folder).free if folder.is_dir() else nbytes  # where there is none, others say so
    if free < nbytes:
        problem = f"needs up to {nbytes / 1e9:.3g} GB, the disk has {free / 1e9:.3g} GB left"
        raise InputError(argument, str(path), problem, remedy)


@contextmanager
def replacing(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """A name in a temporary folder beside ``path`` that takes its place when the block ends without an error.

    The block writes a file or a folder of that name. Whatever existed at ``path`` stays until then, and
    stays for good if the block fails; a link stays a link; the temporary folder is removed. The caller has called
    :func:`check_output` before.
    """
    target = user_path(path, "output")
    place = place_of(target)
    clean(place.parent, place.name)
    try:
        with room_for(place) as temporary, _writers_awaited():
            yield temporary
            if os.path.lexists(place):  # it may have appeared while the block was writing
                _check_existing(target, overwrite)
            put(temporary, place)
    except OSError as error:
        raise FPSolveError(f"output = {str(path)!r}: writing failed ({error}); nothing existing was changed") from error


@contextmanager
def _writers_awaited() -> Iterator[None]:
    """Wait, after an error, for what Zarr's threads still write: they go on, in folders that they make again."""
    try:
        yield
    except BaseException:
        if "zarr" in sys.modules:
            from zarr.core.sync import sync

            sync(_others())
        raise


async def _others() -> None:
    """The end of all other tasks of this event loop."""
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)


def _check_length(target: Path) -> None:
    """Raise InputError for a name that the file system does not take, with what is put beside it."""
    try:
        longest = os.pathconf(target.parent, "PC_NAME_MAX")
    except (OSError, ValueError):
        longest = LONGEST_NAME
    for name in target.parts:
        length = len(os.fsencode(name))
        room = longest - (len(BESIDE) if name == target.name and target.suffix == ".zarr" else 0)
        if length > room:
            problem = f"a name in it has {length} bytes, the place takes {room}"
            raise InputError("output", str(target), problem, "choose a shorter name")


def _check_folder(target: Path, folder: Path) -> None:
    if not folder.is_dir():
        raise InputError("output", str(target), f"the folder {str(folder)!r} does not exist", "create it first")
    try:
        # a trial file, because os.access says yes to root on read-only systems
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        problem = f"the folder {str(folder)!r} cannot be written ({error.strerror})"
        raise InputError("output", str(target), problem, "choose another folder") from error


def _check_existing(target: Path, overwrite: bool) -> None:
    if not overwrite:
        remedy = "choose another name, or pass overwrite=True (--overwrite)"
        raise InputError("output", str(target), "exists already", remedy)
    if target.is_dir() and not any((target / mark).exists() for mark in _ZARR_MARKS):
        raise InputError("output", str(target), "is a folder and not a Zarr store", "choose another name")
