"""What a run does when its density outgrows its degree: it stops, filters, refines or goes over to characteristics."""

import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.course import Instant
from fpsolve.errors import InputError, UnderResolvedWarning, UnresolvedError
from fpsolve.measures.base import REFINE_FROM, UNRESOLVED
from fpsolve.policies import HandOver, Refine, Warn, policy_of
from fpsolve.schemes import SCHEMES
from fpsolve.solving import prepare
from fpsolve.sphere.grid import grid
from fpsolve.sphere.scattered import SpherePoints

LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
FLOW = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)
RUN = {"t_end": 0.6, "dt": 0.02, "path_cell": 0.02, "seed": 2, "lmax": 31, "measure": "density"}

ROUND_OFF = 1e-11
"""Sums at scattered points may differ in their last bits with where the arrays lie in memory."""

SHORT = {"lmax": 15, "t_end": 0.3}


@cache
def solved(policy: str, **changes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cap = {"lmax_cap": 95} if policy in ("refine", "cloud") else {}
        return fp.solve(FLOW, LAW, **{**RUN, **cap, **changes}, on_underresolved=policy)


@cache
def reference():
    """Resolved throughout: its tail ends at 2e-6."""
    return fp.solve(FLOW, LAW, **{**RUN, "lmax": 95})


def error(ds):
    moments = reference().moments.values[: ds.sizes["time"], : ds.sizes["harmonic"]]
    return np.abs(ds.moments.values - moments).max(axis=1)


def test_stop_returns_what_was_resolved_and_says_so():
    with pytest.warns(UnderResolvedWarning, match=r"ends at t = 0.26, the last state that lmax = 31 resolves"):
        ds = fp.solve(FLOW, LAW, **RUN, on_underresolved="stop")
    assert ds.time.values[-1] == ds.stopped_at == pytest.approx(0.26)
    assert (ds.tail <= UNRESOLVED).all() and solved("warn").tail.values[ds.sizes["time"]] > UNRESOLVED
    whole = solved("warn").isel(time=slice(ds.sizes["time"]))
    assert all(np.array_equal(ds[name], whole[name]) for name in whole.data_vars)


def test_the_tail_is_looked_at_between_saved_states():
    assert solved("stop", save_every=0.1).time.values[-1] == pytest.approx(0.2)
    assert solved("stop", save_every=0.1).stopped_at == pytest.approx(0.26)
    assert solved("warn", save_every=0.3).unresolved_from == pytest.approx(0.28)


def test_stop_and_cloud_do_not_lose_a_run_to_a_step_that_cannot_be_done():
    start = fp.Density.from_law(LAW, lmax=15, rtol=1e-6)
    path = fp.BrownianPath(1)

    def wild(model, measure, path, t0, t1):
        if t0 > 0.015 and measure.name == "density":
            raise UnresolvedError(0.0, "the transport operator grows without bound", "raise lmax")
        return SCHEMES["lie_euler"].step(model, measure, path, t0, t1)

    scheme = replace(SCHEMES["lie_euler"], step=wild)
    run = {"t_end": 0.05, "dt": 0.01, "scheme": scheme}
    with pytest.raises(UnresolvedError):
        list(fp.run(FLOW, start, path, **run))
    assert len(list(fp.run(FLOW, start, path, **run, policy="stop"))) == 3
    names = [state.name for _, state in fp.run(FLOW, start, path, **run, policy="cloud")]
    assert names == ["density"] * 3 + ["cloud"] * 3
    # a higher degree does not help here, nor does a filter
    assert len(list(fp.run(FLOW, start, path, **run, policy=Refine(31)))) == 3


def test_filter_is_the_filtered_run_from_the_last_resolved_state():
    with pytest.warns(UnderResolvedWarning, match="(filtered|under-resolved) from t = 0.28"):
        ds = fp.solve(FLOW, LAW, **RUN, on_underresolved="filter")
    assert ds["filter"].values.tolist() == [0.0] * 14 + [0.15] * 17
    path = fp.BrownianPath(2, 0, 0.02)
    start = fp.Density.from_law(LAW, lmax=31, rtol=1e-6)
    *_, (_, last) = fp.run(FLOW, start, path, t_end=0.26, dt=0.02)
    filtered = fp.Density(last.coefficients, last.rtol, 0.15)
    *_, (_, end) = fp.run(FLOW, filtered, path, t_end=0.6, dt=0.02, start=13)
    assert np.array_equal(ds.mean_vector.values[-1], end.mean)


def test_refine_keeps_the_accuracy_of_a_fine_run():
    ds = solved("refine", save_density=True)
    degrees = ds.lmax.values
    assert sorted(set(degrees)) == [31, 63, 95] and (np.diff(degrees) >= 0).all()
    assert (ds.tail.values[degrees < 95] <= REFINE_FROM).all()
    assert error(ds).max() < 1e-5 < 5e-4 < error(solved("warn")).max()  # measured: 2e-6 and 1e-3
    assert ds.density.sizes["lat"] == 48  # the grid of the first degree, at every time
    assert ds.refined_from == ds.time.values[np.argmax(degrees > 31)]


def test_refined_densities_are_sampled_not_truncated():
    ds = solved("refine", save_density=True, moments_lmax=95)
    assert ds.sizes["harmonic"] == 96**2  # what a low degree does not have is zero
    assert not np.any(ds.moments.values[0, 32**2 :])
    coarse = grid(31)
    m = np.repeat(np.arange(96), np.arange(96, 0, -1))
    degree = np.concatenate([np.arange(first, 96) for first in range(96)])
    assert (ds.degree == np.sqrt(np.arange(96**2)).astype(int)).all()
    cosine, sine = (ds.moments.values[-1][degree**2 + degree + sign * m] for sign in (1, -1))
    coefficients = np.where(m == 0, cosine, (cosine - 1j * sine) / np.sqrt(2))
    sampled = SpherePoints(coarse.x.reshape(-1, 3)).scalar(coefficients).reshape(coarse.shape)
    assert np.abs(ds.density.values[-1] - sampled).max() < 1e-12 * sampled.max()


def test_at_its_cap_refine_filters_and_says_so():
    with pytest.warns(UnderResolvedWarning, match="(filtered|under-resolved) from"):
        ds = fp.solve(FLOW, LAW, **RUN, on_underresolved="refine", lmax_cap=40)
    assert ds.lmax.values[-1] == 40 and ds["filter"].values[-1] == 0.15


def test_half_densities_refine():
    ds = solved("refine", measure="half_density", lmax_cap=63, t_end=0.3)
    assert ds.lmax.values[-1] == 63 and error(ds).max() < 1e-6  # measured: 3e-7


def test_a_cloud_takes_over_as_the_cloud_that_always_ran():
    """The jump at the hand-over is the error of the density there; the cloud's degree is 2ℓmax + 1, at most the cap."""
    ds = solved("cloud", t_end=0.4, lmax_cap=47, save_density=True)
    cloud = solved("warn", t_end=0.4, lmax=47, measure="cloud")
    at = int(np.sum(ds.method.values == "density"))
    assert ds.method.values.tolist() == ["density"] * at + ["cloud"] * 7 and at == 14
    assert ds.handed_over_at == ds.time.values[at]
    assert np.abs(ds.moments[at:] - cloud.moments[at:]).max() < ROUND_OFF
    assert np.abs(ds.entropy[at:] - cloud.entropy[at:]).max() < ROUND_OFF
    assert np.abs(ds.moments.values[:at] - cloud.moments.values[:at]).max() < 1e-5  # measured: 3e-6
    assert error(ds).max() < 1e-5 < error(solved("warn", t_end=0.4)).max()  # measured: 3e-6 and 2e-5
    assert np.isfinite(ds.tail[:at]).all() and np.isnan(ds.tail[at:]).all()
    assert np.isnan(ds.lmax[at:]).all() and np.isnan(ds.density[at:]).all()


def test_without_a_law_the_cloud_is_the_quadrature_at_the_hand_over():
    start = fp.Density.from_law(LAW, lmax=31, rtol=1e-6)
    path, scheme = fp.BrownianPath(2, 0, 0.02), SCHEMES["lie_euler"]
    seen = list(fp.run(FLOW, start, path, t_end=0.4, dt=0.02, scheme=scheme, policy="cloud"))
    assert [state.name for _, state in seen] == ["density"] * 14 + ["cloud"] * 7
    assert np.abs(seen[14][1].moments(8) - resolved_state(14).moments(8)).max() < 1e-4


@cache
def resolved_state(n: int):
    start = fp.Density.from_law(LAW, lmax=95, rtol=1e-6)
    *_, (_, state) = fp.run(FLOW, start, fp.BrownianPath(2, 0, 0.02), t_end=n * 0.02, dt=0.02)
    return state


@pytest.mark.parametrize("policy", ["filter", "refine", "cloud"])
def test_a_run_taken_up_again_goes_on_as_it_would_have(policy):
    """The policy is a function of the state alone."""
    cap = {} if policy == "filter" else {"lmax_cap": 31}
    job = prepare(FLOW, LAW, **{**RUN, **SHORT}, on_underresolved=policy, **cap)
    seen = [state for _, state in job.course().states()]
    for start in (3, 7, 12):
        again = [state for _, state in job.course(Instant(start, seen[start])).states()]
        assert len(again) == len(seen) - start
        for one, other in zip(again, seen[start:], strict=True):
            assert np.abs(one.mean - other.mean).max() <= (ROUND_OFF if other.name == "cloud" else 0)


@pytest.mark.parametrize("policy", ["stop", "filter", "refine", "cloud"])
def test_a_policy_costs_nothing_while_the_density_is_resolved(policy):
    ds = solved(policy, t_end=0.1)
    plain = solved("warn", t_end=0.1)
    assert all(np.array_equal(ds[name], plain[name]) for name in plain.data_vars)


def test_policies_on_the_circle():
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3, d=2)
    law, run = fp.initial.von_mises_fisher([0.3, -0.5], 2.0), {**RUN, "t_end": 0.4}
    ends = {}
    for policy in ("refine", "cloud"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = fp.solve(flow, law, **run, on_underresolved=policy)
        ends[policy] = ds.mean_vector.values[-1]
        assert {"refine": ds.lmax.values[-1] > 31, "cloud": "cloud" in ds.method.values}[policy]
    assert np.abs(ends["refine"] - ends["cloud"]).max() < 1e-4


def test_what_made_which_time_survives_a_file(tmp_path):
    for suffix in (".nc", ".zarr"):
        ds = solved("cloud", **SHORT, save_density=True)
        fp.save(ds, tmp_path / f"run{suffix}")
        assert fp.load(tmp_path / f"run{suffix}").identical(ds)


@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"on_underresolved": "cluod"}, "on_underresolved"),
        ({"on_underresolved": "filter", "measure": "half_density"}, "on_underresolved"),
        ({"on_underresolved": "refine", "lmax_cap": 31}, "lmax_cap"),
        ({"on_underresolved": "refine", "lmax_cap": 63.5}, "lmax_cap"),
        ({"on_underresolved": "refine", "lmax_cap": 5000}, "lmax_cap"),
        ({"on_underresolved": "stop", "measure": "cloud"}, "on_underresolved"),
        ({"on_underresolved": "cloud", "measure": "cloud"}, "on_underresolved"),
        *[({"on_underresolved": "cloud", "lmax_cap": cap}, "lmax_cap") for cap in ("abc", None, True, -5, 63.5, 2048)],
        ({"save_flow": True}, "save_flow"),
        ({"save_flow": True, "on_underresolved": "refine"}, "save_flow"),
        ({"save_points": True, "on_underresolved": "refine"}, "save_points"),
        ({"save_flow": True, "measure": "cloud", "scheme": "euler_maruyama"}, "save_flow"),
    ],
)
def test_bad_arguments_are_named(change, argument):
    with pytest.raises(InputError) as caught:
        fp.solve(FLOW, LAW, **{**RUN, **change})
    assert caught.value.argument == argument


