"""The sphere that turns, with a slider of its times: the density as colours, points as dots, the mean as a needle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fpsolve.plot import fields
from fpsolve.plot.marks import lost_at
from fpsolve.plot.palette import CMAP, COLOURS, DECADES, HUGE_RANGE, LOST, WIDE_RANGE, time_label
from fpsolve.plot.profiles import on_circle, profiles
from fpsolve.plot.projection import unit_vectors

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

Real = NDArray[np.float64]

VALUES = 400_000
"""Numbers of a density that a page holds, over all times and places: a few megabytes."""

MOST_POINTS, MOST_VALUES_OF_POINTS = 1500, 200_000
"""Dots of a time, and of all times: more make a browser slow."""

ROWS = (19, 91)
"""Circles of latitude of the drawn density, at least and at most."""

NEEDLE = 1.3
"""Where the mean's direction ends, in radii."""


@dataclass(frozen=True)
class ColourScale:
    """Colours of densities: linear, by square roots or by logarithms where a peak would hide all the rest."""

    low: float
    high: float

    @property
    def kind(self) -> str:
        """As in the still pictures: linear where some are negative."""
        peak = self.high * 4 * np.pi if self.low >= 0 else 0.0
        return "logarithmic" if peak > HUGE_RANGE else "square-root" if peak > WIDE_RANGE else "linear"

    def __call__(self, values: Real) -> Real:
        """What is drawn for densities."""
        if self.kind == "logarithmic":
            return np.log10(np.clip(values, self._floor, None))
        return np.sqrt(np.clip(values, 0, None)) if self.kind == "square-root" else values

    @property
    def _floor(self) -> float:
        return max(self.low, self.high * 10.0**-DECADES)

    @property
    def ticks(self) -> Real:
        """Densities at the ticks of the colour bar."""
        if self.kind == "logarithmic":
            return 10.0 ** np.arange(np.ceil(np.log10(self._floor)), np.log10(self.high) + 1e-9)
        if self.kind == "square-root":
            return self.high * np.linspace(0, 1, 6) ** 2
        return np.linspace(self.low, self.high, 5)

    def bar(self) -> dict[str, Any]:
        """Range, colours and bar of a trace."""
        about = "ρ [1/sr]" + ("" if self.kind == "linear" else f"<br>{self.kind}")
        low, high = self(np.array([min(self.low, 0.0) if self.kind != "logarithmic" else self._floor, self.high]))
        ticks = {"tickvals": self(self.ticks), "ticktext": [f"{one:.2g}" for one in self.ticks]}
        return {
            "cmin": low, "cmax": high, "colorscale": CMAP,
            "colorbar": {"title": {"text": about}, "thickness": 12, "len": 0.7, "x": 1.0, **ticks},
        }  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """A figure with a slider, and what is to be said of it: where it comes from, what was left out."""

    figure: go.Figure
    remarks: list[str]


def scene(ds: xr.Dataset, times: int) -> Scene | str:
    """The run on the sphere or the circle at up to ``times`` of its times; why there is none, for other runs."""
    chosen = np.unique(np.linspace(0, ds.sizes["time"] - 1, min(times, ds.sizes["time"])).round().astype(int))
    remarks = [] if len(chosen) == ds.sizes["time"] else [f"{len(chosen)} of {ds.sizes['time']} saved times"]
    if "axis_component" in ds.dims:
        return _about_axis(ds, chosen, remarks)
    d = ds.sizes.get("component", 3)
    if on_circle(ds) and ("density" in ds or "moments" in ds):
        return _circle(ds, chosen, remarks)
    if d != 3:
        return f"The tokens live in d = {d}: there is no picture of them, the curves tell of them."
    gridded = "density" in ds and "lat" in ds["density"].dims
    if "points" in ds and not gridded:
        return _cloud(ds, chosen, remarks)
    if gridded or "moments" in ds:
        return _density(ds, chosen, remarks)
    return "The result keeps neither density nor points nor moments: solve with save_density=True, for a picture."


