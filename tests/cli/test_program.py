"""The program itself, in a process of its own."""

import json

import pytest

from tests.command import FPSOLVE, python, said


def test_version():
    assert said(*FPSOLVE, "--version").split()[0] == "fpsolve"


@pytest.mark.parametrize("command", ["run", "models", "plot", "info"])
def test_help(command):
    assert said(*FPSOLVE, command, "--help").startswith(f"Usage: fpsolve {command}")


def test_usage_errors_and_refusals_have_status_two_and_no_traceback(tmp_path):
    for arguments in (["runn"], ["run"], ["run", str(tmp_path / "none.toml")]):
        refused = python(*FPSOLVE, *arguments)
        assert refused.returncode == 2
        assert refused.stdout == "" and "Traceback" not in refused.stderr


def test_the_command_line_itself_imports_nothing_heavy():
    code = (
        "import sys; before = set(sys.modules); import fpsolve; mid = set(sys.modules); import fpsolve.cli;"
        "new = set(sys.modules) - mid; heavy = {'matplotlib', 'xarray', 'pydantic', 'shtns', 'scipy'} & new;"
        "assert not heavy, heavy"
    )
    assert said("-c", code) == ""


def test_json_is_all_that_info_prints():
    """Not the banner of SHTns, which it prints when imported."""
    assert json.loads(said(*FPSOLVE, "info", "--json"))["python"]
