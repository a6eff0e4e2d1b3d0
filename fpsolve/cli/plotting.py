"""``fpsolve plot``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpsolve import plot
from fpsolve.cli.listing import KINDS
from fpsolve.errors import InputError, unknown_name
from fpsolve.io import ANIMATION_SUFFIXES, FIGURE_SUFFIXES, check_output, load, replacing

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_TIMED = ("map", "orthographic")
_DPI = 150


def plot_result(result: Path, output: Path | None, kind: str, time: float | None, overwrite: bool) -> Path:
    """Draw one picture of a saved result; names and output are checked before anything is read."""
    if kind not in KINDS:
        raise unknown_name("kind", kind, KINDS)
    if time is not None and kind not in _TIMED:
        raise InputError("time", time, f"{kind} shows all times", "leave it out, or choose the kind map")
    suffixes = ANIMATION_SUFFIXES if kind == "animation" else FIGURE_SUFFIXES
    target = check_output(output or Path(f"{result.stem}-{kind}{suffixes[0]}"), overwrite, suffixes)
    ds = load(result)
    if kind == "animation":
        return plot.animation(ds, target, overwrite=overwrite)
    draw(lambda ds: _figure(ds, kind, time), ds, target, overwrite)
    return target


def draw(picture: Callable[[Any], Figure], ds: Any, target: Path, overwrite: bool) -> None:
    """Write a picture of a Dataset."""
    figure = picture(ds)
    with replacing(target, overwrite) as temporary:
        figure.savefig(temporary, dpi=_DPI)


def _figure(ds: xr.Dataset, kind: str, time: float | None) -> Figure:
    """The picture of this kind; an overview is the page of whatever the result is."""
    if kind == "map":
        return plot.density_map(ds, time)
    if kind == "orthographic":
        return plot.density_orthographic(ds, time)
    if kind == "observables":
        return plot.observables(ds)
    if "route" in ds.coords:
        return plot.comparison(ds)
    if "layer" in ds.dims:
        return plot.layers(ds)
    if "plane_x" in ds.coords or "offset" in ds.coords:
        return plot.zoomed(ds)
    if "arclength" in ds:
        return plot.branches(ds)
    if "count" in ds or (ds.sizes.get("member", 1) > 1 and "status" in ds):
        return plot.ensemble(ds)
    return plot.overview(ds)
