"""Observables against time, one small panel each."""

from __future__ import annotations

from collections.abc import Callable
from math import lcm
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from matplotlib.transforms import ScaledTranslation

from fpsolve.errors import InputError, unknown_name
from fpsolve.observe import Panel
from fpsolve.plain.arguments import checked_arguments
from fpsolve.plot import fields, style
from fpsolve.plot.heading import heading
from fpsolve.plot.marks import limit_of, marks
from fpsolve.plot.panels import FLOOR, time_axis, unit_of
from fpsolve.plot.panels import panels as panels

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARK_HEIGHT = 9
"""Points between labels that stand above one another."""


@checked_arguments
def observables(ds: xr.Dataset) -> Figure:
    """Every observable of the result that has a panel against time, a user's too.

    Raises :class:`~fpsolve.errors.InputError` naming ``ds`` if it has none.
    """
    ds = fields.one_run(ds)
    found = panels(ds)
    if not found:
        raise InputError("ds", sorted(map(str, ds.data_vars)), "has no observable", "give a result of fpsolve.solve")
    figure, places = page(len(found))
    for axes, (name, panel) in zip(places, found.items(), strict=True):
        draw(axes, ds, name, panel)
        axes.set_xlabel(time_axis(ds))
    figure.suptitle(heading(ds), fontsize=12)
    return figure


@overload
def observable(ds: xr.Dataset, name: str) -> Figure: ...
@overload
def observable(ds: xr.Dataset, name: str, ax: Axes) -> Axes: ...
@checked_arguments
def observable(ds: xr.Dataset, name: str, ax: Axes | None = None) -> Figure | Axes:
    """One observable of the result against time, a panel of :func:`observables`.

    ``ax``: where to draw; it is returned then, otherwise a new figure. Raises
    :class:`~fpsolve.errors.InputError` naming ``name`` for one that the result does not have.
    """
    ds = fields.one_run(ds)
    found = panels(ds)
    if name not in found:
        raise unknown_name("name", name, found)
    figure, axes = style.place(ax, 4.6, 3.2)
    draw(axes, ds, name, found[name])
    axes.set_xlabel(time_axis(ds))
    return figure if ax is None else axes


def page(count: int) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` panels in rows of three at most, every row filled."""
    rows = -(-count // 3)
    lengths = [count // rows + (row < count % rows) for row in range(rows)]
    figure = style.new_figure(3.7 * max(lengths), 2.6 * rows + 0.3)
    across = lcm(*lengths)
    grid = figure.add_gridspec(rows, across)
    places = [(row, k * across // n, across // n) for row, n in enumerate(lengths) for k in range(n)]
    return figure, [figure.add_subplot(grid[row, at : at + width]) for row, at, width in places]


def draw(axes: Axes, ds: xr.Dataset, name: str, panel: Panel) -> None:
    """One panel, without the label of its time axis."""
    _PAINTERS[panel.kind](axes, ds, name)
    finish(axes, ds, name, panel, name)
    _mark(axes, ds, marks(ds))


def finish(axes: Axes, ds: xr.Dataset, name: str, panel: Panel, variable: str) -> None:
    """Title, unit and frame of the panel of the observable ``name``, which shows ``variable``."""
    limit = limit_of(ds, name)
    title = panel.title + (f" (dotted: limit {limit:.0e})" if limit is not None and variable == name else "")
    axes.set_title(title, fontsize=10.5, loc="left", pad=6 + MARK_HEIGHT * len(marks(ds)))
    axes.set_ylabel(unit_of(ds[variable]))
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)


def _mark(axes: Axes, ds: xr.Dataset, known: dict[float, list[str]]) -> None:
    """A dashed line, its label above the panel, where the run was no longer resolved and what was done about it."""
    begin, end = float(ds["time"].values[0]), float(ds["time"].values[-1])
    for row, (time, labels) in enumerate(known.items()):
        early = time <= (begin + end) / 2  # towards the middle, not over the edge
        axes.axvline(time, color="0.25", linewidth=0.8, linestyle="--", zorder=1)
        axes.annotate(
            ", ".join(labels), (time, 1.0), xycoords=axes.get_xaxis_transform(), xytext=(0, 2 + MARK_HEIGHT * row),
            textcoords="offset points", ha="left" if early else "right", va="bottom", fontsize=7.5, color="0.25",
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
    above = ScaledTranslation(0, MARK_HEIGHT * len(marks(ds)) / 72, axes.figure.dpi_scale_trans)
    axes.legend(
        fontsize=8, ncols=4, frameon=False, handlelength=1.0, columnspacing=0.7, handletextpad=0.4, borderpad=0.1,
        loc="lower right", bbox_to_anchor=(1.0, 1.0), bbox_transform=axes.transAxes + above,
    )  # fmt: skip


def _positions(axes: Axes, ds: xr.Dataset, name: str) -> None:
    """Five positions from the first to the last."""
    values = ds[name].transpose("time", "position")
    chosen = np.unique(np.linspace(0, values.sizes["position"] - 1, 5).round().astype(int))
    for k, colour in zip(chosen, style.COLOURS, strict=False):
        position = float(values["position"].values[k])
        axes.plot(ds["time"], values.values[:, k], color=colour, linewidth=1.2, label=f"s = {position:.2g}")
    axes.legend(fontsize=7.5, frameon=False, ncols=2, handlelength=1.0, columnspacing=0.7)


def _density(axes: Axes, ds: xr.Dataset, name: str) -> None:
    axes.axhline(0.0, color="0.4", linewidth=0.8, linestyle="--")  # below it the series has lost positivity
    _line(axes, ds, name)


def _log(axes: Axes, ds: xr.Dataset, name: str) -> None:
    """The size on a logarithmic axis, with the limit of a defect; zeros, which have no logarithm, are left out."""
    size = np.abs(ds[name].values)
    values = np.where(size > 0, size, np.nan)
    axes.plot(ds["time"], values, **_stroke(ds))
    if not np.isfinite(values).any():
        return
    if (limit := limit_of(ds, name)) is not None:
        axes.axhline(limit, color=style.LOST, linewidth=1.0, linestyle=":")
    logarithmic(axes)


def logarithmic(axes: Axes) -> None:
    """A logarithmic axis of what is drawn, down to ``FLOOR``."""
    axes.set_yscale("log")
    axes.set_ylim(bottom=max(axes.get_ylim()[0], FLOOR))


def _stroke(ds: xr.Dataset) -> dict[str, Any]:
    few = ds.sizes["time"] <= 30
    return {"color": style.COLOURS[0], "linewidth": 1.8, "marker": "o" if few else None, "markersize": 3}


_PAINTERS: dict[str, Callable[[Axes, xr.Dataset, str], None]] = {
    "line": _line,
    "log": _log,
    "vector": _vector,
    "density": _density,
    "positions": _positions,
}
"""By the kind of a panel."""
