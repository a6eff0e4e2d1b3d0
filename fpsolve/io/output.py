"""Output paths: refused before computing, replaced only as a whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fpsolve.errors import FPSolveError, InputError
from fpsolve.io.atomic import clean, place_of, put, room_for

RESULT_SUFFIXES = (".nc", ".zarr")
FIGURE_SUFFIXES = (".png", ".pdf", ".svg")
ANIMATION_SUFFIXES = (".gif", ".mp4")

_ZARR_MARKS = (".zgroup", "zarr.json")


def check_output(
    path: str | os.PathLike[str], overwrite: bool = False, suffixes: Sequence[str] = RESULT_SUFFIXES
) -> Path:
    """The path of an output that may be written; to be called before anything is computed.

    Raises :class:`~fpsolve.errors.InputError` naming ``output`` for another suffix than ``suffixes``, a
    missing or unwritable folder, a device, and an existing file unless ``overwrite``. Nothing is created.
    """
    target = Path(path).expanduser()
    if target.suffix not in suffixes:
        raise InputError(
            "output",
            str(path),
            f"the suffix {target.suffix!r} is not one of {', '.join(suffixes)}",
            f"end the name with {' or '.join(suffixes)}",
        )
    place = place_of(target)
    _check_folder(target, place.parent)
    if os.path.lexists(place):
        _check_existing(target, overwrite)
    return target


@contextmanager
def replacing(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """A name in a temporary folder beside ``path`` that takes its place when the block ends without an error.

    The block writes a file or a folder of that name. Whatever existed at ``path`` stays until then, and
    stays for good if the block fails; a link stays a link; the temporary folder is removed. The caller has called
    :func:`check_output` before.
    """
    target = Path(path).expanduser()
    place = place_of(target)
    clean(place.parent, place.name)
    try:
        with room_for(place) as temporary:
            yield temporary
            if os.path.lexists(place):  # it may have appeared while the block was writing
                _check_existing(target, overwrite)
            put(temporary, place)
    except OSError as error:
        raise FPSolveError(f"output = {str(path)!r}: writing failed ({error}); nothing existing was changed") from error


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
