"""What one validation says: exact and computed value, error, tolerance, and how they are printed and written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from fpsolve.errors import InputError


@dataclass(frozen=True)
class Row:
    """One line of the table; ``passed`` when the error is within the tolerance (NaN is not)."""

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
    """One entry of the catalogue: a function of ``quick`` that computes rows by the package itself."""

    name: str
    rows: Callable[[bool], Iterable[Row]]
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
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines)


def write(rows: list[Row], path: Path, overwrite: bool = False) -> None:
    """The rows as JSON. Raises InputError for an existing file or an unwritable folder."""
    check_writable(path, overwrite)
    records = [{**asdict(row), "error": row.error, "passed": row.passed} for row in rows]
    path.write_text(json.dumps(records, indent=1) + "\n")


def check_writable(path: Path, overwrite: bool) -> None:
    """Raise InputError, before any computing, where ``write`` could not."""
    if path.exists() and not overwrite:
        raise InputError("output", str(path), "exists already", "choose another name, or pass --overwrite")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError("output", str(path), "its folder is missing or not writable", "choose another folder")
