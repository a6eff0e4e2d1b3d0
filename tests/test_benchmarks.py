"""The command of the benchmarks: files, what is refused before measuring, panels without rows; what aims judge."""

import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import fpsolve as fp
from benchmarks import __main__ as command
from benchmarks import (
    accuracy_cost,
    affine_flow,
    attention_sums,
    dedalus_step,
    density_step,
    ensemble_steps,
    exponentials,
    long_run,
    low_moments,
    setup_time,
)
from benchmarks.common import aim, aims_of, bound_of, unmeasured
from benchmarks.figure import draw
from benchmarks.panels import PANELS
from benchmarks.peers import numpy_steps
from fpsolve.cli.profiling import Clock
from fpsolve.instrument import Wrapped, wrapped
from fpsolve.transport import operators
from fpsolve.transport.exponential import exponential
from fpsolve.transport.implicit import RealForm
from fpsolve.transport.operators import AdvectionOperator
from tests.command import ROOT, python


@pytest.fixture
def measures_nothing(monkeypatch):
    """Fails where a benchmark is run."""
    monkeypatch.setattr(command, "measured", lambda *_: pytest.fail("measured before checking"))


def test_one_command_writes_the_json_and_the_figure_and_adds_to_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    old = {"setup_time": {"what": "", "date": "2026-01-01", "rows": [{"what": "import", "seconds": 1.0}]}}
    (tmp_path / "benchmarks.json").write_text(json.dumps(old))
    names = ("attention_sums", "token_steps")
    done = python("-m", "benchmarks", "--quick", "--only", names[0], "--only", names[1], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "benchmarks.json").read_text())
    assert set(found) == {*names, "setup_time"} and found["setup_time"] == old["setup_time"]
    assert len(found["token_steps"]["rows"]) == 3 and len(found["token_steps"]["aims"]) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"benchmarks.json", "benchmarks.png"}
    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")
    for told in ("| tokens | moments_s |", "\nAims\n", "benchmarks.json"):
        assert told in done.stdout


