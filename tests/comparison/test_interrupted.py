"""``fpsolve compare`` under signals: what is complete is kept, the status says why it ended."""

import json
import os
import signal

import numpy as np
import pytest
from typer.testing import CliRunner

import fpsolve as fp
from fpsolve.cli import comparing
from fpsolve.cli.app import app
from fpsolve.cli.comparing import called
from fpsolve.comparison import compare, comparison, routes
from fpsolve.comparison.comparison import compare_until
from fpsolve.config import load_config
from fpsolve.errors import Interrupted
from fpsolve.signals import STOPPING, stop_on_signal

CONFIG = """
[model]
name = "Homogenized"
beta = 1.0
[initial]
name = "von_mises_fisher"
mean = [0.0, 0.0, 1.0]
kappa = 2.0
[solve]
t_end = 0.04
dt = 0.01
lmax = 11
[compare]
tokens = [16, 64]
samples = 2
members = 3
degrees = [11]
reference_lmax = 15
wasserstein_cells = 30
transformer = {n = 4, heads = 1, depth = 4}
"""

RUNS = 8  # densities and clouds of two degrees, two samples of two sizes


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "case.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def undrawn(monkeypatch):
    """Figures take longer than all the rest."""
    monkeypatch.setattr(comparing, "draw", lambda *_: None)


def signalled(monkeypatch, name, call, *numbers):
    """Send the signals at the beginning of this call of a function of the comparison, counted from one."""
    original, calls = getattr(comparison, name), []

    def hooked(*args, **kwargs):
        calls.append(args)
        if len(calls) == call:
            for number in numbers:
                os.kill(os.getpid(), number)
        return original(*args, **kwargs)

    monkeypatch.setattr(comparison, name, hooked)


def command(*arguments):
    done = CliRunner().invoke(app, ["compare", "case.toml", *arguments])
    return done.exit_code, done.stdout, done.stderr


def left_out(ds):
    return json.loads(ds.attrs["left_out"])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    file = tmp_path_factory.mktemp("whole") / "case.toml"
    file.write_text(CONFIG)
    return called(load_config(file), "compare", compare, progress=False)


def test_an_undisturbed_comparison_says_nothing_of_it(undisturbed):
    assert "stopped" not in undisturbed.attrs and left_out(undisturbed) == []
    assert undisturbed.sizes["run"] == RUNS and undisturbed.sizes["member"] == 3


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)])
def test_complete_runs_are_kept(folder, undrawn, monkeypatch, undisturbed, number, status):
    before = [signal.getsignal(one) for one in (*STOPPING, signal.SIGINT)]
    signalled(monkeypatch, "follow", 4, number)  # the second sample of the larger size
    code, out, err = command()
    assert code == status
    told = f"stopped on request: {RUNS - 1} of {RUNS} runs are complete and kept in case-compare.nc"
    assert err == f"fpsolve: {number.name}: {told}\n"
    assert "wrote case-compare.nc and case-compare.png" in out
    ds = fp.load("case-compare.nc")
    assert ds.attrs["stopped"] == f"{RUNS - 1} of {RUNS} runs are complete" and ds.sizes["run"] == RUNS - 1
    assert left_out(ds) == [
        "tokens of N = 64: stopped after 1 of 2 samples",
        "transformer: stopped before its law was complete",
        "wasserstein: stopped before it was complete",
    ]
    assert all(sentence in out for sentence in left_out(ds))
    for name in ("moments", "moments_error", "overlap_error", "discrepancy_error"):
        np.testing.assert_array_equal(ds[name].values, undisturbed[name].values[: RUNS - 1])
    assert "wasserstein_error" not in ds and "member" not in ds.dims
    assert [signal.getsignal(one) for one in (*STOPPING, signal.SIGINT)] == before


def test_without_a_run_of_tokens_nothing_is_kept(folder, undrawn, monkeypatch):
    signalled(monkeypatch, "follow", 1, signal.SIGTERM)
    code, out, err = command()
    assert (code, out) == (75, "")
    assert err == "fpsolve: SIGTERM: stopped on request before a run of tokens was complete; nothing was kept\n"
    assert sorted(os.listdir(folder)) == ["case.toml"]


