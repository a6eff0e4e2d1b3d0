"""What stands above a picture: the model, how it was solved, and which path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

MODEL_KEYS = ("beta", "key_query", "heads", "activation")
"""Of a model's parameters those that tell two pictures apart at a glance, where they are a number or a word."""


def described(ds: xr.Dataset) -> dict[str, Any]:
    """The configuration that a result carries; empty where it carries none, or something else under that name."""
    try:
        config = json.loads(ds.attrs.get("fpsolve_config", "{}"))
    except (TypeError, ValueError):
        return {}
    tables = config.items() if isinstance(config, Mapping) else ()
    return {str(name): dict(table) for name, table in tables if isinstance(table, Mapping)}


def heading(ds: xr.Dataset) -> str:
    """``Homogenized, β = 3, gaussian · log_density, lmax = 63 · seed 1``; the title of what has no configuration."""
    config = described(ds)
    model, solve = config.get("model", {}), config.get("solve", {})
    if "name" not in model or "measure" not in solve:
        return str(ds.attrs.get("title", ""))
    swept = {str(name).split(".")[-1] for name in ds.coords if ds[name].ndim == 0} | {str(name) for name in ds.dims}
    terms = [term for term in model.get("models", ()) if isinstance(term, Mapping)] or [model]
    kinds = [_named(term, swept if len(terms) == 1 else swept - set(MODEL_KEYS)) for term in terms]
    how = [str(solve["measure"]), *([f"lmax = {solve['lmax']}"] if "lmax" in solve and "lmax" not in swept else [])]
    path = [f"seed {solve['seed']}"] if "seed" in solve else []
    path += [f"member {solve['member']}"] if solve.get("member") else []
    own = [f"{name} = {ds[name].item():g}" for name in ds.coords if ds[name].ndim == 0 and ds[name].dtype.kind in "if"]
    parts = [" + ".join(kinds), *(", ".join(filter(None, part)) for part in (how, path + own))]
    return " · ".join(filter(None, parts))


def _named(model: Mapping[str, Any], swept: set[str]) -> str:
    """``Homogenized, β = 3, gaussian``, without what is swept."""
    problem = [_told(key, model.get(key)) for key in MODEL_KEYS if key not in swept]
    return ", ".join(filter(None, [str(model.get("name")), *problem]))


def _told(key: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{'β' if key == 'beta' else key} = {value:g}" if number else ""
