"""Colours and small parts that the pictures share; nothing global is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Normalize, PowerNorm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CMAP = "cividis"
"""Perceptually uniform and the same to colour-blind readers."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Okabe and Ito's palette."""

_WIDE_RANGE = 12.0
"""Peak over uniform density above which a linear scale would hide all but the peak."""


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """A figure of its own, in inches, known to no window manager."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", **options)


def colour_scale(lowest: float, highest: float) -> Normalize:
    """One scale for densities in [lowest, highest]: from zero, by square roots where a peak dwarfs the
    rest."""
    low = min(0.0, lowest)
    high = highest if highest > low else low + 1.0
    if high * 4 * np.pi > _WIDE_RANGE and low == 0.0:
        return PowerNorm(0.5, low, high)
    return Normalize(low, high)


def density_label(scale: Normalize, unit: str = "sr") -> str:
    """What a colour bar says, the square-root scale included."""
    return f"density ρ  [1/{unit}]" + ("\n(square-root scale)" if isinstance(scale, PowerNorm) else "")


def time_label(time: float) -> str:
    """``t = 0.25``, without the digits of round-off."""
    return f"t = {time:.4g}"


def quiet_spines(axes: Axes) -> None:
    """No box and no ticks: for maps."""
    axes.set_aspect("equal")
    axes.set_axis_off()
