"""Output paths: refused before computing, replaced only as a whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fpsolve.errors import FPSolveError, InputError

RESULT_SUFFIXES = (".nc", ".zarr")
FIGURE_SUFFIXES = (".png", ".pdf", ".svg")

_ZARR_MARKS = (".zgroup", "zarr.json")


def check_output(
    path: str | os.PathLike[str], overwrite: bool = False, suffixes: Sequence[str] = RESULT_SUFFIXES
) -> Path:
    """The path of an output that may be written; to be called before anything is computed.

    Raises :class:`~fpsolve.errors.InputError` naming ``output`` for another suffix than ``suffixes``, a
    missing or unwritable folder, and an existing file unless ``overwrite``. Nothing is created.
    """
    target = Path(path).expanduser()
    if target.suffix not in suffixes:
        raise InputError(
            "output",
            str(path),
            f"the suffix {target.suffix!r} is not one of {', '.join(suffixes)}",
            f"end the name with {' or '.join(suffixes)}",
        )
    _check_folder(target)
    if os.path.lexists(target):
        _check_existing(target, overwrite)
    return target


@contextmanager
def replacing(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """A temporary name beside ``path`` that takes its place when the block ends without an error.

    The block writes a file or a folder of that name. Whatever existed at ``path`` stays until then, and
    stays for good if the block fails; the temporary name is removed. The caller has called
    :func:`check_output` before.
    """
    target = Path(path).expanduser()
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")
    try:
        yield temporary
        if os.path.lexists(target):  # it may have appeared while the block was writing
            _check_existing(target, overwrite)
        _swap(temporary, target)
    except OSError as error:
        raise FPSolveError(f"output = {str(path)!r}: writing failed ({error}); nothing existing was changed") from error
    finally:
        _remove(temporary)


def _check_folder(target: Path) -> None:
    folder = target.parent
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


def _swap(temporary: Path, target: Path) -> None:
    """Put ``temporary`` in the place of ``target``; a folder first steps aside, as it cannot be replaced in
    one call."""
    if not (target.is_dir() or temporary.is_dir()) or not os.path.lexists(target):
        os.replace(temporary, target)
        return
    aside = target.with_name(f".{target.stem}.{os.getpid()}.replaced{target.suffix}")
    os.rename(target, aside)
    try:
        os.rename(temporary, target)
    except OSError:
        os.rename(aside, target)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
