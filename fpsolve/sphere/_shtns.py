"""The one import of SHTns, with its start-up banner kept instead of printed."""

from __future__ import annotations

import contextlib
import io

with contextlib.redirect_stdout(io.StringIO()):
    import shtns

BANNER: str = shtns.build_info()
"""What SHTns was built as: version, build date, SIMD level."""

__all__ = ["BANNER", "shtns"]
