"""One member at one point of a sweep as the run that it is: the Dataset of ``fp.solve``, configuration and all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.errors import InputError
from fpsolve.models.noise_degree import short_from
from fpsolve.observe.harmonic_index import HARMONIC, with_harmonic_index
from fpsolve.observe.observables import OBSERVABLES

FIRST, CONFIG = "fpsolve_run", "config"
"""An ensemble's attribute with the configuration of its first point's runs, its variable with how a point's differ."""

LATER = "later"
"""Of a point what its runs have from when on a cloud took over, and not at all where none did."""

MEMBERS_OWN = ("status", "cause")
"""What became of a member; a run that is there does not need it."""

WITHOUT_VALUES = ("pending", "failed")


def run_attributes(config: Mapping[str, Any], versions: str) -> dict[str, str]:
    """The attributes of the result of a run. versions: of the packages that made it."""
    return {
        "Conventions": "CF-1.11",
        "title": f"fpsolve: {config['model']['name']}, {config['solve']['measure']}, {config['solve']['scheme']}",
        "fpsolve_config": json.dumps(config),
        "fpsolve_versions": versions,
    }


def component_names(d: int) -> list[str]:
    """The coordinate of the components of vectors."""
    return ["x", "y", "z"][:d] if d <= 3 else [str(a) for a in range(d)]


def points_apart(runs: Sequence[xr.Dataset], sizes: Mapping[str, int], notes: Sequence[str]) -> tuple[str, list[str]]:
    """The attribute ``FIRST`` and the values of ``CONFIG`` of a store of these runs, one for each point of its sweep.

    sizes: those of the store. notes: variables of members that are attributes of runs. Of a point only what differs is
    told: tables of the configuration, sizes, the variables it has not, and those that only its clouds have (the runs'
    attribute ``LATER``). The reverse is :func:`member_run`.
    """
    configs = [json.loads(run.attrs["fpsolve_config"]) for run in runs]
    names = dict.fromkeys(str(name) for run in runs for name in run.variables)
    values = []
    for run, config in zip(runs, configs, strict=True):
        own = {table: one for table, one in config.items() if one != configs[0][table]}
        smaller = {name: run.sizes[name] for name, n in sizes.items() if name != "time" and run.sizes.get(name, n) != n}
        absent = [name for name in names if name not in run.variables]
        about = {"config": own, "sizes": smaller, "without": absent, LATER: run.attrs[LATER]}
        values.append(json.dumps({key: one for key, one in about.items() if one}))
    return json.dumps({"config": configs[0], "notes": list(notes)}), values


def member_run(ds: xr.Dataset) -> xr.Dataset:
    """What ``fp.solve`` gives for the one member at the one point that a Dataset is of; any other as it is.

    Coordinates of the member and of the point stay, as do variables that the user has added.
    """
    if FIRST not in ds.attrs or CONFIG not in ds or "member" not in ds.coords or without_values(ds):
        return ds
    if any(ds[name].ndim for name in (CONFIG, "member", *MEMBERS_OWN) if name in ds):
        return ds
    first, own = json.loads(ds.attrs[FIRST]), json.loads(str(ds[CONFIG].item()))
    config = {**first["config"], **own.get("config", {})}
    config["solve"]["member"] = int(ds["member"])
    notes = {name: float(ds[name]) for name in first["notes"] if name in ds}
    attributes: dict[str, Any] = dict(run_attributes(config, ds.attrs["fpsolve_versions"]))
    attributes |= {name: time for name, time in notes.items() if np.isfinite(time)}
    ds = ds.drop_vars([CONFIG, *MEMBERS_OWN, *notes, *own.get("without", ())], errors="ignore")
    ds = _of_its_size(ds, own.get("sizes", {}), attributes.get("stopped_at"))
    if "method" in ds and (ds["method"] == config["solve"]["measure"]).all():
        ds = ds.drop_vars(own.get(LATER, ()), errors="ignore")
    ds = ds.set_coords([name for name, one in OBSERVABLES.items() if one.coordinate and name in ds])
    ds = ds.copy()
    ds.attrs = with_noise(ds, attributes)
    return ds


def with_noise(ds: xr.Dataset, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes with ``noise_short_from``, where the spectrum of the noise outgrew its degrees on the way."""
    has_tail = {"noise_tail", "time"} <= set(ds.variables)
    begun = short_from(np.atleast_1d(ds["time"].values), np.atleast_1d(ds["noise_tail"].values)) if has_tail else None
    return {**attributes, **({} if begun is None else {"noise_short_from": begun})}


def _of_its_size(ds: xr.Dataset, sizes: Mapping[str, int], stopped: float | None) -> xr.Dataset:
    """Without what fills the store up: the times after the run's end, the components and harmonics of other points."""
    cut: dict[str, Any] = {name: slice(n) for name, n in sizes.items() if name in ds.dims}
    if stopped is not None and "time" in ds.dims:
        cut["time"] = slice(int(np.searchsorted(ds["time"].values, stopped * (1 + 1e-9), "right")))
    ds = ds.isel(cut)
    if "component" in sizes and "component" in ds.coords:
        ds = ds.assign_coords(component=component_names(sizes["component"]))
    having = [name for name in HARMONIC if name in ds.coords and ds[name].dtype.kind == "f"]
    ds = ds.assign_coords({name: ds[name].astype(int) for name in having})
    return with_harmonic_index(ds)


def without_values(ds: xr.Dataset) -> str:
    """``failed`` or ``pending``, where a Dataset is of one such member; otherwise empty."""
    if "status" not in ds or ds["status"].size != 1 or "flag_meanings" not in ds["status"].attrs:
        return ""
    meaning = ds["status"].attrs["flag_meanings"].split()[int(ds["status"].values.ravel()[0])]
    return meaning if meaning in WITHOUT_VALUES else ""


def one_member(ds: xr.Dataset, argument: str) -> xr.Dataset:
    """As :func:`member_run`, also of dimensions of length one. Raises InputError for a member without values."""
    if meaning := without_values(ds):
        cause = f": {ds['cause'].values.ravel()[0]}" if meaning == "failed" and "cause" in ds else ""
        raise InputError(argument, meaning, f"this member has no values{cause}", "choose another member")
    if CONFIG not in ds or "status" not in ds:
        return ds
    single = [str(name) for name in ds["status"].dims if ds.sizes[name] == 1]
    return member_run(ds.squeeze(single))
