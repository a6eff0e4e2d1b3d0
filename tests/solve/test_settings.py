"""The settings of a run stand in one place: signatures, sweeps and configurations have their names and defaults."""

import inspect
import json
from dataclasses import MISSING, FrozenInstanceError

import pytest

import fpsolve as fp
from fpsolve.ensembles.sweep import NOT_SWEPT, make_sweep
from fpsolve.settings import OF_THE_CALL, SETTINGS, Settings
from fpsolve.solving import prepare

LAW = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
MODEL = fp.models.SelfAttention(2.0)
RUN = {"t_end": 0.02, "dt": 0.01, "lmax": 15}


def test_the_signature_of_solve_is_the_settings():
    signature = inspect.signature(fp.solve).parameters
    assert list(signature) == ["model", "initial", *SETTINGS, *OF_THE_CALL]
    for name, one in SETTINGS.items():
        default = signature[name].default
        assert (one.default is MISSING and default is inspect.Parameter.empty) or default == one.default, name
        assert signature[name].annotation == one.type or name == "observe", name


def test_a_comparison_shares_their_defaults():
    shared = {name: one for name, one in inspect.signature(fp.compare).parameters.items() if name in SETTINGS}
    assert {"lmax", "rtol", "path_cell", "moments_lmax", "seed", "member"} <= set(shared)
    for name, one in shared.items():
        assert one.default is inspect.Parameter.empty or one.default == SETTINGS[name].default, name


def test_a_sweep_knows_every_one_that_members_may_differ_in():
    for name in set(SETTINGS) - set(NOT_SWEPT):
        assert make_sweep(MODEL, LAW, {"t_end": 0.02, "dt": 0.01}, {name: [1]}).axes[0].places == ("solve",)


def test_a_job_has_them_as_they_were_found_and_a_result_records_them():
    job = prepare(MODEL, LAW, **RUN, measure=fp.Density)
    found = job.settings
    assert (found.scheme, found.measure, found.lmax, found.rtol) == ("rk4", "density", 15, 1e-6)
    assert json.loads(job.run().fpsolve_config)["solve"] == found.to_plain()
    assert list(found.to_plain()) == list(SETTINGS)
    with pytest.raises(FrozenInstanceError):
        job.settings.lmax = 31
    with pytest.raises(TypeError, match="lmaxx"):
        prepare(MODEL, LAW, **RUN, lmaxx=3)
    assert Settings(t_end=1.0, dt=0.1) == Settings(t_end=1.0, dt=0.1)
