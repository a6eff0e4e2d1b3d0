"""``fpsolve run --checkpoint`` in processes that are signalled and killed."""

import signal
import time

import pytest

from fpsolve.io import load
from fpsolve.io.checkpoint import read
from tests.command import FPSOLVE, started

CONFIG = """
[model]
name = "IsotropicFlow"
spectrum = [0.0, 0.3, 0.1]
[initial]
name = "von_mises_fisher"
mean = [0.0, 0.0, 1.0]
kappa = 2.0
[solve]
t_end = 1.0
dt = 0.0025
lmax = 15
seed = 1
save_every = 0.02
"""

KEEP = ("--checkpoint", "run.ckpt", "--checkpoint-every", "0")


def start(folder, *arguments):
    return started(*FPSOLVE, "run", "run.toml", *arguments, cwd=folder)


def finished(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def reached(file):
    """The step of the checkpoint, -1 without one."""
    return read(file)[0].step if file.exists() else -1


def wait_for_steps(file, process, more=5):
    """Until the checkpoint has gone on by so many steps; it may be read at any time."""
    before = reached(file)
    while reached(file) < before + more:
        assert process.poll() is None, "ended too early"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    (folder / "run.toml").write_text(CONFIG)
    code, _, err = finished(start(folder))
    assert code == 0, err
    return load(folder / "run.nc")


def test_signals_and_a_kill_and_the_same_command_again(undisturbed, tmp_path):
    """SIGTERM, then SIGUSR1, then kill -9, then to the end: the result of a run that nobody touched."""
    (tmp_path / "run.toml").write_text(CONFIG)
    checkpoint, before = tmp_path / "run.ckpt", -1
    for number, status in ((signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGKILL, -9)):
        process = start(tmp_path, *KEEP)
        wait_for_steps(checkpoint, process)
        process.send_signal(number)
        code, out, err = finished(process)
        assert (code, out) == (status, "")
        if status == 75:
            assert err.startswith(f"fpsolve: {number.name}: stopped on request at t = ")
            assert "the same call goes on from 'run.ckpt'" in err
        assert not (tmp_path / "run.nc").exists()
        assert before < reached(checkpoint) < 400
        before = reached(checkpoint)
    assert finished(start(tmp_path, *KEEP))[0] == 0
    assert load(tmp_path / "run.nc").identical(undisturbed)


def test_without_a_checkpoint_a_signal_ends_the_run_as_ever(tmp_path):
    (tmp_path / "run.toml").write_text(CONFIG.replace("t_end = 1.0", "t_end = 100.0"))
    process = start(tmp_path, "--progress")
    process.stderr.read(1)  # the bar: the program has started, after which a signal is the system's
    process.terminate()
    code, _, err = finished(process)
    assert code == -signal.SIGTERM, err


def test_an_interval_without_a_file_is_refused(tmp_path):
    (tmp_path / "run.toml").write_text(CONFIG)
    code, _, err = finished(start(tmp_path, "--checkpoint-every", "5"))
    assert code == 2 and "checkpoint_every = 5.0: there is no checkpoint; pass --checkpoint FILE too" in err
