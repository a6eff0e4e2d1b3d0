"""The density under a zoom is that of the density run, and its mass is that of the cloud's points."""

import warnings
from functools import cache

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError, UnderResolvedWarning
from fpsolve.measures.initial import source_of
from fpsolve.plot.zoom import zoomed
from fpsolve.solve import prepare
from fpsolve.zoom import zoom
from fpsolve.zoom.backward import backward
from fpsolve.zoom.flow import Flow, _nearest
from fpsolve.zoom.patch import patch
from fpsolve.zoom.replay import flow_of, law_of

LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
RUN = {"t_end": 0.2, "dt": 0.02, "path_cell": 0.02, "seed": 2, "rtol": 1e-8}
MODELS = {
    "value noise": fp.models.Homogenized(beta=4.0, drift=[[1, 0.3, 0], [0, 0.5, 0], [0.1, 0, 1]]),
    "gaussian": fp.models.Homogenized(beta=2.0, key_query="gaussian"),
    "isotropic": fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.2 * t + 0.05 * t**3, 8),
    "attention": fp.models.SelfAttention(beta=4.0),
}
KEPT = {"save_flow": True, "save_points": True, "save_density": True}


@cache
def cloud(name: str, **changes):
    return fp.solve(MODELS[name], LAW, measure="cloud", lmax=31, **{**RUN, **KEPT, **changes})


@cache
def collapsed(name: str):
    """Nearly a Dirac mass, the overlap above 0.99."""
    model = {"noisy": fp.models.Homogenized(beta=4.0, drift=3.0, noise=0.3), "rk4": MODELS["attention"]}[name]
    run = {"noisy": {"t_end": 1.6, "dt": 0.04, "path_cell": 0.04, "seed": 2}, "rk4": {"t_end": 5.0, "dt": 0.125}}[name]
    return fp.solve(model, LAW, measure="cloud", lmax=31, rtol=1e-8, **run, **KEPT)


@pytest.mark.parametrize("name", MODELS)
def test_the_density_is_that_of_the_density_run_while_resolved(name):
    *_, (_, density) = prepare(MODELS[name], LAW, lmax=63, **RUN).states()
    assert density.tail < 1e-12
    for centre, radius in (([0.3, -0.5, 1.0], 0.5), ([1.0, 0.2, 0.0], 0.01)):
        here = zoom(cloud(name), centre, radius, n=8)
        x = patch(np.array(here.centre), radius, 8).x
        exact = density.geometry.points(x).scalar(density.coefficients)
        assert np.abs(here.density.values.ravel() - exact).max() < 1e-6  # measured: 1e-9 to 1e-7


@pytest.mark.parametrize("name", ["noisy", "rk4"])
@pytest.mark.parametrize("radius", [0.1, 0.01, 1e-3])
def test_the_mass_under_the_zoom_is_that_of_the_points(name, radius):
    """A smooth window, and the bare count, whose error is that of the points on the rim: a few mean weights."""
    ds = collapsed(name)
    assert ds.overlap.values[-1] > 0.99
    here = zoom(ds, "mean", radius, n=24)
    points, weights = ds.points.values[-1], ds.weights.values
    angle = 2 * np.arcsin(np.linalg.norm(points - here.centre, axis=1) / 2)
    within = angle < radius
    rim = np.abs(angle - radius) < 0.5 * radius / np.sqrt(max(within.sum(), 4))
    assert abs(weights[within].sum() - here.mass) < weights[rim].sum() + 4 * weights[within].max(initial=weights.max())
    if within.sum() > 300:
        window = np.where(within, 1 - (angle / radius) ** 2, 0) ** 4
        under = ((1 - (here.distance / radius) ** 2) ** 4 * here.density * here.weights).sum().item()
        assert abs(weights @ window - under) < 1e-5 * under + 1e-6  # measured: 1e-7 and less


