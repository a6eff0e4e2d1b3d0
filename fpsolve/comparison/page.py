"""A comparison as one page of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from fpsolve.comparison.rates import ABOVE_REFERENCE

QUANTITIES = ("moments", "overlap", "energy", "discrepancy", "wasserstein")
HEADS = {"moments": "moments", "overlap": "overlap", "energy": "energy", "discrepancy": "MMD", "wasserstein": "W_2"}


def as_text(ds: xr.Dataset) -> str:
    """Errors and costs of every route, rates in N, costs of the targets, both laws, and what was left out."""
    blocks = [_head(ds), _table(_error_rows(ds)), _table(_rate_rows(ds)), _table(_cost_rows(ds))]
    if "observable" in ds.dims:
        blocks += [_law_head(ds), _table(_law_rows(ds))]
    left_out = json.loads(ds.attrs["left_out"])
    if left_out:
        blocks.append("left out:\n" + "\n".join(f"  {sentence}" for sentence in left_out))
    return "\n\n".join(blocks)


def _head(ds: xr.Dataset) -> str:
    own = float(ds["reference_error"].sel(quantity="moments"))
    return (
        f"{ds.attrs['title']}, t = {float(ds['time'][-1]):g}\n"
        f"errors against the {ds.attrs['reference']}; its own, from the {ds.attrs['reference_error_from']}: "
        f"{_number(own)} in the moments\n"
        f"moments: degree <= {ds.attrs['moments_lmax']}, relative; overlap absolute, energy relative; MMD with "
        f"exp({ds.attrs['kappa']:g} (x.y - 1)); tokens: root mean squares over the samples; transforms: scalar fields; "
        f"pairs: exponentials of direct sums; W_2 below its resolution r: <r, below {ABOVE_REFERENCE:g} r: W_2+-r"
    )


def _error_rows(ds: xr.Dataset) -> Iterator[Sequence[str]]:
    present = [name for name in QUANTITIES if f"{name}_error" in ds]
    routes, sizes = ds["route"].values, ds["size"].values
    counts = ("transforms", "values", "pairs")
    yield ("route", "size", "samples", *(HEADS[name] for name in present), "seconds", "cpu s", *counts)
    for route in dict.fromkeys(routes):
        for size in np.unique(sizes[routes == route]):
            some = ds.isel(run=np.flatnonzero((routes == route) & (sizes == size)))
            errors = [_error(some, name) for name in present]
            transforms = float((some["grid_transforms"] + some["point_transforms"]).mean())
            cost = [_number(some[key].mean()) for key in ("seconds", "cpu_seconds")]
            cost += [f"{transforms:.0f}" if transforms else "-"]
            cost += [_count(some[key].mean()) for key in ("transformed_values", "pair_evaluations")]
            yield (str(route), f"{size}", str(some.sizes["run"]), *errors, *cost)


def _rate_rows(ds: xr.Dataset) -> Iterator[Sequence[str]]:
    yield ("error of tokens ~ N^p", "p", "99 % interval", "contains -1/2", "runs", "reference")
    for name in (q for q in QUANTITIES if q in ds["quantity"].values):
        row = ds.sel(quantity=name)
        low, value, high = (float(row[key]) for key in ("rate_low", "rate", "rate_high"))
        interval = "-" if np.isnan(value) else f"[{low:.3f}, {high:.3f}]"
        value_text = "-" if np.isnan(value) else f"{value:.3f}"
        count, floor = str(int(row["rate_count"])), _number(row["reference_error"])
        yield (HEADS[name], value_text, interval, str(row["rate_verdict"].item()), count, floor)


def _cost_rows(ds: xr.Dataset) -> Iterator[Sequence[str]]:
    yield ("moments to", "route", "size", "cpu s", "values", "pairs", "tokens' cpu s over it", "known by")
    for target in ds["target"].values:
        at = ds.sel(target=target)
        for method in ds["solver"].values:
            one = at.sel(solver=method)
            ratio = float(at["cost_seconds"].sel(solver="tokens") / one["cost_seconds"])
            numbers = [_number(one[key]) for key in ("cost_size", "cost_seconds")]
            numbers += [_count(one[key]) for key in ("cost_values", "cost_pairs")]
            yield (f"{target:g}", str(method), *numbers, _number(ratio), str(one["cost_status"].item()))


def _law_head(ds: xr.Dataset) -> str:
    chain = json.loads(ds["transformer_mean"].attrs["transformer"])
    return (
        f"in law, {ds.sizes['member']} members: transformer of n = {chain['n']}, H = {chain['heads']}, "
        f"L = {chain['depth']}, step {chain['step']:.4g} ({float(ds['transformer_seconds']):.3g} s); "
        f"limit by {chain['limit']} ({float(ds['limit_seconds']):.3g} s)\n"
        f"KS level: of the transformer's law against that of {chain['n']} points drawn from each limit"
    )


def _law_rows(ds: xr.Dataset) -> Iterator[Sequence[str]]:
    yield ("observable", "limit", "+-", "transformer", "+-", "difference/error", "KS level")
    keys = ("limit_mean", "limit_mean_error", "transformer_mean", "transformer_mean_error", "difference", "ks_level")
    for name in ds["observable"].values:
        row = ds.sel(observable=name)
        yield (str(name), *(_number(row[key]) for key in keys))


def _table(rows: Iterator[Sequence[str]]) -> str:
    lines = list(rows)
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _number(value: float | xr.DataArray) -> str:
    return "-" if np.isnan(float(value)) else f"{float(value):.3g}"


def _count(value: float | xr.DataArray) -> str:
    """Nothing counted is a dash, as what is not known: the work was of the other kind."""
    return "-" if float(value) == 0 else _number(value)


def _error(some: xr.Dataset, name: str) -> str:
    """The root mean square over the samples; a W_2 below its resolution only as a bound, a little above it with it."""
    value = _rms(some[f"{name}_error"])
    bound = float(some["wasserstein_resolution"].max()) if name == "wasserstein" else 0.0
    if value < bound:
        return f"<{_number(bound)}"
    uncertain = 0 < value <= ABOVE_REFERENCE * bound
    return f"{_number(value)}+-{_number(bound)}" if uncertain else _number(value)


def _rms(errors: xr.DataArray) -> float:
    last = errors.isel(time=-1) if "time" in errors.dims else errors
    return float(np.sqrt((last.values**2).mean()))
