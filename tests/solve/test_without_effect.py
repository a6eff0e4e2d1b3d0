"""Arguments off their default that change nothing are refused by name; defaults and recorded configurations pass."""

import json
from dataclasses import replace

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.measures.build import build
from fpsolve.policies import Filter
from fpsolve.settings import Settings, check_effect
from fpsolve.solving import prepare

LAW = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
TOKENS = fp.initial.samples(LAW, 16, seed=1)
NOISE = fp.models.LinearGaussianLayers()
STILL = fp.models.SelfAttention(2.0)
RUN = {"t_end": 0.02, "dt": 0.01}


@pytest.mark.parametrize("scheme", ["euler_maruyama", "geodesic_euler"])
def test_rtol_where_a_step_has_no_tolerance(scheme):
    few = {**RUN, "measure": "cloud", "scheme": scheme}
    with pytest.raises(InputError, match=rf"^rtol = 1e-09: scheme='{scheme}'.*leave it out"):
        fp.solve(NOISE, TOKENS, **few, rtol=1e-9)
    assert fp.solve(NOISE, TOKENS, **few).identical(fp.solve(NOISE, TOKENS, **few, rtol=1e-6))


def test_what_a_given_measure_keeps_of_its_own():
    state = build(LAW, "density", 15, 1e-7)
    fp.solve(NOISE, state, **RUN, rtol=1e-7)
    with pytest.raises(InputError, match=r"^rtol = 1e-09: the measure that was given keeps its own"):
        fp.solve(NOISE, state, **RUN, rtol=1e-9)
    with pytest.raises(InputError, match=r"^filter = 0\.2: the measure that was given keeps its own"):
        fp.solve(NOISE, state, **RUN, filter=0.2)
    assert "overlap" in fp.solve(NOISE, replace(state, filter=0.2), **RUN, filter=0.2)


@pytest.mark.parametrize("policy", ["warn", "stop", "filter"])
def test_the_cap_of_degrees_that_never_rise(policy):
    with pytest.raises(InputError, match=r"^lmax_cap = 63: on_underresolved=.*raises no degree"):
        fp.solve(NOISE, LAW, **RUN, lmax=15, lmax_cap=63, on_underresolved=policy)
    assert "overlap" in fp.solve(NOISE, LAW, **RUN, lmax=15, lmax_cap=63, on_underresolved="refine")


def test_options_of_petsc_without_petsc_and_transports_of_clouds():
    for measure in ("density", "cloud"):
        with pytest.raises(InputError, match=r"^petsc_options = '-ksp_monitor'"):
            fp.solve(NOISE, LAW, **RUN, measure=measure, lmax=15, petsc_options="-ksp_monitor")
    with pytest.raises(InputError, match=r"^transport = 'krylov'"):
        fp.solve(NOISE, LAW, **RUN, measure="cloud", lmax=15, transport="krylov")


def test_filters():
    """Densities alone have one; it acts in flows of living fields too, and in no step of PETSc's integrators."""
    for measure in ("cloud", "half_density"):
        with pytest.raises(InputError, match=r"^filter = 0\.2"):
            fp.solve(NOISE, LAW, **RUN, measure=measure, lmax=15, filter=0.2)
    few = {"t_end": 1.0, "dt": 0.1, "lmax": 7, "progress": False, "measure": "density"}
    plain, filtered = (fp.solve(STILL, LAW, **few, filter=strength) for strength in (None, 1.0))
    assert filtered.tail.values[-1] < 0.5 * plain.tail.values[-1]
    np.testing.assert_allclose(filtered.mean_vector, plain.mean_vector, atol=1e-2)
    state, ts = build(LAW, "density", 15, 1e-6, 0.2), fp.SCHEMES["petsc_ts"]
    asked = Settings(**RUN, rtol=1e-6, filter=0.2)
    with pytest.raises(InputError, match=r"^filter = 0\.2: scheme='petsc_ts' filters nothing"):
        check_effect(asked, ts, "petsc_ts", LAW, state)
    with pytest.raises(InputError, match=r"^on_underresolved = 'filter'"):
        Filter().prepared(STILL, "petsc_ts", ts, LAW, replace(state, filter=None))


@pytest.mark.parametrize("scheme", ["lie_euler", "euler_maruyama", "geodesic_euler", "heun"])
def test_a_recorded_configuration_runs_again(scheme):
    ds = fp.solve(NOISE, TOKENS, **RUN, measure="cloud", scheme=scheme)
    recorded = json.loads(ds.fpsolve_config)["solve"]
    assert prepare(NOISE, TOKENS, **recorded).run().identical(ds)


def test_causal_attention_takes_rk4_and_its_tolerance():
    angles = np.linspace(0, 2, 6)
    start = fp.initial.points(np.stack([np.cos(angles), np.sin(angles)], 1), labels=np.arange(1, 7) / 6)
    few = {"t_end": 0.5, "dt": 0.5, "measure": "cloud", "save_points": True}
    model = fp.models.CausalAttention(2.0)
    loose, tight, tighter = (fp.solve(model, start, **few, rtol=rtol) for rtol in (1e-2, 1e-8, 1e-11))
    assert json.loads(loose.fpsolve_config)["solve"]["scheme"] == "rk4"
    errors = [float(np.abs(ds.points[-1] - tighter.points[-1]).max()) for ds in (loose, tight)]
    assert errors[1] < 1e-6 < errors[0] < 1e-2
