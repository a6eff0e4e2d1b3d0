"""The command of the benchmarks: files by default, what is refused before measuring, aims, panels without rows."""

import json

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import density_step, exponentials
from benchmarks.common import aim, aims_of, bound_of, unmeasured
from benchmarks.figure import draw
from benchmarks.panels import PANELS
from fpsolve.transport.exponential import exponential
from fpsolve.transport.implicit import RealForm
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
    assert len(found["token_steps"]["rows"]) == 2 and len(found["token_steps"]["aims"]) == 1
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
    steps = {"rows": [{"tokens": 10, "step_s": 1.0, "us_per_token": 2.0}]}
    missing = [{"peer": "Dedalus", "scheme": "RK4 by hand", "ratio": "", "aim": unmeasured(">=", 20, "not installed")}]
    assert not draw({name: {"rows": []}}).axes
    other = "setup_time" if name == "token_steps" else "token_steps"
    rows = [{"what": "import", "seconds": 1.0}] if other == "setup_time" else steps["rows"]
    titles = [axes.get_title(loc="left") for axes in draw({name: {"rows": []}, other: {"rows": rows}}).axes]
    assert titles == [other]
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
