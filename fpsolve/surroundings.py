"""What users set around the package: NumPy's treatment of errors, and streams that are none."""

from __future__ import annotations

import sys

import numpy as np

usual_arithmetic = np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")
"""NumPy's own settings, for functions (as a decorator) that count on them: numbers that underflow are zero."""


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
