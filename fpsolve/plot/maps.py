"""Maps of the density: the whole sphere (Mollweide) or the hemisphere around the mean (orthographic)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np
from matplotlib.colors import Normalize

from fpsolve.errors import InputError, unknown_name
from fpsolve.plain.arguments import checked_arguments
from fpsolve.plot import circle, fields, style
from fpsolve.plot.heading import heading as page_heading
from fpsolve.plot.marks import lost_at
from fpsolve.plot.projection import Mollweide, Orthographic, Projection, angles, outline, pixels

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

PROJECTIONS = ("mollweide", "orthographic")

_MOST_POINTS, _MOST_OVER = 20_000, 400
"""More dots than this hide each other, or the density under them."""


@overload
def density_map(
    ds: xr.Dataset, time: float | None = ..., projection: str = ..., *, lon0: float = ..., points: bool | None = ...
) -> Figure: ...
@overload
def density_map(
    ds: xr.Dataset, time: float | None = ..., projection: str = ..., *, lon0: float = ..., points: bool | None = ...,
    ax: Axes,
) -> Axes: ...  # fmt: skip
@checked_arguments
def density_map(
    ds: xr.Dataset,
    time: float | None = None,
    projection: str = "mollweide",
    *,
    lon0: float = 0.0,
    points: bool | None = None,
    ax: Axes | None = None,
) -> Figure | Axes:
    """The density over the sphere at the saved time nearest to ``time`` (the last for None).

    Without ``density`` at this time the map is the sum of the ``moments``, and says so; where there are points it shows
    these too (area by weight) unless ``points`` is False. ``lon0`` is the meridian in the middle, in degrees.
    On the circle it is the profile against the angle. ``ax``: where to draw; it is returned then, otherwise a new
    figure with the run's heading.

    Raises :class:`~fpsolve.errors.InputError` naming ``projection``, ``time``, ``points``, ``density`` or ``ax``.
    """
    if projection not in PROJECTIONS:
        raise unknown_name("projection", projection, PROJECTIONS)
    ds = fields.one_run(ds)
    if circle.on_circle(ds) and not points:
        return circle.density_profile(ds, time, ax)
    if projection == "orthographic":
        return _figure(ds, time, _above(ds, time, None), (6.4, 5.6), points, ax)
    return _figure(ds, time, Mollweide(lon0), (8.6, 4.1), points, ax)


@overload
def density_orthographic(
    ds: xr.Dataset, time: float | None = ..., view: tuple[float, float] | None = ..., *, points: bool | None = ...
) -> Figure: ...
@overload
def density_orthographic(
    ds: xr.Dataset, time: float | None = ..., view: tuple[float, float] | None = ..., *, points: bool | None = ...,
    ax: Axes,
) -> Axes: ...  # fmt: skip
@checked_arguments
def density_orthographic(
    ds: xr.Dataset,
    time: float | None = None,
    view: tuple[float, float] | None = None,
    *,
    points: bool | None = None,
    ax: Axes | None = None,
) -> Figure | Axes:
    """The hemisphere seen from above ``view`` = (lat, lon) in degrees; from above the mean vector for None.

    ``ax``: where to draw; it is returned then, otherwise a new figure.

    Raises as :func:`density_map`.
    """
    if view is not None and (np.shape(view) != (2,) or not np.isfinite(view).all()):
        raise InputError("view", view, "not a latitude and a longitude", "pass view=(30.0, 0.0), in degrees")
    ds = fields.one_run(ds)
    if circle.on_circle(ds) and not points:
        return circle.density_profile(ds, time, ax)
    return _figure(ds, time, _above(ds, time, view), (6.4, 5.6), points, ax)


def _above(ds: xr.Dataset, time: float | None, view: tuple[float, float] | None) -> Orthographic:
    lat, lon = fields.mean_direction(ds, fields.saved_index(ds, time)) if view is None else view
    return Orthographic(float(lat), float(lon))


def _figure(
    ds: xr.Dataset,
    time: float | None,
    projection: Projection,
    size: tuple[float, float],
    points: bool | None,
    ax: Axes | None,
) -> Figure | Axes:
    index = fields.saved_index(ds, time)
    points = _wants_points(ds, points, index)
    figure, axes = style.place(ax, *size)
    heading = [style.time_label(float(ds["time"].values[index]))]
    colour = "white"
    if not points or "density" in ds or "moments" in ds:
        one = fields.field(ds, index)
        scale = style.colour_scale(float(one.values.min()), float(one.values.max()))
        image = draw_field(axes, one, projection, scale, across=1200)
        figure.colorbar(image, ax=axes, label=style.density_label(scale), shrink=0.8, pad=0.02)
        heading += [one.source] if one.source else []
    else:
        draw_frame(axes, projection, "0.3")
        colour = style.COLOURS[0]
    draw_labels(axes, projection)
    if points:
        most = _MOST_POINTS if colour != "white" else _MOST_OVER
        heading.append(draw_points(axes, ds, index, projection, colour, most))
    if isinstance(projection, Orthographic):
        heading.append(f"seen from {_place(projection.lat0, projection.lon0)}")
    if lost := lost_at(ds, float(ds["time"].values[index])):
        heading.append(lost)
    axes.set_title(",  ".join(heading), fontsize=12, color=style.LOST if lost else style.PLAIN)
    if ax is not None:
        return axes
    figure.suptitle(page_heading(ds), fontsize=10)
    return figure  # type: ignore[no-any-return]


def draw_field(
    axes: Axes, field: fields.Field, projection: Projection, scale: Normalize, across: int = 600
) -> AxesImage:
    """One map without title and colour bar; ``across`` is its width in pixels."""
    image = axes.imshow(
        field.at(*pixels(projection, across)),
        extent=(-projection.width, projection.width, -projection.height, projection.height),
        origin="lower",
        cmap=style.CMAP,
        norm=scale,
        interpolation="bilinear",
    )
    # pixels cut by the edge are half empty: the clip hides them, the edge line covers its steps
    edge = draw_frame(axes, projection, "1.0")
    image.set_clip_path(edge)
    return image


def draw_frame(axes: Axes, projection: Projection, colour: str) -> Any:
    """The edge of the map and a graticule of 30 degrees; returns the edge."""
    style.quiet_spines(axes)
    edge = axes.add_patch(outline(projection, fill=False, edgecolor="0.25", linewidth=1.0, zorder=4))
    lat, lon = np.linspace(-90, 90, 181), np.linspace(0, 360, 361)
    lines = [(lat, np.full_like(lat, east)) for east in range(0, 360, 30)]
    lines += [(np.full_like(lon, north), lon) for north in range(-60, 61, 30)]
    for line in lines:
        x, y = projection.forward(*line)
        x = np.where(np.abs(np.diff(x, append=x[-1])) > projection.width, np.nan, x)  # lifts the pen at the seam
        axes.plot(x, y, color=colour, linewidth=0.4, alpha=0.35, zorder=3)
    margin = 1.02
    axes.set_xlim(-margin * projection.width, margin * projection.width)
    axes.set_ylim(-margin * projection.height, margin * projection.height)
    return edge


def draw_labels(axes: Axes, projection: Projection) -> None:
    """Degrees beside the graticule: latitudes at the left edge or along the middle, longitudes along a parallel."""
    text: dict[str, Any] = {"fontsize": 7, "color": "0.35", "ha": "right", "va": "center", "zorder": 6}
    if isinstance(projection, Orthographic):
        text["color"] = "0.75"
        middle, parallel = projection.lon0, float(np.clip(30 * round(projection.lat0 / 30), -60, 60))
    else:
        middle, parallel = getattr(projection, "lon0", 0.0) - 179.999, 0.0
    for north in range(-60, 61, 30):
        x, y = projection.forward(np.array(float(north)), np.array(middle))
        if np.isfinite(x):
            axes.text(float(x) - 0.02 * projection.width, float(y), _degrees(north, "NS"), **text)
    for east in range(0, 360, 60):
        x, y = projection.forward(np.array(parallel), np.array(float(east)))
        if np.isfinite(x) and abs(float(x)) < 0.97 * projection.width:
            where = text | {"ha": "center", "va": "top", "color": "0.75"}
            axes.text(float(x), float(y) - 0.01 * projection.height, f"{east}°E", **where)


def draw_points(
    axes: Axes, ds: xr.Dataset, index: int, projection: Projection, colour: str, most: int = _MOST_POINTS
) -> str:
    """Dots with areas by weight; returns what to say of them. Of more than ``most`` a fixed random choice is drawn."""
    positions = fields.by_component(ds["points"].isel(time=index)).values.T
    total = positions.shape[1]
    chosen = np.arange(total)
    if total > most:
        chosen = np.sort(np.random.default_rng(0).choice(total, most, replace=False))
    positions, shown = positions[:, chosen], len(chosen)
    weights = ds["weights"].values[chosen] if "weights" in ds else np.ones(shown)
    x, y = projection.forward(*angles(positions))
    room = 1.0 if colour != "white" else 0.25  # small over a density
    area = room * np.clip(3000 / np.sqrt(shown), 4, 40) * weights / max(weights.mean(), 1e-300)
    area = np.minimum(area, 120 * room)
    axes.scatter(x, y, s=area, c=colour, edgecolors="black", linewidths=0.4, alpha=0.8, zorder=5)
    return f"{total} points" if shown == total else f"{shown} of {total} points"


def _wants_points(ds: xr.Dataset, points: bool | None, index: int) -> bool:
    """Whether to draw points; refused if they are asked for and missing, at this time too, or not on S²."""
    there = "points" in ds and not np.isnan(ds["points"].isel(time=index).values).all()
    if points and not there:
        remedy = "solve with measure='cloud' and save_points=True"
        problem = "the result has no points at this time" if "points" in ds else "the result has no points"
        raise InputError("points", points, problem, remedy)
    if there and ds.sizes.get("component") != 3:
        raise InputError("points", f"d = {ds.sizes.get('component')}", "maps show S² alone", "plot the observables")
    return there if points is None else points


def _place(lat: float, lon: float) -> str:
    return f"{_degrees(lat, 'NS')} {lon % 360:.0f}°E"


def _degrees(value: float, sides: str) -> str:
    return f"{abs(value):.0f}°" + (sides[value < 0] if round(value) else "")
