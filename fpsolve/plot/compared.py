"""One picture of a comparison: errors against N, errors against cost, paths, and the laws of the transformer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from fpsolve.errors import InputError
from fpsolve.plain.arguments import checked_arguments
from fpsolve.plot import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = dict(zip(("density", "cloud", "tokens", "transformer"), style.COLOURS, strict=False))
_QUANTITIES = {
    "moments": "moments",
    "discrepancy": "MMD",
    "overlap": "overlap",
    "energy": "energy",
    "wasserstein": "W₂",
}


@checked_arguments
def comparison(ds: xr.Dataset) -> Figure:
    """Four panels of a result of ``fpsolve.compare``.

    Errors of tokens against N with the fitted rate of the moments, W_2 below its resolution as a bound (an open
    triangle); error of the moments against seconds by every route; the overlap along the path; means of the observables
    in law with 99 % intervals.
    Raises :class:`~fpsolve.errors.InputError` naming ``ds`` for any other Dataset.
    """
    if "moments_error" not in ds or "route" not in ds.coords:
        raise InputError("ds", sorted(map(str, ds.data_vars)), "is no comparison", "give a result of fpsolve.compare")
    figure = style.new_figure(11.0, 7.6)
    grid = figure.subplots(2, 2)
    for axes, draw in zip(grid.flat, (_rates, _costs, _paths, _laws), strict=True):
        draw(axes, ds)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{ds.attrs['title']}, errors against the {ds.attrs['reference']}", fontsize=12)
    return figure


def _rates(axes: Axes, ds: xr.Dataset) -> None:
    tokens = ds.isel(run=np.flatnonzero(ds["route"].values == "tokens"))
    sizes = tokens["size"].values
    for colour, (name, label) in zip(style.COLOURS, _QUANTITIES.items(), strict=False):
        if f"{name}_error" in tokens:
            errors, bounds = _last(tokens[f"{name}_error"]), np.zeros(len(sizes))
            if name == "wasserstein":
                bounds = tokens["wasserstein_resolution"].values
            each, rms = _by_size(sizes, errors)
            bound = np.array([bounds[sizes == n].max() for n in each])
            known = rms >= bound
            shown = np.isin(sizes, each[known])
            axes.plot(sizes[shown], errors[shown], "o", ms=3, alpha=0.35, color=colour, mew=0)
            axes.plot(each[known], rms[known], "-", color=colour, label=label)
            if not known.all():
                below = rms < bound
                axes.plot(each[below], bound[below], "v", ms=6, color=colour, mfc="none", label=f"{label}, a bound")
    each, rms = _by_size(sizes, _last(tokens["moments_error"]))
    axes.plot(each, rms[0] * (each / each[0]) ** -0.5, "--", color="0.4", lw=0.9, label=r"$N^{-1/2}$")
    fitted = ds.sel(quantity="moments")
    low, high = float(fitted["rate_low"]), float(fitted["rate_high"])
    axes.set_title(f"iid tokens; rate of the moments in [{low:.2f}, {high:.2f}] (99 %)", fontsize=10.5, loc="left")
    _logarithmic(axes, "tokens N", "error")
    axes.legend(fontsize=8, frameon=False)


def _costs(axes: Axes, ds: xr.Dataset) -> None:
    for route in dict.fromkeys(ds["route"].values):
        some = ds.isel(run=np.flatnonzero(ds["route"].values == route))
        errors, seconds, sizes = _last(some["moments_error"]), some["cpu_seconds"].values, some["size"].values
        kept = errors > 0
        axes.plot(seconds[kept], errors[kept], "o", ms=4, color=_COLOURS[str(route)], label=str(route), mew=0)
        for size in np.unique(sizes[kept]):
            at = kept & (sizes == size)
            place = np.exp(np.log(seconds[at]).mean()), np.exp(np.log(errors[at]).mean())
            name = f"N = {size}" if route == "tokens" else f"{size}"
            axes.annotate(name, place, xytext=(6, 3), textcoords="offset points", fontsize=8)
    for target in ds["target"].values:
        axes.axhline(target, color="0.6", lw=0.7, ls=":")
    own = float(ds["reference_error"].sel(quantity="moments"))
    if own > 0:  # NaN where nothing told it
        axes.axhline(own, color=_COLOURS["cloud"], lw=1.0, ls="-.", label="the reference's own error")
    axes.set_title("error of the low moments and cost; degree, or number N of tokens", fontsize=10.5, loc="left")
    _logarithmic(axes, "processor seconds", "error of the moments")
    axes.legend(fontsize=8, frameon=False)


def _paths(axes: Axes, ds: xr.Dataset) -> None:
    for run in np.flatnonzero(ds["route"].values == "tokens"):
        axes.plot(ds["time"], ds["overlap"].isel(run=run), color=_COLOURS["tokens"], lw=0.6, alpha=0.35)
    for route in ("density", "cloud"):
        runs = np.flatnonzero(ds["route"].values == route)
        if len(runs):
            finest = runs[np.argmax(ds["size"].values[runs])]
            dashes = "--" if route == "cloud" else "-"
            axes.plot(ds["time"], ds["overlap"].isel(run=finest), color=_COLOURS[route], ls=dashes, lw=1.8, label=route)
    axes.plot([], [], color=_COLOURS["tokens"], lw=0.8, label="tokens, every N and sample")
    axes.set_title("overlap |m|² along the path", fontsize=10.5, loc="left")
    axes.set_xlabel("time t")
    axes.legend(fontsize=8, frameon=False)


def _laws(axes: Axes, ds: xr.Dataset) -> None:
    if "observable" not in ds.dims:
        reasons = [text for text in json.loads(ds.attrs["left_out"]) if text.startswith("transformer")]
        axes.text(0.5, 0.5, "\n".join(reasons) or "no transformer", ha="center", va="center", wrap=True, fontsize=9)
        axes.set_axis_off()
        return
    names = ds["observable"].values
    scale = np.maximum(ds["limit_values"].std("member").values, 1e-300)
    for shift, side, colour in ((-0.08, "limit", _COLOURS["density"]), (0.08, "transformer", _COLOURS["transformer"])):
        means = (ds[f"{side}_mean"].values - ds["limit_mean"].values) / scale
        errors = 2.576 * ds[f"{side}_mean_error"].values / scale
        axes.errorbar(np.arange(len(names)) + shift, means, errors, fmt="o", ms=4, color=colour, label=side)
    axes.set_xticks(np.arange(len(names)), names, rotation=30, fontsize=8)
    axes.axhline(0, color="0.6", lw=0.7)
    axes.set_ylabel("mean, in deviations of the limit")
    axes.set_title(f"in law, {ds.sizes['member']} members, 99 % intervals", fontsize=10.5, loc="left")
    axes.legend(fontsize=8, frameon=False)


def _logarithmic(axes: Axes, x: str, y: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25, linewidth=0.6)


def _last(errors: xr.DataArray) -> np.ndarray:
    return np.asarray(errors.isel(time=-1).values if "time" in errors.dims else errors.values)


def _by_size(sizes: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every size and its root mean square error."""
    each = np.unique(sizes)
    return each.astype(float), np.array([np.sqrt(np.mean(errors[sizes == n] ** 2)) for n in each])
