"""The density under a zoom is that of the density run, and its mass is that of the cloud's points."""

import json
import warnings
from functools import cache

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError, UnderResolvedWarning, UnresolvedError
from fpsolve.measures.build import source_of
from fpsolve.observe.flow import Flow, _nearest
from fpsolve.observe.flow_recorder import _trimmed
from fpsolve.plot.zoom import zoomed
from fpsolve.solving import prepare
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.scattered import SpherePoints
from fpsolve.transport.velocity import HarmonicField
from fpsolve.zooming import zoom
from fpsolve.zooming.backward import backward, round_off
from fpsolve.zooming.patch import checked_centre, frame, patch
from fpsolve.zooming.replay import INTERPOLATED, flow_of

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
    *_, (_, density) = prepare(MODELS[name], LAW, measure="density", lmax=63, **RUN).course().states()
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
        ds = fp.solve(flow, LAW, **run, measure="density", on_underresolved="cloud")
    assert set(ds.method.values) == {"density", "cloud"}
    other = fp.solve(flow, LAW, **{**run, "lmax": 31}, measure="cloud")
    one, two = zoom(ds, [0, 0, 1], 0.2, n=8), zoom(other, [0, 0, 1], 0.2, n=8)
    assert np.array_equal(one.density, two.density)


@pytest.mark.parametrize("model", [fp.models.SelfAttention(beta=2.0, value=12.0), None])
def test_a_run_that_hands_over_in_place_is_zoomed(model):
    """Its flow from t = 0, kept or done again, against the characteristics of the law on the same path."""
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)
    run = {"t_end": 0.4, "dt": 0.02, "path_cell": 0.02, "seed": 2, "rtol": 1e-7}
    ds = fp.solve(model or flow, LAW, **run, lmax=15, save_flow=True)
    assert 0 < ds.handed_over_at < 0.4 and "flow_left_out" not in ds.attrs
    fine = fp.solve(model or flow, LAW, **run, lmax=63, measure="cloud", save_flow=True)
    assert ds.sizes["step"] == fine.sizes["step"]
    kept, again, other = (zoom(one, "mean", 0.3, n=8) for one in (ds, ds.drop_vars("flow"), fine))
    assert np.array_equal(kept.density, again.density)
    assert np.abs(kept.density / other.density - 1).max() < 1e-4


@pytest.mark.parametrize("model", [fp.models.SelfAttention(beta=2.0), None])
def test_the_circle(model):
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.1 * t**3, 3, d=2)
    law = fp.initial.von_mises_fisher([0.3, -0.5], 2.0)
    ds = fp.solve(model or flow, law, measure="cloud", lmax=63, save_flow=True, **RUN)
    *_, (_, density) = prepare(model or flow, law, measure="density", lmax=127, **RUN).course().states()
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
    assert source_of(LAW).dimension == 3


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
        ({}, {"scheme": "euler_maruyama", "rtol": 1e-6, "save_flow": False, "save_density": False}, "solution"),
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


@pytest.mark.parametrize("name", ["collapse", "no heads", "isotropic", "circle", "fine"])
def test_the_smallest_radius_shows_the_centre_of_a_larger_patch(name):
    """Round-off of 1e-16 in positions of the unit sphere is 1e-8 of the radius, and no failure."""
    one = fp.initial.von_mises_fisher([0.3, -0.5], 2.0) if name == "circle" else LAW
    kernel = {"isotropic": (0.05, 0.15, 3, 8), "circle": (0.05, 0.15, 3, 3), "fine": (0.05, 0.02, 40, 50)}
    if name in kernel:
        a, b, power, degree = kernel[name]
        d = {"d": 2} if name == "circle" else {}
        model = fp.models.IsotropicFlow.from_kernel(lambda t: a + 0.4 * t + b * t**power, degree, **d)
    else:
        beta = 4.0 if name == "collapse" else 0.0
        model = fp.models.Homogenized(beta=beta, drift=3.0, noise=0.3)
    ds = collapsed("noisy") if name == "collapse" else fp.solve(
        model, one, measure="cloud", lmax=15, save_flow=True, t_end=0.08, dt=0.04, path_cell=0.04, seed=2
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnderResolvedWarning)
        large = zoom(ds, "mean", 0.01, n=32)
    middle = large.density.values.reshape(-1)[np.argmin(np.abs(large[large.density.dims[0]].values))]
    if name == "circle":
        middle = np.interp(0.0, large.offset, large.density)
    for radius in (1e-8, 3e-8, 1e-7):
        small = zoom(ds, large.centre, radius, n=8)
        assert np.abs(small.density / middle - 1).max() < (1e-4 if name == "circle" else 1e-5)


