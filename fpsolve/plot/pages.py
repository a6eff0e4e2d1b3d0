"""One picture of a run: snapshots of the density above, observables below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fpsolve.plain.numbers import python_numbers
from fpsolve.plot import circle, fields, maps, series, style
from fpsolve.plot.projection import Mollweide

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

_PANELS = ("mean_vector", "energy", "log_energy", "entropy", "tail", "overlap", "min_density")


@python_numbers
def overview(ds: xr.Dataset, snapshots: int = 4) -> Figure:
    """Up to ``snapshots`` maps, evenly spread over the saved times, on one colour scale, and four
    observables; on the circle profiles and the density over time and angle.

    Raises :class:`~fpsolve.errors.InputError` naming ``density`` if the result has nothing to map.
    """
    count = min(max(1, snapshots), ds.sizes["time"])
    chosen = np.unique(np.linspace(0, ds.sizes["time"] - 1, count).round().astype(int))
    figure = style.new_figure(14.0, 5.6)
    halves: Any = figure.subfigures(2, 1, height_ratios=(1.0, 1.3))
    above, below = halves
    source = _draw_circle(above, ds, chosen) if circle.on_circle(ds) else _draw_sphere(above, ds, chosen)
    names = [name for name in _PANELS if name in series.present(ds)][:4]
    for axes, name in zip(below.subplots(1, max(1, len(names)), squeeze=False)[0], names, strict=False):
        series.draw(axes, ds, name)
        axes.set_xlabel("time t")
        for index in chosen:
            axes.axvline(float(ds["time"].values[index]), color="0.7", linewidth=0.8, zorder=0)
    title = str(ds.attrs.get("title", "")) + (f"  ({source})" if source else "")
    figure.suptitle(title.strip(), fontsize=13)
    return figure


def _draw_sphere(above: Any, ds: xr.Dataset, chosen: Any) -> str:
    """A row of maps; returns what they come from if that is not the saved density."""
    shown = [fields.field(ds, int(index)) for index in chosen]
    scale = style.colour_scale(min(one.values.min() for one in shown), max(one.values.max() for one in shown))
    _draw_maps(above.subplots(1, len(shown), squeeze=False)[0], shown, scale)
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


def _draw_maps(row: list[Axes], shown: list[fields.Field], scale: Normalize) -> None:
    for axes, one in zip(row, shown, strict=True):
        image = maps.draw_field(axes, one, Mollweide(), scale)
        axes.set_title(style.time_label(one.time), fontsize=11)
    bar = row[0].figure.colorbar(image, ax=list(row), shrink=0.75, pad=0.01, aspect=14)
    bar.set_label(style.density_label(scale))
