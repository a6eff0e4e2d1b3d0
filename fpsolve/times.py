"""Times of steps as results have them."""

from __future__ import annotations


def time_of(step: int, dt: float) -> float:
    """step·dt to 15 decimal digits: one float for one time, whatever dt.

    3·0.1 and 15·0.02 differ in the last bit, and so would the coordinates of two runs; to 15 digits both are 0.3. So are
    all times equal that are decimals of as many digits.
    """
    return float(f"{step * dt:.15g}")
