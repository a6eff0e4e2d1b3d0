"""The ``[ensemble]`` table of a configuration."""

from __future__ import annotations

from typing import Literal


def ensemble_table(
    *,
    members: int | str = 1,
    block: int | None = None,
    schedule: Literal["static", "dynamic"] | None = None,
    fail_fast: bool = False,
) -> None:
    """Its keys, those of ``fp.ensemble``; ``members`` a number, or ``"256:512"`` for the members 256 to 511."""
