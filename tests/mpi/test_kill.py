"""kill -9 of ranks and jobs, then the same command: the store of an undisturbed run; more of it in the benchmark."""

import random
import subprocess
import sys

import pytest

from benchmarks import kill_restart


def test_three_killed_ensembles_end_as_if_nothing_had_been(tmp_path):
    rows = list(kill_restart.trials(3, 2, seed=2, most=1))
    assert all(row["identical"] for row in rows), rows


@pytest.mark.parametrize("whole", [True, False])
def test_a_kill_ends_what_it_is_to_end(whole):
    """A process of ours and its child."""
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    job = subprocess.Popen([sys.executable, "-c", program], text=True)
    while len(kill_restart.processes(job.pid)) < 2:
        assert job.poll() is None
    child = kill_restart.processes(job.pid)[1]
    assert kill_restart.kill(job, whole, random.Random(1)) and job.wait(timeout=10) == -9
    assert not kill_restart.kill(job, whole, random.Random(1))
    if not whole:
        subprocess.run(["kill", "-9", str(child)], check=True)
