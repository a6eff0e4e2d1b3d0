"""Density to cloud: the catching up can be stopped and taken up, and the cloud's points and flow are kept."""

import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.course import Instant
from fpsolve.errors import InputError, UnresolvedError
from fpsolve.io.checkpoint import Snapshot, read, write
from fpsolve.measures.build import build
from fpsolve.schemes import SCHEMES
from fpsolve.solving import prepare
from fpsolve.zooming import zoom

LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
FLOW = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)
ATTENTION = fp.models.SelfAttention(beta=2.0, value=12.0)
DENSITY = {"lmax": 15, "measure": "density", "on_underresolved": "cloud"}
RUN = {"t_end": 0.3, "dt": 0.02, "path_cell": 0.02, "seed": 2, **DENSITY}
KEPT = {**RUN, "save_flow": True, "save_points": True}

pytestmark = pytest.mark.filterwarnings("ignore::fpsolve.errors.UnderResolvedWarning")


def instants_of(job):
    return list(job.course(Instant(0, job.state)))


@pytest.fixture(scope="module")
def handed_over():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {model: fp.solve(model, LAW, **KEPT) for model in (FLOW, ATTENTION)}


@pytest.fixture(scope="module")
def at(handed_over):
    """The step from which the cloud carries the run."""
    return round(handed_over[FLOW].handed_over_at / 0.02)


def test_every_step_of_the_catching_up_is_an_instant(at):
    """From the last resolved state on, a cloud goes from step 0 to there; what is seen of the states is as before."""
    job = prepare(FLOW, LAW, **RUN)
    seen = instants_of(job)
    behind = [here.behind[0] for here in seen if here.behind is not None]
    assert 2 < at < 14 and behind == list(range(at))
    assert {here.step for here in seen if here.behind is not None} == {at - 1}
    plain = list(fp.run(FLOW, job.state, job.stepper.path, t_end=0.3, dt=0.02, policy=job.policy))
    assert [here.step for here in seen if here.behind is None] == list(range(16)) and len(plain) == 16
    assert [state.name for _, state in plain] == ["density"] * at + ["cloud"] * (16 - at)


def test_a_stop_is_heard_in_every_step_of_the_catching_up(at, tmp_path):
    asked = []
    ds = prepare(FLOW, LAW, **RUN).run(stop=lambda: bool(asked.append(0)))
    assert len(asked) == 15 + at and ds.sizes["time"] == 16  # the last of 16 states is not asked about


def test_a_checkpoint_is_written_before_the_catching_up(at, tmp_path):
    """A run that is killed in it goes on from the last resolved state, not from t = 0."""
    asked = iter(range(100))

    def killed():
        if next(asked) == at + 1:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        prepare(FLOW, LAW, **RUN).run(checkpoint=tmp_path / "run", checkpoint_every=1e9, stop=killed)
    snapshot = read(tmp_path / "run")[0]
    assert (snapshot.step, snapshot.state.name, len(snapshot.times)) == (at - 1, "density", at)
    assert snapshot.behind[0] == 0 and snapshot.behind[1].name == "cloud"
    again = prepare(FLOW, LAW, **RUN).run(checkpoint=tmp_path / "run")
    assert again.identical(prepare(FLOW, LAW, **RUN).run())


def test_the_cloud_that_catches_up_comes_back_from_a_file_in_its_bits(tmp_path):
    density, cloud = build(LAW, "density", 9, 1e-6), build(LAW, "cloud", 19, 1e-6)
    write(tmp_path / "run", Snapshot(7, density, behind=(3, cloud)), {})
    back = read(tmp_path / "run")[0]
    assert (back.step, back.behind[0], back.points_moved) == (7, 3, 3)
    assert back.behind[1].log_density.tobytes() == cloud.log_density.tobytes()
    assert np.array_equal(back.behind[1].x, cloud.x) and np.array_equal(back.state.coefficients, density.coefficients)
    assert Snapshot(7, density).points_moved == 0 and Snapshot(7, cloud).points_moved == 7



