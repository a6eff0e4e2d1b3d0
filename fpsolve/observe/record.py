"""From the states of a run to an xarray Dataset."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.defects import attention_floor
from fpsolve.measures.base import Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.expansion import Expansion
from fpsolve.models.base import Model
from fpsolve.observe import quantities
from fpsolve.observe.free_energy import ENERGIES, energy_variables
from fpsolve.observe.result import Result, as_result
from fpsolve.sphere.circle import CircleGrid
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.grid import Grid

LONG_NAMES = {
    "mean_vector": "mean of the measure, ∫ x dμ",
    "overlap": "squared norm of the mean, mean overlap of two tokens",
    "energy": "interaction energy, Σ_h w_h (1/2β) ∬ exp(β⟨A_h x,y⟩) dμ dμ",
    "head_energies": "interaction energy of each head, w_h (1/2β) ∬ exp(β⟨A_h x,y⟩) dμ dμ",
    "log_energy": "logarithm of the interaction energy, for every β",
    "log_head_energies": "logarithm of the size of each head's interaction energy, for every β",
    "entropy": "entropy, -∫ ρ log ρ over ρ > 0",
    "mass": "total mass",
    "moments": "moments in real orthonormal harmonics with the Condon-Shortley phase, (1, 1) and (1, -1) ~ -x, -y",
    "min_density": "least density on the grid",
    "tail": "share of the power above 0.9 lmax",
    "mass_defect": "mass of a log density less one",
    "drift_error": "standard error of the drift, root mean square norm, from the weights sampled for its mean",
    "attention_floor": "estimated change of C_l/C_0, or of F, by what lies below the accuracy of the density",
    "noise_tail": "share of k'(1), the slope of the noise's covariance, in its degrees above 0.9 noise_lmax",
    "noise_level": "∫ E|m|² dμ, attention's output m before the value matrix: strength of the noise over σ_V²",
    "density": "density with respect to surface measure",
    "points": "positions of the points",
    "weights": "weights of the points",
}

METHODS = {
    "method": "representation of the measure at this time",
    "lmax": "truncation degree of the density at this time, NaN for a cloud",
    "filter": "strength of the density's filter at this time, 0 for none",
}
"""Coordinates that say what made each state, in runs that may change their method."""

PACKAGES = ("fpsolve", "numpy", "scipy", "shtns", "ducc0", "xarray")


@dataclass(frozen=True)
class Recorder:
    """Which observables of a state are kept.

    beta, interaction: inverse temperature, where the model has one, and (w_h, A_h) of the energy's heads. methods:
    whether ``METHODS`` are kept. grid: that on which all densities are saved, by default their own. model: whose drift
    may have a sampling error, whose noise may outgrow its degrees, and whose far attention the density is to know.
    """

    beta: float | None
    moments_lmax: int
    save_density: bool
    save_points: bool
    interaction: Sequence[tuple[float, Any]] = ((1.0, 1.0),)
    methods: bool = False
    grid: Any = None
    model: Model | None = None

    def __call__(self, measure: Measure) -> dict[str, Any]:
        """The observables of one state; those that it does not have are absent."""
        energies = energy_variables(measure, self.beta, self.interaction)
        scalars: dict[str, Callable[[], Any]] = {
            "mean_vector": lambda: measure.mean,
            "overlap": lambda: quantities.overlap(measure),
            **{name: partial(energies.get, name) for name in ENERGIES},
            "entropy": lambda: measure.entropy,
            "mass": lambda: measure.mass,
            "moments": lambda: quantities.real_moments(measure, self.moments_lmax),
            "min_density": lambda: measure.min_density,
            "tail": lambda: measure.tail,
            "mass_defect": lambda: measure.mass_defect,
            "drift_error": lambda: None if self.model is None else self.model.sampling_error(measure.source),
            "noise_tail": lambda: None if self.model is None else self.model.noise_tail(measure.source),
            "noise_level": lambda: None if self.model is None else self.model.noise_level(measure.source),
            "attention_floor": lambda: None if self.model is None else attention_floor(measure, self.model),
            "density": lambda: _density_values(measure, self.grid) if self.save_density else None,
            "points": lambda: measure.x if self.save_points and isinstance(measure, Cloud) else None,
        }
        values = {name: value() for name, value in scalars.items()}
        if self.methods:
            values |= {"method": measure.name, "lmax": float(getattr(measure, "lmax", np.nan))}
            values |= {"filter": getattr(measure, "filter", None) or 0.0}
        return {name: value for name, value in values.items() if value is not None}


def dataset(
    times: list[float],
    records: list[dict[str, Any]],
    first: Measure,
    config: dict[str, Any],
    last: Measure | None = None,
) -> Result:
    """The records of a run as a CF-style Dataset, with its configuration and the versions inside.

    The points' weights are those of ``last`` where ``first`` has no points.
    """
    dims = {
        "mean_vector": ("component",),
        "moments": ("harmonic",),
        "head_energies": ("head",),
        "log_head_energies": ("head",),
        "density": _density_dims(first),
        "points": ("point", "component"),
    }
    ds = xr.Dataset(coords={"time": ("time", np.array(times), {"long_name": "time of the Itô equation", "units": "1"})})
    for name, values in _columns(records).items():
        if name in METHODS:
            ds = ds.assign_coords({name: ("time", values, {"long_name": METHODS[name]})})
            continue
        units = {3: "sr-1", 2: "rad-1"}.get(first.dimension, "1") if name == "density" else "1"
        ds[name] = (("time", *dims.get(name, ())), values, {"long_name": LONG_NAMES[name], "units": units})
    ds = ds.assign_coords(component=_component_names(first.dimension))
    ds = _with_degrees(ds, first.dimension) if "moments" in ds else ds
    if "density" in ds and not isinstance(first, Cloud):
        assert isinstance(first, Expansion)
        ds = _with_latitudes(ds, first.grid) if first.dimension == 3 else _with_angles(ds, first.grid)
    if "points" in ds:
        cloud: Any = first if isinstance(first, Cloud) else last
        ds["weights"] = (("point",), cloud.weights.copy(), {"long_name": LONG_NAMES["weights"], "units": "1"})
    return as_result(ds).assign_attrs(
        Conventions="CF-1.11",
        title=f"fpsolve: {config['model']['name']}, {config['solve']['measure']}, {config['solve']['scheme']}",
        fpsolve_config=json.dumps(config),
        fpsolve_versions=json.dumps(versions()),
    )


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


def _component_names(d: int) -> list[str]:
    return ["x", "y", "z"][:d] if d <= 3 else [str(a) for a in range(d)]


def _density_dims(measure: Measure) -> tuple[str, ...]:
    if isinstance(measure, Cloud):
        return ("point",)
    return ("lat", "lon") if measure.dimension == 3 else ("angle",)


def _density_values(measure: Measure, grid: Any) -> Any:
    """ρ on the grid as (lat, lon), whatever the layout, or (angle); at the points of a quadrature cloud.

    A cloud that took over from a density has none on that density's ``grid``.
    """
    if isinstance(measure, Cloud):
        return None if measure.log_density is None or grid is not None else np.exp(measure.log_density)
    if not isinstance(measure, Expansion):
        return None
    grid = measure.grid if grid is None else grid
    values = measure.values if grid.lmax == measure.lmax else measure.density_at(grid.x)
    if measure.dimension == 2:
        return values
    return values if values.shape == (grid.nlat, grid.nphi) else values.T.copy()


def _with_degrees(ds: xr.Dataset, d: int) -> xr.Dataset:
    count = ds.sizes["harmonic"]
    degrees, orders = geometry(d).real_degrees_orders(int(np.sqrt(count)) - 1 if d == 3 else count // 2)
    return ds.assign_coords(
        degree=("harmonic", degrees.copy(), {"long_name": "degree ℓ"}),
        order=("harmonic", orders.copy(), {"long_name": "order m; m < 0 for the sine parts"}),
    )


def _with_angles(ds: xr.Dataset, circle: CircleGrid) -> xr.Dataset:
    return ds.assign_coords(angle=("angle", np.rad2deg(circle.angle), {"units": "degrees", "long_name": "angle θ"}))


def _with_latitudes(ds: xr.Dataset, sphere: Grid) -> xr.Dataset:
    latitudes = np.rad2deg(np.arcsin(np.unique(sphere.cos_theta)[::-1]))
    longitudes = 360.0 * np.arange(sphere.nphi) / sphere.nphi
    return ds.assign_coords(
        lat=("lat", latitudes, {"units": "degrees_north", "standard_name": "latitude"}),
        lon=("lon", longitudes, {"units": "degrees_east", "standard_name": "longitude"}),
    )
