"""What does not fit into the machine's memory is refused before it is allocated."""

from __future__ import annotations

import os

from fpsolve.errors import InputError

LITTLE = 1 << 20
"""Bytes that every machine has."""


def installed_memory() -> int | None:
    """Bytes of the machine's memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.3g} GB" if size < 1 << 200 else "more GB than can be counted"


def check_memory(argument: str, value: int, each: int) -> None:
    """Raise InputError where ``value`` things of ``each`` bytes do not fit into the machine's memory."""
    if value * each <= LITTLE:
        return
    memory = installed_memory()
    if memory is not None and value * each > memory:
        problem = f"takes about {_gigabytes(value * each)}, the machine has {memory / 1e9:.3g} GB"
        remedy = f"take at most {memory // each}" if memory >= each else "take far less"
        raise InputError(argument, value, problem, remedy)
