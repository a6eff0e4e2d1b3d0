"""The program itself, in a process of its own."""

import json
import os
import subprocess
import sys

import pytest


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, env=buffered
    )


def test_version():
    shown = python("-m", "fpsolve", "--version")
    assert (shown.returncode, shown.stdout.split()[0]) == (0, "fpsolve")


@pytest.mark.parametrize("command", ["run", "models", "plot", "info"])
def test_help(command):
    assert python("-m", "fpsolve", command, "--help").stdout.startswith(f"Usage: fpsolve {command}")


def test_usage_errors_and_refusals_have_status_two_and_no_traceback(tmp_path):
    for arguments in (["runn"], ["run"], ["run", str(tmp_path / "none.toml")]):
        refused = python("-m", "fpsolve", *arguments)
        assert refused.returncode == 2
        assert refused.stdout == "" and "Traceback" not in refused.stderr


def test_the_command_line_itself_imports_nothing_heavy():
    code = (
        "import sys; before = set(sys.modules); import fpsolve; mid = set(sys.modules); import fpsolve.cli;"
        "new = set(sys.modules) - mid; heavy = {'matplotlib', 'xarray', 'pydantic', 'shtns', 'scipy'} & new;"
        "assert not heavy, heavy"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr


def test_json_is_all_that_info_prints():
    """Not the banner of SHTns, which it prints when imported."""
    assert json.loads(python("-m", "fpsolve", "info", "--json").stdout)["python"]
