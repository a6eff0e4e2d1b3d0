"""Figures: made without pyplot, with the right titles, labels and numbers in them."""

import json
import subprocess
import sys
from shutil import which

import numpy as np
import pytest
from matplotlib.colors import LogNorm, PowerNorm
from matplotlib.figure import Figure

from fpsolve import plot
from fpsolve.errors import InputError
from fpsolve.plot.series import page
from fpsolve.plot.style import LOST


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc) for axes in figure.axes for loc in ("center", "left") if axes.get_title(loc)]


def test_density_map(wandering):
    figure = plot.density_map(wandering, 0.8)
    assert titles(figure) == ["t = 0.8"]
    image = figure.axes[0].images[0]
    assert image.norm.vmin == 0
    assert np.nanmax(image.get_array()) == pytest.approx(wandering.density[8].max().item(), rel=1e-3)
    assert figure.axes[1].get_ylabel().startswith("density ρ  [1/sr]")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("density_map", {"time": 0.8}), ("density_orthographic", {"time": 0.8}), ("observable", {"name": "overlap"})],
)
def test_pictures_are_drawn_where_they_are_asked(wandering, name, arguments):
    """On the axes given, which are returned: the same picture as on a figure of its own."""
    own = getattr(plot, name)(wandering, **arguments)
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert getattr(plot, name)(wandering, **arguments, ax=right) is right
    assert not left.has_data() and right.has_data()
    assert right.get_title("left") + right.get_title() == "".join(titles(own)[:1])
    if right.images:
        assert np.array_equal(right.images[0].get_array(), own.axes[0].images[0].get_array(), equal_nan=True)
    else:
        assert np.array_equal(right.lines[0].get_ydata(), wandering.overlap)


def test_axes_that_are_none(wandering):
    with pytest.raises(InputError, match=r"ax .* pass one of plt.subplots"):
        plot.density_map(wandering, ax=Figure())
    with pytest.raises(InputError, match="overlap"):
        plot.observable(wandering, "overlaps")


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
    monkeypatch.setattr("fpsolve.plot.maps._MOST_OVER", 150)
    assert "150 of 400 points" in titles(plot.density_map(cloud))[0]
    assert "400 points" in titles(plot.density_map(cloud.drop_vars("moments")))[0]


def test_observables(wandering):
    figure = plot.observables(wandering)
    assert titles(figure) == [
        "mean vector m",
        "overlap |m|²",
        "interaction energy",
        "entropy",
        "least density",
        "tail of the spectrum (dotted: limit 1e-03)",
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
    with pytest.raises(InputError, match=r"not one of \.gif, \.mp4"):
        plot.animation(short, tmp_path / "a.avi")
    plot.animation(short, path, projection="orthographic", overwrite=True)


@pytest.mark.parametrize("there", [True, False])
def test_an_mp4_needs_ffmpeg(wandering, tmp_path, monkeypatch, there):
    monkeypatch.setattr("fpsolve.plot.animate.which", lambda name: name if there else None)
    if there and which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    short = wandering.isel(time=slice(0, 2))
    if not there:
        with pytest.raises(InputError, match="needs the program ffmpeg"):
            plot.animation(short, tmp_path / "a.mp4")
        return
    assert plot.animation(short, tmp_path / "a.mp4").read_bytes()[4:8] == b"ftyp"


def configured(ds, **solve):
    model = {"name": "Homogenized", "beta": 4.0, "key_query": "gaussian", "value_std": 1.0}
    return ds.assign_attrs(fpsolve_config=json.dumps({"model": model, "initial": {"name": "uniform"}, "solve": solve}))


def test_the_heading_says_what_was_solved(wandering):
    run = configured(wandering, measure="log_density", lmax=31, seed=7, member=2)
    assert plot.overview(run).get_suptitle() == (
        "Homogenized, β = 4, gaussian · log_density, lmax = 31 · seed 7, member 2"
    )
    assert plot.observables(wandering).get_suptitle() == "A wandering von Mises–Fisher density"
    for broken in ("{", "3", '{"model": 1}'):
        assert plot.observables(wandering.assign_attrs(fpsolve_config=broken)).get_suptitle().startswith("A wand")


@pytest.mark.parametrize(("measure", "limit"), [("density", 1e-3), ("log_density", 1e-6)])
def test_the_tail_has_the_limit_of_its_measure_and_nothing_below_the_floor(wandering, measure, limit):
    sunk = wandering.assign(tail=("time", np.geomspace(1e-30, 1e-8, 11)))
    tail = plot.observables(configured(sunk, measure=measure, lmax=31)).axes[5]
    assert tail.lines[1].get_ydata()[0] == limit and f"limit {limit:.0e}" in tail.get_title("left")
    assert tail.get_ylim()[0] == 1e-20


def test_maps_say_what_was_no_longer_resolved(wandering):
    lost = wandering.assign_attrs(unresolved_from=0.45, attention_unresolved_from=0.95)
    assert titles(plot.density_map(lost, 0.4)) == ["t = 0.4"]
    assert titles(plot.density_map(lost, 0.5)) == ["t = 0.5,  under-resolved"]
    maps = [axes for axes in plot.overview(lost).subfigs[0].axes if axes.images]
    told = ["t = 0", "t = 0.3", "t = 0.7  (under-resolved)", "t = 1  (under-resolved, attention under-resolved)"]
    assert [axes.get_title() for axes in maps] == told
    assert [axes.title.get_color() == LOST for axes in maps] == [False, False, True, True]


def test_peaks_far_apart_get_a_scale_each(wandering):
    growing = wandering.assign(density=wandering.density * np.exp(4 * wandering.time))
    images = [axes.images[0] for axes in plot.overview(growing).subfigs[0].axes if axes.images]
    peaks = [float(growing.density[k].max()) for k in (0, 3, 7, 10)]
    assert np.allclose([image.norm.vmax for image in images], peaks, rtol=0.02)
    huge = wandering.assign(density=1e3 * wandering.density)
    assert isinstance(plot.density_map(huge).axes[0].images[0].norm, LogNorm)


@pytest.mark.parametrize("count", [1, 2, 4, 5, 7, 8])
def test_a_page_has_no_empty_cells(count):
    _, panels = page(count)
    widths = [panel.get_subplotspec() for panel in panels]
    taken = sum(len(one.colspan) * len(one.rowspan) for one in widths)
    assert len(panels) == count and taken == np.prod(panels[0].get_gridspec().get_geometry())


def test_a_notebook_shows_a_figure_by_itself(wandering):
    assert plot.observables(wandering)._repr_png_().startswith(b"\x89PNG")


def test_tokens_beyond_maps_have_their_observables(wandering):
    tokens = wandering[["overlap", "energy"]].assign(mean_vector=(("time", "component"), np.eye(16)[:11]))
    assert titles(plot.overview(tokens)) == ["mean vector m", "overlap |m|²", "interaction energy"]


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
