"""The commands, on a toy solver: what they write, say and refuse."""

import json
import types
from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from fpsolve import config
from fpsolve.cli import app, listing
from fpsolve.cli.info import simd_level
from fpsolve.errors import FPSolveError, InputError, UnresolvedError
from fpsolve.io import load

CONFIG = """
[model]
name = "Toy"
beta = 4.0
[initial]
name = "uniform"
[solve]
t_end = 1.0
dt = 0.1
"""


@dataclass(frozen=True)
class Toy:
    beta: float
    calculus = "any"
    summary = "Tokens that [never] move."
    reference = "Anonymous (2020)"


def uniform(d: int = 3) -> str:
    """Equal density everywhere."""
    return f"uniform({d})"


def solve(model: Toy, initial: str, *, t_end: float, dt: float, seed: int = 0, progress: bool | None = None):
    if model.beta > 100:
        raise UnresolvedError(0.5, "the tail is 0.2", "raise lmax")
    if seed == 13:
        raise FPSolveError("out of luck [red]")
    if dt > t_end:
        raise InputError("dt", dt, "is longer than the run", "choose a smaller dt")
    time = np.linspace(0, t_end, 3)
    density = np.full((3, 8, 16), 1 / (4 * np.pi))
    return xr.Dataset(
        {
            "overlap": ("time", 0.1 * seed + time),
            "energy": ("time", model.beta * time),
            "density": (("time", "lat", "lon"), density),
        },
        {"time": time, "lat": np.linspace(78.75, -78.75, 8), "lon": 22.5 * np.arange(16)},
        {"title": "toy", "progress": str(progress)},
    )


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    scheme = types.SimpleNamespace(
        calculus=("any", "ito"),
        strong_order=0.5,
        weak_order=1.0,
        summary="One flow a step.",
        reference="Somebody (2009)",
    )
    for module in (config, listing):
        monkeypatch.setattr(module, "MODELS", {"Toy": Toy})
        monkeypatch.setattr(module, "LAWS", {"uniform": uniform})
    monkeypatch.setattr(listing, "SCHEMES", {"lie_euler": scheme})
    monkeypatch.setattr(config, "solve", solve)
    monkeypatch.delenv("FPSOLVE_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.toml").write_text(CONFIG)


