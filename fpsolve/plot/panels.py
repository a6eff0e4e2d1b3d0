"""What the panels of a result show, of runs, ensembles and networks: without matplotlib, for every kind of picture."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from fpsolve.ensembles import statistics
from fpsolve.errors import InputError
from fpsolve.observe import OBSERVABLES, Panel

if TYPE_CHECKING:
    import xarray as xr

FLOOR = 1e-20
"""Nothing below it is shown on a logarithmic axis: round-off has long made it up."""

MOST_CURVES = 8
"""More points of a sweep than this are not told apart by colour."""

LAYERS = {
    "mean_overlap": "mean overlap",
    "mean_square": "mean of |x|²/d",
    "attention_entropy": "entropy of attention, nats",
    "effective_rank": "effective rank",
}
"""Panels of a network by layer."""


def panels(ds: xr.Dataset) -> dict[str, Panel]:
    """The panels that this result can fill, in the order of the table; a user's observables after them."""
    found = {name: one.panel for name, one in OBSERVABLES.items() if isinstance(one.panel, Panel) and name in ds}
    for name, one in ds.data_vars.items():
        if "panel" in one.attrs and set(one.dims) == {"time"}:
            found[str(name)] = Panel(one.attrs["panel"], one.attrs["panel_kind"])
    return {name: panel for name, panel in found.items() if panel.stands_for not in found}


def unit_of(variable: xr.DataArray) -> str:
    """Its unit as a reader writes it, nothing for pure numbers."""
    unit = str(variable.attrs.get("units", "1"))
    return "" if unit == "1" else unit.replace("sr-1", "1/sr")


def time_axis(ds: xr.Dataset) -> str:
    """``time t``, with its unit where it has one."""
    unit = unit_of(ds["time"])
    return f"time t [{unit}]" if unit else "time t"


def points_of(ds: xr.Dataset) -> tuple[xr.Dataset, dict[str, Panel], list[str], list[xr.Dataset]]:
    """The statistics of an ensemble, panels that they fill, names of what is swept, and the points of the sweep.

    Raises :class:`~fpsolve.errors.InputError` naming ``ds`` for other Datasets, or more than ``MOST_CURVES`` points.
    """
    found = ds if "count" in ds and "member" not in ds.dims else statistics(ds)
    swept = [str(dim) for dim in found["count"].dims if dim != "time"]
    shown = {name: one for name, one in panels(found.rename(means(found))).items() if name in once(found)}
    points = list(product(*(range(found.sizes[dim]) for dim in swept)))
    if not shown:
        raise InputError("ds", sorted(map(str, ds.data_vars)), "has no observable", "pass what fp.ensemble returned")
    if len(points) > MOST_CURVES:
        remedy = f"choose points of the sweep: ds.isel({swept[0]}=slice(0, 4)), for example"
        raise InputError("ds", dict(found.sizes), f"more than {MOST_CURVES} curves hide each other", remedy)
    return found, shown, swept, [found.isel(dict(zip(swept, at, strict=True))) for at in points]


def point_label(one: xr.Dataset, swept: list[str]) -> str:
    """``beta = 4 (16 members)``, or how many of them count at the end where some no longer do."""
    parts = [f"{name} = {_value(one[name].item())}" if name in one.coords else name for name in swept]
    last, first = int(one["count"].values[-1]), int(one["count"].values[0])
    label = f"{first} members" if last == first else f"{last} of {first} members at the end"
    return f"{', '.join(parts)} ({label})" if parts else label


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def once(found: xr.Dataset) -> list[str]:
    """Observables with one number a time, and everything that a curve of them needs."""
    return [name.removesuffix("_quantiles") for name in map(str, found.data_vars) if name.endswith("_quantiles")]


def means(found: xr.Dataset) -> dict[str, str]:
    return {f"{name}_mean": name for name in once(found) if f"{name}_mean" in found and name not in found}


def over_members(variable: xr.DataArray) -> tuple[Any, Any, Any]:
    """Layers with values, mean and deviation over members."""
    values = variable.transpose("member", "layer").values
    keep = np.isfinite(values).all(0)
    spread = values.std(0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
    return variable["layer"].values[keep], values.mean(0)[keep], spread[keep]
