"""``fpsolve report``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fpsolve.io import check_output, load
from fpsolve.plot.interactive.page import SUFFIXES, report


def report_result(result: Path, output: Path | None, given: Mapping[str, Any]) -> Path:
    """Write the page of a saved result, RESULT.html by default; the output is checked before anything is read."""
    target = check_output(output or Path(f"{result.stem}.html"), bool(given.get("overwrite", False)), SUFFIXES)
    return report(load(result), target, **given)
