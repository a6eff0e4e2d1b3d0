"""Times that a result keeps of its resolution: from when on something was seen of it, or done about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Note:
    """An attribute of a result, a variable of an ensemble: the first time at which something is so.

    long_name: what it means, for files. summary: what ``fpsolve run`` says, with ``{time}`` and the highest degree
    ``{lmax}``. label: what stands at that time in curves. begins: ``(before, state, lmax)`` whether it is so from this
    state on, where ``before`` is the state one step earlier, None at the start, and lmax the degree that was asked for;
    None for what the run finds in another way. warning: what is warned of then, with ``{time}``.
    """

    name: str
    long_name: str
    summary: str = ""
    label: str = ""
    begins: Callable[[Any, Any, int | None], bool] | None = None
    warning: str = ""


def sentences(ds: xr.Dataset) -> list[str]:
    """What a result of one run says of its resolution, in the order of ``NOTES``."""
    degrees = ds["lmax"].values if "lmax" in ds.coords else np.array([np.nan])
    lmax = np.max(degrees, where=np.isfinite(degrees), initial=-np.inf)
    return [note.summary.format(time=ds.attrs[name], lmax=lmax) for name, note in NOTES.items() if name in ds.attrs]


def _is_refined(before: Any, state: Any, lmax: int | None) -> bool:
    higher = lmax is not None and getattr(state, "lmax", lmax) > lmax
    return higher or (before is not None and getattr(state, "rtol", 0.0) < getattr(before, "rtol", 0.0))


def _is_filtered(before: Any, state: Any, lmax: int | None) -> bool:
    return before is not None and getattr(state, "filter", None) not in (None, getattr(before, "filter", None))


UNRESOLVED = Note(
    "unresolved_from",
    "time from which the density is under-resolved, NaN for never",
    "under-resolved from t = {time:g} on",
    "under-resolved",
)
ATTENTION = Note(
    "attention_unresolved_from",
    "time from which far attention outgrows the density, NaN for never",
    "far attention under-resolved from t = {time:g} on",
    "attention under-resolved",
)
CLOUD = Note(
    "cloud_unresolved_from",
    "time from which the quadrature of the cloud is off by more than 1e-3 in low moments, NaN for never",
    "the cloud's quadrature is off by more than 1e-3 from t = {time:g} on",
    "cloud under-resolved",
)
REFINED = Note(
    "refined_from",
    "time from which the density has a higher degree, NaN for never",
    "refined from t = {time:g} on, to lmax = {lmax:g}",
    "refined",
    _is_refined,
)
FILTERED = Note(
    "filtered_from",
    "time from which the density is filtered, NaN for never",
    "filtered from t = {time:g} on",
    "filtered",
    _is_filtered,
    "the density is filtered from t = {time:.6g} on: details are no longer resolved",
)
HANDED_OVER = Note(
    "handed_over_at",
    "time from which a cloud carries the measure, NaN for never",
    "carried by a cloud from t = {time:g} on",
    "cloud",
    lambda before, state, lmax: state.points is not None if before is None else before.name != state.name,
)
STOPPED = Note(
    "stopped_at",
    "time of the last resolved state, where the member stopped, NaN for not at all",
    "stopped at t = {time:g}, before its end",
    "stopped",
)

NOTES = {one.name: one for one in (UNRESOLVED, ATTENTION, CLOUD, REFINED, FILTERED, HANDED_OVER, STOPPED)}
"""By name, in the order in which they are told; a policy of a user may have others."""
