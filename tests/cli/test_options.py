"""Options made from signatures: a new parameter of ``fp.ensemble`` needs a line in a table and nothing else."""

import inspect
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import fpsolve as fp
from fpsolve.cli import app, options
from fpsolve.cli.options import Help, with_options

KINDS = {"number": 3, "share": 0.5, "word": "x", "fast": True, "folder": Path("there"), "either": "2:4"}


def toy(*, number: int = 1, share: float | None = None, word: str = "", fast: bool = False,
        folder: str | os.PathLike[str] | None = None, either: int | range | str = 1, silent: int = 0):  # fmt: skip
    """A function with a parameter of each type."""


def commanded(*words):
    """What a command with the options of ``toy`` passes on."""
    app, seen = typer.Typer(rich_markup_mode=None), []
    table = {name: Help(f"The {name}.", "THING" if name == "word" else None) for name in KINDS}

    @app.command()
    @with_options(toy, table)
    def command(config: Path, output: Path | None = None, *, given: dict[str, object]) -> None:
        seen.append((config, output, given))

    done = CliRunner().invoke(app, list(words))
    return seen[0] if seen else done.output


def test_options_have_names_and_types_of_the_signature():
    words = ["--number", "3", "--share", "0.5", "--word", "x", "--fast", "--folder", "there", "--either", "2:4"]
    assert commanded("a.toml", *words) == (Path("a.toml"), None, KINDS)
    given = commanded("a.toml", *words)[2]
    assert {name: type(one) for name, one in given.items()} == {name: type(one) for name, one in KINDS.items()}


def test_what_is_not_given_is_not_passed_on():
    """So the defaults stand in one place; a flag has its opposite."""
    assert commanded("a.toml") == (Path("a.toml"), None, {})
    assert commanded("a.toml", "--no-fast")[2] == {"fast": False}


def test_help_says_what_the_table_says():
    told = " ".join(commanded("--help").split())
    assert "--word THING The word." in told and "--fast / --no-fast The fast." in told
    assert "silent" not in told
    assert "No such option" in commanded("a.toml", "--silent", "1")


def test_a_line_without_its_parameter_is_an_error():
    with pytest.raises(AssertionError, match="toy has no parameter gone"):
        with_options(toy, {"gone": Help("Gone.")})(lambda config, given: None)


@pytest.mark.parametrize(
    ("command", "call", "table"),
    [
        ("ensemble", fp.ensemble, options.ENSEMBLE),
        ("run", fp.solve, options.RUN),
        ("compare", fp.compare, options.COMPARE),
    ],
)
def test_the_commands_have_the_options_of_their_tables(command, call, table):
    told = " ".join(CliRunner().invoke(app, [command, "--help"]).output.split())
    for name, about in table.items():
        assert f"--{name.replace('_', '-')}" in told and about.text in told
        assert name in inspect.signature(call).parameters


def test_a_new_parameter_of_an_ensemble_is_an_option_and_a_key(monkeypatch, tmp_path):
    """One file and a line: the table, the command and the plan follow the signature."""
    from fpsolve import config
    from fpsolve.cli import ensembling

    ensemble, seen = fp.ensemble, []

    def wider(model, initial, *, members: int | range | str, block: int | None = None, retries: int = 0, **arguments):
        seen.append((members, retries))
        return ensemble(model, initial, members=members, block=block, progress=False, **arguments)

    (tmp_path / "e.toml").write_text(
        '[model]\nname = "IsotropicFlow"\nspectrum = [0.2, 4.0]\n[initial]\nname = "uniform"\n'
        "[solve]\nt_end = 0.1\ndt = 0.1\npath_cell = 0.1\nlmax = 8\n[ensemble]\nretries = 2\n"
    )
    for module in (config, ensembling):
        monkeypatch.setattr(module, "ensemble", wider)
    monkeypatch.chdir(tmp_path)
    ensembling.run_ensemble(Path("e.toml"), None)
    ensembling.run_ensemble(Path("e.toml"), None, given={"members": "0:2", "retries": 5})
    assert seen == [(1, 2), ("0:2", 5)]
    assert "1 points x 1 members" in ensembling.plan_ensemble(Path("e.toml"), given={"retries": 5})
