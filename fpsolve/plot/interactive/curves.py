"""Curves of a page, one small figure each: observables of a run, statistics of an ensemble, a network by layer."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from fpsolve.observe import Panel
from fpsolve.plot.fields import by_component
from fpsolve.plot.marks import limit_of, marks
from fpsolve.plot.palette import COLOURS, LOST
from fpsolve.plot.panels import FLOOR, LAYERS, over_members, panels, point_label, points_of, time_axis, unit_of

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr


@dataclass(frozen=True)
class Curve:
    """A figure with its heading; the heading is plain text."""

    title: str
    figure: go.Figure


def of_run(ds: xr.Dataset) -> list[Curve]:
    """Every observable that has a panel, with what the run noted; the first shape of each is the time shown."""
    return [Curve(panel.title, _observable(ds, name, panel)) for name, panel in panels(ds).items()]


def of_ensemble(ds: xr.Dataset) -> tuple[list[Curve], list[str]]:
    """Means ± 2 errors of the points of a sweep, without one the quantiles too; and the points in words."""
    found, shown, swept, runs = points_of(ds)
    labels = [point_label(one, swept) for one in runs]
    curves = []
    for name, panel in shown.items():
        figure = _figure(time_axis(found), unit_of(found[f"{name}_mean"]))
        for k, (one, label) in enumerate(zip(runs, labels, strict=True)):
            dash = "solid" if k < len(COLOURS) else "dash"
            _mean(figure, one, name, COLOURS[k % len(COLOURS)], label, dash, panel, not swept)
        if panel.kind == "log" and bool((found[f"{name}_mean"] > 0).any()):
            _logarithmic(figure, found[f"{name}_mean"].values)
        curves.append(Curve(panel.title, figure))
    return curves, labels


def of_network(ds: xr.Dataset) -> list[Curve]:
    """Mean over members ± 2 deviations by layer; quantiles of the overlap, the threshold and even weights' entropy."""
    curves = []
    for name in (name for name in LAYERS if name in ds):
        figure = _figure("layer", "")
        layer, mean, spread = over_members(ds[name])
        if ds.sizes["member"] > 1:
            _band(figure, layer, mean - 2 * spread, mean + 2 * spread, COLOURS[0], 0.2)
        _line(figure, layer, mean, COLOURS[0], "mean")
        if name == "mean_overlap":
            for q in (0.05, 0.95) if "overlap_quantile" in ds else ():
                line = ds["overlap_quantile"].sel(quantile=q).mean("member").values
                _line(figure, ds["layer"].values, line, COLOURS[0], f"{q:.0%} quantile", dash="dot", width=1)
            if "collapse_layer" in ds:
                figure.add_hline(float(ds["collapse_layer"].attrs["threshold"]), line={"dash": "dash", "width": 1})
        if name == "attention_entropy" and "entropy_ceiling" in ds:
            even = ds["entropy_ceiling"].values
            _line(figure, ds["layer"].values, even, "#666", "even weights", dash="dash", width=1)
        if name == "mean_square" and len(mean) and mean.max() > 10 * mean.min() > 0:
            _logarithmic(figure, mean)
        curves.append(Curve(LAYERS[name], figure))
    return curves


def _observable(ds: xr.Dataset, name: str, panel: Panel) -> go.Figure:
    figure = _figure(time_axis(ds), unit_of(ds[name]))
    times = ds["time"].values
    figure.add_vline(float(times[0]), line={"color": "#999", "width": 1})  # first: the page moves it with the slider
    if panel.kind == "vector":
        mean = by_component(ds[name]).values
        names = ds["component"].values if "component" in ds.coords else range(mean.shape[1])
        for one, label, colour in zip(mean.T, names, COLOURS[1:], strict=False) if mean.shape[1] <= 3 else ():
            _line(figure, times, one, colour, str(label), width=1.2)
        _line(figure, times, np.linalg.norm(mean, axis=1), COLOURS[0], "|m|")
        figure.update_layout(showlegend=True, margin={"t": 34})
    elif panel.kind == "log":
        size = np.abs(ds[name].values)
        _line(figure, times, np.where(size > 0, size, np.nan), COLOURS[0], "")
        _logarithmic(figure, size)
        if (limit := limit_of(ds, name)) is not None:
            figure.add_hline(limit, line={"color": LOST, "dash": "dot", "width": 1.2})
    else:
        _line(figure, times, ds[name].values, COLOURS[0], "")
        if panel.kind == "density" and float(ds[name].min()) < 0:
            figure.add_hline(0.0, line={"color": "#666", "dash": "dash", "width": 1})
    for row, (time, labels) in enumerate(marks(ds).items()):
        figure.add_vline(time, line={"color": "#444", "dash": "dash", "width": 1})
        late = time > (times[0] + times[-1]) / 2
        figure.add_annotation(
            x=time, y=1, yref="paper", yshift=9 * row, text=", ".join(labels), showarrow=False, font={"size": 10},
            xanchor="right" if late else "left", yanchor="bottom",
        )  # fmt: skip
    return figure


def _mean(
    figure: go.Figure, one: xr.Dataset, name: str, colour: str, label: str, dash: str, panel: Panel, fan: bool
) -> None:
    time, mean, error = one["time"].values, one[f"{name}_mean"].values, one[f"{name}_error"].values
    if fan:
        spread = one[f"{name}_quantiles"].transpose("quantile", "time").values
        _band(figure, time, spread[0], spread[-1], "#888888", 0.18)
        _band(figure, time, spread[1], spread[-2], "#888888", 0.28)
    if panel.kind != "log":  # where a mean less two errors may be negative
        _band(figure, time, mean - 2 * error, mean + 2 * error, colour, 0.3)
    _line(figure, time, mean, colour, label, dash=dash)


def _figure(across: str, unit: str) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        template="plotly_white", height=260, margin={"l": 60, "r": 12, "t": 22, "b": 42}, showlegend=False,
        xaxis={"title": {"text": escape(across), "standoff": 6}}, yaxis={"title": {"text": escape(unit)}},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom"}, hovermode="x",
    )  # fmt: skip
    return figure


def _line(
    figure: go.Figure, x: Any, y: Any, colour: str, label: str, *, dash: str = "solid", width: float = 2.0
) -> None:
    """A curve; its label is plain text."""
    few = "lines+markers" if len(x) <= 30 and dash == "solid" else "lines"
    figure.add_scatter(
        x=np.asarray(x), y=np.asarray(y, float), mode=few, name=escape(label),
        line={"color": colour, "width": width, "dash": dash}, marker={"size": 4},
    )  # fmt: skip


def _band(figure: go.Figure, x: Any, low: Any, high: Any, colour: str, strength: float) -> None:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    edge = {"x": np.asarray(x), "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(y=np.asarray(low, float), **edge)
    colour = f"rgba({red},{green},{blue},{strength})"
    figure.add_scatter(y=np.asarray(high, float), fill="tonexty", fillcolor=colour, **edge)


def _logarithmic(figure: go.Figure, values: Any) -> None:
    """A logarithmic axis down to ``FLOOR``, where there is something to show."""
    seen = np.abs(np.asarray(values, float))
    if bool((np.isfinite(seen) & (seen > FLOOR)).any()):
        figure.update_yaxes(type="log", exponentformat="power")