def fpsolve_command(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_run_writes_the_result_and_says_so(tmp_path):
    done = fpsolve_command("run", "toy.toml")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "wrote toy.nc: 3 saved times, t = 0 to 1"
    assert [line.split() for line in done.stdout.splitlines()[1:]] == [
        ["overlap", "0", "->", "1"],
        ["energy", "0", "->", "4"],
    ]
    assert load("toy.nc").attrs["progress"] == "None"


@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_options_of_run(name):
    arguments = ["-o", name, "--no-progress", "--set", "model.beta=2", "--set", "solve.seed=7"]
    assert fpsolve_command("run", "toy.toml", *arguments).exit_code == 0
    ds = load(name)
    assert ds.energy[-1] == 2 and ds.overlap[0] == pytest.approx(0.7)
    assert ds.attrs["progress"] == "False"


def test_output_of_the_configuration():
    assert fpsolve_command("run", "toy.toml", "--set", "output.path=b.zarr").exit_code == 0
    assert load("b.zarr").attrs["title"] == "toy"


def test_existing_output_is_refused_before_computing(monkeypatch, tmp_path):
    (tmp_path / "toy.nc").write_text("precious")
    with monkeypatch.context() as patch:

        def never(model, initial, *, t_end: float, dt: float):
            raise AssertionError("computed")

        patch.setattr(config, "solve", never)
        refused = fpsolve_command("run", "toy.toml")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("fpsolve: error: output = 'toy.nc': exists already")
    assert (tmp_path / "toy.nc").read_text() == "precious"
    assert fpsolve_command("run", "toy.toml", "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("change", "code", "line"),
    [
        ("model.bta=1", 2, "model.bta = 1: unknown key, Toy knows beta; did you mean 'beta'?"),
        ("solve.dt=2.0", 2, "solve.dt = 2.0: is longer than the run; choose a smaller dt"),
        ("model.beta=101.0", 3, "stopped at t = 0.5: the tail is 0.2; raise lmax"),
        ("solve.seed=13", 1, "out of luck [red]"),
    ],
)
def test_errors_are_one_line_with_their_status(change, code, line):
    refused = fpsolve_command("run", "toy.toml", "--set", change)
    assert (refused.exit_code, refused.stdout) == (code, "")
    assert refused.stderr == f"fpsolve: error: {line}\n"


def test_errors_are_red_on_a_terminal():
    coloured = CliRunner().invoke(app, ["run", "none.toml"], color=True)
    assert coloured.stderr.startswith("\x1b[31mfpsolve: error: config = 'none.toml'")


def test_all_errors_of_a_configuration_are_listed():
    refused = fpsolve_command("run", "toy.toml", "--set", "model.bta=1", "--set", "initial.name=unifrm")
    lines = refused.stderr.splitlines()
    assert len(lines) == 2 and all(line.startswith("fpsolve: error: ") for line in lines)


def test_debug_keeps_the_error():
    kept = fpsolve_command("--debug", "run", "toy.toml", "--set", "solve.seed=13")
    assert isinstance(kept.exception, FPSolveError)


def test_models_lists_the_tables():
    listing = fpsolve_command("models").stdout
    assert "Toy  [any]\n    beta\n    Tokens that [never] move.\n    Anonymous (2020)" in listing
    assert "lie_euler  [any or ito, strong 0.5, weak 1.0]\n    One flow a step." in listing
    assert "uniform\n    d = 3\n    Equal density everywhere." in listing


@pytest.mark.parametrize("kind", ["map", "orthographic", "observables", "overview"])
def test_plot(tmp_path, kind):
    fpsolve_command("run", "toy.toml")
    done = fpsolve_command("plot", "toy.nc", "--kind", kind)
    assert (done.exit_code, done.stdout) == (0, f"wrote toy-{kind}.png\n")
    assert (tmp_path / f"toy-{kind}.png").read_bytes().startswith(b"\x89PNG")
    assert fpsolve_command("plot", "toy.nc", "--kind", kind).exit_code == 2


def test_plot_options(tmp_path):
    fpsolve_command("run", "toy.toml")
    assert fpsolve_command("plot", "toy.nc", "--kind", "animation").stdout == "wrote toy-animation.gif\n"
    assert fpsolve_command("plot", "toy.nc", "--kind", "map", "--time", "0.4", "-o", "m.svg").exit_code == 0
    assert "<svg" in (tmp_path / "m.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--kind", "mpa"), "did you mean 'map'?"),
        (("--kind", "map", "--time", "3"), "time = 3.0: the result runs from 0 to 1"),
        (("--kind", "observables", "--time", "1"), "time = 1.0: observables shows all times"),
        (("-o", "m.jpeg"), "the suffix '.jpeg' is not one of .png, .pdf, .svg"),
        (("-o", "none/m.png"), "the folder 'none' does not exist"),
    ],
)
def test_bad_plots_are_refused(tmp_path, arguments, line):
    fpsolve_command("run", "toy.toml")
    before = sorted(tmp_path.iterdir())
    refused = fpsolve_command("plot", "toy.nc", *arguments)
    assert refused.exit_code == 2 and line in refused.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_info(monkeypatch):
    done = fpsolve_command("info")
    assert done.exit_code == 0 and done.stdout.count("  pass  ") == 4
    report = json.loads(fpsolve_command("info", "--json").stdout)
    assert report["versions"]["numpy"] == np.__version__
    assert report["shtns"]["simd"] in report["shtns"]["build"]
    assert all(test["passed"] and test["error"] < 1e-12 for test in report["tests"])


@pytest.mark.parametrize("wrong", ["_normalisation", "_tangent_round_trip"])
@pytest.mark.parametrize("error", [1e-3, float("nan")])
def test_info_fails_when_a_test_fails(monkeypatch, wrong, error):
    monkeypatch.setattr(f"fpsolve.cli.selftest.{wrong}", lambda: error)
    done = fpsolve_command("info")
    assert done.exit_code == 1 and done.stdout.count("  FAIL  ") == 1


@pytest.mark.parametrize(
    ("build", "level"),
    [
        ("[SHTns 3.7.5] built Nov 22 2026, 13:36:17, id: avx512,ishioka,openmp", "avx512"),
        ("[SHTns 3.7.5] built today, id: sse2,openmp", "sse2"),
        ("", None),
    ],
)
def test_simd_level(build, level):
    assert simd_level(build) == level
