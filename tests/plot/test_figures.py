"""Figures: made without pyplot, with the right titles, labels and numbers in them."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from fpsolve import plot
from fpsolve.errors import InputError


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc) for axes in figure.axes for loc in ("center", "left") if axes.get_title(loc)]


def test_density_map(wandering):
    figure = plot.density_map(wandering, 0.8)
    assert titles(figure) == ["t = 0.8"]
    image = figure.axes[0].images[0]
    assert image.norm.vmin == 0
    assert np.nanmax(image.get_array()) == pytest.approx(wandering.density[8].max().item(), rel=1e-3)
    assert figure.axes[1].get_ylabel().startswith("density ρ  [1/sr]")


def test_seam_is_closed(wandering):
    """The left and right ends of every row of pixels are neighbours on the sphere."""
    values = plot.density_map(wandering, 0.8).axes[0].images[0].get_array()
    for row in range(40, values.shape[0] - 40, 20):
        seen = np.flatnonzero(np.isfinite(values[row]))
        assert abs(values[row, seen[0]] - values[row, seen[-1]]) < 0.02 * np.nanmax(values)


def test_negative_densities_are_on_the_scale(wandering):
    below = wandering.assign(density=wandering.density - 0.1)
    norm = plot.density_map(below).axes[0].images[0].norm
    assert norm.vmin == pytest.approx(below.density[-1].min().item())


def test_a_sharp_peak_gets_a_square_root_scale(wandering):
    sharp = wandering.assign(density=10 * wandering.density)
    figure = plot.density_map(sharp)
    assert isinstance(figure.axes[0].images[0].norm, PowerNorm)
    assert "square-root scale" in figure.axes[1].get_ylabel()


def test_orthographic_is_centred_at_the_mean(wandering):
    figure = plot.density_orthographic(wandering, 0.5)
    assert titles(figure) == ["t = 0.5,  seen from 25°N 150°E"]
    values = np.nan_to_num(figure.axes[0].images[0].get_array())
    row, column = np.unravel_index(values.argmax(), values.shape)
    assert abs(row / values.shape[0] - 0.5) < 0.02 and abs(column / values.shape[1] - 0.5) < 0.02
    assert titles(plot.density_orthographic(wandering, view=(-90, 0))) == ["t = 1,  seen from 90°S 0°E"]
    assert "seen from" in titles(plot.density_map(wandering, projection="orthographic"))[0]


def test_map_from_moments_says_so(wandering):
    assert titles(plot.density_map(wandering.drop_vars("density"))) == ["t = 1,  from moments ℓ ≤ 8"]


def test_points(cloud):
    figure = plot.density_map(cloud)
    assert titles(figure) == ["t = 1,  from moments ℓ ≤ 8,  400 points"]
    dots = figure.axes[0].collections[0]
    assert len(dots.get_offsets()) == 400
    assert np.corrcoef(dots.get_sizes(), cloud.weights)[0, 1] > 0.99
    assert titles(plot.density_map(cloud, points=False)) == ["t = 1,  from moments ℓ ≤ 8"]
    assert titles(plot.density_map(cloud.drop_vars("moments"))) == ["t = 1,  400 points"]


def test_many_points_are_thinned(cloud, monkeypatch):
    monkeypatch.setattr("fpsolve.plot.maps._MOST_POINTS", 150)
    assert "134 of 400 points" in titles(plot.density_map(cloud))[0]


def test_observables(wandering):
    figure = plot.observables(wandering)
    assert titles(figure) == [
        "mean vector m",
        "overlap |m|²",
        "interaction energy",
        "entropy",
        "least density",
        "tail of the spectrum",
    ]
    tail = figure.axes[5]
    assert tail.get_yscale() == "log"
    np.testing.assert_array_equal(tail.lines[0].get_ydata()[1:], wandering["tail"].values[1:])
    assert figure.axes[4].get_ylabel() == "1/sr"
    norm = figure.axes[0].lines[-1].get_ydata()
    np.testing.assert_allclose(norm**2, wandering.overlap, rtol=1e-12)


def test_observables_shows_what_is_there(wandering):
    few = wandering[["overlap", "energy"]]
    assert titles(plot.observables(few)) == ["overlap |m|²", "interaction energy"]
    with pytest.raises(InputError, match="has no observable"):
        plot.observables(wandering[["density"]])


def test_a_tail_of_zeros_draws(wandering):
    figure = plot.observables(wandering.assign(tail=0 * wandering["tail"]))
    figure.draw_without_rendering()


def test_overview(wandering):
    figure = plot.overview(wandering)
    assert [t for t in titles(figure) if t.startswith("t =")] == ["t = 0", "t = 0.3", "t = 0.7", "t = 1"]
    scales = {id(axes.images[0].norm) for axes in figure.axes if axes.images}
    assert len(scales) == 1
    assert len(titles(plot.overview(wandering.isel(time=[0]), 3))) == 5


def test_animation(wandering, tmp_path):
    from PIL import Image

    short = wandering.isel(time=slice(0, 3))
    path = plot.animation(short, tmp_path / "a.gif", fps=5)
    with Image.open(path) as picture:
        assert (picture.n_frames, picture.info["duration"]) == (3, 200)
    with pytest.raises(InputError, match="exists already"):
        plot.animation(short, path)
    with pytest.raises(InputError, match=r"not one of \.gif"):
        plot.animation(short, tmp_path / "a.mp4")
    plot.animation(short, path, projection="orthographic", overwrite=True)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"projection": "molweide"}, "projection"),
        ({"time": 3.0}, "time"),
        ({"points": True}, "points"),
    ],
)
def test_bad_arguments(wandering, arguments, named):
    with pytest.raises(InputError) as refused:
        plot.density_map(wandering, **arguments)
    assert refused.value.argument == named


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_every_format_is_written_without_warnings(wandering, tmp_path, suffix, recwarn):
    plot.overview(wandering).savefig(tmp_path / f"o.{suffix}")
    assert [str(one.message) for one in recwarn] == []


def test_importing_is_light_and_touches_no_pyplot():
    code = (
        "import sys, fpsolve.plot as p; assert 'matplotlib' not in sys.modules;"
        "p.overview; assert 'matplotlib.pyplot' not in sys.modules; p.animation; p.density_map"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