def test_the_mass_of_the_sphere_is_one_and_moments_are_those_of_the_run():
    ds = cloud("value noise")
    here = zoom(ds, (30.0, 40.0), np.pi, n=40)
    x = patch(np.array(here.centre), np.pi, 40).x
    assert abs(here.mass - 1) < 1e-8
    mean = (here.weights.values * here.density.values).ravel() @ x
    assert np.abs(mean - ds.mean_vector.values[-1]).max() < 1e-7


def test_any_time_and_the_start():
    ds = cloud("isotropic")  # of one degree in all steps, so that both flows are evaluated alike
    start = zoom(ds, [0.3, -0.5, 1.0], 0.3, time=0.0, n=8)
    x = patch(np.array(start.centre), 0.3, 8).x
    assert np.abs(start.density.values.ravel() - LAW.density(x)).max() < 1e-14
    early = cloud("isotropic", t_end=0.1)
    late, last = zoom(ds, "mean", 0.3, time=0.1, n=8), zoom(early, "mean", 0.3, n=8)
    assert np.array_equal(late.density, last.density)


@pytest.mark.parametrize("name", ["value noise", "attention"])
def test_points_go_back_to_where_they_came_from_with_their_density(name):
    ds = cloud(name)
    some = slice(None, None, 61)
    flow = flow_of(ds, LAW, None)
    origin, log_jacobian = backward(flow, ds.points.values[-1][some], flow.steps, 1e-9)
    assert np.abs(origin - ds.points.values[0][some]).max() < 1e-7  # measured: 1e-9
    carried = np.log(ds.density.values[-1][some])
    assert np.abs(np.log(LAW.density(origin)) + log_jacobian - carried).max() < 1e-7


@pytest.mark.parametrize("name", ["gaussian", "attention"])
def test_a_run_without_its_flow_is_done_again(name, tmp_path):
    ds = cloud(name)
    fp.save(ds.drop_vars("flow"), tmp_path / "bare.nc")
    fp.save(ds, tmp_path / "full.zarr")
    bare, full = fp.load(tmp_path / "bare.nc"), fp.load(tmp_path / "full.zarr")
    again, stored = zoom(bare, "mean", 0.1, n=8), zoom(full, "mean", 0.1, n=8)
    assert np.array_equal(again.density, stored.density) and again.centre == stored.centre


def test_a_run_handed_over_to_a_cloud_is_zoomed():
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)
    run = {"t_end": 0.4, "dt": 0.02, "path_cell": 0.02, "seed": 2, "lmax": 15}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnderResolvedWarning)
        ds = fp.solve(flow, LAW, **run, on_underresolved="cloud")
    assert set(ds.method.values) == {"density", "cloud"}
    other = fp.solve(flow, LAW, **{**run, "lmax": 31}, measure="cloud")
    one, two = zoom(ds, [0, 0, 1], 0.2, n=8), zoom(other, [0, 0, 1], 0.2, n=8)
    assert np.array_equal(one.density, two.density)


@pytest.mark.parametrize("model", [fp.models.SelfAttention(beta=2.0), None])
def test_the_circle(model):
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.1 * t**3, 3, d=2)
    law = fp.initial.von_mises_fisher([0.3, -0.5], 2.0)
    ds = fp.solve(model or flow, law, measure="cloud", lmax=63, save_flow=True, **RUN)
    *_, (_, density) = prepare(model or flow, law, lmax=127, **RUN).states()
    here = zoom(ds, "mean", np.pi, n=130)
    exact = density.geometry.points(patch(np.array(here.centre), np.pi, 130).x).scalar(density.coefficients)
    assert np.abs(here.density.values - exact).max() < 1e-6 and abs(here.mass - 1) < 1e-8
    assert zoomed(here).axes[0].get_ylabel() == "density ρ  [1/rad]"


def test_a_peak_too_narrow_for_the_patch_is_said_to_be_so():
    with pytest.warns(UnderResolvedWarning, match="too coarse .* mass is not to be trusted"):
        zoom(collapsed("rk4"), [0.3, -0.5, -1.0], 3.0, n=8)


