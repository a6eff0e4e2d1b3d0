"""The picture of a zoom: the density on its patch, in the equal-area plane, or along an arc of the circle."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator

from fpsolve.errors import InputError
from fpsolve.plain.arguments import checked_arguments
from fpsolve.plot import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DECADES = 8
"""A density that varies by more than a factor of ten is shown by its logarithm, over at most so many decades."""


@overload
def zoomed(ds: xr.Dataset) -> Figure: ...
@overload
def zoomed(ds: xr.Dataset, ax: Axes) -> Axes: ...
@checked_arguments
def zoomed(ds: xr.Dataset, ax: Axes | None = None) -> Figure | Axes:
    """The density of an ``fp.zoom``, per steradian, lengths in radians; logarithmic where it varies by more than ten.

    ``ax``: where to draw; it is returned then, otherwise a new figure. Raises InputError for other Datasets.
    """
    if "density" not in ds or not {"plane_x", "offset"} & set(map(str, ds.coords)):
        found = sorted(map(str, ds.variables))
        raise InputError("ds", found, "not the result of fp.zoom", "pass what fp.zoom returned")
    figure, axes = style.place(ax, 6.2, 4.8)
    (_draw_arc if "offset" in ds.coords else _draw_disc)(axes, ds)
    mass = f"mass within {ds.attrs['radius']:.3g}: {ds.attrs['mass']:.4g}"
    axes.set_title(f"{style.time_label(ds.attrs['time'])},  {mass}")
    return figure if ax is None else axes


def _draw_disc(axes: Axes, ds: xr.Dataset) -> None:
    names = ("plane_x", "plane_y", "density")
    x, y, values = (_turned(ds[name].transpose("distance", "azimuth").values) for name in names)
    high, low = float(values.max()), float(values.min())
    wide = high > 10 * low and high > 0
    norm = LogNorm(max(low, high * 10.0**-DECADES), high) if wide else None
    floor = high * 10.0**-DECADES if wide else low
    mesh = axes.pcolormesh(x, y, np.maximum(values, floor), shading="gouraud", cmap=style.CMAP, norm=norm)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("east [rad]")
    axes.set_ylabel("north [rad]")
    figure = axes.get_figure()
    assert figure is not None
    figure.colorbar(mesh, ax=axes, label="density ρ  [1/sr]")


def _draw_arc(axes: Axes, ds: xr.Dataset) -> None:
    axes.plot(ds["offset"].values, ds["density"].values, color=style.COLOURS[0])
    axes.set_xlabel("angle from the centre [rad]")
    axes.set_ylabel("density ρ  [1/rad]")


def _turned(values: np.ndarray) -> np.ndarray:
    """With the middle as a ring of no size, and the first azimuth repeated at the end."""
    closed = np.column_stack([values, values[:, 0]])
    return np.vstack([np.full((1, closed.shape[1]), values[0].mean()), closed])
