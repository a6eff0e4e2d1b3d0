"""From the states of a run to an xarray Dataset."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.observe.axial import with_axis
from fpsolve.observe.member_run import component_names, run_attributes
from fpsolve.observe.observable import Context, Observable, Panel
from fpsolve.observe.observables import OBSERVABLES
from fpsolve.observe.result import Result, as_result
from fpsolve.schemes.counting import Tally
from fpsolve.sphere.circle import CircleGrid
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.grid import Grid

QUADRATURE = "weight of a point of the density's grid, Σ w ρ = ∫ ρ"

PACKAGES = ("fpsolve", "numpy", "scipy", "shtns", "ducc0", "xarray")


@dataclass(frozen=True)
class Recorder:
    """Which observables of a state are kept.

    beta, interaction: inverse temperature, where the model has one, and (w_h, A_h) of the energy's heads. methods:
    whether the coordinates are kept that say what made each state. grid: that on which all densities are saved, by
    default their own. model: whose drift may have a sampling error, whose noise may outgrow its degrees, and whose far
    attention the density is to know. own: a user's observables.
    """

    beta: float | None
    moments_lmax: int
    save_density: bool
    save_points: bool
    interaction: Sequence[tuple[float, Any]] = ((1.0, 1.0),)
    methods: bool = False
    grid: Any = None
    model: Model | None = None
    own: Mapping[str, Observable] = field(default_factory=dict)
    tally: Tally | None = None

    def __call__(self, measure: Measure) -> dict[str, Any]:
        """The observables of one state; those that it does not have are absent."""
        context = Context(self, measure)
        every_time = (one for one in (*OBSERVABLES.values(), *self.own.values()) if not one.once)
        values = {one.name: one.of(measure, context) for one in every_time}
        return {name: value for name, value in values.items() if value is not None}


def dataset(
    times: list[float],
    records: list[dict[str, Any]],
    first: Measure,
    config: dict[str, Any],
    last: Measure | None = None,
    own: Mapping[str, Observable] | None = None,
) -> Result:
    """The records of a run as a CF-style Dataset, with its configuration and the versions inside.

    The points' weights are those of ``last`` where ``first`` has no points. own: the observables of a user.
    """
    table = OBSERVABLES | dict(own or {})
    ds = xr.Dataset(coords={"time": ("time", np.array(times), {"long_name": "time of the Itô equation", "units": "1"})})
    for name, values in _columns(records).items():
        dims, values, about = table[name].variable(first, values)
        if isinstance(panel := table[name].panel, Panel) and name not in OBSERVABLES:
            about |= {"panel": panel.title, "panel_kind": panel.kind}
        one = {name: (dims, values, about)}
        ds = ds.assign_coords(one) if table[name].coordinate else ds.assign(one)
    ds = with_axis(ds, first) if first.is_axial else _with_components(ds, first)
    if "position" in ds.dims:
        about = {"long_name": "position in the sequence", "units": "1"}
        ds = ds.assign_coords(position=("position", first.positions, about))
    if "points" in ds or "heights" in ds:
        points: Any = last if first.points is None else first
        ds["weights"] = OBSERVABLES["weights"].variable(points, points.masses.copy())
    return as_result(ds).assign_attrs(run_attributes(config, json.dumps(versions())))


def _columns(records: list[dict[str, Any]]) -> dict[str, Any]:
    """One array for each observable, NaN where a state does not have it."""
    like = {name: record[name] for record in reversed(records) for name in record}
    names = [*records[0], *(name for name in like if name not in records[0])]
    blank = {name: np.full(np.shape(like[name]), np.nan) for name in names if any(name not in r for r in records)}
    return {name: np.stack([record[name] if name in record else blank[name] for record in records]) for name in names}


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def _with_components(ds: xr.Dataset, first: Measure) -> xr.Dataset:
    """With the coordinates of vectors, moments and grids."""
    ds = ds.assign_coords(component=component_names(first.dimension))
    ds = _with_degrees(ds, first.dimension) if "moments" in ds else ds
    if "density" in ds and first.points is None:
        ds = _with_latitudes(ds, first.sites) if first.dimension == 3 else _with_angles(ds, first.sites)
    return ds


def _with_degrees(ds: xr.Dataset, d: int) -> xr.Dataset:
    count = ds.sizes["harmonic"]
    degrees, orders = geometry(d).real_degrees_orders(int(np.sqrt(count)) - 1 if d == 3 else count // 2)
    return ds.assign_coords(
        degree=("harmonic", degrees.copy(), {"long_name": "degree ℓ"}),
        order=("harmonic", orders.copy(), {"long_name": "order m; m < 0 for the sine parts"}),
    )


def _with_angles(ds: xr.Dataset, circle: CircleGrid) -> xr.Dataset:
    return ds.assign_coords(
        angle=("angle", np.rad2deg(circle.angle), {"units": "degrees", "long_name": "angle θ"}),
        quadrature=("angle", circle.weights.copy(), {"long_name": QUADRATURE, "units": "rad"}),
    )


def _with_latitudes(ds: xr.Dataset, sphere: Grid) -> xr.Dataset:
    heights, places = np.unique(sphere.cos_theta, return_index=True)
    latitudes, weights = np.rad2deg(np.arcsin(heights[::-1])), sphere.weights.ravel()[places[::-1]]
    longitudes = 360.0 * np.arange(sphere.nphi) / sphere.nphi
    return ds.assign_coords(
        quadrature=("lat", weights, {"long_name": QUADRATURE, "units": "sr"}),
        lat=("lat", latitudes, {"units": "degrees_north", "standard_name": "latitude"}),
        lon=("lon", longitudes, {"units": "degrees_east", "standard_name": "longitude"}),
    )
