"""What a result says of its own resolution, as pictures show it: labels at times, limits of defects, notes on maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fpsolve.defects import ATTENTION_UNRESOLVED, CLOUD_UNRESOLVED
from fpsolve.measures import MEASURES, Density
from fpsolve.measures.log_density import mass_limit
from fpsolve.notes import ATTENTION, CLOUD, NOTES, UNRESOLVED
from fpsolve.plot.heading import described

if TYPE_CHECKING:
    import xarray as xr

LOST = (UNRESOLVED, ATTENTION, CLOUD)
"""What makes a map one of something that is no longer resolved."""


def marks(ds: xr.Dataset) -> dict[float, list[str]]:
    """The labels of each time that has some, attributes of a run or variables of a member."""
    labels: dict[float, list[str]] = {}
    for name, note in NOTES.items():
        if np.isfinite(time := _time_of(ds, name)):
            labels.setdefault(time, []).append(note.label)
    return labels


def lost_at(ds: xr.Dataset, time: float) -> str:
    """What was no longer resolved at ``time``, as a note for a map; empty where all was."""
    return ", ".join(note.label for note in LOST if time >= _time_of(ds, note.name))


def limit_of(ds: xr.Dataset, name: str) -> float | None:
    """From which value on the variable ``name`` counts as a defect; None for others."""
    solve = described(ds).get("solve", {})
    if name == "tail":
        return MEASURES.get(str(solve.get("measure")), Density).tail_limit
    if name == "mass_defect":
        return mass_limit(float(solve.get("rtol", 0.0)))
    return {"attention_floor": ATTENTION_UNRESOLVED, "cloud_error": CLOUD_UNRESOLVED}.get(name)


def _time_of(ds: xr.Dataset, name: str) -> float:
    """The time of a mark; NaN, with which no time compares, where there is none."""
    return float(ds[name] if name in ds and ds[name].ndim == 0 else ds.attrs.get(name, np.nan))
