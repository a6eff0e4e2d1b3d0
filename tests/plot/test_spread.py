"""Pictures of ensembles: means with errors and fans, curves by swept value, a member's own page."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.ensembles import statistics
from fpsolve.errors import InputError

MODEL = fp.models.Homogenized(beta=2.0)
LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 0.5)
RUN = {"t_end": 0.02, "dt": 0.01, "lmax": 15}


def made(tmp_path_factory, **more):
    store = tmp_path_factory.mktemp("ensemble") / "e.zarr"
    return fp.ensemble(MODEL, LAW, **RUN, seed=1, output=store, progress=False, **more).load()


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    return made(tmp_path_factory, members=5)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    return made(tmp_path_factory, members=2, sweep={"beta": [1.0, 3.0]})


def panel(figure, title):
    return next(axes for axes in figure.axes if axes.get_title("left").startswith(title))


def band(collection, time):
    """Lower and upper edge of a filled band at a time."""
    corners = collection.get_paths()[0].vertices
    at = corners[np.isclose(corners[:, 0], time), 1]
    return at.min(), at.max()


def test_the_mean_its_error_and_the_fan_are_those_of_the_statistics(members):
    found, axes = statistics(members), panel(fp.plot.ensemble(members), "overlap")
    assert np.array_equal(axes.lines[0].get_ydata(), found.overlap_mean)
    own = members.overlap.values[:, -1]
    error = 2 * own.std(ddof=1) / np.sqrt(len(own))
    shown = [band(one, 0.02) for one in axes.collections]
    wanted = [own.mean() + np.array([-error, error]), np.quantile(own, [0.05, 0.95]), np.quantile(own, [0.25, 0.75])]
    assert np.allclose(shown, wanted, rtol=1e-12)


def test_statistics_alone_give_the_same_picture(members):
    one, other = (panel(fp.plot.ensemble(ds), "entropy") for ds in (members, statistics(members)))
    assert np.array_equal(one.lines[0].get_ydata(), other.lines[0].get_ydata())


def test_a_sweep_has_a_curve_for_every_value(swept):
    figure = fp.plot.ensemble(swept)
    axes = panel(figure, "entropy")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["beta = 1 (2 members)", "beta = 3 (2 members)"]
    assert np.array_equal([line.get_ydata() for line in axes.lines], statistics(swept).entropy_mean)
    assert len(axes.collections) == 2 and "β" not in figure.get_suptitle().split(":")[0]


def test_too_many_curves_are_refused(swept):
    with pytest.raises(InputError, match="more than 8 curves"):
        fp.plot.ensemble(statistics(swept).isel(beta=[0] * 9))
    with pytest.raises(InputError, match="no ensemble"):
        fp.plot.ensemble(swept.isel(member=0, beta=0))


def test_a_member_has_its_own_page_and_several_have_none(members, swept):
    page = fp.plot.overview(members.isel(member=3))
    line = panel(page, "entropy").lines[0]
    assert np.array_equal(line.get_ydata(), members.entropy[3])
    assert len(fp.plot.overview(members.isel(member=[2])).findobj(type(page.axes[0]))) > 4
    assert "beta = 3" in fp.plot.overview(swept.isel(member=0, beta=1)).get_suptitle()
    for draw in (fp.plot.overview, fp.plot.observables, fp.plot.density_map):
        with pytest.raises(InputError, match="holds several runs"):
            draw(members)
