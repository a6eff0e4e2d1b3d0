"""Pictures of a run that was handed over to a cloud: where no density is saved, the moments are drawn."""

import warnings

import numpy as np
import pytest
from matplotlib.axes import Axes

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.plot import circle, fields
from fpsolve.plot.heading import heading

RUN = {"t_end": 0.4, "dt": 0.02, "path_cell": 0.02, "seed": 2, "lmax": 15, "save_every": 0.1, "save_density": True}


def handed_over(d, **changes):
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3, d=d)
    law = fp.initial.von_mises_fisher([0.3, -0.5, 1.0][:d], 2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fp.solve(flow, law, **RUN, measure="density", on_underresolved="cloud", **changes)


@pytest.fixture(scope="module")
def sphere():
    ds = handed_over(3, save_points=True)
    assert ds.method.values[[0, -1]].tolist() == ["density", "cloud"] and np.isnan(ds.density[-1]).all()
    return ds


def test_where_no_density_is_saved_the_field_is_that_of_the_moments(sphere):
    first, last = fields.field(sphere, 0), fields.field(sphere, 4)
    assert first.source == "" and last.source == "from moments ℓ ≤ 8"
    assert np.array_equal(last.values, fields.field(sphere.drop_vars("density"), 4).values)
    assert np.isfinite(last.values).all() and last.values.max() > 0.1


def test_the_map_is_not_blank_and_says_what_it_shows(sphere):
    for draw in (fp.plot.density_map, fp.plot.density_orthographic):
        (axes, _) = draw(sphere, points=False).axes
        pixels = np.ma.filled(axes.images[0].get_array(), np.nan)
        assert np.isfinite(pixels).mean() > 0.5 and "from moments ℓ ≤ 8" in axes.get_title()
        (axes, _) = draw(sphere, 0.0).axes
        assert axes.get_title().startswith("t = 0") and "moments" not in axes.get_title()


def test_points_are_drawn_once_there_are_some(sphere):
    assert "points" in fp.plot.density_map(sphere).axes[0].get_title()
    assert "points" not in fp.plot.density_map(sphere, 0.0).axes[0].get_title()
    with pytest.raises(InputError, match="no points at this time"):
        fp.plot.density_map(sphere, 0.0, points=True)


def test_the_overview_says_from_when_on_moments_are_shown(sphere):
    figure = fp.plot.overview(sphere, snapshots=3)
    since = next(t for t, method in zip((0.0, 0.2, 0.4), sphere.method.values[::2], strict=True) if method == "cloud")
    assert figure.get_suptitle() == f"{heading(sphere)}  (from moments ℓ ≤ 8 from t = {since:.4g} on)"
    for axes in figure.subfigs[0].axes[:3]:
        assert np.isfinite(np.ma.filled(axes.images[0].get_array(), np.nan)).mean() > 0.5


def test_profiles_on_the_circle_go_on_as_sums_of_moments():
    ds = handed_over(2)
    angle, values, source = circle.profiles(ds)
    at = int(np.sum(ds.method.values == "density"))
    assert 0 < at < 5 and np.isfinite(values).all() and len(angle) == values.shape[1]
    assert source == f"from moments m ≤ 8 from t = {ds.time.values[at]:.4g} on"
    assert np.array_equal(values[:at, :-1], ds.density.values[:at])
    mean = np.stack([np.cos(np.radians(angle)), np.sin(np.radians(angle))])[:, :-1] @ values[:, :-1].T * 2 * np.pi
    assert np.abs(mean.T / (len(angle) - 1) - ds.mean_vector).max() < 1e-6
    assert fp.plot.density_map(ds).axes[0].get_title() == "t = 0.4,  from moments m ≤ 8"
    assert fp.plot.density_map(ds, 0.0).axes[0].get_title() == "t = 0"


@pytest.mark.parametrize("draw", [fp.plot.overview, fp.plot.observables])
def test_the_curves_say_from_when_on_the_cloud_carries(sphere, draw):
    lines = [(axes, text) for axes in draw(sphere).findobj(Axes) for text in axes.texts if text.get_text() == "cloud"]
    assert len(lines) >= 3 and all(text.xy[0] == sphere.handed_over_at for _, text in lines)
    for axes, _ in lines:
        assert any(line.get_xdata()[0] == sphere.handed_over_at for line in axes.lines if line.get_linestyle() == "--")


def test_labels_of_one_time_share_a_line_and_a_member_has_its_own_variables(sphere):
    def told(ds):
        return {text.get_text() for axes in fp.plot.observables(ds).axes for text in axes.texts}

    bare = sphere.drop_attrs()
    assert told(bare) == told(bare.assign(stopped_at=np.nan)) == set()
    marks = {"filtered_from": 0.1, "unresolved_from": 0.2, "stopped_at": 0.2}
    assert told(bare.assign_attrs(marks)) == told(bare.assign(marks)) == {"filtered", "under-resolved, stopped"}
