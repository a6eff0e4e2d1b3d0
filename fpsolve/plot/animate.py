"""The density in motion: a GIF by matplotlib's Pillow writer, which needs nothing else, or an MP4 by ffmpeg."""

from __future__ import annotations

import os
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

from fpsolve.errors import InputError, unknown_name
from fpsolve.io.output import ANIMATION_SUFFIXES, check_output, replacing
from fpsolve.plain.arguments import checked_arguments
from fpsolve.plain.schema import renamed
from fpsolve.plot import fields, maps, style
from fpsolve.plot.heading import heading
from fpsolve.plot.marks import lost_at
from fpsolve.plot.projection import Mollweide, Orthographic, Projection, pixels

if TYPE_CHECKING:
    import xarray as xr


@checked_arguments
def animation(
    ds: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    projection: str = "mollweide",
    fps: int = 10,
    overwrite: bool = False,
) -> Path:
    """Write one frame for each saved time to ``path`` (``.gif`` or ``.mp4``) on one colour scale; returns the path.

    The orthographic view stays where the last mean vector points. An MP4 needs the program ffmpeg. Raises
    :class:`~fpsolve.errors.InputError` naming ``path``, ``projection``, ``fps``, ``ds`` or ``density``.
    """
    with renamed("output", "path"):
        target = check_output(path, overwrite, ANIMATION_SUFFIXES)
    if target.suffix == ".mp4" and which("ffmpeg") is None:
        raise InputError("path", str(path), "an MP4 needs the program ffmpeg", "install ffmpeg, or name a .gif")
    if projection not in maps.PROJECTIONS:
        raise unknown_name("projection", projection, maps.PROJECTIONS)
    if not 1 <= fps <= 50:
        raise InputError("fps", fps, "a GIF shows up to 50 frames a second", "choose 1 <= fps <= 50")
    ds = fields.one_run(ds)
    frames = [fields.field(ds, index) for index in range(ds.sizes["time"])]
    flat = Mollweide() if projection == "mollweide" else Orthographic(*fields.mean_direction(ds, len(frames) - 1))
    with replacing(target, overwrite) as temporary:
        _write(ds, frames, flat, temporary, fps)
    return target


def _write(ds: xr.Dataset, frames: list[fields.Field], projection: Projection, path: Path, fps: int) -> None:
    from matplotlib.animation import FFMpegWriter, PillowWriter

    scale = style.colour_scale(min(one.values.min() for one in frames), max(one.values.max() for one in frames))
    figure = style.new_figure(6.4, 3.6 if isinstance(projection, Mollweide) else 5.4, dpi=100)
    axes = figure.subplots()
    image = maps.draw_field(axes, frames[0], projection, scale)
    figure.colorbar(image, ax=axes, label=style.density_label(scale), shrink=0.85, pad=0.02)
    title = axes.set_title(" ", fontsize=11)
    places = pixels(projection, 600)
    figure.suptitle(heading(ds), fontsize=9)
    writer: Any = PillowWriter(fps=fps) if path.suffix == ".gif" else FFMpegWriter(fps=fps)
    with writer.saving(figure, str(path), 100):
        for one in frames:
            image.set_data(one.at(*places))
            lost = lost_at(ds, one.time)
            title.set_text(",  ".join(filter(None, (style.time_label(one.time), one.source, lost))))
            title.set_color(style.LOST if lost else style.PLAIN)
            writer.grab_frame()
