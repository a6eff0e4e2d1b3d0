"""One picture of a run: snapshots of the density above, observables below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fpsolve.plain.arguments import checked_arguments
from fpsolve.plot import circle, fields, maps, series, style, zonal
from fpsolve.plot.heading import heading
from fpsolve.plot.marks import lost_at
from fpsolve.plot.projection import Mollweide

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

CURVES = 4
"""Observables of an overview, at most."""

APART = 6.0
"""Peaks further apart than this factor get a colour scale each: on a common one the lower would be invisible."""


@checked_arguments
def overview(ds: xr.Dataset, snapshots: int = 4) -> Figure:
    """Up to ``snapshots`` maps, evenly spread over the saved times, and four observables; on the circle profiles and
    the density over time and angle, of laws about an axis profiles by height and angle, otherwise observables alone.

    The maps share a colour scale where their peaks are within a factor of ``APART``. A member of an ensemble has such a
    page, too. Raises :class:`~fpsolve.errors.InputError` naming ``density`` if the result has nothing to map.
    """
    ds = fields.one_run(ds)
    if ds.sizes.get("component", 3) > 3 or (zonal.has_axis(ds) and not zonal.has_profile(ds)):
        return series.observables(ds)
    count = min(max(1, snapshots), ds.sizes["time"])
    chosen = np.unique(np.linspace(0, ds.sizes["time"] - 1, count).round().astype(int))
    figure = style.new_figure(14.0, 5.6)
    halves: Any = figure.subfigures(2, 1, height_ratios=(1.0, 1.3))
    above, below = halves
    if zonal.has_axis(ds):
        source = ""
        left, right = above.subplots(1, 2)
        zonal.draw(left, right, ds, chosen)
    else:
        source = _draw_circle(above, ds, chosen) if circle.on_circle(ds) else _draw_sphere(above, ds, chosen)
    ranked = [(panel.overview, name, panel) for name, panel in series.panels(ds).items() if panel.overview is not None]
    shown = sorted(ranked, key=lambda one: one[0])[:CURVES]
    for axes, (_, name, panel) in zip(below.subplots(1, max(1, len(shown)), squeeze=False)[0], shown, strict=False):
        series.draw(axes, ds, name, panel)
        axes.set_xlabel("time t")
        for index in chosen:
            axes.axvline(float(ds["time"].values[index]), color="0.7", linewidth=0.8, zorder=0)
    title = heading(ds) + (f"  ({source})" if source else "")
    figure.suptitle(title.strip(), fontsize=13)
    return figure


def _draw_sphere(above: Any, ds: xr.Dataset, chosen: Any) -> str:
    """A row of maps; returns what they come from if that is not the saved density."""
    shown = [fields.field(ds, int(index)) for index in chosen]
    ranges = [(float(one.values.min()), float(one.values.max())) for one in shown]
    peaks = [high for _, high in ranges]
    together = max(peaks) <= APART * min(peaks)
    if together:
        ranges = [(min(low for low, _ in ranges), max(peaks))] * len(shown)
    scale = style.colour_scale(*ranges[0])
    row = above.subplots(1, len(shown), squeeze=False)[0]
    for axes, one, limits in zip(row, shown, ranges, strict=True):
        scale = scale if together else style.colour_scale(*limits)
        image = maps.draw_field(axes, one, Mollweide(), scale)
        lost = lost_at(ds, one.time)
        title = style.time_label(one.time) + (f"  ({lost})" if lost else "")
        axes.set_title(title, fontsize=11, color=style.LOST if lost else style.PLAIN)
        if not together:
            above.colorbar(image, ax=axes, location="bottom", shrink=0.8, pad=0.02, aspect=30).set_label(
                style.density_label(scale).replace("\n", " "), fontsize=8
            )
    if together:
        above.colorbar(image, ax=list(row), shrink=0.75, pad=0.01, aspect=14).set_label(style.density_label(scale))
    first, last = shown[0], next((one for one in shown if one.source), shown[0])
    return f"{last.source} from {style.time_label(last.time)} on" if last.source and not first.source else last.source


def _draw_circle(above: Any, ds: xr.Dataset, chosen: Any) -> str:
    """Profiles on the left, their history on the right."""
    angle, values, source = circle.profiles(ds)
    left, right = above.subplots(1, 2)
    times = ds["time"].values
    circle.draw_profiles(left, angle, values[chosen], [float(t) for t in times[chosen]])
    circle.draw_history(right, angle, values, times)
    return source
