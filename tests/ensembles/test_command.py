"""The configuration's tables and the function behind ``fpsolve ensemble``."""

from pathlib import Path

import pytest
import typer
import xarray as xr

from fpsolve.cli.ensembling import run_ensemble
from fpsolve.config import ConfigError, parse_config
from fpsolve.ensembles.layout import checked_members
from fpsolve.errors import InputError, UnresolvedError

CONFIG = """
[model]
name = "IsotropicFlow"
spectrum = [0.2, 4.18879, 1.0]
noise = 0.3
[initial]
name = "von_mises_fisher"
mean = [1, 2, 2]
kappa = 1.5
[solve]
t_end = 0.2
dt = 0.1
path_cell = 0.1
lmax = 15
moments_lmax = 2
[ensemble]
members = 2
"""


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(CONFIG)


def run(*changes, output=None, **options):
    run_ensemble(Path("small.toml"), output and Path(output), changes, options)


def parsed(**tables):
    import tomllib

    return parse_config({**tomllib.loads(CONFIG), **tables})


def test_the_command_writes_a_store_and_says_so(capsys):
    run()
    assert capsys.readouterr().out == "wrote small.zarr: member 2; 2 members done, 0 failed\n"
    assert xr.open_zarr("small.zarr").sizes["member"] == 2


def test_options_come_before_the_configuration(capsys):
    run("sweep.noise=[0.1, 0.2]", "sweep.initial.kappa=[1.0, 2.0]", members="3:5", block=1, output="b.zarr")
    assert capsys.readouterr().out.startswith("wrote b.zarr: noise 2 x kappa 2 x member 2; 8 members done")
    assert xr.open_zarr("b.zarr").member.values.tolist() == [3, 4]
    with pytest.raises(InputError, match=r"members = '0:2': the store has 3:5; pass 3:5"):
        run("sweep.noise=[0.1, 0.2]", "sweep.initial.kappa=[1.0, 2.0]", output="b.zarr")


def test_all_failed_is_an_error(monkeypatch, capsys):
    from fpsolve.ensembles import member

    def fail(runner, index, *_):
        return runner.failure(UnresolvedError(0.1, "the tail is 0.2", "raise lmax"))

    monkeypatch.setattr(member.Runner, "run", fail)
    with pytest.raises(UnresolvedError, match="all 2 members failed"):
        run()
    assert "UnresolvedError: stopped at t = 0.1: the tail is 0.2; raise lmax" in capsys.readouterr().out


def test_none_done_as_all_ended_early_is_an_error(capsys):
    """As ``fpsolve run`` of one of them; members that are under-resolved but reach their end are no error."""
    sharp = ("initial.kappa=60.0", "solve.lmax=7", "solve.measure=density")
    with pytest.raises(UnresolvedError, match="none of 2 members is done, 2 ended early; see the variable cause"):
        run(*sharp, "solve.on_underresolved=stop")
    assert "0 members done, 0 failed, 2 under-resolved" in capsys.readouterr().out
    run(*sharp, output="b.zarr")
    assert "0 members done, 0 failed, 2 under-resolved" in capsys.readouterr().out


def test_a_signal_ends_the_command_with_its_own_status(monkeypatch, capsys):
    """Status 75, and the same command goes on."""
    import os
    import signal

    from fpsolve.solving import Job

    course = Job.course
    monkeypatch.setattr(Job, "course", lambda self, *a: os.kill(os.getpid(), signal.SIGUSR1) or course(self, *a))
    with pytest.raises(typer.Exit) as left:
        run()
    assert left.value.exit_code == 75 and "SIGUSR1: stopped on request at t = 0" in capsys.readouterr().err
    monkeypatch.setattr(Job, "course", course)
    run()


@pytest.mark.parametrize("text", ["many", "1:x", "2.5"])
def test_members_are_a_number_or_a_range(text):
    assert checked_members("256:512") == range(256, 512) and checked_members("8") == range(8)
    with pytest.raises(InputError, match="not a number or a range"):
        checked_members(text)
    with pytest.raises(InputError, match="not a number or a range"):
        run(members=text)


def test_sweeps_of_a_configuration():
    laws = [{"name": "uniform"}, {"name": "von_mises_fisher", "mean": [0, 0, 1], "kappa": 2.0}]
    config = parsed(sweep={"model": {"noise": [0.1, 0.2]}, "initial": laws}, ensemble={"members": "4:8"})
    assert list(config.sweep) == ["model.noise", "initial"] and config.sweep["initial"][1].recipe["kappa"] == 2.0
    assert config.extras["ensemble"] == {"members": "4:8"}
    with pytest.raises(InputError, match="describes several runs; use fpsolve ensemble"):
        config.solve()


def test_a_swept_law_needs_no_initial_table():
    import tomllib

    raw = {key: table for key, table in tomllib.loads(CONFIG).items() if key != "initial"}
    assert parse_config({**raw, "sweep": {"initial": [{"name": "uniform"}]}}).initial.recipe["name"] == "uniform"


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ({"sweep": {"noise": 0.1}}, "sweep.noise = 0.1: is not a list"),
        ({"sweep": {"initial": [{"name": "unifrom"}]}}, "did you mean 'uniform'"),
        ({"ensemble": {"member": 3}}, "ensemble.member = 3: unknown key.*did you mean 'members'"),
        ({"ensemble": {"schedule": "guided"}}, "ensemble.schedule = 'guided'"),
        ({"ensemble": {"block": "all"}}, "ensemble.block = 'all'"),
    ],
)
def test_wrong_tables_are_named(tables, told):
    with pytest.raises((InputError, ConfigError), match=told):
        parsed(**tables)
