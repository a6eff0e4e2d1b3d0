"""Steps that are made of several flows run backwards too: the flows are kept as the scheme makes them."""

from functools import cache

import numpy as np
import pytest
import xarray as xr

import fpsolve as fp
from fpsolve.course import Instant
from fpsolve.errors import InputError
from fpsolve.models.base import Model
from fpsolve.observe.flow import Flow, _last_coefficient, chebyshev, lagrange
from fpsolve.observe.flow_recorder import FlowRecorder, flows_of_step, potentials
from fpsolve.observe.result import Result
from fpsolve.solving import prepare
from fpsolve.transport.velocity import HarmonicField
from fpsolve.zooming import zoom
from fpsolve.zooming.backward import backward
from fpsolve.zooming.patch import patch
from fpsolve.zooming.replay import INTERPOLATED, flow_of

LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
RUN = {"t_end": 0.16, "dt": 0.04, "path_cell": 0.04, "seed": 2, "rtol": 1e-8}
KEPT = {"save_flow": True, "save_points": True, "save_density": True}
MODELS = {
    "noise": fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.2 * t + 0.05 * t**3, 8),
    "drift": fp.models.SelfAttention(beta=2.0),
    "both": fp.models.SynchronisationByNoise(beta=2.0, value=3.0, noise=0.5, noise_lmax=5),
}
CASES = [("heun", "both"), ("heun", "drift"), ("ninomiya", "both"), ("ninomiya", "drift"), ("ninomiya", "noise")]
NODES = {"heun": {"both": (1,), "drift": (1,)}, "ninomiya": {"both": (1, 5), "drift": (5,), "noise": (1, 1)}}


@cache
def cloud(scheme: str, name: str, **changes):
    return fp.solve(MODELS[name], LAW, measure="cloud", scheme=scheme, **{**RUN, **KEPT, "lmax": 31, **changes})


@pytest.mark.parametrize(("scheme", "name"), CASES)
def test_the_density_is_that_of_the_density_run(scheme, name):
    ds = cloud(scheme, name)
    *_, (_, density) = prepare(MODELS[name], LAW, measure="density", scheme=scheme, lmax=63, **RUN).course().states()
    here = zoom(ds, [1.0, 0.2, 0.5], 0.6, n=8)
    x = patch(np.array(here.centre), 0.6, 8).x
    exact = density.geometry.points(x).scalar(density.coefficients)
    assert density.tail < 1e-12 and exact.max() > 2 * exact.min()
    assert np.abs(here.density.values.ravel() - exact).max() < 1e-6
    assert Flow.of_dataset(ds).nodes == NODES[scheme][name]


@pytest.mark.parametrize(("scheme", "name"), CASES)
def test_points_go_back_to_the_first_quadrature_with_their_density(scheme, name):
    ds = cloud(scheme, name)
    flow, some = Flow.of_dataset(ds), slice(None, None, 61)
    for step in (flow.steps, 1):
        origin, log_jacobian = backward(flow, ds.points.values[step][some], step, 1e-9)
        assert np.abs(origin - ds.points.values[0][some]).max() < 1e-8
        carried = np.log(ds.density.values[step][some])
        assert np.abs(np.log(LAW.density(origin)) + log_jacobian - carried).max() < 1e-8


@pytest.mark.parametrize("scheme", ["heun", "ninomiya"])
def test_the_mass_is_that_of_the_points(scheme):
    """On the whole sphere, and under a smooth window."""
    ds = cloud(scheme, "both")
    assert abs(zoom(ds, (30.0, 40.0), np.pi, n=32).mass - 1) < 1e-8
    here = zoom(ds, "mean", 0.8, n=16)
    angle = 2 * np.arcsin(np.linalg.norm(ds.points.values[-1] - here.centre, axis=1) / 2)
    window = np.where(angle < 0.8, 1 - (angle / 0.8) ** 2, 0) ** 4
    under = ((1 - (here.distance / 0.8) ** 2) ** 4 * here.density * here.weights).sum().item()
    assert 0.05 < under < here.mass < 1
    assert abs(ds.weights.values @ window - under) < 1e-5