def test_the_bar_tells_how_far_the_cloud_is(at, capfd):
    fp.solve(FLOW, LAW, **RUN, progress=True)
    shown = capfd.readouterr().err
    assert f"the cloud catches up: {at - 1} of {at - 1}" in shown and "16/16" in shown


def test_points_are_absent_before_the_hand_over(handed_over, at):
    ds = handed_over[FLOW]
    assert np.isnan(ds.points[:at]).all() and np.isfinite(ds.points[at:]).all()
    assert float(ds.weights.sum()) == pytest.approx(1)
    mean = np.einsum("p,tpc->tc", ds.weights, ds.points[at:])
    assert np.abs(mean - ds.mean_vector[at:]).max() < 1e-12


@pytest.mark.parametrize("model", [FLOW, ATTENTION], ids=["frozen fields", "living field"])
def test_the_flow_of_a_handed_over_run_is_that_of_the_cloud(handed_over, model):
    """From t = 0, though a density carried the first part; so the mass under the zoom is that of the saved points."""
    ds = handed_over[model]
    cloud = {**KEPT, "on_underresolved": "warn", "measure": "cloud", "lmax": 31}
    other = fp.solve(model, LAW, **cloud)
    assert ds.flow.shape == other.flow.shape and ds.handed_over_at > 0.03
    assert np.abs(ds.flow - other.flow).max() < 1e-11
    here = zoom(ds, "mean", 0.5, n=24)
    assert np.abs(here.log_density - zoom(other, here.centre, 0.5, n=24).log_density).max() < 1e-9
    within = np.linalg.norm(ds.points.values[-1] - here.centre, axis=1) < 2 * np.sin(0.25)
    assert ds.weights.values[within].sum() == pytest.approx(here.mass, abs=0.02)


def test_keeping_the_flow_changes_no_bit(handed_over):
    plain = fp.solve(FLOW, LAW, **RUN)
    kept = handed_over[FLOW].drop_vars(["flow", "points", "weights"])
    assert all(np.array_equal(kept[name], plain[name], equal_nan=True) for name in plain.data_vars)


def test_a_run_without_a_hand_over_has_no_flow_and_says_so():
    ds = fp.solve(FLOW, LAW, **{**KEPT, "t_end": 0.04})
    assert "the density carried the run to its end" in ds.flow_left_out
    assert not {"flow", "points", "weights"} & set(ds.variables)
    assert zoom(ds, "mean", 0.3, n=8).mass > 0  # through the cloud's run, done for the zoom


def test_fields_of_a_step_that_failed_are_not_kept(monkeypatch, at):
    """The cloud's step after the hand-over fails in the check of its state, once its flows are collected."""
    run = sys.modules["fpsolve.stepping"]
    check = run._check_state

    def failing(measure, t):
        if measure.name == "cloud" and t > 0.27:
            raise UnresolvedError(t, "not this one", "")
        check(measure, t)

    monkeypatch.setattr(run, "_check_state", failing)
    ds = fp.solve(FLOW, LAW, **KEPT)
    assert ds.stopped_at == pytest.approx(0.26) and ds.sizes["step"] == 13


def test_a_given_density_hands_its_quadrature_over_from_the_start():
    start = fp.Density.from_law(LAW, lmax=15, rtol=1e-6)
    ds = fp.solve(FLOW, start, **{**KEPT, "t_end": 0.24})
    assert ds.sizes["point"] == start.values.size and ds.sizes["step"] == 12


def test_a_scheme_whose_flow_cannot_be_zoomed_is_refused_before_the_run():
    with pytest.raises(InputError, match="cannot be run backwards"):
        fp.solve(FLOW, LAW, **KEPT, scheme=replace(SCHEMES["lie_euler"], summary="my own"))
