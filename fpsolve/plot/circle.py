"""The density on the circle: profiles against the angle, and its history as a map of time and angle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fpsolve.errors import InputError
from fpsolve.plot import fields, style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Real = NDArray[np.float64]

_ANGLES = 361
"""Angles at which moments are summed."""


def on_circle(ds: xr.Dataset) -> bool:
    """Whether the result lives on S¹."""
    return ds.sizes.get("component") == 2


def profiles(ds: xr.Dataset) -> tuple[Real, Real, str]:
    """Angles in degrees from 0 to 360 inclusive, densities (time, angle), and what they come from if not ρ itself.

    Where ρ is not saved, as after a hand-over to a cloud, the moments are summed.

    Raises :class:`~fpsolve.errors.InputError` naming ``density`` for a result with neither density nor moments.
    """
    saved = "density" in ds and "angle" in ds["density"].dims
    values = ds["density"].transpose("time", "angle").values if saved else np.full((ds.sizes["time"], 1), np.nan)
    blank = np.isnan(values).all(axis=1)
    angle = np.append(ds["angle"].values, 360.0) if saved else np.linspace(0.0, 360.0, _ANGLES)
    if not blank.any():
        return angle, np.column_stack([values, values[:, 0]]), ""
    if "moments" not in ds:
        remedy = "solve with save_density=True or moments_lmax > 0"
        names = sorted(map(str, ds.data_vars))
        raise InputError("density", names, "the result has no density and no moments", remedy)
    harmonics = _real_harmonics(ds["order"].values, np.radians(angle))
    summed = np.einsum("th,ha->ta", ds["moments"].transpose("time", "harmonic").values, harmonics)
    source = f"from moments m ≤ {int(ds['degree'].max())}"
    if blank.all():
        return angle, summed, source
    since = style.time_label(float(ds["time"].values[blank][0]))
    return angle, np.where(blank[:, None], summed, np.column_stack([values, values[:, 0]])), f"{source} from {since} on"


def density_profile(ds: xr.Dataset, time: float | None = None) -> Figure:
    """ρ against the angle at the saved time nearest to ``time`` (the last for None).

    Raises :class:`~fpsolve.errors.InputError` naming ``time`` or ``density``.
    """
    index = fields.saved_index(ds, time)
    angle, values, source = profiles(ds.isel(time=[index]))
    figure = style.new_figure(7.0, 3.6)
    axes = figure.subplots()
    draw_profiles(axes, angle, values, [float(ds["time"].values[index])])
    heading = [style.time_label(float(ds["time"].values[index]))] + ([source] if source else [])
    axes.set_title(",  ".join(heading), fontsize=12)
    return figure


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


def _real_harmonics(orders: NDArray[np.int64], theta: Real) -> Real:
    """1/√(2π), cos(mθ)/√π (m > 0), sin(|m|θ)/√π (m < 0): the real basis of ``moments``; shape (harmonic, angle)."""
    rows = [
        np.full_like(theta, 1 / np.sqrt(2 * np.pi))
        if m == 0
        else (np.cos(m * theta) if m > 0 else np.sin(-m * theta)) / np.sqrt(np.pi)
        for m in orders
    ]
    return np.stack(rows)