def test_the_field_of_heun_is_the_average_and_its_predictor_is_left_out():
    """Against the formula, with the increment asked for and the predictor moved by hand."""
    job = prepare(MODELS["both"], LAW, measure="cloud", scheme="heun", lmax=15, **RUN)
    at = job.stepper
    increment = at.path.increment(0.0, at.dt, at.model.channels(3))

    def v(source):
        return at.dt * at.model.flow_drift(source) + at.model.noise_field(source, increment)

    first = v(job.state.source)
    pairs = [potentials(one, 3, 0.0) for one in (first, v(job.state.transport(first).source))]
    (flow,) = flows_of_step(at, job.state, 0)
    found = potentials(flow.velocity, 3, 0.0)
    x = job.state.sites
    average = sum(0.5 * HarmonicField(*pair).on(x) for pair in pairs)
    assert np.abs(HarmonicField(*found).on(x) - average).max() < 1e-12
    assert np.abs(HarmonicField(*pairs[0]).on(x) - average).max() > 1e-4


@pytest.mark.parametrize(("scheme", "name"), CASES)
def test_keeping_the_flow_changes_no_bit_of_the_run(scheme, name):
    few = {**RUN, "t_end": 0.08, "lmax": 15, "save_points": True, "measure": "cloud", "scheme": scheme}
    with_flow = fp.solve(MODELS[name], LAW, save_flow=True, **few)
    assert np.array_equal(with_flow.points, fp.solve(MODELS[name], LAW, **few).points)


@pytest.mark.parametrize(("scheme", "name"), CASES)
def test_a_file_holds_the_flow_and_a_run_without_it_is_done_again(scheme, name, tmp_path):
    ds = cloud(scheme, name, t_end=0.08, lmax=15)
    fp.save(ds.drop_vars("flow"), tmp_path / "bare.nc")
    bare, seen = fp.load(tmp_path / "bare.nc"), []
    for suffix in (".nc", ".zarr"):
        fp.save(ds, tmp_path / f"full{suffix}")
        full = fp.load(tmp_path / f"full{suffix}")
        assert full.identical(ds)
        seen.append(zoom(full, "mean", 0.1, n=8).density)
    assert np.array_equal(seen[0], seen[1]) and np.array_equal(seen[0], zoom(bare, "mean", 0.1, n=8).density)
    assert ("node" in ds.flow.dims) == (NODES[scheme][name] != (1,))


@pytest.mark.parametrize(("scheme", "name"), CASES)
def test_stopped_after_every_step(scheme, name, tmp_path):
    run = {**RUN, "rtol": 1e-4, "lmax": 9, "measure": "cloud", "scheme": scheme, **KEPT}
    whole = prepare(MODELS[name], LAW, **run).run()
    for _ in range(6):
        asked = iter([False, True])
        try:
            job = prepare(MODELS[name], LAW, **run)
            ds = job.run(checkpoint=tmp_path / "run.ckpt", stop=lambda asked=asked: next(asked))
            break
        except fp.errors.Interrupted:
            continue
    assert ds.identical(whole)
    assert prepare(MODELS[name], LAW, **run).run(checkpoint=tmp_path / "run.ckpt").identical(whole)


def test_fields_of_a_step_to_come_are_made_anew():
    """Checkpoints of older versions hold the field of the step that follows."""
    job = prepare(MODELS["noise"], LAW, measure="cloud", lmax=9, scheme="lie_euler", **RUN)
    whole = FlowRecorder(job.stepper, job.state)
    states = [state for _, state in job.course(stepper=whole.recording).states()]
    again = FlowRecorder(job.stepper, job.state, whole.fields[:3], 2)
    last = job.course(Instant(2, states[2]), again.recording).follow().state
    assert np.array_equal(again.flow(last).potentials, whole.flow(states[-1]).potentials)
    assert len(whole.fields) == job.steps


def test_files_of_one_field_a_step_are_read_as_ever():
    """The layout of ``lie_euler`` and ``rk4``: no dimension ``node``, no attribute ``flow_nodes``."""
    pairs = np.random.default_rng(1).standard_normal((3, 2, 6, 2))
    about = {"flow_dt": 0.1, "flow_living": 1, "flow_dimension": 3}
    ds = xr.Dataset({"flow": (("step", "potential", "mode", "part"), pairs, about)})
    flow = Flow.of_dataset(ds)
    assert (flow.steps, flow.nodes, flow.living, flow.dt, flow.d) == (2, (1,), True, 0.1, 3)
    assert np.allclose(flow.field(1, 0, 0.0).toroidal, pairs[1, 1, :, 0] + 1j * pairs[1, 1, :, 1])
    kept = flow.to_dataset(Result()).flow
    assert kept.equals(ds.flow) and kept.attrs.items() >= about.items() and "flow_nodes" not in kept.attrs