@pytest.mark.parametrize(("radius", "positions"), [(1e-5, True), (1e-3, True), (3.0, False)])
def test_rtol_is_that_of_positions_in_the_patch_and_of_log_det(radius, positions):
    """A long flow, so that its sub-steps make the error: were the radius left out 1e4 times more, log det 300."""
    power, degree = (3, 8) if positions else (20, 24)
    model = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.1 * t + 0.05 * t**power, degree)
    run = {"t_end": 0.4, "dt": 0.4, "path_cell": 0.4, "seed": 2, "measure": "cloud", "lmax": 15}
    flow = Flow.of_dataset(fp.solve(model, LAW, save_flow=True, **run))
    x = patch(np.array([0.6, 0.0, 0.8]), radius, 8).x
    exact, found = backward(flow, x, 1, 1e-12), backward(flow, x, 1, 1e-3)
    if positions:
        assert np.abs(found[0] - exact[0]).max() < 1e-3 * radius
    assert np.abs(found[1] - exact[1]).max() < 1e-3


def test_round_off_is_not_taken_for_an_error():
    """The finest tolerance on the smallest patch, also in a field of 50 degrees; and noise as large as its bounds."""
    rough = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.4 * t + 0.2 * t**40, 50)
    step = {"t_end": 1.28, "dt": 1.28, "path_cell": 1.28, "seed": 2, "lmax": 9}
    ds = fp.solve(rough, LAW, measure="cloud", save_flow=True, **step)
    x = patch(np.array([0.6, 0.0, 0.8]), 1e-8, 8).x
    fine, usual = (backward(Flow.of_dataset(ds), x, 1, rtol)[1] for rtol in (1e-13, 1e-8))
    assert np.abs(fine - usual).max() < 1e-6
    flow = Flow.of_dataset(cloud("value noise"))
    for v in (flow.field(3, 0, 0.0), flow.field(7, 0, 0.0), Flow.of_dataset(ds).field(0, 0, 0.0)):
        x = patch(np.array([0.6, 0.0, 0.8]), 1e-9, 8).x
        speed, divergence = round_off(v, geometry(3))
        for values, bound in ((v.on(SpherePoints(x)), speed), (v.divergence(SpherePoints(x))[:, None], divergence)):
            linear = np.column_stack([x - x[0], np.ones(len(x))])
            noise = np.abs(values - linear @ np.linalg.lstsq(linear, values, rcond=None)[0]).max()
            assert 0.002 * bound < noise < bound


def test_a_flow_that_cannot_be_gone_back_says_when():
    rough = Flow(1e6 * np.ones((2, 1, 2, 15)) * [[1], [0]], 0.1, 3)
    with pytest.raises(UnresolvedError, match=r"t = 0.2: going back this step to rtol = 1e-08, .* greater rtol"):
        backward(rough, patch(np.array([0.0, 0.6, 0.8]), 0.1, 8).x, 2, 1e-8)


@pytest.mark.parametrize(("lat", "lon"), [(20.0, 70.0), (-50.0, 160.0), (35.0, 250.0), (35.0, -110.0), (90.0, 0.0)])
def test_latitude_and_longitude(lat, lon):
    """The peak of a law stands in the middle of the patch there, and z is the sine of the latitude."""
    phi, height = np.radians(lon), np.sin(np.radians(lat))
    peak = [np.sqrt(1 - height**2) * np.cos(phi), np.sqrt(1 - height**2) * np.sin(phi), height]
    ds = fp.solve(MODELS["isotropic"], fp.initial.von_mises_fisher(peak, 20.0), t_end=0.02, dt=0.02, path_cell=0.02,
                  measure="cloud", lmax=31, rtol=1e-4)  # fmt: skip
    here = zoom(ds, (lat, lon), 0.5, time=0.0, n=8)
    assert np.allclose(here.centre, peak, atol=1e-15)
    assert np.all(np.diff(here.density, axis=0) < 0) and abs(here.density[0] / (20 / (2 * np.pi)) - 1).max() < 1e-2
    for bad in ((200.0, 500.0), (91.0, 0.0), (0.0, 361.0)):
        with pytest.raises(InputError, match=r"\(lat, lon\) in degrees") as caught:
            zoom(ds, bad, 0.5, time=0.0, n=8)
        assert caught.value.argument == "centre"


def test_east_and_north():
    """Azimuth 0 leads to greater longitudes, a quarter of a turn on to greater latitudes, also in the plane."""
    for lat, lon in ((20.0, 70.0), (-50.0, 160.0), (5.0, -110.0)):
        centre = checked_centre((lat, lon), 3)
        east, north = frame(centre)
        ahead = checked_centre((lat, lon + 1e-4), 3) - centre
        above = checked_centre((lat + 1e-4, lon), 3) - centre
        assert np.allclose(east, ahead / np.linalg.norm(ahead), atol=1e-5)
        assert np.allclose(north, above / np.linalg.norm(above), atol=1e-5)
        here = patch(centre, 0.1, 8)
        x = here.x.reshape(8, 16, 3)
        for turn, direction, plane in ((0, east, "plane_x"), (4, north, "plane_y")):
            assert np.allclose(x[:, turn] @ direction, np.sin(here.coords["distance"][1]), atol=1e-15)
            chord = np.linalg.norm(x[:, turn] - centre, axis=1)
            assert np.allclose(here.coords[plane][1][:, turn], chord, atol=1e-15)
    east, north = frame(np.array([0.0, 0.0, 1.0]))
    assert np.allclose(east, [0, 1, 0]) and np.allclose(north, [-1, 0, 0])  # towards the meridian 180
    circle = patch(np.array([0.6, 0.8]), 0.1, 8)
    turned = np.arctan2(circle.x[:, 1], circle.x[:, 0]) - np.arctan2(0.8, 0.6)
    assert np.allclose(turned, circle.coords["offset"][1], atol=1e-15)


