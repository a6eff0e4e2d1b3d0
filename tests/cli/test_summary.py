"""What ``fpsolve run`` says of a run that outgrew its degree, and with which status it ends."""

import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

import fpsolve as fp
from fpsolve.cli.app import app
from fpsolve.cli.running import summary

CONFIG = """
[model]
name = "Homogenized"
beta = 4.0
drift = 3.0
noise = 0.3
[initial]
name = "von_mises_fisher"
mean = [0.3, -0.5, 1.0]
kappa = 2.0
[solve]
t_end = 2.8
dt = 0.04
path_cell = 0.04
lmax = 15
seed = 2
save_every = 0.4
"""


def fpsolve_command(*arguments):
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "run.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore::fpsolve.errors.UnderResolvedWarning")
def test_a_run_that_stops_early_is_saved_and_ends_with_status_3(folder):
    done = fpsolve_command("run", "run.toml", "--set", "solve.on_underresolved=stop")
    ds = fp.load(folder / "run.nc")
    assert done.exit_code == 3 and ds.time.values[-1] <= ds.stopped_at < 1
    assert done.stdout.splitlines()[-1] == f"  stopped at t = {ds.stopped_at:g}, before its end"
    assert done.stdout.startswith(f"wrote run.nc: {ds.sizes['time']} saved times")


@pytest.mark.filterwarnings("ignore::fpsolve.errors.UnderResolvedWarning")
def test_a_run_that_goes_on_says_how(folder):
    asked = ("on_underresolved=refine", "lmax_cap=23", "t_end=1.2", "measure=density")
    changes = [f"solve.{one}" for one in asked]
    done = fpsolve_command("run", "run.toml", *(word for one in changes for word in ("--set", one)))
    ds = fp.load(folder / "run.nc")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-3:] == [
        f"  under-resolved from t = {ds.unresolved_from:g} on",
        f"  refined from t = {ds.refined_from:g} on, to lmax = 23",
        f"  filtered from t = {ds.filtered_from:g} on",
    ]


def test_a_cloud_that_takes_over_by_default_says_when(folder):
    """No warning, as nothing is lost; a line with the error of its quadrature, from when on there is one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", fp.errors.UnderResolvedWarning)
        done = fpsolve_command("run", "run.toml", "--set", "solve.t_end=1.2")
    ds = fp.load(folder / "run.nc")
    assert done.exit_code == 0 and 0 < ds.handed_over_at < 1.2 and float(ds.cloud_error.max()) < 1e-3
    lines = done.stdout.splitlines()
    assert lines[-1] == f"  carried by a cloud from t = {ds.handed_over_at:g} on"
    told = [line for line in lines if line.startswith("  cloud_error ")]
    first = int(np.argmax(np.isfinite(ds.cloud_error.values)))
    begun = f"{ds.cloud_error.values[first]: .6g}  at t = {ds.time.values[first]:g}, its first"
    assert first > 0 and len(told) == 1
    assert told[0].split() == f"cloud_error {begun}  ->  {ds.cloud_error.values[-1]:.6g}".split()


def test_the_last_value_that_there_is(tmp_path):
    """A density's tail ends with the hand-over."""
    times, tail = np.arange(4.0), [0.0, 1e-5, np.nan, np.nan]
    ds = fp.solve(fp.models.IsotropicFlow(spectrum=[0.0, 0.1]), fp.initial.uniform(), t_end=0.03, dt=0.01, lmax=7)
    ds = ds.assign_coords(time=times).assign(tail=("time", tail)).assign_attrs(handed_over_at=2.0)
    lines = summary(ds, tmp_path / "a.nc").splitlines()
    assert [line.split() for line in lines if "tail" in line] == ["tail 0 -> 1e-05 at t = 1, its last".split()]
    assert lines[-1] == "  carried by a cloud from t = 2 on"
    assert any(line.startswith("  overlap ") and line.endswith(f"{ds.overlap.values[-1]: .6g}") for line in lines)
