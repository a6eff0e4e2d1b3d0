"""Policies one by one: early ends that lose nothing, starts that no degree holds, filters, and the law of a tail."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.defects import defects, is_resolved
from fpsolve.errors import InputError, UnderResolvedWarning, UnresolvedError
from fpsolve.io.checkpoint import read
from fpsolve.measures.base import REFINE_FROM
from fpsolve.policies import FILTER, Refine, Warn, cloud_of
from fpsolve.schemes import SCHEMES

LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
FLOW = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)
RUN = {"t_end": 0.3, "dt": 0.02, "path_cell": 0.02, "seed": 2, "measure": "density"}

COLLAPSE = fp.models.Homogenized(beta=4.0, drift=3.0, noise=0.3)
GONE = {"t_end": 2.8, "dt": 0.04, "path_cell": 0.04, "seed": 2, "save_every": 0.4, "lmax": 31, "measure": "density"}
"""A collapse in which |mean| exceeds 1 at t = 2.64, filtered or not; at t = 2.24 from the degree 15 on."""


def quiet(*arguments, **named):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fp.solve(*arguments, **named)


def broken(at, name="density"):
    """A scheme whose step from ``at`` on cannot be done for this measure."""

    def step(model, measure, path, t0, t1):
        if t0 > at - 1e-9 and measure.name == name:
            raise UnresolvedError(t0, "nothing leads on", "raise lmax")
        return SCHEMES["lie_euler"].step(model, measure, path, t0, t1)

    return replace(SCHEMES["lie_euler"], step=step)


def test_a_filtered_collapse_is_returned_until_it_cannot_go_on():
    with pytest.warns(UnderResolvedWarning) as told:
        ds = fp.solve(COLLAPSE, LAW, **GONE, on_underresolved="filter")
    assert ds.time.values[-1] == pytest.approx(2.4) and 2.4 <= ds.stopped_at < 2.8
    assert ds["filter"].values[-1] == FILTER and np.isfinite(ds.moments).all()
    ends = [str(one.message) for one in told if "the run ends at" in str(one.message)]
    assert len(ends) == 1 and "no step leads on (|mean|" in ends[0] and "was saved until then is returned" in ends[0]
    with pytest.raises(UnresolvedError, match=r"exceeds 1, tail = .*; raise lmax, or follow"):  # not: set filter
        quiet(COLLAPSE, LAW, **GONE, filter=FILTER)


@pytest.mark.filterwarnings("ignore:the density")
@pytest.mark.parametrize(
    ("policy", "lmax", "name"),
    [("stop", 31, "density"), ("filter", 15, "density"), ("refine", 15, "density"), ("cloud", 15, "cloud")],
)
def test_no_policy_loses_the_run_to_a_step_that_cannot_be_done(policy, lmax, name):
    """Under ``cloud`` a step of the cloud that took over, under ``refine`` one at its cap."""
    run = {**RUN, "lmax": lmax, "on_underresolved": policy}
    run |= {"lmax_cap": 23} if policy in ("refine", "cloud") else {}
    whole = quiet(FLOW, LAW, **run)
    with pytest.warns(UnderResolvedWarning, match=r"ends at t = 0.24, from which no step leads on \(nothing leads on"):
        ds = fp.solve(FLOW, LAW, **run, scheme=broken(0.24, name))
    assert ds.stopped_at == ds.time.values[-1] == pytest.approx(0.24)
    assert np.abs(ds.moments - whole.moments[:13]).max() <= (1e-11 if name == "cloud" else 0)


def test_a_cloud_that_cannot_catch_up_ends_the_run_where_the_density_did():
    run = {**RUN, "lmax": 15, "on_underresolved": "cloud"}
    at = quiet(FLOW, LAW, **run).handed_over_at - 0.02
    ds = quiet(FLOW, LAW, **run, scheme=broken(0.04, "cloud"))
    assert ds.stopped_at == ds.time.values[-1] == pytest.approx(at) and set(ds.method.values) == {"density"}


def test_the_last_state_of_a_stopped_run_is_in_its_checkpoint(tmp_path):
    for n, scheme in enumerate((None, broken(0.1))):
        run = {**RUN, "lmax": 31, "on_underresolved": "stop", "scheme": scheme, "save_every": 0.1}
        ds = quiet(FLOW, LAW, **run, checkpoint=tmp_path / f"{n}.ckpt")
        assert read(tmp_path / f"{n}.ckpt")[0].step * 0.02 == pytest.approx(ds.stopped_at)
        assert quiet(FLOW, LAW, **run, checkpoint=tmp_path / f"{n}.ckpt").identical(ds)


@pytest.mark.parametrize(("measure", "kappa", "degree"), [("density", 20.0, 31), ("half_density", 80.0, 31)])
def test_refine_builds_the_start_anew_until_it_is_resolved(measure, kappa, degree):
    """Padded, the density of κ = 20 at 15 is 7e-5 off; built anew its moments are exact to round-off."""
    law = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], kappa)
    run = {"t_end": 0.04, "dt": 0.02, "path_cell": 0.02, "seed": 2, "measure": measure}
    ds = quiet(FLOW, law, **run, lmax=15, lmax_cap=127, on_underresolved="refine", save_density=True)
    assert ds.lmax.values[0] == degree and ds.tail.values[0] < REFINE_FROM and ds.refined_from == 0
    assert ds.density.sizes["lat"] == fp.solve(FLOW, law, **run, lmax=degree, save_density=True).density.sizes["lat"]
    fine = fp.solve(FLOW, law, **run, lmax=127)
    assert np.abs(ds.moments - fine.moments).max() < 1e-6
    again = quiet(FLOW, law, **run, lmax=degree, lmax_cap=127, on_underresolved="refine")
    assert np.array_equal(again.moments, ds.moments)


def test_a_start_that_the_cap_does_not_resolve_is_filtered_there():
    law = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 200.0)
    ds = quiet(FLOW, law, t_end=0.04, dt=0.02, path_cell=0.02, lmax=7, lmax_cap=15, on_underresolved="refine")
    assert (ds.lmax == 15).all() and ds["filter"].values[-1] == FILTER and ds.unresolved_from == 0


def test_a_given_density_is_refined_by_padding_alone():
    start = fp.Density.from_law(fp.initial.von_mises_fisher([0, 0, 1.0], 20.0), lmax=15, rtol=1e-6)
    ds = quiet(FLOW, start, t_end=0.02, dt=0.02, path_cell=0.02, lmax_cap=63, on_underresolved="refine")
    assert ds.lmax.values.tolist() == [15, 63] and ds.refined_from == pytest.approx(0.02)


def test_stop_says_that_the_start_was_not_resolved():
    law = fp.initial.von_mises_fisher([0, 0, 1.0], 60.0)
    told = "ends at t = 0, as lmax = 9 does not resolve the state that it starts from"
    with pytest.warns(UnderResolvedWarning) as warned:
        ds = fp.solve(FLOW, law, **RUN, lmax=9, on_underresolved="stop")
    assert told in str(warned[-1].message)
    assert ds.stopped_at == ds.unresolved_from == 0 and ds.sizes["time"] == 1


def test_a_weaker_filter_is_raised():
    """An explicit 0.01, which would change nothing, becomes 0.15; 0.2 is left alone."""
    for given, last in ((0.01, FILTER), (0.2, 0.2)):
        ds = quiet(FLOW, LAW, **{**RUN, "t_end": 0.4}, lmax=15, filter=given, on_underresolved="filter")
        assert ds["filter"].values[[0, -1]].tolist() == [given, last]
        assert ("filtered_from" in ds.attrs) == (last != given)


def test_a_tail_that_is_no_number_is_not_resolved():
    tails = (None, 0.0, 1e-3, 1.1e-3, np.nan)
    states = [object.__new__(type("Tailed", (fp.Cloud,), {"tail": tail})) for tail in tails]
    assert [is_resolved(state) for state in states] == [True, True, True, False, False]
    assert [list(map(str, defects(state))) for state in states[2:4]] == [[], ["tail = 0.0011"]]


def test_lobes_of_a_truncated_density_are_no_points():
    """A vMF law of κ = 60 at degree 9: ρ has lobes of both signs; what lies below twice the deepest is left out."""
    density = fp.Density.from_law(fp.initial.von_mises_fisher([0, 0, 1.0], 60.0), lmax=9, rtol=1e-6)
    values = density.values.ravel()
    assert values.min() < -1e-3 * values.max()
    cloud = cloud_of(density)
    assert len(cloud.x) == np.sum(values > -2 * values.min()) < np.sum(values > 0)
    assert np.exp(cloud.log_density).min() > -2 * values.min() and (cloud.x[:, 2] > 0.5).all()
    smooth = fp.Density.from_law(LAW, lmax=15, rtol=1e-6)
    assert cloud_of(smooth).x.shape == (smooth.values.size, 3)


def test_lmax_cap_is_a_degree_of_a_cloud_too():
    run = {**RUN, "t_end": 0.02, "lmax": 31, "on_underresolved": "cloud"}
    assert fp.solve(FLOW, LAW, **run, lmax_cap=np.int64(15)).sizes["time"] == 2
    with pytest.raises(InputError, match="must be an integer >= 4"):
        fp.solve(FLOW, LAW, **run, lmax_cap=3)


def test_a_start_is_rebuilt_by_degrees_of_the_policy():
    built = []

    def rebuilt(lmax):
        built.append(lmax)
        return fp.Density.from_law(fp.initial.von_mises_fisher([0, 0, 1.0], 100.0), lmax=lmax, rtol=1e-6)

    Refine(63).first(rebuilt(15), rebuilt)
    assert built == [15, 31, 63]
    assert Warn().first(start := rebuilt(15), rebuilt) is start
