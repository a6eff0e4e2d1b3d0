"""The files of a measurement: read and checked before anything is measured, written whole."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpsolve.errors import InputError
from fpsolve.io.atomic import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = (".png", ".pdf", ".svg")
"""Endings of figures."""


def kept(path: Path) -> dict[str, Any]:
    """The results that are in the file, none where there is no file. Raises InputError unless it can be added to."""
    _check_place("output", path)
    return read(path) if path.exists() else {}


def read(path: Path) -> dict[str, Any]:
    """The results in a file. Raises InputError unless there are some."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("output", str(path), f"is no JSON file that can be read ({error})", _ELSEWHERE) from error
    if not isinstance(found, dict) or not all(_is_result(one) for one in found.values()):
        raise InputError("output", str(path), "holds something else than results of benchmarks", _ELSEWHERE)
    return found


_ELSEWHERE = "name another file, or move this one away"


def _is_result(one: Any) -> bool:
    rows = one.get("rows") if isinstance(one, dict) else None
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


def figure_of(output: Path) -> Path:
    """The figure beside a file of results."""
    return output.with_suffix(".png")


def check_figure(path: Path) -> None:
    """Raise InputError unless a figure can be written there."""
    _check_place("figure", path)
    if path.suffix.lower() not in FIGURES:
        raise InputError("figure", str(path), "no format is known by this ending", f"end it in {', '.join(FIGURES)}")


def _check_place(argument: str, path: Path) -> None:
    """Raise InputError unless a file can be written in the folder."""
    if path.is_dir():
        raise InputError(argument, str(path), "is a folder", "name a file")
    if not path.parent.is_dir():
        raise InputError(argument, str(path), f"there is no folder {str(path.parent)!r}", "make it, or name another")
    if not os.access(path.parent, os.W_OK):
        raise InputError(argument, str(path), f"the folder {str(path.parent)!r} cannot be written to", "name another")


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Write them whole. Raises FPSolveError where the system refuses."""
    write_whole(path, (json.dumps(results, indent=1, ensure_ascii=False) + "\n").encode())


def write_figure(path: Path, results: dict[str, Any]) -> None:
    """Draw and write the figure, whole. Raises FPSolveError where the system refuses."""
    from benchmarks.figure import draw

    write_drawn(path, draw(results))


def write_drawn(path: Path, figure: Figure) -> None:
    """Write a figure, whole. Raises FPSolveError where the system refuses."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format=path.suffix[1:].lower(), dpi=110)
    write_whole(path, drawn.getvalue())
