"""The one import of SHTns, with its start-up banner captured instead of printed."""

from __future__ import annotations

import os
import sys
import tempfile


def _import_quietly() -> str:
    """Import SHTns with file descriptor 1 redirected; return what it printed."""
    sys.stdout.flush()
    saved = os.dup(1)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 1)
        try:
            import shtns  # noqa: F401
        finally:
            os.dup2(saved, 1)
            os.close(saved)
        sink.seek(0)
        return sink.read().decode(errors="replace").strip()


BANNER: str = _import_quietly()
"""What SHTns prints on import: version, build date, SIMD level."""

import shtns  # noqa: E402

__all__ = ["BANNER", "shtns"]