def test_interpolation_in_time_is_exact_for_polynomials_and_its_error_is_known():
    nodes = np.arange(12.0)
    for at in (0.2, 3.7, 10.9):
        first, weights = _nearest(at, 12, 8)
        assert abs(weights @ nodes[first : first + 8] ** 7 - at**7) < 1e-9 * 12**7
    coarse = Flow.of_dataset(cloud("attention", dt=0.04, path_cell=0.04))
    assert 0 < Flow.of_dataset(cloud("attention")).interpolation_error < 0.1 * coarse.interpolation_error
    assert Flow.of_dataset(cloud("gaussian")).interpolation_error == 0


def test_the_patch_integrates_polynomials_exactly():
    for radius in (np.pi, 0.7, 1e-3):
        here = patch(np.array([0.6, 0.0, 0.8]), radius, 12)
        cap = 2 * np.pi * 2 * np.sin(radius / 2) ** 2
        assert abs(here.weights.sum() / cap - 1) < 1e-13
        height = here.weights @ (1 - here.x @ [0.6, 0.0, 0.8])  # ∫ (1 - cos θ) = π (1 - cos r)²
        assert abs(height - np.pi * (2 * np.sin(radius / 2) ** 2) ** 2) < 1e-12 * cap


def test_the_picture():
    figure = zoomed(zoom(collapsed("rk4"), "mean", 0.1, n=16))
    assert "mass within 0.1" in figure.axes[0].get_title() and len(figure.axes) == 2
    with pytest.raises(InputError, match=r"fp\.zoom"):
        zoomed(cloud("gaussian"))


def test_a_law_given_by_a_function_is_asked_for():
    law = fp.initial.function(lambda x: (1 + 0.5 * x[..., 2]) / (4 * np.pi))
    ds = fp.solve(MODELS["gaussian"], law, measure="cloud", lmax=31, **{**RUN, "t_end": 0.04}, save_flow=True)
    with pytest.raises(InputError, match="pass initial="):
        zoom(ds, "mean", 0.1, n=8)
    assert zoom(ds, "mean", 0.1, n=8, initial=law).mass > 0
    with pytest.raises(InputError, match="not the law of this run"):
        zoom(ds, "mean", 0.1, n=8, initial=LAW)
    assert law_of({"initial": LAW.recipe}, LAW) is LAW and source_of(LAW).dimension == 3


@pytest.mark.parametrize(
    ("arguments", "changes", "argument"),
    [
        ({"centre": "peak"}, {}, "centre"),
        ({"centre": [1.0, 2.0, 3.0, 4.0]}, {}, "centre"),
        ({"centre": [0.0, 0.0, 0.0]}, {}, "centre"),
        ({"radius": 0.0}, {}, "radius"),
        ({"radius": 4.0}, {}, "radius"),
        ({"time": 0.013}, {}, "time"),
        ({"time": 0.3}, {}, "time"),
        ({"n": 2}, {}, "n"),
        ({"rtol": 0.0}, {}, "rtol"),
        ({"model": MODELS["isotropic"]}, {"save_flow": False}, "model"),
        ({}, {"measure": "density", "save_flow": False, "save_points": False}, "solution"),
        ({}, {"scheme": "euler_maruyama", "save_flow": False, "save_density": False}, "solution"),
    ],
)
def test_bad_arguments_are_named(arguments, changes, argument):
    run = {**RUN, **KEPT, "measure": "cloud", "t_end": 0.04, "rtol": 1e-4, "lmax": 15, **changes}
    ds = fp.solve(MODELS["gaussian"], LAW, **run)
    with pytest.raises(InputError) as caught:
        zoom(ds, **{"centre": "mean", "radius": 0.1, "n": 8, **arguments})
    assert caught.value.argument == argument


def test_tokens_have_no_density_to_zoom():
    ds = fp.solve(MODELS["gaussian"], fp.initial.samples(LAW, 50, 1), measure="cloud", t_end=0.02, dt=0.02)
    with pytest.raises(InputError, match="no density"):
        zoom(ds, "mean", 0.1)
    with pytest.raises(InputError, match="solution"):
        zoom(ds.assign_attrs(fpsolve_config=None), "mean", 0.1)
