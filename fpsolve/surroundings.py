"""What users set around the package: NumPy's treatment of errors, streams that are none, names of files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from fpsolve.errors import InputError


def usual_arithmetic() -> np.errstate:
    """NumPy's own settings for a block, or a function that it decorates: numbers that underflow are zero."""
    return np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")


def is_terminal() -> bool:
    """Whether somebody sees standard error; it may be None, closed, or replaced by something without ``isatty``."""
    try:
        return bool(sys.stderr.isatty())
    except (AttributeError, ValueError):
        return False


def tell(line: str) -> None:
    """A line on standard error, where there is one."""
    if sys.stderr is not None:
        print(line, file=sys.stderr, flush=True)


def user_path(path: str | os.PathLike[str], argument: str) -> Path:
    """A path as users give it: ``~`` is their home, ``~name`` that of another user, or else a name of its own.

    Raises :class:`~fpsolve.errors.InputError` naming the argument for what is no path, or is not UTF-8, which NetCDF
    takes alone.
    """
    try:
        named = Path(path)
        str(named).encode()
    except TypeError:
        raise InputError(argument, path, "is no path", "pass text or a pathlib.Path") from None
    except UnicodeEncodeError:
        raise InputError(argument, ascii(str(path)), "is not UTF-8", "choose a name in UTF-8") from None
    if "\0" in str(named):
        raise InputError(argument, str(path), "holds a null character", "choose another name")
    try:
        return named.expanduser()
    except RuntimeError:  # no user of that name, or no home
        return named
