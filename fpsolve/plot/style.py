"""Colours and small parts that the pictures share; nothing global is set."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes as MatplotlibAxes
from matplotlib.colors import LogNorm, Normalize, PowerNorm
from matplotlib.figure import Figure

from fpsolve.errors import InputError
from fpsolve.plot.palette import CMAP as CMAP
from fpsolve.plot.palette import COLOURS as COLOURS
from fpsolve.plot.palette import DECADES, HUGE_RANGE, WIDE_RANGE
from fpsolve.plot.palette import LOST as LOST
from fpsolve.plot.palette import PLAIN as PLAIN
from fpsolve.plot.palette import time_label as time_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

class Shown(Figure):
    """A figure that a notebook displays by itself, whatever matplotlib's backend."""

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        self.savefig(content, format="png", dpi=90)
        return content.getvalue()


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """A figure of its own, in inches, known to no window manager."""
    return Shown(figsize=(width, height), layout="constrained", **options)


def place(ax: Axes | None, width: float, height: float) -> tuple[Any, Axes]:
    """The figure and the axes to draw on: those given, or new ones of this size. Raises InputError for what is none."""
    if ax is None:
        figure = new_figure(width, height)
        return figure, figure.subplots()
    if not isinstance(ax, MatplotlibAxes) or ax.get_figure() is None:
        raise InputError("ax", ax, "no axes of a figure", "pass one of plt.subplots()")
    return ax.get_figure(), ax


def colour_scale(lowest: float, highest: float) -> Normalize:
    """One scale for densities in [lowest, highest]: from zero, by square roots or logarithms where a peak dwarfs the
    rest; linear where some are negative."""
    low = min(0.0, lowest)
    high = highest if highest > low else low + 1.0
    peak = high * 4 * np.pi if low == 0.0 else 0.0
    if peak > HUGE_RANGE:
        return LogNorm(max(lowest, high * 10.0**-DECADES), high, clip=True)
    return PowerNorm(0.5, low, high) if peak > WIDE_RANGE else Normalize(low, high)


def density_label(scale: Normalize, unit: str = "sr") -> str:
    """What a colour bar says, a square-root or logarithmic scale included."""
    kind = "square-root" if isinstance(scale, PowerNorm) else "logarithmic" if isinstance(scale, LogNorm) else ""
    return f"density ρ  [1/{unit}]" + (f"\n({kind} scale)" if kind else "")


def quiet_spines(axes: Axes) -> None:
    """No box and no ticks: for maps."""
    axes.set_aspect("equal")
    axes.set_axis_off()
