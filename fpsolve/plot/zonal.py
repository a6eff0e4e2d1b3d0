"""Laws about an axis: their density against the height, and that of the angle from the axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import gammaln

from fpsolve.errors import InputError
from fpsolve.plain.arguments import checked_arguments
from fpsolve.plot import fields, style
from fpsolve.sphere.harmonics import Real

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEEN = 1e-6
"""Heights with less than this part of the largest weight, under the uniform law and under μ, are not drawn."""


LOGARITHMIC = 100.0
"""Densities that reach this are drawn on a logarithmic axis."""


def has_axis(ds: xr.Dataset) -> bool:
    """Whether the result is of laws about an axis."""
    return "axis" in ds.coords and "axis_component" in ds.dims


def has_profile(ds: xr.Dataset) -> bool:
    """Whether it holds their density at heights."""
    return has_axis(ds) and "density" in ds and "u" in ds["density"].dims


@checked_arguments
def zonal_profile(ds: xr.Dataset, time: float | None = None) -> Figure:
    """ρ over the uniform law against the height, and the density of the angle, at the saved time nearest to ``time``.

    The last time for None. Raises :class:`~fpsolve.errors.InputError` naming ``time``, or ``density`` where it was not
    saved, or not at this time.
    """
    ds = fields.one_run(ds)
    index = fields.saved_index(ds, time)
    if not has_profile(ds) or np.isnan(ds["density"].isel(time=index)).all():
        remedy = 'solve with measure="zonal" and save_density=True'
        raise InputError("density", sorted(map(str, ds.data_vars)), "no density at heights at this time", remedy)
    figure = style.new_figure(9.0, 3.6)
    left, right = figure.subplots(1, 2)
    draw(left, right, ds, np.array([index]))
    figure.suptitle(style.time_label(float(ds["time"].values[index])), fontsize=12)
    return figure


def draw(left: Axes, right: Axes, ds: xr.Dataset, chosen: Real) -> None:
    """A line for each saved time of ``chosen`` that has a density, in both panels."""
    d, weights = ds.sizes["axis_component"], ds["quadrature"].values
    u, theta = ds["u"].values, np.arccos(ds["u"].values)
    with np.errstate(divide="ignore"):
        slices = (d - 2) * np.log(np.sin(theta)) if d > 2 else np.zeros_like(theta)
    per_angle = np.exp(slices + gammaln(d / 2) - gammaln((d - 1) / 2) - 0.5 * np.log(np.pi))
    times = ds["time"].values[chosen]
    for k, (row, t) in enumerate(zip(ds["density"].transpose("time", "u").values[chosen], times, strict=True)):
        mass = np.nan_to_num(np.abs(weights * row))
        if mass.max() == 0:
            continue
        seen = (mass > SEEN * mass.max()) | (weights > SEEN * weights.max())
        about: dict[str, Any] = {"color": style.COLOURS[k % len(style.COLOURS)], "linewidth": 1.6}
        left.plot(u[seen], row[seen], label=style.time_label(float(t)) if len(times) > 1 else None, **about)
        right.plot(np.degrees(theta), np.nan_to_num(per_angle * row), **about)
    if left.get_ylim()[1] > LOGARITHMIC:
        left.set_yscale("log")
    left.set_xlabel("height u = ⟨x, axis⟩")
    left.set_ylabel("ρ over the uniform law")
    right.set_xlabel("angle from the axis [degrees]")
    right.set_ylabel("density of the angle  [1/rad]")
    right.set_xlim(0, 180)
    if len(times) > 1:
        left.legend(fontsize=8, frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
