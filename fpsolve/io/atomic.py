"""Files that are never half written: a temporary name, to the disk, renamed into place."""

from __future__ import annotations

import os
from pathlib import Path

from fpsolve.errors import FPSolveError


def write_whole(path: Path, *parts: bytes | memoryview) -> None:
    """Write the parts to a temporary name, on to the disk, and rename it to ``path``, which is never half written.

    Raises FPSolveError where the system refuses; what stood at ``path`` stays then.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        told = f"writing {str(path)!r} failed ({error.strerror}); what was there before is unchanged"
        raise FPSolveError(told) from error
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """The new name itself to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