@pytest.mark.parametrize("text", ["{", "[1]", '{"token_steps": 3}', '{"token_steps": {"rows": [1]}}', b"\xff\xfe"])
def test_a_broken_file_is_refused_before_measuring_and_left_alone(text, tmp_path, capsys, measures_nothing):
    path = tmp_path / "b.json"
    raw = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(raw)
    assert command.main(["--only", "token_steps", "-o", str(path)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "b.json" in told and "name another file" in told
    assert path.read_bytes() == raw


@pytest.mark.parametrize(
    "arguments",
    [["-o", "none/b.json"], ["--figure", "none/b.png"], ["-o", "."], ["--figure", "b.bmp"], ["--figure", "b"]],
)
def test_places_that_cannot_be_written_are_refused_before_measuring(
    arguments, tmp_path, capsys, measures_nothing, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert command.main(["--only", "token_steps", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.startswith("benchmarks: ")
    assert not list(tmp_path.iterdir())


def test_a_benchmark_that_fails_does_not_end_the_others(tmp_path, capsys, monkeypatch):
    def measured(name, quick):
        if name == "dedalus_step":
            raise RuntimeError("the peer ended with status 1")
        return {"rows": [], "aims": []}

    monkeypatch.setattr(command, "measured", measured)
    arguments = ["--only", "dedalus_step", "--only", "token_steps", "-o", str(tmp_path / "b.json")]
    assert command.main(arguments) == 1
    assert "dedalus_step failed: the peer ended with status 1" in capsys.readouterr().err
    assert list(json.loads((tmp_path / "b.json").read_text())) == ["token_steps"]


@pytest.mark.parametrize("name", PANELS)
def test_a_benchmark_without_rows_has_no_panel(name):
    steps = {"what": "Steps of tokens.", "rows": [{"tokens": 10, "step_s": 1.0, "us_per_token": 2.0}]}
    missing = [{"peer": "Dedalus", "scheme": "RK4 by hand", "ratio": "", "aim": unmeasured(">=", 20, "not installed")}]
    assert not draw({name: {"rows": []}}).axes
    other = "setup_time" if name == "token_steps" else "token_steps"
    shown = {"rows": [{"what": "import", "seconds": 1.0}]} if other == "setup_time" else steps
    titles = [axes.get_title(loc="left") for axes in draw({name: {"rows": []}, other: shown}).axes]
    assert titles == ["(setup_time)" if other == "setup_time" else "Steps of tokens (token_steps)"]
    assert not draw({"dedalus_step": {"rows": missing}}).axes


def test_aims_say_whether_they_are_met():
    assert aim(0.1, "<=", 0.15) == "<= 0.15: met" and aim(0.2, "<=", 0.15) == "<= 0.15: NOT MET"
    assert aim(100.0, ">=", 100.0) == ">= 100: met" and aim(1.0, "<", 1.0) == "< 1: NOT MET"
    assert aim(float("nan"), ">=", 100.0) == ">= 100: NOT MET"
    texts = (aim(3.0, ">=", 20.0), unmeasured(">=", 20.0, "no peer"), "none: coarser", "")
    assert [bound_of(text) for text in texts] == [20.0, 20.0, None, None]
    row = {"model": "flow", "lmax": 63, "ms": 1.0, "share": 0.1, "aim": aim(0.1, "<=", 0.3), "kB": 5.0}
    rows = [row | {"aim of kB": aim(5.0, "<=", 1.0)}, row | {"aim": "none: other"}]
    assert aims_of(rows) == [
        {"row": "flow, lmax 63", "column": "share", "measured": 0.1, "aim": "<= 0.3: met"},
        {"row": "flow, lmax 63", "column": "kB", "measured": 5.0, "aim": "<= 1: NOT MET"},
    ]


def test_every_benchmark_has_a_panel():
    assert set(command.BENCHMARKS) == set(PANELS)


def test_every_way_of_the_affine_flow_meets_its_tolerance():
    rows = affine_flow._rows(15, 0.01, 1e-6)
    assert [row["way"] for row in rows][:2] == ["chebyshev", "krylov"] and rows[0]["over_chebyshev"] == 1
    assert all(0 < row["error"] < 1e-6 and row["applications"] > 3 for row in rows)


def test_low_moments_take_the_least_degree_that_reaches_the_error(monkeypatch):
    monkeypatch.setattr(low_moments, "DEGREES", {"log_density": (4, 11, 15), "density": (5,), "half_density": (9, 15)})
    log, density, half = low_moments._rows(10.0, "value noise")
    assert log["lmax"] == 11 and log["reached"] and log["error"] < 1e-4 and log["over_log_density"] == 1
    assert not density["reached"] and density["announced"] and density["error"] > 1e-2 and half["lmax"] == 9


def test_the_three_exponentials_agree():
    density, radius, counted = exponentials._problem(31, False)
    u, form = density.coefficients, RealForm.of(counted.operator, density.coefficients)
    exact = exponential(counted.operator, u, radius, 1e-14)
    assert np.abs(exact - u).max() > 1e-2
    counted.count = 0
    assert np.abs(exponentials.krylov(form, u, 30) - exact).max() < 1e-12
    assert counted.count == 30
    coarse, fine = (np.abs(exponentials.runge_kutta(counted.operator, u, n) - exact).max() for n in (32, 64))
    assert fine < 1e-9 and 14 < coarse / fine < 18  # fourth order
    assert exponentials.fewest(lambda n: n >= 37) == 37


def test_shares_of_a_density_step_are_shares():
    row = density_step._row("gaussian A, beta 4", density_step.models()["gaussian A, beta 4"], 31, True)
    assert 0 < row["outside_shtns"] < 1 and 0.05 < row["making_field"] < 1
    assert row["aim"] == "" and row["applications"] > 5


def test_ctrl_c_keeps_what_is_there_and_draws_it(tmp_path, capsys, monkeypatch):
    def measured(name, quick):
        if name == "token_steps":
            raise KeyboardInterrupt
        return {"rows": [{"what": "import", "seconds": 1.0}], "aims": []}

    monkeypatch.setattr(command, "measured", measured)
    both = ["--only", "setup_time", "--only", "token_steps", "-o", str(tmp_path / "b.json")]
    assert command.main(both) == 130
    assert "benchmarks: interrupted in token_steps" in capsys.readouterr().err
    assert list(json.loads((tmp_path / "b.json").read_text())) == ["setup_time"]
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")
    assert command.main(["--only", "token_steps", "-o", str(tmp_path / "none.json")]) == 130
    assert {path.name for path in tmp_path.iterdir()} == {"b.json", "b.png"}


@pytest.mark.parametrize(("inside", "told"), [(0.9375, "<= 0.1: met"), (0.5, "<= 0.1: NOT MET")])
def test_the_time_outside_shtns_is_what_the_transforms_leave(inside, told, monkeypatch):
    monkeypatch.setattr(density_step, "_share", lambda *_: 0.125)
    monkeypatch.setattr(density_step, "applications", lambda _: 7)
    monkeypatch.setattr(density_step, "interleaved", lambda *_: {"step": 0.5, "transforms": 0.5 * inside})
    row = density_step._row(density_step.FLOW, density_step.models()[density_step.FLOW], 63, True)
    assert (row["outside_shtns"], row["making_field"], row["applications"]) == (1 - inside, 0.125, 7)
    assert (row["step_ms"], row["aim"]) == (500, told)


def test_applications_of_a_density_step_are_counted(monkeypatch):
    """As often as the readable series applies the operator; a compiled step calls no analysis from Python."""
    density, flow, clock = density_step.first_state(31), density_step.models()[density_step.FLOW], Clock()

    def step():
        fp.SCHEMES["lie_euler"].step(flow, density.at(density.coefficients), fp.BrownianPath(1), 0.0, 0.01)

    count = density_step.applications(step)
    with wrapped([Wrapped(AdvectionOperator, "recur", partial(clock.timed, "recur"))]):
        step()
        assert "recur" not in clock.calls
        monkeypatch.setattr(operators, "BOUND", False)
        step()
    assert count == clock.calls["recur"] > 5


def test_steps_of_the_numpy_loop_are_those_of_the_package():
    """The peer's transport of a density by a field against the package's, and the size of its noises."""
    loop = numpy_steps.Loop(31)
    start = loop.start
    density = fp.Density(start, 1e-9)
    v = [0.05 * loop.sh.synth_grad(loop.sh.analys(loop.sh.cos_theta[:, None] ** 2 * np.ones(loop.u.shape)))[k]
         for k in (0, 1)]  # fmt: skip
    spheroidal = 0.05 * loop.sh.analys(loop.sh.cos_theta[:, None] ** 2 * np.ones(loop.u.shape))
    moved = density.transport(fp.HarmonicField(spheroidal, 0 * spheroidal))
    assert np.abs(loop.transported(start, v) - moved.coefficients).max() < 1e-7
    spectrum = np.array([0.3, 0.2, 0.1])
    kappa = ((2 * np.arange(3) + 1) * spectrum).sum() / (4 * np.pi)
    fields = np.array([[(one**2).mean() for one in loop.isotropic(spectrum)] for _ in range(100)])
    assert fields.mean() / numpy_steps.DT == pytest.approx(kappa, rel=0.1)


@pytest.mark.parametrize("name", numpy_steps.NAMED)
def test_the_numpy_loop_has_the_noises_that_it_says(name):
    assert name in ensemble_steps.NOISES and numpy_steps.stepping(name, 15)(1) > 0


def test_the_cost_of_tokens_is_taken_over_each_route(monkeypatch):
    seconds = np.array([[0.5, 0.25], [0.25, 0.5], [4.0, 64.0]])
    whole = (("solver", "target"), seconds)
    status = (("solver", "target"), np.full((3, 2), "measured"))
    costs = {"cost_seconds": whole, "cost_size": whole, "cost_values": whole, "cost_status": status}
    ds = xr.Dataset(costs, {"solver": ["density", "cloud", "tokens"], "target": [1e-2, 1e-3]})
    monkeypatch.setattr(accuracy_cost, "compare", lambda *_, **__: ds)
    rows = accuracy_cost._rows("flow", None, True)
    assert [row["tokens_over_it"] for row in rows] == [8, 16, 1, 256, 128, 1]
    assert [row["aim"] for row in rows] == ["", "", "", ">= 100: met", "", ""]
    seconds[2] = 16.0
    assert accuracy_cost._rows("flow", None, True)[3]["aim"] == ">= 100: NOT MET"


@pytest.mark.parametrize(("grown", "told"), [(1024, "<= 1024: met"), (3072, "<= 1024: NOT MET")])
def test_a_long_run_tells_growth_and_slowing(grown, told, monkeypatch):
    """The first tenth takes 1 ms a step, the last 2 ms."""
    spent = iter([0.0, 0.0, *[1e-3, 2e-3] * 10])
    memory = iter([2**30, 2**30 + 1024 * grown])
    monkeypatch.setattr(long_run, "_advance", lambda *_: next(spent))
    monkeypatch.setattr(long_run, "resident", lambda: next(memory))
    row = long_run._long("flow", density_step.models()[density_step.FLOW], density_step.first_state(15), 100)
    assert (row["growth_kB"], row["aim of growth"]) == (grown, told)
    assert (row["early_us"], row["late_us"], row["ratio"]) == pytest.approx((1e3, 2e3, 2))
    assert row["aim"] == "<= 1.25: NOT MET"


def test_the_direct_sum_at_some_targets_is_continued_to_all(monkeypatch):
    monkeypatch.setattr(attention_sums, "ALL_TARGETS", 100)
    monkeypatch.setattr(attention_sums, "SOME", 50)
    monkeypatch.setattr(attention_sums, "interleaved", lambda *_: {"moments": 0.5, "direct": 0.01})
    few, many, fewer = (attention_sums._row(n, 1) for n in (100, 4000, 2000))
    assert (few["direct_s"], few["direct_known"], few["aim"]) == (0.01, "measured", "")
    assert (many["direct_s"], many["ratio"]) == pytest.approx((0.8, 1.6))
    assert many["direct_known"] == "extrapolated from 50 targets"
    assert (many["aim"], fewer["aim"]) == (">= 1: met", ">= 1: NOT MET")


@pytest.mark.parametrize(("plan", "told"), [(0.125, "< 1: NOT MET"), (0.0625, "< 1: met")])
def test_the_sum_of_a_set_up_is_that_of_all_its_parts(plan, told, monkeypatch):
    """The least of every part counts, whichever round it is from; the first step over a second is 1/4."""
    least = {"import": 3.0, **dict.fromkeys(setup_time.PARTS[1:3], 0.3125), "grid and plan": plan}
    least |= {"first step": 0.5, "second step": 0.25}
    rounds = iter([{**least, "import": 5.0, "first step": 9.0}, {**least, "grid and plan": 7.0}])
    monkeypatch.setattr(setup_time, "_process", lambda _: next(rounds))
    rows = {row["what"]: row for row in setup_time.run(quick=True)}
    assert (rows["import fpsolve"]["seconds"], rows["first step over a second"]["seconds"]) == (3.0, 0.25)
    assert (rows["all but the import"]["seconds"], rows["all but the import"]["aim"]) == (0.875 + plan, told)


@pytest.mark.parametrize(("allowed", "over", "told"), [
    (1e-6, 2.9, ">= 20: met"), (1e-6, 4.0, "none: its error is 4 times ours"), (3e-7, 0.9, ">= 20: met")])  # fmt: skip
def test_a_peer_of_the_same_accuracy_is_judged(allowed, over, told, monkeypatch):
    monkeypatch.setattr(dedalus_step, "_fewest", lambda *_: (11, over * 3e-7))
    monkeypatch.setattr(dedalus_step, "seconds", lambda *_: 0.5)
    peer = SimpleNamespace(ask=lambda **_: {"seconds": 16.0})
    ours = {"peer": "Dedalus", "transport": "krylov", "error": 3e-7, "quick": True}
    row = dedalus_step._row(peer, "rk4", allowed, np.ones(1), None, ours)
    assert (row["ratio"], row["aim"]) == (32, told)
    assert row["scheme"] == "RK4 by hand, " + ("1e-06" if allowed == 1e-6 else "our accuracy")