def test_own_noise_is_not_handed_over_to_a_cloud():
    with pytest.raises(InputError, match="on_underresolved = 'cloud'"):
        fp.solve(fp.models.SelfAttention(beta=1.0, diffusion=0.1), LAW, t_end=0.1, dt=0.1, on_underresolved="cloud")


def test_a_scheme_that_moves_no_points_is_refused_before_the_run():
    still = replace(SCHEMES["lie_euler"], measures=("density", "half_density"))
    run = {"t_end": 0.1, "dt": 0.1, "path_cell": 0.1, "scheme": still}
    with pytest.raises(InputError, match="on_underresolved = 'cloud': no cloud can go on"):
        fp.solve(FLOW, LAW, **run, on_underresolved="cloud")


def test_tokens_have_no_degree_to_outgrow():
    """Also where they carry noise of their own."""
    tokens, model = fp.initial.samples(LAW, 20, 1), fp.models.SelfAttention(beta=1.0, diffusion=0.1)
    with pytest.raises(InputError, match="points have no degree to outgrow"):
        fp.solve(model, tokens, t_end=0.1, dt=0.1, measure="cloud", on_underresolved="cloud")


def test_a_policy_is_plain_data():
    assert policy_of("warn") == Warn() and policy_of("cloud") == HandOver(255) and policy_of("refine", 31) == Refine(31)
