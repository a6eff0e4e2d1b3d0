"""Statistics over members: one pass in member order by one rank, so that their bits do not depend on the ranks.

Mean and variance are Welford's running ones, member after member. A saved time of a member counts if that is
done, or became under-resolved later; members that failed or are pending do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.ensembles.records import DONE, FAILED, UNRESOLVED
from fpsolve.ensembles.variables import LOST
from fpsolve.errors import InputError
from fpsolve.notes import STOPPED

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
QUANTILE_BYTES = 1 << 26
"""Quantiles need all members at once: saved times are taken in groups of at most this size."""
MEMBERS_AT_ONCE_BYTES = 1 << 25

MEAN_ONLY = ("density",)
"""Large variables whose variance is not kept."""


class Running:
    """Mean and sum of squared deviations of arrays that come one by one, and how many were finite at each entry."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count = np.zeros(shape, np.int64)
        self.mean = np.zeros(shape)
        self.squares = np.zeros(shape)

    def add(self, value: Any) -> None:
        """m' = m + (x - m)/n, S' = S + (x - m)(x - m'); entries that are not finite stay as they were."""
        seen = np.isfinite(value)
        self.count += seen
        off = np.where(seen, value - self.mean, 0.0)
        self.mean += off / np.maximum(self.count, 1)
        self.squares += off * np.where(seen, value - self.mean, 0.0)

    @property
    def average(self) -> Any:
        """The mean, NaN where nothing was finite."""
        return np.where(self.count > 0, self.mean, np.nan)

    @property
    def variance(self) -> Any:
        """Unbiased, NaN for fewer than two values."""
        return np.where(self.count > 1, self.squares / np.maximum(self.count - 1, 1), np.nan)

    @property
    def error(self) -> Any:
        """Standard error of the mean."""
        return np.sqrt(self.variance / np.maximum(self.count, 1))


class Trusted:
    """Which members count at which saved times: ``until[point, member]`` is the first time at which one does not."""

    def __init__(self, ds: xr.Dataset) -> None:
        self.status = ds["status"].values
        self.time = ds["time"].values
        self.until = np.where(self.status == DONE, np.inf, -np.inf)
        near = 1e-9 * float(np.abs(self.time).max(initial=0.0))
        lost = np.full(self.status.shape, np.inf)
        for name, shift in (*((one.name, -near) for one in LOST), (STOPPED.name, near)):
            if name in ds:
                lost = np.fmin(lost, ds[name].values + shift)
        self.until = np.where(self.status == UNRESOLVED, lost, self.until)

    def count(self) -> Any:
        """Members that count, (point, time)."""
        later = [len(one) - np.searchsorted(np.sort(one), self.time, "right") for one in _rows(self.until)]
        return np.array(later).reshape(*self.status.shape[:-1], -1)

    def only(self, values: Any, index: tuple[int, ...], members: slice, times: slice = slice(None)) -> Any:
        """Values (member, time, …) of some members, NaN where they do not count; those that never do are left out."""
        until = self.until[index][members]
        some = until > -np.inf
        counts, values = until[some][:, None] > self.time[times], values[some]
        if counts.all():
            return values
        return np.where(counts.reshape(*counts.shape, *(1,) * (values.ndim - 2)), values, np.nan)


def statistics(ds: xr.Dataset) -> xr.Dataset:
    """Statistics of an ensemble over its members, by point of the sweep and saved time, where they are resolved.

    ``X_mean``, ``X_variance`` (unbiased) and ``X_error`` (of the mean) of every variable X with members, of ``density``
    the mean alone; ``X_quantiles`` of those with one number a time; ``spectrum_…`` of Σ_m|ρ_ℓm|² by degree ``ell``.
    ``count``: the members at every time, those that become under-resolved only until then; ``X_count`` where some of
    them have no finite X. ``failed`` and ``underresolved``: members, at any time. Raises InputError for a Dataset
    without members.
    """
    if "member" not in ds.dims or "status" not in ds:
        raise InputError("ds", list(ds.sizes), "no ensemble: it has no members", "pass what fp.ensemble returned")
    ds = _by_name(ds)
    axes = tuple(str(name) for name in ds["status"].dims if name != "member")
    trusted = Trusted(ds)
    found = xr.Dataset(coords={name: one for name, one in ds.coords.items() if "member" not in one.dims})
    found["count"] = ((*axes, "time"), trusted.count(), {"long_name": "members that are resolved at this time"})
    for flag, key, words in ((FAILED, "failed", "failed"), (UNRESOLVED, "underresolved", "became under-resolved")):
        found[key] = (axes, (trusted.status == flag).sum(-1), {"long_name": f"members that {words}"})
    for name, one in ds.data_vars.items():
        if {"member", "time"} <= set(one.dims) and one.dtype.kind == "f":
            _of_variable(found, str(name), one, trusted, axes)
    if "moments" in ds:
        _of_spectrum(found, ds["moments"], trusted, axes, _degrees(ds, axes))
    about = {key: ds.attrs[key] for key in ds.attrs if key.startswith(("fpsolve", "Conventions"))}
    return found.assign_coords(quantile=("quantile", np.array(QUANTILES))).assign_attrs(
        about, title="fpsolve ensemble: statistics over members"
    )


def _by_name(ds: xr.Dataset) -> xr.Dataset:
    """Sweep, member and time first, as all that follows counts them, in whatever order the Dataset has its dimensions.

    What a member has once is taken once, where a table has repeated it at every time.
    """
    once = [name for name in ("status", "unresolved_from", "stopped_at") if name in ds and "time" in ds[name].dims]
    ds = ds.assign({name: ds[name].isel(time=0, drop=True) for name in once})
    axes = [name for name in ds["status"].dims if name != "member"]
    return ds.transpose(*axes, "member", "time", ..., missing_dims="ignore")