def _density(ds: xr.Dataset, chosen: Any, remarks: list[str]) -> Scene:
    """The density as colours of the sphere, on one scale for all times."""
    import plotly.graph_objects as go

    shown = [fields.field(ds, int(index)) for index in chosen]
    finest = max(len(one.lat) for one in shown)
    rows = int(np.clip(np.sqrt(VALUES / (2 * len(shown))), ROWS[0], min(ROWS[1], max(finest, ROWS[0]))))
    lat, lon = np.linspace(-90, 90, rows), np.linspace(0, 360, 2 * rows - 1)
    if rows < finest:
        remarks = [*remarks, f"{rows} of {finest} circles of latitude; peaks are those of all"]
    sources = dict.fromkeys(one.source for one in shown if one.source)
    remarks = [*remarks, *(f"density {source} where it was not saved" for source in sources)]
    lowest, highest = min(float(one.values.min()) for one in shown), max(float(one.values.max()) for one in shown)
    scale = ColourScale(min(lowest, 0.0) if lowest < 0 else lowest, max(highest, lowest + 1e-12))
    x, y, z = (np.float32(one) for one in unit_vectors(*np.meshgrid(lat, lon, indexing="ij")))
    values = [np.float32(scale(one.at(lat[:, None], lon[None, :]))) for one in shown]
    titles = [_title(ds, one.time, f"peak {one.values.max():.3g} per steradian") for one in shown]
    ball = go.Surface(
        x=x, y=y, z=z, surfacecolor=values[0], **scale.bar(), hoverinfo="skip",
        lighting={"ambient": 0.9, "diffuse": 0.2, "specular": 0.05}, name="density",
    )  # fmt: skip
    pairs = zip(values, chosen, strict=True)
    moving = [[{"type": "surface", "surfacecolor": one}, _needle(ds, int(k))] for one, k in pairs]
    return Scene(_turning(ds, [ball, _needle(ds, int(chosen[0]))], moving, chosen, titles), remarks)


