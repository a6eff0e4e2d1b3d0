"""One member at one point of a sweep as a run of its own: its configuration, from what a slice of the store says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.ensemble.sweep import NOT_SWEPT, Axis, Sweep
from fpsolve.ensemble.variables import OWN
from fpsolve.errors import InputError
from fpsolve.settings import SETTINGS

SWEPT = "swept parameter "
"""How the long name of a sweep's coordinate begins; the key of the parameter follows."""

LABELS = "fpsolve_labels"
"""The attribute of such a coordinate with all its values, where they are texts."""

POINTS = "fpsolve_points"
"""The attribute of a store with those arguments of ``solve`` that points have for themselves."""


def axis_attributes(axis: Axis) -> dict[str, str]:
    """The attributes of a swept coordinate: which parameter it is of, and by what a text among them is found again."""
    labels = axis.labels
    texts = {LABELS: json.dumps(labels.tolist(), ensure_ascii=False)} if labels.dtype.kind == "U" else {}
    return {"long_name": f"{SWEPT}{axis.key}", **texts}


def point_attributes(sweep: Sweep, config: Mapping[str, Any], solved: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """In what the points' arguments of ``solve`` differ from the store's: schemes and degrees that follow a model.

    With the model's parameters that were left to the run (``auto``) under ``model``. solved: the configurations of the
    points' runs. Nothing where they are the store's.
    """
    common, found = config["solve"], {}
    for point, own in zip(sweep.points(), solved, strict=True):
        plain = json.loads(json.dumps({key: own[key] for key in ("model", "solve")}, default=str))
        differing = {key: plain["solve"][key] for key in common if plain["solve"][key] != common[key]}
        resolved = {key: value for key, value in plain["model"].items() if config["model"].get(key) == "auto" != value}
        differing |= {"model": resolved} if resolved else {}
        if differing:
            found[_name({axis.key: n for axis, n in zip(sweep.axes, point.index, strict=True)})] = differing
    return {POINTS: json.dumps(found)} if found else {}


def run_config(ds: xr.Dataset, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a slice of a store as that of the run which it is; any other is returned as it is.

    Member and swept values are those of the slice's coordinates, scalar or of length one. Raises InputError where it
    holds several runs, does not say which one it is, or that one has failed.
    """
    if not {"sweep", "initial_state"} <= config.keys():
        return dict(config)
    _check_status(ds)
    made: dict[str, Any] = json.loads(json.dumps({key: config[key] for key in ("model", "initial", "solve")}))
    where = {key: _position(ds, key, values) for key, values in config["sweep"].items()}
    for key in sorted(where, key=lambda key: key != "initial"):  # a swept law comes before its parameters
        _put(made, key, config["sweep"][key][where[key]])
    own = json.loads(str(ds.attrs.get(POINTS, "{}"))).get(_name(where), {})
    made["model"] |= {key: value for key, value in own.pop("model", {}).items() if made["model"].get(key) == "auto"}
    made["solve"] |= {**own, "member": int(_only(ds, "member", "member"))}
    return made


def _check_status(ds: xr.Dataset) -> None:
    status = ds["status"].values.ravel() if "status" in ds else np.empty(0)
    meaning = OWN["status"]["flag_meanings"].split()[int(status[0])] if len(status) == 1 else ""
    if meaning in ("pending", "failed"):
        cause = f": {ds['cause'].values.ravel()[0]}" if "cause" in ds and meaning == "failed" else ""
        raise InputError("solution", meaning, f"this member has no values{cause}", "choose another member")


def _position(ds: xr.Dataset, key: str, values: Sequence[Any]) -> int:
    """Which of the swept values the slice has."""
    told = (str(name) for name, one in ds.coords.items() if one.attrs.get("long_name") == f"{SWEPT}{key}")
    name = next(told, key.rpartition(".")[2])
    value = _only(ds, name, key)
    labels = json.loads(str(ds[name].attrs.get(LABELS, "null"))) or list(values)
    if value not in labels:
        raise InputError("solution", value, f"not a value of {key} in this sweep", f"choose one of {labels}")
    return int(labels.index(value))


def _only(ds: xr.Dataset, name: str, key: str) -> Any:
    """The one value of a coordinate. Raises InputError where it is missing, or one of several."""
    if name not in ds.coords:
        told = f"it does not say its {key}: the coordinate {name} is missing"
        raise InputError("solution", type(ds).__name__, told, "select a run without drop=True")
    values = ds[name].values.ravel()
    if len(values) != 1:
        told = f"holds several runs, {len(values)} of {name}"
        raise InputError("solution", dict(ds.sizes), told, f"choose one, solution.isel({name}=0) for example")
    return values[0].item()


def _put(config: dict[str, Any], key: str, value: Any) -> None:
    """Set a swept parameter where :func:`fpsolve.ensemble.sweep.make_sweep` puts it."""
    table, _, parameter = key.rpartition(".")
    if key == "initial":
        config["initial"] = value
    elif table:
        config[table][parameter] = value
    elif key in SETTINGS and key not in NOT_SWEPT:
        config["solve"][key] = value
    else:
        for one in (config["model"], config["initial"] or {}):
            if key in one:
                one[key] = value


def _name(where: Mapping[str, int]) -> str:
    """``beta=0,kappa=2``: a point by its parameters' positions, in an order of their own."""
    return ",".join(f"{key}={n}" for key, n in sorted(where.items()))
