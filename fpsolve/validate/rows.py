"""What one validation says: exact and computed value, error, tolerance, and how they are printed and written."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fpsolve.errors import InputError
from fpsolve.io.atomic import write_whole


@dataclass(frozen=True)
class Row:
    """One line of the table; ``passed`` when the error is within the tolerance (NaN is not).

    ``note``: what the tolerance is made of; for statistical rows the standard errors and the false-alarm rate.
    """

    system: str
    quantity: str
    exact: float
    computed: float
    tolerance: float
    note: str = ""

    @property
    def error(self) -> float:
        """|computed - exact|."""
        return abs(self.computed - self.exact)

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance."""
        return bool(self.error <= self.tolerance)


@dataclass(frozen=True)
class Validation:
    """One entry of the catalogue: a function of (quick, seed) that computes rows by the package itself."""

    name: str
    rows: Callable[[bool, int], Iterable[Row]]
    quick: bool = True
    """Whether it belongs to the quick subset."""


HEADER = ("system", "quantity", "exact", "computed", "error", "tolerance", "passed")


def cells(row: Row) -> tuple[str, ...]:
    """A row as text."""
    numbers = (f"{row.exact:.6g}", f"{row.computed:.6g}", f"{row.error:.2g}", f"{row.tolerance:.2g}")
    return (row.system, row.quantity, *numbers, "yes" if row.passed else "NO")


def as_text(rows: list[Row]) -> str:
    """The table in aligned columns."""
    lines = [HEADER, *map(cells, rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEADER))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def write(rows: list[Row], path: Path, overwrite: bool = False) -> None:
    """The rows as JSON, one object each; what is not finite is null.

    Raises InputError for an existing file or an unwritable folder, FPSolveError where the disk is full.
    """
    check_writable(path, overwrite)
    records = [{**asdict(row), "error": row.error, "passed": row.passed} for row in rows]
    plain = [{key: _json(value) for key, value in record.items()} for record in records]
    write_whole(path, (json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def check_writable(path: Path, overwrite: bool) -> None:
    """Raise InputError, before any computing, where ``write`` could not."""
    if path.suffix != ".json":
        raise InputError("output", str(path), "not a .json file", "the table is written as JSON: choose such a name")
    if path.is_dir():
        raise InputError("output", str(path), "is a folder", "choose a file in it")
    if path.exists() and not overwrite:
        raise InputError("output", str(path), "exists already", "choose another name, or pass --overwrite")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError("output", str(path), "its folder is missing or not writable", "choose another folder")


def _json(value: Any) -> Any:
    """JSON knows no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
