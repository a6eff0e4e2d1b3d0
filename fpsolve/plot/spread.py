"""Observables of an ensemble against time: means with their errors and fans of quantiles, or a curve by swept value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fpsolve.observe import Panel
from fpsolve.plain.arguments import checked_arguments
from fpsolve.plot import series, style
from fpsolve.plot.heading import heading
from fpsolve.plot.panels import point_label, points_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FANS = ((0, -1, "0.9"), (1, -2, "0.8"))
"""Outer and inner quantiles of a fan, and its grey."""


@checked_arguments
def ensemble(ds: xr.Dataset) -> Figure:
    """The observables of an ensemble, or of the statistics of one, against time.

    Without a sweep the mean over members ± 2 standard errors, upon the fan of their quantiles (5–95 %, 25–75 %); with a
    sweep the mean ± 2 errors of each point, in the colours of the swept values. Only members that are resolved at a
    time count there, and the legend says how many at the end.
    Raises :class:`~fpsolve.errors.InputError` naming ``ds`` for other Datasets, or more than ``MOST_CURVES`` points.
    """
    found, shown, swept, runs = points_of(ds)
    figure, places = series.page(len(shown))
    for axes, (name, panel) in zip(places, shown.items(), strict=True):
        for k, one in enumerate(runs):
            again, colour = divmod(k, len(style.COLOURS))
            _curve(axes, one, name, panel, style.COLOURS[colour], ("-", "--")[again], not swept)
        series.finish(axes, found, name, panel, f"{name}_mean")
        axes.set_xlabel("time t")
        if panel.kind == "log" and bool((found[f"{name}_mean"] > 0).any()):
            series.logarithmic(axes)
    handles, labels = places[0].get_lines(), [point_label(one, swept) for one in runs]
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    figure.suptitle(f"{heading(ds)}: means over members ± 2 errors{'' if swept else ', quantiles 5–95 %, 25–75 %'}")
    return figure


def _curve(axes: Axes, one: xr.Dataset, name: str, panel: Panel, colour: str, dashes: str, fan: bool) -> None:
    """On a logarithmic axis without the error, as a mean less two errors may be negative."""
    time, mean = one["time"].values, one[f"{name}_mean"].values
    error = 2 * one[f"{name}_error"].values
    axes.plot(time, mean, color=colour, linestyle=dashes, linewidth=1.8)
    if panel.kind != "log":
        axes.fill_between(time, mean - error, mean + error, color=colour, alpha=0.35, linewidth=0, zorder=2)
    for low, high, grey in FANS if fan else ():
        spread = one[f"{name}_quantiles"].transpose("quantile", "time").values
        axes.fill_between(time, spread[low], spread[high], color=grey, linewidth=0, zorder=1)
