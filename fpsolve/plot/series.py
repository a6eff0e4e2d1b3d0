"""Observables against time, one small panel each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fpsolve.errors import InputError
from fpsolve.notes import NOTES
from fpsolve.observe import OBSERVABLES, Panel
from fpsolve.plot import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

def observables(ds: xr.Dataset) -> Figure:
    """Every observable of the result that has a panel against time, a user's too.

    Raises :class:`~fpsolve.errors.InputError` naming ``ds`` if it has none.
    """
    found = panels(ds)
    if not found:
        raise InputError("ds", sorted(map(str, ds.data_vars)), "has no observable", "give a result of fpsolve.solve")
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    figure = style.new_figure(3.7 * columns, 2.6 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for axes, (name, panel) in zip(grid.flat, found.items(), strict=False):
        draw(axes, ds, name, panel)
    for spare in grid.flat[len(found) :]:
        spare.set_visible(False)
    for column in grid.T:
        lowest = max((row for row in range(rows) if column[row].get_visible()), default=0)
        column[lowest].set_xlabel(_label(ds["time"], "time t"))
        column[lowest].tick_params(labelbottom=True)
    if ds.attrs.get("title"):
        figure.suptitle(str(ds.attrs["title"]), fontsize=12)
    return figure


def panels(ds: xr.Dataset) -> dict[str, Panel]:
    """The panels that this result can fill, in the order of the table; a user's observables after them."""
    found = {name: one.panel for name, one in OBSERVABLES.items() if isinstance(one.panel, Panel) and name in ds}
    for name, one in ds.data_vars.items():
        if "panel" in one.attrs and set(one.dims) == {"time"}:
            found[str(name)] = Panel(one.attrs["panel"], one.attrs["panel_kind"])
    return {name: panel for name, panel in found.items() if panel.stands_for not in found}


def draw(axes: Axes, ds: xr.Dataset, name: str, panel: Panel) -> None:
    """One panel, without the label of its time axis."""
    _PAINTERS[panel.kind](axes, ds, name)
    axes.set_title(panel.title, fontsize=10.5, loc="left")
    axes.set_ylabel(_unit(ds[name]))
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)
    _mark(axes, ds)


def _mark(axes: Axes, ds: xr.Dataset) -> None:
    """A dashed line and a short label where the run was no longer resolved and what was done about it."""
    told: dict[float, list[str]] = {}
    for name, note in NOTES.items():
        time = float(ds[name] if name in ds and ds[name].ndim == 0 else ds.attrs.get(name, np.nan))
        if np.isfinite(time):
            told.setdefault(time, []).append(note.label)
    for time, labels in told.items():
        side = 1 if time <= float(ds["time"].values[0]) else -1  # away from the axis
        axes.axvline(time, color="0.25", linewidth=0.8, linestyle="--", zorder=1)
        axes.annotate(
            ", ".join(labels), (time, 0.5), xycoords=axes.get_xaxis_transform(), xytext=(2 * side, 0),
            textcoords="offset points", rotation=90, ha="left" if side > 0 else "right", va="center", fontsize=7.5,
            color="0.25",
        )  # fmt: skip


def _line(axes: Axes, ds: xr.Dataset, name: str) -> None:
    axes.plot(ds["time"], ds[name], **_stroke(ds))


def _vector(axes: Axes, ds: xr.Dataset, name: str) -> None:
    """The components thin, the norm on top of them; only the norm beyond three dimensions."""
    mean = ds[name].transpose("time", "component")
    if mean.sizes["component"] <= 3:
        for one, colour in zip(mean["component"].values, style.COLOURS[1:], strict=False):
            axes.plot(ds["time"], mean.sel(component=one), color=colour, linewidth=1.0, label=str(one))
    axes.plot(ds["time"], np.linalg.norm(mean.values, axis=1), label="|m|", **_stroke(ds))
    axes.legend(fontsize=8, ncols=4, frameon=False, handlelength=1.2, columnspacing=0.9)


def _density(axes: Axes, ds: xr.Dataset, name: str) -> None:
    axes.axhline(0.0, color="0.4", linewidth=0.8, linestyle="--")  # below it the series has lost positivity
    _line(axes, ds, name)


def _log(axes: Axes, ds: xr.Dataset, name: str) -> None:
    """Logarithmic; zeros, which have no logarithm, are left out."""
    values = np.where(ds[name].values > 0, ds[name].values, np.nan)
    axes.plot(ds["time"], values, **_stroke(ds))
    if np.isfinite(values).any():
        axes.set_yscale("log")


def _stroke(ds: xr.Dataset) -> dict[str, Any]:
    few = ds.sizes["time"] <= 30
    return {"color": style.COLOURS[0], "linewidth": 1.8, "marker": "o" if few else None, "markersize": 3}


def _unit(variable: xr.DataArray) -> str:
    unit = str(variable.attrs.get("units", "1"))
    return "" if unit == "1" else unit.replace("sr-1", "1/sr")


def _label(variable: xr.DataArray, default: str) -> str:
    unit = _unit(variable)
    return f"{default} [{unit}]" if unit else default


_PAINTERS: dict[str, Callable[[Axes, xr.Dataset, str], None]] = {
    "line": _line,
    "log": _log,
    "vector": _vector,
    "density": _density,
}
"""By the kind of a panel."""
