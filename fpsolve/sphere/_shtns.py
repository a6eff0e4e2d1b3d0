"""The one import of SHTns, with its start-up banner kept instead of printed."""

from __future__ import annotations

import contextlib
import ctypes
import io
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from fpsolve._kernels import _fields, _transport

with contextlib.redirect_stdout(io.StringIO()):
    import shtns

BANNER: str = shtns.build_info()
"""What SHTns was built as: version, build date, SIMD level."""

TRANSFORMS = ("SH_to_spat", "SHsph_to_spat", "SHsphtor_to_spat", "spat_to_SH", "spat_to_SHsphtor")
"""The transforms that compiled code calls without the interpreter, in the order in which it is told them."""


_LIBRARY = ctypes.CDLL(shtns._shtns.__file__)


def _bound() -> bool:
    """Tell compiled code where the transforms of the installed extension are; False where it does not export them."""
    try:
        addresses = [ctypes.cast(getattr(_LIBRARY, name), ctypes.c_void_p).value or 0 for name in TRANSFORMS]
    except AttributeError:
        return False
    for kernels in (_transport, _fields):
        kernels.bind(*addresses)
    return True


BOUND: bool = _bound()
"""Whether transports and attention run in compiled calls; otherwise by the same transforms from Python."""


_PLANNING = Lock()


@contextmanager
def plans_of(threads: int) -> Iterator[None]:
    """Plans made within transform on so many threads, where SHTns was built with OpenMP; the bits are the same."""
    if threads == 1 or not hasattr(_LIBRARY, "shtns_use_threads"):
        yield
        return
    with _PLANNING:
        _LIBRARY.shtns_use_threads(threads)
        try:
            yield
        finally:
            _LIBRARY.shtns_use_threads(1)


def address(plan: Any) -> int:
    """Where a plan is, for compiled code; it lives as long as the plan."""
    return int(plan.this)


__all__ = ["BANNER", "BOUND", "TRANSFORMS", "address", "shtns"]
