"""The density on the circle: profiles against the angle, and its history as a map of time and angle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fpsolve.plot import fields, style
from fpsolve.plot.profiles import on_circle as on_circle
from fpsolve.plot.profiles import profiles as profiles

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Real = NDArray[np.float64]


def density_profile(ds: xr.Dataset, time: float | None = None, ax: Axes | None = None) -> Figure | Axes:
    """ρ against the angle at the saved time nearest to ``time`` (the last for None).

    Raises :class:`~fpsolve.errors.InputError` naming ``time`` or ``density``.
    """
    index = fields.saved_index(ds, time)
    angle, values, source = profiles(ds.isel(time=[index]))
    figure, axes = style.place(ax, 7.0, 3.6)
    draw_profiles(axes, angle, values, [float(ds["time"].values[index])])
    heading = [style.time_label(float(ds["time"].values[index]))] + ([source] if source else [])
    axes.set_title(",  ".join(heading), fontsize=12)
    return figure if ax is None else axes


def draw_profiles(axes: Axes, angle: Real, values: Real, times: list[float]) -> None:
    """One line for each row, labelled by its time where there are several."""
    for k, (row, t) in enumerate(zip(values, times, strict=True)):
        label = style.time_label(t) if len(times) > 1 else None
        axes.plot(angle, row, color=style.COLOURS[k % len(style.COLOURS)], linewidth=1.6, label=label)
    if values.min() < 0:
        axes.axhline(0.0, color="0.4", linewidth=0.8, linestyle="--")
    if len(times) > 1:
        axes.legend(fontsize=8, frameon=False)
    _angle_axis(axes)
    axes.set_ylabel("density ρ  [1/rad]")
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def draw_history(axes: Axes, angle: Real, values: Real, times: Real) -> None:
    """ρ as colours over angle (across) and time (up), with its bar."""
    scale = style.colour_scale(float(values.min()), float(values.max()))
    image = axes.pcolormesh(angle, times, values, cmap=style.CMAP, norm=scale, shading="nearest", rasterized=True)
    _angle_axis(axes)
    axes.set_ylabel("time t")
    axes.figure.colorbar(image, ax=axes, pad=0.02).set_label(style.density_label(scale, "rad"))


def _angle_axis(axes: Axes) -> None:
    axes.set_xlim(0, 360)
    axes.set_xticks(range(0, 361, 90), [f"{k}°" for k in range(0, 361, 90)])
    axes.set_xlabel("angle θ")
