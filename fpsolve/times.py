"""Times as results have them."""

from __future__ import annotations

LONGEST = 1e12
"""Times and steps beyond are refused: in units in which attention moves a token by about one."""

MOST_STEPS = 10**9
"""Runs of more steps, days of the quickest, are refused."""


def saved_time(t: float) -> float:
    """t = n·dt to 15 decimal digits: one float for one time, whatever dt.

    3·0.1 and 15·0.02 differ in the last bit, and so would the coordinates of two runs; to 15 digits both are 0.3. All
    times are equal so that are decimals of as many digits.
    """
    return float(f"{t:.15g}")
