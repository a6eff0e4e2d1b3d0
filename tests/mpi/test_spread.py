"""One cloud over the ranks of real MPI jobs: the same bits for any number of them, exact restarts, one end for all."""

import importlib.util
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fpsolve as fp
from tests.command import FPSOLVE, MPIEXEC, RANKS, ROOT, environment, python, ranks_of

pytestmark = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None, reason="no MPI: pip install fpsolve[mpi]"
)

TOKENS = """
[model]
name = "Homogenized"
beta = 2.0
noise = 0.5
noise_lmax = 12
[initial]
name = "samples"
n = 13000
seed = 3
[initial.law]
name = "von_mises_fisher"
mean = [0, 0, 1]
kappa = 2.0
[solve]
t_end = 0.02
dt = 0.01
measure = "cloud"
save_points = true
"""

CHARACTERISTICS = """
[model]
name = "MultiHead"
beta = 1.5
key_query = [[[1, 0.2, 0], [0, 1, 0], [0, 0, -1]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]]
value = [[[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 0.1, 0], [-0.1, 0, 0], [0, 0, 0.5]]]
[initial]
name = "von_mises_fisher"
mean = [0, 0, 1]
kappa = 2.0
[solve]
t_end = 0.2
dt = 0.1
lmax = 63
measure = "cloud"
save_density = true
"""

CONFIGS = {"tokens": TOKENS, "characteristics": CHARACTERISTICS}


def run(folder, ranks, text, output, *more, program=FPSOLVE):
    (folder / "a.toml").write_text(text)
    arguments = (*program, "run", "a.toml", "-o", output, *more)
    done = ranks_of(ranks, *arguments, cwd=folder) if ranks else python(*arguments, cwd=folder)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module", params=CONFIGS)
def alone(request, tmp_path_factory):
    """The result of one process that splits the cloud, and what it is of."""
    folder = tmp_path_factory.mktemp(request.param)
    status, told = run(folder, 0, CONFIGS[request.param], "a.zarr", "--spread")
    assert status == 0, told
    return CONFIGS[request.param], fp.load(folder / "a.zarr")


def test_the_run_of_one_process_is_the_same_to_round_off(alone, tmp_path):
    text, spread = alone
    status, told = run(tmp_path, 0, text, "a.zarr")
    assert status == 0, told
    plain = fp.load(tmp_path / "a.zarr")
    assert set(spread.variables) == set(plain.variables) - {"clusters"}
    for name in spread.data_vars:
        assert np.abs(spread[name].values - plain[name].values).max() < 1e-12, name
    assert plain.attrs == spread.attrs


@pytest.mark.parametrize("ranks", [2, 3])
def test_the_bits_do_not_depend_on_the_ranks(alone, tmp_path, ranks):
    text, spread = alone
    status, told = run(tmp_path, ranks, text, "a.zarr")
    assert status == 0, told
    assert told.count("wrote a.zarr") == 1
    assert fp.load(tmp_path / "a.zarr").identical(spread)


def test_a_law_without_a_measure_is_a_cloud(tmp_path):
    """Ranks move nothing else; the error of its quadrature is that of one process."""
    text = CHARACTERISTICS.replace("save_density = true", "")
    for name, ranks, how in (("a.nc", 2, ""), ("b.nc", 2, 'measure = "cloud"')):
        status, told = run(tmp_path, ranks, text.replace('measure = "cloud"', how), name)
        assert status == 0, told
    found = fp.load(tmp_path / "a.nc")
    assert found.identical(fp.load(tmp_path / "b.nc")) and (found.cloud_error < 1e-3).all()


def test_a_result_without_points_is_a_file_like_any_other(tmp_path):
    text = TOKENS.replace("save_points = true", "")
    assert run(tmp_path, 2, text, "a.nc")[0] == 0
    assert run(tmp_path, 0, text, "b.nc", "--spread")[0] == 0
    assert fp.load(tmp_path / "a.nc").identical(fp.load(tmp_path / "b.nc"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1])
def test_a_run_that_was_ended_goes_on_with_other_ranks_to_the_same_bits(tmp_path, number):
    """Killed, or asked to stop, after its first checkpoint; then a later t_end from the checkpoint that stays."""
    text = TOKENS.replace("t_end = 0.02", "t_end = 1.28")  # not over while the ranks end
    keeping = ("--checkpoint", "a.ckpt", "--checkpoint-every", "0")
    (tmp_path / "a.toml").write_text(text)
    oversubscribed = () if "mpich" in str(MPIEXEC) else ("--oversubscribe",)
    command = [str(MPIEXEC), *oversubscribed, "-n", "2", sys.executable, *FPSOLVE, "run", "a.toml", "-o", "a.zarr"]
    settings = {**environment(), **RANKS, "PYTHONPATH": str(ROOT)}
    job = subprocess.Popen([*command, *keeping], env=settings, cwd=tmp_path, start_new_session=True)
    until = time.monotonic() + 60
    while not (tmp_path / "a.ckpt/progress").exists() and time.monotonic() < until:
        time.sleep(0.02)
    job.send_signal(number)
    assert job.wait(timeout=60) == (75 if number == signal.SIGUSR1 else -9)
    time.sleep(1)  # ranks end after the launcher that was killed
    assert not (tmp_path / "a.zarr").exists()
    status, told = run(tmp_path, 3, text, "a.zarr", *keeping[:2])
    assert status == 0, told
    assert run(tmp_path, 0, text, "b.zarr", "--spread")[0] == 0
    assert fp.load(tmp_path / "a.zarr").identical(fp.load(tmp_path / "b.zarr"))
    if number != signal.SIGKILL:
        return
    longer = text.replace("t_end = 1.28", "t_end = 1.3")
    assert run(tmp_path, 2, longer, "c.zarr", *keeping[:2])[0] == 0
    assert run(tmp_path, 0, longer, "d.zarr", "--spread")[0] == 0
    assert fp.load(tmp_path / "c.zarr").identical(fp.load(tmp_path / "d.zarr"))


@pytest.mark.parametrize(
    ("case", "said"),
    [("bug", "KeyError: 'no such thing'"), ("own", "a rank lost its way"), ("disk", "writing the points failed")],
)
def test_an_error_on_one_rank_ends_all_with_one_message(tmp_path, case, said):
    (tmp_path / "a.toml").write_text(TOKENS)
    done = ranks_of(2, "-m", "tests.mpi.spread_program", case, "a.toml", "a.zarr", cwd=tmp_path)
    told = done.stdout + done.stderr
    assert done.returncode != 0
    assert len([line for line in told.splitlines() if said in line]) == 1, told
    assert not (tmp_path / "a.zarr").exists()


def test_ranks_are_refused_what_is_no_cloud(tmp_path):
    status, told = run(tmp_path, 2, CHARACTERISTICS.replace('"cloud"', '"density"'), "a.zarr")
    assert status == 2 and told.count("only clouds are split over ranks") == 1, told
    status, told = run(tmp_path, 3, TOKENS.replace("13000", "8000"), "a.zarr")
    assert status == 2 and told.count("8000 points make 2 blocks of 4096") == 1, told
