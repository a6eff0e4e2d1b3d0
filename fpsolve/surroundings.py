"""What users set around the package: NumPy's treatment of errors, streams, bars of notebooks, names of files."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from pathlib import Path

import numpy as np
from tqdm import TqdmWarning

from fpsolve.errors import InputError

with warnings.catch_warnings():
    # In a notebook without ipywidgets the bar is text, which needs no warning at `import fpsolve`.
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm as tqdm


def usual_arithmetic() -> np.errstate:
    """NumPy's own settings for a block, or a function that it decorates: numbers that underflow are zero."""
    return np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")


def warn(text: str, category: type[Warning]) -> None:
    """A warning at the line that called the package, however deep in it this is."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_INSIDE):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)


_INSIDE = (str(Path(__file__).parent), str(Path(np.__file__).parent), contextlib.__file__)
"""Files of the package, and those of decorators that it uses."""


def is_terminal() -> bool:
    """Whether somebody sees standard error; it may be None, closed, or replaced by something without ``isatty``."""
    try:
        return bool(sys.stderr.isatty())
    except (AttributeError, ValueError):
        return False


def shows_progress() -> bool:
    """Whether a bar is seen: on a terminal, and in a notebook, where ``tqdm.auto`` makes it a widget."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return is_terminal() or type(shell).__name__ == "ZMQInteractiveShell"


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
