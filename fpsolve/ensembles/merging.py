"""The shapes of a sweep's runs as one: the largest sizes, every variable, coordinates and constants that fit all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.ensembles.sweep import Sweep
from fpsolve.ensembles.variables import TEXT_LENGTH, Variable, padded_stack
from fpsolve.errors import InputError


def of_members(ds: xr.Dataset) -> xr.Dataset:
    """A run with the coordinates that belong to its saved states (``method``, …) among the variables."""
    return ds.reset_coords([name for name, one in ds.coords.items() if "time" in one.dims and name != "time"])


def largest_sizes(runs: Sequence[xr.Dataset], sweep: Sweep) -> dict[str, int]:
    """The largest size of every dimension. Raises InputError where times or grids differ."""
    for run, point in zip(runs, sweep.points(), strict=True):
        for name in ("time", "lat", "lon", "angle"):
            one, other = ((r.attrs["times"] if name == "time" else r.coords.get(name)) for r in (runs[0], run))
            if one is not None and other is not None and not np.array_equal(one, other):
                remedy = "set save_every" if name == "time" else "leave save_density or the sweep of lmax out"
                problem = f"{name} differs between points of the sweep"
                raise InputError("sweep", sweep.describe(point.index), problem, remedy)
    names = dict.fromkeys(str(name) for run in runs for name in run.sizes)
    sizes = {name: max(run.sizes.get(name, 0) for run in runs) for name in names}
    return {**sizes, "time": len(runs[0].attrs["times"])}


def merged_variables(runs: Sequence[xr.Dataset], sizes: Mapping[str, int]) -> dict[str, Variable]:
    """Every variable of any run, of these sizes. Raises InputError for one that has other dimensions elsewhere."""
    found: dict[str, Variable] = {}
    for run in runs:
        for key, one in run.data_vars.items():
            dims = tuple(map(str, one.dims))
            shape = tuple(sizes[name] for name in dims)
            dtype = f"<U{TEXT_LENGTH}" if one.dtype.kind == "U" else "float64"
            known = found.setdefault(str(key), Variable(dims, shape, dict(one.attrs), dtype))
            if known.dims != dims:
                problem = f"{key} has dimensions {known.dims} at one point of the sweep and {dims} at another"
                raise InputError("sweep", str(key), problem, "sweep d and the measure in ensembles of their own")
    return found


def merged_coordinates(runs: Sequence[xr.Dataset], sweep: Sweep) -> dict[str, Any]:
    """Coordinates of the largest run; where a smaller one is not its beginning, one for every point, or numbers."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(str(key) for run in runs for key in run.coords):
        having = [run.coords[name] for run in runs if name in run.coords]
        longest = max(having, key=lambda one: one.size)
        dims, attrs = tuple(map(str, longest.dims)), dict(longest.attrs)
        if name == "time":
            found[name] = (dims, np.array(runs[0].attrs["times"]), attrs)
        elif all(np.array_equal(one.values, longest.values[: one.size]) for one in having):
            found[name] = (dims, longest.values, attrs)
        elif dims == (name,):  # x, y, z against 0, 1, 2, 3
            found[name] = (dims, np.array([str(n) for n in range(longest.size)]), attrs)
        else:
            values = [run.coords[name].values if name in run.coords else np.array([]) for run in runs]
            stacked = padded_stack(values, (longest.size,)).reshape(*sweep.shape, -1)
            found[name] = ((*(axis.name for axis in sweep.axes), *dims), stacked, attrs)
    return found


def merged_constants(
    runs: Sequence[xr.Dataset], sizes: Mapping[str, int], axes: tuple[str, ...], shape: tuple[int, ...]
) -> dict[str, Any]:
    """Variables without time, such as the weights of points: the same for all members of a point."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(str(key) for run in runs for key, one in run.data_vars.items() if "time" not in one.dims):
        one = next(run[name] for run in runs if name in run)
        inner = tuple(sizes[str(dim)] for dim in one.dims)
        values = padded_stack([run[name].values if name in run else np.array([]) for run in runs], inner)
        found[name] = ((*axes, *map(str, one.dims)), values.reshape(*shape, *inner), dict(one.attrs))
    return found
