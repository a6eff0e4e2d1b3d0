"""Colours, scales and times as all pictures show them; without matplotlib, for those that are none of its own."""

from __future__ import annotations

CMAP = "cividis"
"""Perceptually uniform and the same to colour-blind readers."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Okabe and Ito's palette."""

LOST, PLAIN = "#B34000", "black"
"""Of what is said where a state is no longer resolved, and elsewhere."""

WIDE_RANGE, HUGE_RANGE = 12.0, 1000.0
"""Peak over uniform density above which a linear scale, and one by square roots, would hide all but the peak."""

DECADES = 6
"""A logarithmic scale covers at most so many."""


def time_label(time: float) -> str:
    """``t = 0.25``, without the digits of round-off."""
    return f"t = {time:.4g}"
