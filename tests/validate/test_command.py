"""``fpsolve validate``: exit status, file, refusals, with entries of the tests' own."""

import json

import pytest
from typer.testing import CliRunner

from fpsolve.cli.app import app
from fpsolve.validate import Row, Validation, catalogue


@pytest.fixture
def command(monkeypatch, tmp_path):
    ran = []

    def entry(name, computed, quick=True):
        def rows(is_quick, seed):
            ran.append((name, is_quick, seed))
            yield Row(name, "value", 1.0, computed, 0.1, "for a reason")

        return Validation(name, rows, quick)

    entries = entry("right", 1.05), entry("wrong", 1.5), entry("long", 1.0, quick=False)
    monkeypatch.setattr(catalogue, "CATALOGUE", entries)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return CliRunner().invoke(app, ["validate", *arguments]), ran

    return run


def test_all_pass(command, tmp_path):
    result, ran = command("--only", "right", "--only", "long", "--seed", "3")
    assert (result.exit_code, ran) == (0, [("right", False, 3), ("long", False, 3)])
    assert "2 of 2 passed; wrote validation.json" in result.stdout
    assert [row["system"] for row in json.loads((tmp_path / "validation.json").read_text())] == ["right", "long"]


def test_a_failure_is_told_written_and_exits_with_one(command, tmp_path):
    result, ran = command("--quick", "-o", "table.json")
    assert (result.exit_code, [name for name, *_ in ran]) == (1, ["right", "wrong"])
    assert "NO" in result.stdout and "1 of 2 passed" in result.stdout
    assert "failed: wrong, value; for a reason" in result.stderr
    assert [row["passed"] for row in json.loads((tmp_path / "table.json").read_text())] == [True, False]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--only", "rihgt"), "did you mean 'right'?"),
        (("-o", "taken.json"), "--overwrite"),
        (("-o", "none/v.json"), "folder"),
        (("-o", "v.nc"), "JSON"),
        (("--seed", "-1"), "seed"),
        (("--quick", "--only", "long"), "--quick"),
    ],
)
def test_refusals_come_before_computing(command, tmp_path, arguments, named):
    (tmp_path / "taken.json").write_text("mine")
    result, ran = command(*arguments)
    assert (result.exit_code, ran, result.stdout) == (2, [], "")
    assert named in result.stderr
    assert (tmp_path / "taken.json").read_text() == "mine"


def test_overwrite_and_progress(command, tmp_path):
    (tmp_path / "taken.json").write_text("mine")
    result, _ = command("--only", "right", "-o", "taken.json", "--overwrite", "--progress")
    assert result.exit_code == 0 and "right" in result.stderr
    assert json.loads((tmp_path / "taken.json").read_text())[0]["passed"] is True
