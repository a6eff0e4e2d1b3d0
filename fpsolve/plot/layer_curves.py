"""Networks at initialisation by layer: predictions and measured networks in one figure, and the plane of two scales."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from fpsolve.errors import InputError
from fpsolve.plain.arguments import checked_arguments
from fpsolve.plot import style
from fpsolve.plot.panels import LAYERS, over_members

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

@checked_arguments
def layers(
    ds: xr.Dataset, network: xr.Dataset | None = None, *, labels: tuple[str, str] = ("predicted", "network")
) -> Figure:
    """Mean overlap, mean square, attention's entropy and effective rank by layer, with the spread over members.

    ds: a result of ``fp.transformer.predict`` (a line, and a band of two deviations of members); network: one of
    ``fp.transformer.measure_network`` (points with error bars of one deviation), or a second prediction. Quantiles of
    the overlap (5 and 95 %) are dotted, the collapse threshold and the entropy of even weights dashed. Raises
    :class:`~fpsolve.errors.InputError` naming the argument for any other Dataset.
    """
    for name, one in (("ds", ds), ("network", network)):
        if one is not None and ("mean_overlap" not in one or "layer" not in one.dims):
            raise InputError(name, sorted(map(str, one.data_vars)), "has no layers", "give a result of predict")
    names = [name for name in LAYERS if name in ds]
    figure = style.new_figure(3.6 * len(names), 3.4)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False).flat, names, strict=True):
        layer, mean, spread = over_members(ds[name])
        axes.plot(layer, mean, color=style.COLOURS[0], linewidth=1.8, label=labels[0])
        if ds.sizes["member"] > 1:
            axes.fill_between(
                layer, mean - 2 * spread, mean + 2 * spread, color=style.COLOURS[0], alpha=0.2, linewidth=0
            )
        if network is not None and name in network:
            at, value, error = over_members(network[name])
            axes.errorbar(
                at, value, error, fmt="o", color=style.COLOURS[1], markersize=3.5, linewidth=1, label=labels[1]
            )
        axes.set_title(LAYERS[name], fontsize=10.5, loc="left")
        axes.set_xlabel("layer")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if name == "mean_overlap":
            _overlap_marks(axes, ds)
        if name == "mean_square" and mean.max() > 10 * mean.min() > 0:
            axes.set_yscale("log")
        if name == "attention_entropy" and "entropy_ceiling" in ds:
            axes.plot(ds["layer"], ds["entropy_ceiling"], color="0.4", linewidth=0.8, linestyle="--")
    if network is not None:
        figure.axes[0].legend(fontsize=8, frameon=False)
    figure.suptitle(str(ds.attrs.get("title", "")), fontsize=12)
    return figure


@checked_arguments
def phases(ds: xr.Dataset) -> Figure:
    """The plane of ``fp.transformer.phase_map``: overlap, collapse layer, attention's entropy; rings: neither failure.

    Raises :class:`~fpsolve.errors.InputError` naming ``ds`` for any other Dataset.
    """
    if "avoided" not in ds:
        raise InputError("ds", sorted(map(str, ds.data_vars)), "is no map", "give a result of fp.transformer.phase_map")
    figure = style.new_figure(10.5, 4.2)
    titles = {
        "overlap_at_depth": "overlap after the last layer (numbers: collapse layer)",
        "entropy_share": "least entropy of attention, relative to even weights",
    }
    for axes, (name, title) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        values = ds[name].transpose("residual", "logits").values
        image = axes.imshow(values, origin="lower", aspect="auto", cmap=style.CMAP, vmin=0, vmax=1)
        for axis, key in ((axes.xaxis, "logits"), (axes.yaxis, "residual")):
            axis.set_ticks(range(ds.sizes[key]), [f"{one:g}" for one in ds[key].values])
            axis.set_label_text(str(ds[key].attrs["long_name"]))
        good, layer = (ds[one].transpose("residual", "logits").values for one in ("avoided", "collapse_layer"))
        for (i, j), fine in np.ndenumerate(good):
            if fine:
                axes.plot(j, i, "o", markersize=14, markerfacecolor="none", color=style.COLOURS[1], markeredgewidth=1.5)
            if name == "overlap_at_depth" and np.isfinite(layer[i, j]):
                axes.text(j, i, f"{layer[i, j]:.0f}", ha="center", va="center", fontsize=8, color="0.1")
        axes.set_title(title, fontsize=10.5, loc="left")
        figure.colorbar(image, ax=axes)
    figure.suptitle(f"{ds.attrs.get('title', '')}; rings: both failures avoided", fontsize=12)
    return figure


def _overlap_marks(axes: Any, ds: xr.Dataset) -> None:
    if "overlap_quantile" in ds:
        for quantile in (0.05, 0.95):
            line = ds["overlap_quantile"].sel(quantile=quantile).mean("member")
            axes.plot(ds["layer"], line, color=style.COLOURS[0], linewidth=0.9, linestyle=":")
    if "collapse_layer" in ds:
        axes.axhline(float(ds["collapse_layer"].attrs["threshold"]), color="0.4", linewidth=0.8, linestyle="--")
