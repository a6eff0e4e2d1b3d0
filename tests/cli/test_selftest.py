"""``fpsolve test``: what it tests passes, what is broken is found and named, the others go on."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import fpsolve as fp
from fpsolve.cli import app, selftest


def called(*arguments):
    return CliRunner().invoke(app, ["test", *arguments])


@pytest.fixture
def without_slow_ones(monkeypatch):
    quick = ("compiled attention against NumPy", "three tokens against their closed form")
    monkeypatch.setattr(selftest, "_PACKAGE", {name: selftest._PACKAGE[name] for name in quick})


def test_everything_passes_and_is_told():
    done = called()
    assert done.exit_code == 0, done.output
    assert done.output.count("  pass  ") == 4 + len(selftest._PACKAGE) and "FAIL" not in done.output
    assert done.output.splitlines()[-1].startswith("10 of 10 tests passed")
    assert "plotly" in done.output


def test_as_json(without_slow_ones, monkeypatch):
    monkeypatch.setattr(selftest, "version", lambda name: "1.0" if name == "torch" else fp.__version__)
    told = json.loads(called("--json").output)
    assert len(told["tests"]) == 6 and all(one["passed"] and one["error"] <= one["tolerance"] for one in told["tests"])
    assert told["extras"]["torch"] == "1.0" and set(told["extras"]) == set(selftest.EXTRAS)


@pytest.mark.parametrize("how", ["wrong", "nan", "raises"])
def test_a_broken_kernel_is_found(without_slow_ones, monkeypatch, how):
    right = selftest.softmax.softmax_second

    def broken(*arguments):
        if how == "raises":
            raise OSError("no kernel")
        return tuple(one * (np.nan if how == "nan" else 1 + 1e-9) for one in right(*arguments))

    monkeypatch.setattr(selftest.softmax, "softmax_second", broken)
    done = called()
    assert done.exit_code == 1 and done.output.count("FAIL") == 1 and "5 of 6 tests passed" in done.output
    line = next(one for one in done.output.splitlines() if "FAIL" in one)
    assert "compiled attention" in line and ("OSError: no kernel" in line) == (how == "raises")
    told = json.loads(called("--json").output)
    assert [one["name"] for one in told["tests"] if not one["passed"]] == ["compiled attention against NumPy"]


@pytest.mark.parametrize(("name", "test"), [
    ("solve", "_closed_form"), ("solve", "_measures_agree"), ("load", "_files"), ("solve", "_restart"),
])  # fmt: skip
def test_each_test_can_fail(monkeypatch, tmp_path, name, test):
    """With one of its parts off by a little at its second call, or for clouds."""
    right, calls = getattr(selftest, name), []

    def off(*arguments, **named):
        ds = right(*arguments, **named)
        calls.append(ds)
        wrong = ds.map(lambda one: one + 1e-5 if one.dtype.kind == "f" else one)
        wrong.attrs = ds.attrs
        return wrong if len(calls) > 1 or test == "_closed_form" else ds

    monkeypatch.setattr(selftest, name, off)
    tolerance = next(allowed for one, allowed in selftest._PACKAGE.values() if one.__name__ == test)
    assert not getattr(selftest, test)(tmp_path) <= tolerance
