"""``fpsolve validate``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

import typer

from fpsolve.validate import as_text, validate, write
from fpsolve.validate.rows import check_writable

DEFAULT = Path("validation.json")


def free(path: Path, overwrite: bool) -> Path:
    """``path``, or with a number the first such name that is not taken."""
    names = chain([path], (path.with_stem(f"{path.stem}-{n}") for n in count(1)))
    return path if overwrite else next(name for name in names if not name.exists())


def run_catalogue(
    quick: bool, only: Sequence[str], output: Path | None, overwrite: bool, seed: int, progress: bool | None
) -> bool:
    """Run, print and write the table; whether every row passed."""
    target = output or free(DEFAULT, overwrite)
    check_writable(target, overwrite)
    rows = validate(only, quick, seed, progress)
    write(rows, target, overwrite)  # first, as a reader of the table may leave: `fpsolve validate | head`
    typer.echo(as_text(rows))
    failed = [row for row in rows if not row.passed]
    typer.echo(f"\n{len(rows) - len(failed)} of {len(rows)} passed; wrote {target}")
    for row in failed:
        typer.echo(f"fpsolve: failed: {row.system}, {row.quantity}{'; ' if row.note else ''}{row.note}", err=True)
    return not failed