def _rows(values: Any) -> Any:
    return values.reshape(-1, values.shape[-1])


def _of_variable(found: xr.Dataset, name: str, one: xr.DataArray, trusted: Trusted, axes: tuple[str, ...]) -> None:
    shape = tuple(one.sizes[axis] for axis in axes)
    inner = tuple(str(dim) for dim in one.dims[len(axes) + 1 :])
    runs = {index: Running(one.shape[len(axes) + 1 :]) for index in np.ndindex(shape)}
    for index, running in runs.items():
        for value in _in_order(one, index, trusted):
            running.add(value)
    _keep(found, name, runs, axes, inner, shape, dict(one.attrs), name not in MEAN_ONLY)
    _keep_counts(found, name, runs, axes, inner, shape)
    if inner == ("time",):
        values = np.stack([_quantiles(one, index, trusted) for index in runs])
        about = {**one.attrs, "long_name": f"quantiles over members of: {one.attrs.get('long_name', name)}"}
        found[f"{name}_quantiles"] = ((*axes, "quantile", "time"), values.reshape(*shape, *values.shape[1:]), about)


def _of_spectrum(
    found: xr.Dataset, moments: xr.DataArray, trusted: Trusted, axes: tuple[str, ...], degrees: Any
) -> None:
    """Σ_m|ρ_ℓm|², the sum of squares of the real moments of one degree, member by member."""
    shape, lmax = tuple(moments.sizes[axis] for axis in axes), int(np.nanmax(degrees))
    runs = {}
    for index in np.ndindex(shape):
        runs[index] = Running((moments.sizes["time"], lmax + 1))
        having = [degrees[index] == ell for ell in range(lmax + 1)]
        for value in _in_order(moments, index, trusted):
            runs[index].add(np.stack([_power(value, these) for these in having], -1))
    attrs = {"long_name": "power of a degree, Σ_m |ρ_ℓm|²", "units": "1"}
    _keep(found, "spectrum", runs, axes, ("time", "ell"), shape, attrs, True)


def _power(moments: Any, these: Any) -> Any:
    return (moments[:, these] ** 2).sum(-1) if these.any() else np.full(len(moments), np.nan)


def _degrees(ds: xr.Dataset, axes: tuple[str, ...]) -> Any:
    """The degree of every harmonic at every point, which points of different d do not share."""
    degree = ds["degree"].values
    shape = tuple(ds.sizes[axis] for axis in axes)
    return degree if ds["degree"].ndim > 1 else np.broadcast_to(degree, (*shape, len(degree)))


def _keep(
    found: xr.Dataset, name: str, runs: dict[tuple[int, ...], Running], axes: tuple[str, ...], inner: tuple[str, ...],
    shape: tuple[int, ...], attrs: dict[str, Any], with_spread: bool,
) -> None:  # fmt: skip
    kinds = {"mean": "mean", "variance": "unbiased variance", "error": "standard error of the mean"}
    what = {"mean": "average", "variance": "variance", "error": "error"}
    for kind in kinds if with_spread else ("mean",):
        values = np.stack([getattr(running, what[kind]) for running in runs.values()])
        about = {**attrs, "long_name": f"{kinds[kind]} over members of: {attrs.get('long_name', name)}"}
        if kind == "variance":
            about.pop("units", None)
        found[f"{name}_{kind}"] = ((*axes, *inner), values.reshape(*shape, *values.shape[1:]), about)


def _keep_counts(
    found: xr.Dataset, name: str, runs: dict[tuple[int, ...], Running], axes: tuple[str, ...], inner: tuple[str, ...],
    shape: tuple[int, ...],
) -> None:  # fmt: skip
    """``X_count`` where a member that counts has no finite X; entries that no member has are padding."""
    counts = np.stack([running.count for running in runs.values()])
    counts = counts.reshape(*shape, *counts.shape[1:])
    all_of_them = np.expand_dims(found["count"].values, tuple(range(len(axes) + 1, counts.ndim)))
    if ((counts > 0) & (counts < all_of_them)).any():
        found[f"{name}_count"] = ((*axes, *inner), counts, {"long_name": f"members with finite values of {name}"})


def _in_order(one: xr.DataArray, index: tuple[int, ...], trusted: Trusted) -> Iterator[Any]:
    """The values of the members that count, in member order, read some at a time; NaN at times when they do not."""
    each = max(1, int(np.prod(one.shape[len(index) + 1 :])) * 8)
    size = max(1, MEMBERS_AT_ONCE_BYTES // each)
    for start in range(0, one.sizes["member"], size):
        some = slice(start, start + size)
        yield from trusted.only(one[(*index, some)].values, index, some)


def _quantiles(one: xr.DataArray, index: tuple[int, ...], trusted: Trusted) -> Any:
    """Quantiles over members, (quantile, time), some times at a time; members without a value are left out."""
    members, times = one.shape[-2:]
    size = max(1, QUANTILE_BYTES // (8 * members))
    parts = []
    for start in range(0, times, size):
        some = slice(start, start + size)
        values = trusted.only(one[(*index, slice(None), some)].values, index, slice(None), some)
        parts.append(np.stack([_column(values[:, n]) for n in range(values.shape[1])], 1))
    return np.concatenate(parts, 1)


def _column(values: Any) -> Any:
    finite = values[np.isfinite(values)]
    return np.quantile(finite, QUANTILES) if len(finite) else np.full(len(QUANTILES), np.nan)
