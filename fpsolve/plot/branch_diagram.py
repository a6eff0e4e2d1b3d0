"""Branch diagrams of stationary states: a quantity against the parameter, stable parts solid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from textwrap import fill
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import xarray as xr
from matplotlib.lines import Line2D

from fpsolve.errors import InputError
from fpsolve.plain.arguments import checked_arguments
from fpsolve.plot import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = {"fold": "s", "branch point": "o", "Hopf point": "^"}
"""How events are marked."""

WIDTH = 40
"""Letters on one line of the label at the side."""


@overload
def branches(
    datasets: xr.Dataset | Sequence[xr.Dataset], quantity: str = ..., labels: Sequence[str] | None = ...
) -> Figure: ...
@overload
def branches(
    datasets: xr.Dataset | Sequence[xr.Dataset], quantity: str = ..., labels: Sequence[str] | None = ..., *, ax: Axes
) -> Axes: ...
@checked_arguments
def branches(
    datasets: xr.Dataset | Sequence[xr.Dataset],
    quantity: str = "order_parameter",
    labels: Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
) -> Figure | Axes:
    """``quantity`` (a variable by ``point``) of branches of ``fp.stationary.continuation`` by their parameter.

    Stable parts are solid, unstable ones dashed, all solid where no eigenvalues were computed; squares are folds,
    circles branch points, triangles Hopf points. A branch is drawn from the branch point that it came from, if known.
    ``ax``: where to draw; it is returned then, otherwise a new figure.
    Raises InputError for results that are no branches, branches in different parameters, or a quantity that they do
    not have.
    """
    given = [datasets] if isinstance(datasets, xr.Dataset) else list(datasets)
    names = [None] * len(given) if labels is None else list(labels)
    if len(names) != len(given):
        raise InputError("labels", labels, f"{len(given)} branches are given", "pass one label for each")
    parameter = _parameter(given, quantity)
    figure, axes = style.place(ax, 6.0, 4.0)
    for index, (ds, name) in enumerate(zip(given, names, strict=True)):
        _draw(axes, ds, parameter, quantity, style.COLOURS[index % len(style.COLOURS)], name)
    axes.set_xlabel(given[0][parameter].attrs.get("long_name", parameter))
    axes.set_ylabel(fill(given[0][quantity].attrs.get("long_name", quantity), WIDTH))
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    kinds = dict.fromkeys(str(kind) for ds in given for kind in ds["event"].values)
    signs = [Line2D([], [], color="0.3", marker=MARKERS[k], mfc="white", linestyle="", label=k) for k in kinds]
    known = any("unstable" in ds for ds in given)
    if known:
        signs += [Line2D([], [], color="0.3", linestyle="-", label="stable")]
        signs += [Line2D([], [], color="0.3", linestyle="--", label="unstable")]
    named, _ = axes.get_legend_handles_labels()
    if named or signs:
        legend: dict[str, Any] = {"handles": [*named, *signs], "fontsize": 9, "frameon": False}
        if ax is None:
            figure.legend(loc="outside lower center", ncols=4, **legend)
        else:
            axes.legend(**legend)
    return figure if ax is None else axes


def _parameter(given: Sequence[xr.Dataset], quantity: str) -> str:
    """The parameter that all the branches share."""
    parameters = {str(ds.attrs.get("parameter")) for ds in given}
    if len(parameters) != 1 or parameters == {"None"}:
        remedy = "use fp.stationary.continuation"
        raise InputError("datasets", sorted(parameters), "not branches in one parameter", remedy)
    for ds in given:
        if quantity not in ds or ds[quantity].dims != ("point",):
            known = sorted(str(name) for name in ds.data_vars if ds[name].dims == ("point",))
            raise InputError("quantity", quantity, "not a variable of these branches", f"use one of {', '.join(known)}")
    return parameters.pop()


def _draw(axes: Axes, ds: xr.Dataset, parameter: str, quantity: str, colour: str, label: str | None) -> None:
    """Segment by segment; a segment is stable when both of its ends are."""
    unstable = ds["unstable"].values if "unstable" in ds else np.zeros(ds.sizes["point"], int)
    after = ds["event_after"].values
    neutral = np.minimum(unstable[np.maximum(after, 0)], unstable[after + 1])
    order = np.argsort(np.concatenate([ds["arclength"].values, ds["event_arclength"].values]))
    joined = [np.concatenate([ds[name].values, ds[f"event_{name}"].values])[order] for name in (parameter, quantity)]
    x, y = joined
    stable = np.concatenate([unstable, neutral])[order] == 0
    solid = stable[:-1] & stable[1:]
    for start, stop in _runs(solid):
        dashes = "-" if solid[start] else "--"
        axes.plot(x[start : stop + 1], y[start : stop + 1], dashes, color=colour, linewidth=1.8, label=label)
        label = None  # once in the legend
    events = (ds[name].values for name in ("event", f"event_{parameter}", f"event_{quantity}"))
    for kind, at, height in zip(*events, strict=True):
        axes.plot(at, height, MARKERS[str(kind)], color=colour, markerfacecolor="white", markersize=5)


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Ranges [start, stop) of equal flags."""
    cuts = [0, *(np.flatnonzero(np.diff(flags)) + 1).tolist(), len(flags)]
    return [(a, b) for a, b in pairwise(cuts) if b > a]
