"""Pictures of results on the circle, checked against a density in closed form."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.plot import circle

LAW = fp.initial.von_mises_fisher([np.cos(0.5), np.sin(0.5)], 3.0)


@pytest.fixture(scope="module")
def saved():
    model = fp.models.NoisyTransformer(1.0, 1.0)
    return fp.solve(model, LAW, t_end=0.2, dt=0.1, lmax=31, moments_lmax=31, save_density=True)


def test_profiles_are_the_density(saved):
    angle, values, source = circle.profiles(saved)
    theta = np.radians(angle)
    exact = np.exp(3 * np.cos(theta - 0.5)) / (2 * np.pi * np.i0(3.0))
    np.testing.assert_allclose(values[0], exact, rtol=1e-10)
    assert source == "" and angle[0] == 0 and angle[-1] == 360
    assert values[0, 0] == values[0, -1]


def test_profiles_from_moments_say_so(saved):
    angle, values, source = circle.profiles(saved.drop_vars("density"))
    exact = np.exp(3 * np.cos(np.radians(angle) - 0.5)) / (2 * np.pi * np.i0(3.0))
    np.testing.assert_allclose(values[0], exact, rtol=1e-9)
    assert source == "from moments m ≤ 31"


@pytest.mark.parametrize("draw", [fp.plot.density_map, fp.plot.density_orthographic])
def test_a_map_is_the_profile(saved, draw):
    (axes,) = draw(saved, 0.1).axes
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_ydata(), circle.profiles(saved)[1][1])
    assert axes.get_title() == "t = 0.1" and axes.get_xlabel() == "angle θ"


def test_overview(saved):
    figure = fp.plot.overview(saved, snapshots=2)
    left, right = figure.subfigs[0].axes[:2]
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["t = 0", "t = 0.2"]
    np.testing.assert_array_equal(right.collections[0].get_array(), circle.profiles(saved)[1])


def test_no_animation_on_the_circle(saved, tmp_path):
    with pytest.raises(InputError, match="S² alone"):
        fp.plot.animation(saved, tmp_path / "circle.gif")


def test_nothing_to_show(saved):
    with pytest.raises(InputError, match="no density and no moments"):
        fp.plot.density_map(saved.drop_vars(["density", "moments"]))
