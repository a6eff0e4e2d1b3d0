"""What a page says in words and tables: configuration to copy, what is known of the resolution, numbers, versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fpsolve.config import parse_config
from fpsolve.errors import InputError
from fpsolve.notes import HANDED_OVER, NOTES, sentences
from fpsolve.plain.toml import toml_table
from fpsolve.plot.heading import described
from fpsolve.plot.marks import limit_of
from fpsolve.plot.panels import panels, unit_of
from fpsolve.settings import SETTINGS
from fpsolve.transformer import Architecture

if TYPE_CHECKING:
    import xarray as xr

Row = tuple[str, ...]

DEFECTS = {
    "tail": "tail of the spectrum",
    "mass_defect": "|mass - 1| of the log density",
    "attention_floor": "floor of far attention",
    "cloud_error": "error of the cloud's quadrature",
}
"""Observables that say whether a run is resolved, each with a limit."""


def configuration(ds: xr.Dataset) -> tuple[str, str]:
    """The configuration of a run or an ensemble as TOML, and why it does not run as it is; empty where it does."""
    tables = described(ds)
    if not {"model", "solve"} <= tables.keys():
        return "", "The result does not say how it was made."
    lines: list[str] = []
    model = tables["model"]
    terms = model.get("models") if model.get("name") == "Sum" else None
    for term in terms or ():
        lines += toml_table("[[model]]", term)
    lines += [] if terms else toml_table("[model]", model)
    lines += toml_table("[initial]", tables["initial"]) if "initial" in tables else []
    settings = {key: one for key, one in tables["solve"].items() if key != "observe"}
    if "sweep" in tables:  # some of them an ensemble does not take, at their defaults either
        settings = {key: one for key, one in settings.items() if key not in SETTINGS or one != SETTINGS[key].default}
    lines += toml_table("[solve]", settings)
    if tables.get("sweep"):
        lines += toml_table("[sweep]", _nested(tables["sweep"]))
    if "fpsolve_members" in ds.attrs:
        lines += toml_table("[ensemble]", {"members": str(ds.attrs["fpsolve_members"])})
    return "\n".join(lines), _why_not(tables)


def _nested(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """``model.beta`` as a table ``model`` with the key ``beta``."""
    found: dict[str, Any] = {}
    for key, values in sweep.items():
        *tables, last = key.split(".")
        into = found
        for table in tables:
            into = into.setdefault(table, {})
        into[last] = values
    return found


def _why_not(tables: Mapping[str, Any]) -> str:
    """What of a configuration only Python can say: functions, arrays, measures that were given."""
    left = [f"observables {', '.join(tables['solve']['observe'])} (pass them with --observe)"] if tables["solve"].get(
        "observe") else []  # fmt: skip
    known = {key: one for key, one in tables.items() if key in ("model", "initial", "solve", "sweep")}
    if known["model"].get("name") == "Sum":
        known["model"] = known["model"]["models"]
    known["solve"] = {key: one for key, one in known["solve"].items() if key != "observe" and one is not None}
    try:
        parse_config(_without_none(known))
    except InputError as error:
        left.append(str(error))
    except (TypeError, ValueError, KeyError):  # marks of functions that no signature takes
        left.append("a function or an array that was given in Python")
    return f"It does not run as it is: {'; '.join(left)}." if left else ""


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    return [_without_none(one) for one in value] if isinstance(value, list) else value


def architecture(ds: xr.Dataset) -> tuple[str, str]:
    """The architecture of a network as TOML, and nothing, or why there is none."""
    record = described(ds).get("model", {})
    try:
        return Architecture.from_dict(record).to_toml(), ""
    except (InputError, TypeError, ValueError) as error:
        return "", f"The result does not carry an architecture ({error})."


def versions(ds: xr.Dataset) -> list[Row]:
    """Packages that made the result."""
    try:
        found = json.loads(ds.attrs.get("fpsolve_versions", "{}"))
    except (TypeError, ValueError):
        return []
    return [(str(name), str(one)) for name, one in found.items()] if isinstance(found, Mapping) else []


def numbers(ds: xr.Dataset) -> list[Row]:
    """(observable, first value, last value, unit) of what has one number a time."""
    rows: list[Row] = []
    for name, panel in panels(ds).items():
        if ds[name].dims == ("time",):
            values = ds[name].values
            there = np.flatnonzero(np.isfinite(values))
            ends = ("none", "none") if not len(there) else (f"{values[there[0]]:.6g}", f"{values[there[-1]]:.6g}")
            rows.append((panel.title, *ends, unit_of(ds[name])))
    return rows


def resolution(ds: xr.Dataset) -> tuple[str, list[Row], bool | None]:
    """Whether a run is resolved in a sentence, (defect, largest, limit) of each, whether it is (None: unknown)."""
    rows: list[Row] = []
    over = []
    for name, about in DEFECTS.items():
        limit = limit_of(ds, name)
        if name in ds and limit is not None and np.isfinite(ds[name].values).any():
            worst = float(np.nanmax(np.abs(ds[name].values)))
            rows.append((about, f"{worst:.2g}", f"{limit:.0e}"))
            over += [about] * (worst > limit)
    remarks = sentences(ds)
    handed_over = HANDED_OVER.summary.format(time=ds.attrs[HANDED_OVER.name]) if HANDED_OVER.name in ds.attrs else ""
    negative = "min_density" in ds and float(ds["min_density"].min()) < 0
    if negative:
        remarks.append(f"the density is negative somewhere (least: {float(ds['min_density'].min()):.2g})")
    if over or remarks not in ([], [handed_over]):
        return "; ".join(remarks or [f"{one} exceeds its limit" for one in over]).capitalize() + ".", rows, False
    if not rows:
        return "Points have no tail: compare with more of them, or with a density, to know.", rows, None
    told = "At every saved time all that tells of the resolution is below its limit"
    return f"{told}; {handed_over}." if remarks else f"{told}.", rows, True


def resolution_of_members(ds: xr.Dataset) -> tuple[str, list[Row], bool | None]:
    """How many members are done, failed, under-resolved; (what, how many, first time) of each note."""
    rows: list[Row] = []
    if "status" not in ds:
        return "Statistics alone: the ensemble itself knows which of its members are resolved.", rows, None
    meanings: Sequence[str] = str(ds["status"].attrs.get("flag_meanings", "")).split()
    codes = ds["status"].values.ravel()
    counts = {meaning: int((codes == code).sum()) for code, meaning in enumerate(meanings)}
    for name, note in NOTES.items():
        if name in ds and np.isfinite(ds[name].values).any():
            rows.append((note.label, f"{int(np.isfinite(ds[name].values).sum())} members", f"{np.nanmin(ds[name]):g}"))
    remarks = ", ".join(f"{count} {meaning}" for meaning, count in counts.items() if count)
    right = counts.get("done", 0) == codes.size
    return f"Of {codes.size} members: {remarks}.", rows, right