def test_fields_are_cut_where_nothing_is_lost():
    """A spectrum that falls by a factor of two a degree: the last eleventh power of ten goes, and no more."""
    size = geometry(3).size(60)
    fall = geometry(3).by_degree(0.5 ** np.arange(61.0), 60)
    rng = np.random.default_rng(1)
    pair = tuple(fall * (rng.standard_normal(size) + 1j * (geometry(3).degrees(60) > 0)) for _ in range(2))
    cut = _trimmed(pair, 3)
    at = SpherePoints(patch(np.array([0.6, 0.0, 0.8]), 3.0, 8).x)
    v, kept = HarmonicField(*pair).on(at), HarmonicField(*cut).on(at)
    assert 30 < geometry(3).degree_of(cut[0]) < 48
    assert 1e-13 < np.abs(v - kept).max() / np.abs(v).max() < 1e-9


@pytest.mark.parametrize("run", [{"t_end": 0.9, "dt": 0.3}, {"t_end": 2.8, "dt": 0.4}], ids=["few", "long"])
def test_a_stored_flow_of_too_few_or_too_long_steps_is_not_trusted(run):
    how = {"measure": "cloud", "lmax": 9, "rtol": 1e-8}
    ds = fp.solve(MODELS["attention"], LAW, save_flow=True, **how, **run)
    stored = Flow.of_dataset(ds)
    assert stored.interpolation_error > 10 * INTERPOLATED
    here, again = zoom(ds, "mean", 0.3, n=8), zoom(ds.drop_vars("flow"), "mean", 0.3, n=8)
    assert np.array_equal(here.density, again.density) and here.interpolation_error < INTERPOLATED
    short = fp.solve(MODELS["attention"], LAW, **how, **{**run, "dt": run["dt"] / 16})
    assert np.abs(here.density / zoom(short, here.centre, 0.3, n=8).density - 1).max() < 1e-4


@pytest.mark.parametrize("cap", [255, 23])
def test_a_density_of_attention_is_handed_over_to_the_cloud_of_twice_its_degree(cap):
    """Attention asks the points, so that another quadrature is another flow."""
    run = {"t_end": 1.6, "dt": 0.1, "rtol": 1e-6}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnderResolvedWarning)
        about = {"measure": "density", "on_underresolved": "cloud", "lmax_cap": cap}
        ds = fp.solve(MODELS["attention"], LAW, lmax=7, **about, **run)
    assert ds.attrs["handed_over_at"] < 1.6
    others = [fp.solve(MODELS["attention"], LAW, measure="cloud", lmax=n, **run) for n in (15, 7)]
    here, same, other = (zoom(one, [0, 0, 1], 0.2, n=8).density for one in (ds, *others))
    assert np.array_equal(here, same) and not np.array_equal(here, other)


def test_a_part_of_the_saved_times():
    ds = cloud("gaussian")
    whole = zoom(ds, "mean", 0.1, n=8)
    last = ds.isel(time=-1)
    for part in (last, last.drop_vars("flow"), ds.isel(time=[-1]), ds.isel(time=slice(5, None))):
        assert np.array_equal(zoom(part, "mean", 0.1, n=8).density, whole.density)
    with pytest.raises(InputError, match=r"the mean was not saved then; pass time=0\.2") as caught:
        zoom(ds.isel(time=-1), "mean", 0.1, time=0.1, n=8)
    assert caught.value.argument == "time"
    for bare in (ds.drop_vars("mean_vector"), ds.isel(time=-1, drop=True)):
        with pytest.raises(InputError, match="holds no mean_vector") as caught:
            zoom(bare, "mean", 0.1, n=8)
        assert caught.value.argument == "centre"
        assert np.array_equal(zoom(bare, whole.centre, 0.1, n=8).density, whole.density)


@pytest.mark.parametrize("flow", [False, True])
def test_a_run_that_ended_early_is_zoomed_at_its_end(flow):
    """As a policy leaves it: the times that were reached, and when it stopped."""
    run = {**RUN, "t_end": 0.08}
    ds = fp.solve(MODELS["gaussian"], LAW, measure="cloud", lmax=15, save_flow=flow, **run)
    config = json.loads(ds.attrs["fpsolve_config"])
    config["solve"]["t_end"] = 0.16
    early = ds.assign_attrs(fpsolve_config=json.dumps(config), stopped_at=0.08)
    assert np.array_equal(zoom(early, "mean", 0.1, n=8).density, zoom(ds, "mean", 0.1, n=8).density)
    with pytest.raises(InputError, match="time"):
        zoom(early, "mean", 0.1, time=0.16, n=8)
