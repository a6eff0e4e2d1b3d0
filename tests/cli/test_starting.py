"""Signals from the first moment of a command, Ctrl-C with a checkpoint, readers that leave."""

import signal
import subprocess
import sys

import pytest

from fpsolve.signals import is_program
from tests.command import FPSOLVE, environment, python, said, started

CONFIG = """
model = {name = "SelfAttention", beta = 4}
initial = {name = "von_mises_fisher", mean = [0, 0.6, 0.8], kappa = 2}
solve = {t_end = 1000.0, dt = 0.01, lmax = 31}
"""

SLOW = """
import sys, time
sys.argv = sys.orig_argv = ["python", "-m", "fpsolve", "models"]
import importlib.abc
class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "fpsolve.errors":
            print("starting", flush=True)
            time.sleep(30)
sys.meta_path.insert(0, Slow())
import fpsolve.__main__
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_while_the_program_starts_ends_it_in_order(number):
    process = started("-c", SLOW)
    assert process.stdout.readline() == "starting\n"
    process.send_signal(number)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 75 and told == f"fpsolve: {number.name}: stopped, with nothing kept\n"


def test_a_library_leaves_signals_alone():
    program = "import signal, fpsolve; print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)"
    assert said("-c", program) == "True\n"


@pytest.mark.parametrize(
    ("words", "yes"),
    [
        (["python", "-m", "fpsolve", "run"], True),
        (["python", "-X", "dev", "-m", "fpsolve"], True),
        (["/v/bin/python", "/v/bin/fpsolve", "run"], True),
        (["python", "-m", "pytest", "fpsolve"], False),
        (["python", "script.py", "fpsolve"], False),
        (["python", "-c", "import fpsolve"], False),
        (["python"], False),
    ],
)
def test_what_the_program_is(words, yes):
    assert is_program(words) == yes


def test_ctrl_c_writes_the_checkpoint(tmp_path):
    (tmp_path / "run.toml").write_text(CONFIG)
    command = [*FPSOLVE, "run", "run.toml", "--checkpoint", "c", "--checkpoint-every", "0", "--no-progress"]
    process = started(*command, cwd=tmp_path)
    while not (tmp_path / "c").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "SIGINT: stopped on request" in told and "goes on from 'c'" in told
    assert (tmp_path / "c").read_bytes().startswith(b"fpsolve checkpoint ") and not (tmp_path / "run.nc").exists()


def test_a_configuration_named_as_checkpoint_stays(tmp_path):
    (tmp_path / "run.toml").write_text(CONFIG)
    done = python(*FPSOLVE, "run", "run.toml", "-o", "d.nc", "--checkpoint", "run.toml", cwd=tmp_path)
    assert done.returncode == 2 and "is no checkpoint, and stays as it is" in done.stderr
    assert (tmp_path / "run.toml").read_text() == CONFIG and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("command", [["models"], ["info", "--json"]])
def test_a_reader_that_leaves_is_no_error_to_tell_of(command):
    words = [sys.executable, *FPSOLVE, *command]
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env=environment())
    process.stdout.close()
    told = process.stderr.read()
    process.wait(timeout=60)
    assert told == "" and process.returncode == 1