def test_one_run_of_tokens_is_enough(folder, monkeypatch):
    signalled(monkeypatch, "follow", 2, signal.SIGTERM)
    assert command()[0] == 75 and (folder / "case-compare.png").stat().st_size > 10_000
    ds = fp.load("case-compare.nc")
    assert list(ds["route"].values) == ["density"] * 2 + ["cloud"] * 2 + ["tokens"]
    assert np.isnan(ds["rate"]).all() and (ds["moments_error"][-1] > 0).all()


def test_a_stop_before_the_law_leaves_the_transformer_out(folder, undrawn, monkeypatch, undisturbed):
    signalled(monkeypatch, "_reference", 1, signal.SIGUSR1)
    monkeypatch.setattr(comparison, "in_law", lambda *_: pytest.fail("the law was begun"))
    code, _, err = command()
    assert code == 75 and f"{RUNS} of {RUNS} runs are complete" in err
    ds = fp.load("case-compare.nc")
    assert [text.split(":")[0] for text in left_out(ds)] == ["transformer", "wasserstein"]
    np.testing.assert_array_equal(ds["rate"].sel(quantity="moments"), undisturbed["rate"].sel(quantity="moments"))


def test_a_stop_in_the_law_leaves_it_out(folder, undrawn, monkeypatch):
    signalled(monkeypatch, "in_law", 1, signal.SIGUSR1)
    assert command()[0] == 75
    ds = fp.load("case-compare.nc")
    assert "transformer: stopped before its law was complete" in left_out(ds) and "observable" not in ds.dims


def test_a_stop_in_the_distances_leaves_them_out(folder, undrawn, monkeypatch, undisturbed):
    signalled(monkeypatch, "_with_distances", 1, signal.SIGUSR1)
    assert command()[0] == 75
    ds = fp.load("case-compare.nc")
    assert left_out(ds) == ["wasserstein: stopped before it was complete"] and "wasserstein_error" not in ds
    np.testing.assert_allclose(ds["limit_values"], undisturbed["limit_values"], atol=1e-4)  # by the cheapest route


def test_a_signal_at_the_very_end_changes_nothing(folder, undrawn, monkeypatch):
    signalled(monkeypatch, "dataset", 1, signal.SIGTERM, signal.SIGTERM)
    code, _, err = command()
    assert (code, err) == (0, "") and "stopped" not in fp.load("case-compare.nc").attrs


def test_a_second_interrupt_ends_it_at_once(folder, undrawn, monkeypatch):
    signalled(monkeypatch, "dataset", 1, signal.SIGINT, signal.SIGINT)
    assert command()[0] == 130
    assert sorted(os.listdir(folder)) == ["case.toml"]


def test_it_is_asked_once_a_step(monkeypatch):
    monkeypatch.setattr(routes, "QUICK", 0)  # no run is timed again
    arguments = {"t_end": 0.04, "dt": 0.01, "lmax": 11, "degrees": (11,), "reference_lmax": 15, "tokens": (16,)}
    arguments |= {"transformer": False, "wasserstein_cells": 0, "samples": 2, "progress": False}
    model, law = fp.models.Homogenized(beta=1.0), fp.initial.von_mises_fisher([0.0, 0.0, 1.0], 2.0)
    asked = []

    def stop_after(count):
        asked.clear()
        return lambda: asked.append(None) or len(asked) >= count

    whole = compare_until(stop_after(1000), model, law, **arguments)
    assert "stopped" not in whole.attrs
    assert len(asked) == 4 * (1 + 4) + (1 + 4) + 4  # four steps a run, and one before the first of each kind
    ds = compare_until(stop_after(29), model, law, **arguments)
    assert ds.attrs["stopped"] == "5 of 6 runs are complete"
    assert ds["moments"].equals(whole["moments"].isel(run=slice(5)))
    for early in (1, 24):
        with pytest.raises(Interrupted):
            compare_until(stop_after(early), model, law, **arguments)
        assert len(asked) == early


def test_an_ignored_interrupt_stays_ignored():
    """As in a command that a shell script has put into the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_on_signal((*STOPPING, signal.SIGINT)) as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert not stop() and stop.name is None
    finally:
        signal.signal(signal.SIGINT, before)
