"""Real MPI jobs of one to four ranks on this machine: the same bits, no deadlocks, one status for all."""

import importlib.util
import time

import pytest
import xarray as xr

from tests.command import MPIEXEC, ROOT, ranks_of

LONGEST = 60.0

pytestmark = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None, reason="no MPI: pip install fpsolve[mpi]"
)


def job(ranks, case, store, timeout=LONGEST, program=("-m", "tests.mpi.program")):
    """Run a program on so many ranks; ``(status, output, seconds)``."""
    begun = time.monotonic()
    done = ranks_of(ranks, *program, case, str(store), timeout=timeout, cwd=ROOT)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - begun


def identical(one, other):
    """Every array, bit for bit, and every attribute, of the members and of their statistics."""
    return all(xr.open_zarr(one, group=g).identical(xr.open_zarr(other, group=g)) for g in (None, "statistics"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The store of one process without MPI."""
    from tests.mpi.program import main

    path = tmp_path_factory.mktemp("alone") / "a.zarr"
    assert main("dynamic", str(path)) == 0
    return path


@pytest.mark.parametrize(("ranks", "case"), [(1, "dynamic"), (2, "dynamic"), (3, "static"), (4, "dynamic")])
def test_the_bits_do_not_depend_on_the_ranks(ranks, case, alone, tmp_path):
    """Members, one of them bad, and statistics of 1, 2, 3 and 4 ranks and of a process without MPI."""
    status, told, _ = job(ranks, case, tmp_path / "a.zarr")
    assert status == 0, told
    assert identical(tmp_path / "a.zarr", alone)
    log = (tmp_path / "a.zarr.work/log.txt").read_text()
    assert f"rank 0 of {ranks} on" in log and "8 of 8 members, 2 failed" in log
    assert told.count("member 2 (noise = 0.1) failed: stopped at t = 0") == 1
    assert xr.open_zarr(alone).status.values.tolist() == [[1, 1, 2, 1]] * 2


def test_a_rank_that_raises_ends_the_job(tmp_path):
    """Within ten seconds of its start, with the traceback and the member; no rank waits for ever."""
    status, told, seconds = job(2, "raises", tmp_path / "a.zarr")
    assert status not in (0, None) and "KeyError: 'no such thing'" in told
    assert "failed, member 2 (noise = " in told and "Traceback" in told
    assert seconds < 30


def test_bad_input_leaves_every_rank_with_the_same_status(tmp_path):
    status, told, _ = job(2, "refused", tmp_path / "a.zarr")
    assert status == 2 and not (tmp_path / "a.zarr").exists()
    refused = "dt = 0.3: not the path's cell 0.1 times a power of two; take dt = 0.2"
    assert all(f"rank {rank}: {refused}" in told for rank in (0, 1)), told


def test_a_stop_on_one_rank_stops_all_and_the_same_call_goes_on(alone, tmp_path):
    status, told, _ = job(2, "stopped", tmp_path / "a.zarr")
    assert status == 75, told
    assert not (tmp_path / "a.zarr.work/blocks/1-0.record").exists(), "the block of rank 1"
    assert job(2, "dynamic", tmp_path / "a.zarr")[0] == 0
    assert identical(tmp_path / "a.zarr", alone)


@pytest.mark.parametrize("ranks", [2, 3])
def test_an_error_in_the_set_up_of_one_rank_ends_all(tmp_path, ranks):
    """The density is evaluated by rank 0 alone, while the others wait for the layout."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nimport fpsolve as fp\nfrom tests.ensembles.conftest import MODEL, RUN\n"
        "def density(x):\n    raise ValueError('no such density')\n"
        "fp.ensemble(MODEL, fp.initial.function(density), members=4, output=sys.argv[2], **RUN)\n"
    )
    status, told, seconds = job(ranks, "-", tmp_path / "a.zarr", program=(str(program),))
    assert status != 0 and "rank 0 on " in told and "ValueError: no such density" in told and "Traceback" in told
    assert seconds < 30 and not (tmp_path / "a.zarr").exists()