def test_interpolation_within_a_flow_misses_less_than_it_says():
    """Against twice as many nodes, in a long step; a run that is done again takes these where it must."""
    run = {"t_end": 0.2, "dt": 0.2, "path_cell": 0.2, "seed": 2, "rtol": 1e-8, "lmax": 9, "measure": "cloud"}
    job = prepare(MODELS["both"], LAW, scheme="ninomiya", **run)
    flows = []
    for nodes in (3, 5, 9):
        recorder = FlowRecorder(job.stepper, job.state, nodes=nodes)
        last = job.course(stepper=recorder.recording).follow().state
        flows.append(recorder.flow(last))
    ends = [backward(flow, last.x[::5], 1, 1e-9)[0] for flow in flows]
    missed = [np.linalg.norm(end - ends[-1], axis=1).max() for end in ends[:-1]]
    for flow, actual in zip(flows, missed, strict=False):
        assert 1e-3 * flow.interpolation_error < actual < 0.1 * flow.interpolation_error  # measured: 1/40, 1/80
    assert missed[1] < 0.01 * missed[0]
    ds = fp.solve(MODELS["both"], LAW, scheme="ninomiya", **run, save_flow=True)
    assert Flow.of_dataset(ds).interpolation_error > INTERPOLATED
    again = flow_of(ds, LAW, None)
    assert again.nodes == (1, 9) and np.array_equal(again.potentials, flows[-1].potentials)


def test_chebyshevs_points_interpolate_polynomials_exactly():
    s = chebyshev(5)
    assert np.allclose(s, (1 - np.cos(np.pi * np.arange(5) / 4)) / 2, atol=1e-15) and set(s) <= set(chebyshev(9))
    for at in (0.0, 0.13, 0.9):
        assert abs(lagrange(at, s) @ s**4 - at**4) < 1e-14
    series = np.polynomial.chebyshev.chebval(2 * s - 1, [0.3, -1.0, 0.5, 2.0, 0.7])
    assert abs(_last_coefficient(5) @ series - 0.7) < 1e-14


@pytest.mark.parametrize(("scheme", "living"), [("heun", True), ("ninomiya", True), ("ninomiya", False)])
def test_the_circle(scheme, living):
    noise = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.1 * t**3, 3, d=2)
    model = fp.models.SelfAttention(beta=2.0) if living else noise
    law = fp.initial.von_mises_fisher([0.3, -0.5], 2.0)
    ds = fp.solve(model, law, measure="cloud", lmax=63, scheme=scheme, save_flow=True, **RUN)
    *_, (_, density) = prepare(model, law, measure="density", lmax=127, scheme=scheme, **RUN).course().states()
    here = zoom(ds, "mean", np.pi, n=80)
    exact = density.geometry.points(patch(np.array(here.centre), np.pi, 80).x).scalar(density.coefficients)
    assert np.abs(here.density.values - exact).max() < 1e-6 and abs(here.mass - 1) < 1e-8


def own(model: Model, measure, path, t0, t1):
    return measure.transport((t1 - t0) * model.flow_drift(measure.source))


@pytest.mark.parametrize(
    ("scheme", "why"),
    [
        ("euler_maruyama", "layer map"),
        ("geodesic_euler", "great circles"),
        (fp.Scheme(own, "own", "this test"), "not known"),
    ],
)
def test_schemes_that_are_no_flows_are_refused_with_the_reason(scheme, why):
    few = {"t_end": 0.04, "dt": 0.04, "lmax": 9, "measure": "cloud", "scheme": scheme}
    with pytest.raises(InputError, match=f"{why}.*cannot be run backwards"):
        fp.solve(MODELS["drift"], LAW, save_flow=True, **few)
    if isinstance(scheme, str):  # the configuration of a run by a scheme of one's own cannot be read at all
        with pytest.raises(InputError, match=why):
            zoom(fp.solve(MODELS["drift"], LAW, **few), "mean", 0.1, n=8)