def _cloud(ds: xr.Dataset, chosen: Any, remarks: list[str]) -> Scene:
    """Points, as large as their weights, on a grey sphere."""
    import plotly.graph_objects as go

    total = ds.sizes["point"]
    most = min(MOST_POINTS, max(100, MOST_VALUES_OF_POINTS // (3 * len(chosen))))
    some = np.arange(total)
    if total > most:
        some = np.sort(np.random.default_rng(0).choice(total, most, replace=False))
        remarks = [*remarks, f"{most} of {total} points, chosen at random"]
    weights = ds["weights"].values[some] if "weights" in ds else np.ones(len(some))
    size = np.float32(np.clip(4.5 * np.sqrt(weights / max(weights.mean(), 1e-300)), 2, 12))
    places = [fields.by_component(ds["points"].isel(time=int(k))).values[some].astype(np.float32) for k in chosen]
    moving = [
        [{"type": "scatter3d", **dict(zip("xyz", one.T, strict=True))}, _needle(ds, int(k))]
        for k, one in zip(chosen, places, strict=True)
    ]
    dots = go.Scatter3d(
        **dict(zip("xyz", places[0].T, strict=True)), mode="markers", name="points", hoverinfo="skip",
        marker={"size": size, "color": COLOURS[0], "line": {"width": 0}, "opacity": 0.9},
    )  # fmt: skip
    mesh = np.meshgrid(np.linspace(-90, 90, 31), np.linspace(0, 360, 61), indexing="ij")
    x, y, z = 0.985 * unit_vectors(*mesh)
    ball = go.Surface(
        x=x, y=y, z=z, surfacecolor=0 * x, colorscale=[[0, "#d9dde1"], [1, "#d9dde1"]], showscale=False,
        hoverinfo="skip", lighting={"ambient": 0.9, "diffuse": 0.2, "specular": 0.0}, name="sphere",
    )  # fmt: skip
    titles = [_title(ds, float(ds["time"].values[k]), f"{total} points") for k in chosen]
    return Scene(_turning(ds, [dots, _needle(ds, int(chosen[0])), ball], moving, chosen, titles), remarks)


def _circle(ds: xr.Dataset, chosen: Any, remarks: list[str]) -> Scene:
    """The density against the angle."""
    angle, values, source = profiles(ds)
    some = np.unique(np.linspace(0, len(angle) - 1, min(len(angle), 721)).round().astype(int))
    figure = _profile(ds, chosen, angle[some], values[:, some], "per radian")
    across = {"title": {"text": "angle θ [degrees]"}, "range": [0, 360], "tickvals": list(range(0, 361, 90))}
    figure.update_layout(xaxis=across, yaxis={"title": {"text": "ρ [1/rad]"}})
    return Scene(figure, [*remarks, *([f"density {source}"] if source else [])])


def _about_axis(ds: xr.Dataset, chosen: Any, remarks: list[str]) -> Scene | str:
    """The density of a law about an axis, over the uniform one, against the height."""
    if "density" not in ds or "u" not in ds["density"].dims:
        return "The law is about an axis; its density was not saved (save_density=True)."
    values = ds["density"].transpose("time", "u").values
    chosen = chosen[~np.isnan(values[chosen]).all(axis=1)]
    figure = _profile(ds, chosen, ds["u"].values, values, "times the uniform density")
    figure.update_layout(
        xaxis={"title": {"text": "height u = ⟨x, axis⟩"}, "range": [-1, 1]}, yaxis={"title": {"text": "ρ / uniform"}}
    )
    return Scene(figure, [*remarks, f"a law about an axis of R^{ds.sizes['axis_component']}, against the height"])


def _profile(ds: xr.Dataset, chosen: Any, across: Real, values: Real, unit: str) -> go.Figure:
    """A line that moves with the slider; values (time, place)."""
    import plotly.graph_objects as go

    rows = [np.float32(values[k]) for k in chosen]
    titles = [_title(ds, float(ds["time"].values[k]), f"peak {np.nanmax(values[k]):.3g} {unit}") for k in chosen]
    line = go.Scatter(x=np.float32(across), y=rows[0], mode="lines", line={"color": COLOURS[0]}, name="density")
    low, high = float(np.nanmin(values[chosen])), float(np.nanmax(values[chosen]))
    figure = _sliding([line], [[{"type": "scatter", "y": row}] for row in rows], ds["time"].values[chosen], titles)
    room = 0.05 * (high - low) + 1e-9
    figure.update_layout(yaxis={"range": [min(low, 0.0) - room * (low < 0), high + room]})
    return figure


def _turning(
    ds: xr.Dataset, traces: list[Any], moving: list[list[dict[str, Any]]], chosen: Any, titles: list[str]
) -> go.Figure:
    """The figure of a sphere, seen from above the last mean."""
    figure = _sliding(traces, moving, ds["time"].values[chosen], titles)
    ends = 1.12 * np.eye(3)
    figure.add_scatter3d(
        x=ends[:, 0], y=ends[:, 1], z=ends[:, 2], mode="text", text=["x", "y", "z"], hoverinfo="skip", name="axes",
        textfont={"size": 14, "color": "#444"},
    )  # fmt: skip
    lat, lon = fields.mean_direction(ds, int(chosen[-1]))
    eye = 1.15 * unit_vectors(np.clip(lat + 15, -75, 75), np.asarray(lon + 20))
    bare = {"visible": False, "range": [-1.35, 1.35]}
    figure.update_layout(
        scene={
            "xaxis": bare, "yaxis": bare, "zaxis": bare, "aspectmode": "cube", "dragmode": "orbit",
            "camera": {"eye": dict(zip("xyz", eye.tolist(), strict=True))},
        }
    )  # fmt: skip
    return figure


def _sliding(traces: list[Any], moving: list[list[dict[str, Any]]], times: Any, titles: list[str]) -> go.Figure:
    """A figure whose first traces move with the slider: at each time what of them changes, and a title."""
    import plotly.graph_objects as go

    at_once = {"mode": "immediate", "transition": {"duration": 0}, "frame": {"duration": 0, "redraw": True}}
    names = [repr(float(t)) for t in times]
    frames = [
        go.Frame(name=name, data=data, traces=list(range(len(data))), layout={"title": {"text": title}})
        for name, data, title in zip(names, moving, titles, strict=True)
    ]
    steps = [
        {"method": "animate", "args": [[name], at_once], "label": f"{float(name):.4g}", "value": name} for name in names
    ]
    play = {**at_once, "frame": {"duration": 120, "redraw": True}, "fromcurrent": True}
    buttons = [
        {"label": "▶ play", "method": "animate", "args": [None, play]},
        {"label": "❚❚ stop", "method": "animate", "args": [[None], at_once]},
    ]
    figure = go.Figure(traces, frames=frames)
    figure.update_layout(
        title={"text": titles[0], "font": {"size": 15}, "x": 0.02, "xanchor": "left"},
        showlegend=False, height=560, margin={"l": 10, "r": 10, "t": 45, "b": 10}, template="plotly_white",
        sliders=[{
            "active": 0, "steps": steps, "pad": {"t": 25, "b": 5}, "x": 0.02, "len": 0.96,
            "currentvalue": {"prefix": "t = "}, "transition": {"duration": 0},
        }],
        updatemenus=[{
            "type": "buttons", "direction": "right", "buttons": buttons, "showactive": False,
            "x": 0.02, "xanchor": "left", "y": 0.0, "yanchor": "bottom", "font": {"size": 12},
        }] if len(frames) > 1 else [],
    )  # fmt: skip
    return figure


def _needle(ds: xr.Dataset, index: int) -> dict[str, Any]:
    """From the sphere outwards where the mean points; nothing where there is none."""
    mean = fields.by_component(ds["mean_vector"].isel(time=index)).values if "mean_vector" in ds else np.zeros(3)
    size = float(np.linalg.norm(mean))
    ends = [[None, None]] * 3 if not size > 1e-3 else [[float(a), float(NEEDLE * a)] for a in mean / size]
    return {
        "type": "scatter3d", "x": ends[0], "y": ends[1], "z": ends[2], "mode": "lines+text", "text": ["", "m"],
        "line": {"color": LOST, "width": 5}, "textfont": {"color": LOST, "size": 14}, "hoverinfo": "skip",
        "name": "mean",
    }  # fmt: skip


def _title(ds: xr.Dataset, time: float, about: str) -> str:
    """``t = 0.5, peak 3.2 per steradian``, and what is no longer resolved."""
    lost = lost_at(ds, time)
    remarks = f"{time_label(time)},  {about}"
    return f'{remarks}  <span style="color:{LOST}">({lost})</span>' if lost else remarks
