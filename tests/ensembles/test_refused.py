"""What an ensemble refuses before any computing, and how it names it."""

import errno
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import fpsolve as fp
from fpsolve.ensembles import comm, lock, main, member
from fpsolve.errors import FPSolveError, InputError, MissingDependencyError
from fpsolve.io import save
from fpsolve.measures import Cloud
from tests.ensembles.conftest import LAW, MODEL

COMPUTE = (
    "test_another_configuration_is_refused_with_its_differences",
    "test_functions_are_told_apart_by_what_they_give",
    "test_a_full_disk_stops_with_what_is_done_kept",
    "test_what_a_name_does_not_tell_is_told_by_its_content",
    "test_a_damaged_configuration_is_named",
)


@pytest.fixture(autouse=True)
def no_computing(request, monkeypatch):
    """Nothing may be computed, but where a test says so."""
    if request.node.originalname not in COMPUTE:
        monkeypatch.setattr(member.Runner, "run", lambda *a: pytest.fail("computed"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"members": 0}, "members = 0: must be one member or more"),
        ({"members": 2.5}, "members = 2.5: should be a valid integer or"),
        ({"members": range(0, 8, 2)}, "numbered without gaps"),
        ({"members": True}, "members = True"),
        ({"block": 0}, "block = 0"),
        ({"schedule": "guided"}, "schedule = 'guided'"),
        ({"comm": "world"}, "comm = 'world': not an mpi4py communicator"),
        ({"output": "a.nc"}, "suffix '.nc'"),
        ({"output": "/nowhere/a.zarr"}, "folder '/nowhere' does not exist"),
        ({"dt": 0.3}, "take dt = 0.2"),
        ({"tend": 1.0}, "arguments = 'tend'.*did you mean 't_end'"),
        ({"member": 3}, "member = 3: is not for all members"),
        ({"save_flow": True}, "save_flow = True"),
        ({"sweep": {"nose": [1.0]}}, "sweep = 'nose'.*did you mean 'noise'"),
        ({"sweep": {"noise": 1.0}}, "sweep.noise = 1.0: not a list of values"),
        ({"sweep": {"noise": []}}, "sweep.noise = \\[\\]"),
        ({"sweep": {"noise": [1.0, 1.0]}}, "a value stands there twice"),
        ({"sweep": {"noise": [0.1, -1.0]}}, "sweep.noise = -1.0: must be finite and non-negative"),
        ({"sweep": {"model.nose": [1.0]}}, "sweep.model.nose = 'nose'"),
        ({"sweep": {"kappa": [-1.0]}}, "sweep.kappa = -1.0"),
        ({"sweep": {"t_end": [0.2, 0.4]}}, "time differs between points of the sweep; set save_every"),
        ({"sweep": {"lmax": [15, 23]}, "save_density": True}, "lat differs between points"),
        ({"sweep": {"noise": [1.0], "model.noise": [2.0]}}, "noise is swept twice"),
        ({"sweep": {"member": [1, 2]}}, "sweep = 'member'"),
        ({"members": 10**9}, "members = 1000000000: a store takes 10000000 members"),
        ({"members": range(2**70, 2**70 + 2)}, "numbered below"),
        ({"members": 10**7, "block": 1}, "block = 1: 10000000 blocks, more than 1000000"),
        ({"t_end": 1e7, "dt": 0.05, "save_every": 0.05}, "save_every = 0.05: 200000000 saved times"),
        ({"path_cell": "x"}, "path_cell = 'x': should be a number"),
    ],
)
def test_bad_arguments(small, changes, told):
    with pytest.raises(InputError, match=told):
        small(**changes)


def test_another_configuration_is_refused_with_its_differences(small, tmp_path):
    path = tmp_path / "a.zarr"
    small(output=path)
    with pytest.raises(InputError, match=r"another configuration: solve.dt was 0.1, now 0.05; solve.seed was 0, now 7"):
        small(output=path, dt=0.05, seed=7)
    with pytest.raises(InputError, match=r"model.noise was 0.3, now 0.4"):
        small(fp.models.IsotropicFlow(MODEL.spectrum, 0.4), output=path)
    for members in (2, range(1, 3), range(3, 5)):
        with pytest.raises(InputError, match=r"members = .*: the store has 0:3; pass 0:"):
            small(output=path, members=members)
    with pytest.raises(InputError, match=r"sweep.noise was -, now \[0.1\]"):
        small(output=path, sweep={"noise": [0.1]})
    assert small(output=path).identical(small(output=path, block=2))


def test_functions_are_told_apart_by_what_they_give(small, tmp_path):
    """A law given by a function has no name that tells it from another."""
    path = tmp_path / "a.zarr"
    one, other = (fp.initial.function(lambda x, a=a: (1 + a * x[..., 2]) / 12.566370614359172) for a in (0.1, 0.2))
    small(initial=one, output=path, members=1), small(initial=one, output=path, members=1)
    with pytest.raises(InputError, match="initial_state was"):
        small(initial=other, output=path, members=1)


def reached(scale):
    return lambda z: np.tanh(scale * z)


def axis(n):
    """A measure of two tokens, of mean zero."""
    return Cloud.from_law(fp.initial.points(np.stack([np.eye(3)[n], -np.eye(3)[n]])), lmax=4, rtol=1e-4)


def bent(n):
    return fp.initial.function(lambda x: (1 + 0.5 * x[..., n]) / (4 * np.pi))


def mixed(n):
    return fp.initial.mixture([bent(n), fp.initial.uniform()])


def large(at):
    matrix = np.eye(40)
    matrix[at, at] = 7
    return matrix


TOKENS = {"measure": "cloud", "members": 1}
SYNC, SELF = fp.models.SynchronisationByNoise, fp.models.SelfAttention
EYES = fp.initial.points(np.eye(40)[18:24])


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ({"model": SYNC(1.0, lambda z: np.tanh(z))}, {"model": SYNC(1.0, lambda z: np.sin(z))}, "activation was <lamb"),
        ({"model": SYNC(1.0, reached(1.0))}, {"model": SYNC(1.0, reached(2.0))}, "activation was <lambda>"),
        ({"model": SELF(1.0), "initial": EYES, "sweep": {"key_query": [large(20), large(21)]}, **TOKENS},
         {"model": SELF(1.0), "initial": EYES, "sweep": {"key_query": [large(20), large(22)]}, **TOKENS}, "sweep.key"),
        ({"sweep": {"initial": [bent(0), LAW]}}, {"sweep": {"initial": [bent(1), LAW]}}, "initial_state was"),
        ({"initial": mixed(0)}, {"initial": mixed(1)}, "initial_state was"),
        ({"sweep": {"initial": [axis(0), axis(2)]}, **TOKENS}, {"sweep": {"initial": [axis(1), axis(2)]}, **TOKENS},
         "initial_state was"),
    ],
)  # fmt: skip
def test_what_a_name_does_not_tell_is_told_by_its_content(small, tmp_path, one, other, told):
    """Functions, large matrices and measures of one description; the same ones again are the same ensemble."""
    path, about = tmp_path / "a.zarr", {"output": tmp_path / "a.zarr", "members": 1, "dt": 0.1}
    small(**{**about, **one}), small(**{**about, **one})
    with pytest.raises(InputError, match=f"another configuration: .*{told}"):
        small(**{**about, **other})
    assert path.exists()


def test_a_damaged_configuration_is_named(small, tmp_path):
    path = tmp_path / "a.zarr"
    small(output=path)
    attrs = json.loads((path / ".zattrs").read_text())
    (path / ".zattrs").write_text(json.dumps({**attrs, "fpsolve_config": "{"}))
    small(output=path)  # the digest tells that it is the same one
    assert json.loads((path / ".zattrs").read_text()) == attrs
    (path / ".zattrs").write_text(json.dumps({**attrs, "fpsolve_config": "{"}))
    with pytest.raises(InputError, match="or its attribute fpsolve_config is damaged"):
        small(output=path, seed=7)
    (path / ".zattrs").write_text("{")
    with pytest.raises(InputError, match=r"\.zattrs is missing or damaged"):
        small(output=path)


def test_what_is_no_ensemble_is_left_alone(small, tmp_path):
    folder, single = tmp_path / "a.zarr", tmp_path / "b.zarr"
    folder.mkdir()
    (folder / "precious").write_text("yes")
    save(xr.Dataset({"x": 1}), single)
    with pytest.raises(InputError, match="is a folder and not a Zarr store"):
        small(output=folder)
    with pytest.raises(InputError, match="exists and is not an ensemble"):
        small(output=single)
    assert (folder / "precious").read_text() == "yes" and sorted(os.listdir(tmp_path)) == ["a.zarr", "b.zarr"]


def test_a_store_that_another_job_writes_is_refused(small, tmp_path):
    """The lock names its holder; it ends with its process, even one that is killed."""
    path = tmp_path / "a.zarr"
    (tmp_path / "a.zarr.work").mkdir()
    program = (
        "import sys; from pathlib import Path; from fpsolve.ensembles.lock import Lock; one = Lock(Path(sys.argv[1]));"
        "one.take(); print('taken', flush=True); input()"
    )
    held = [sys.executable, "-c", program, str(tmp_path / "a.zarr.work/lock")]
    holder = subprocess.Popen(held, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "taken\n"
        with pytest.raises(InputError, match=rf"being written by process {holder.pid} on ") as refused:
            small(output=path)
        assert refused.value.value == str(path)
    finally:
        holder.kill()
        holder.communicate()
    free = lock.Lock(tmp_path / "a.zarr.work/lock")
    free.take()
    assert json.loads(free.path.read_text())["pid"] == os.getpid()
    free.release()


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with pytest.raises(FPSolveError, match="gives no locks"):
        lock.Lock(tmp_path / "lock").take()


def test_a_disk_without_room_is_refused(small, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match="the disk has 1e-06 GB left"):
        small(output=tmp_path / "a.zarr")
    assert not (tmp_path / "a.zarr").exists()


def test_a_full_disk_stops_with_what_is_done_kept(small, tmp_path, monkeypatch):
    """The second member's record does not fit; then there is room again."""
    path, fsync, calls = tmp_path / "a.zarr", os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 4:  # the metadata of the store, a record, and their folders
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FPSolveError, match=r"No space left on device.*members that were done are kept"):
            small(output=path, block=3)
    assert os.listdir(tmp_path / "a.zarr.work/members") == ["0-0.records"]
    small(output=path, block=3), small(output=tmp_path / "b.zarr")
    assert xr.open_zarr(path).identical(xr.open_zarr(tmp_path / "b.zarr"))


def test_a_read_only_folder_is_refused(small, tmp_path, monkeypatch):
    def refuse(**_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("fpsolve.io.output.tempfile.TemporaryFile", refuse)
    with pytest.raises(InputError, match="cannot be written \\(Read-only file system\\)"):
        small(output=tmp_path / "a.zarr")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, "OMPI_COMM_WORLD_SIZE"),
        ({"OMPI_COMM_WORLD_SIZE": "1", "PMIX_RANK": "0"}, None),
        ({"PMI_SIZE": "2", "PMI_RANK": "0"}, "PMI_SIZE"),
        ({"PMIX_RANK": "0"}, "PMIX_RANK"),
        ({"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "3"}, "SLURM_STEP_NUM_TASKS"),
        ({"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1"}, None),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, None),
    ],
)
def test_launchers_are_recognised(monkeypatch, environment, expected):
    for name in (*comm.SIZES, *comm.RANKS, "SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert comm.launched() == expected


def test_a_launcher_without_mpi4py_is_refused(small, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(MissingDependencyError, match="every rank would compute all; pip install mpi4py"):
        small()


def test_nodes_with_more_ranks_than_cores_are_named():
    places = [("a", {0, 1}), ("a", {0, 1}), ("a", {0, 1}), ("b", {0}), ("b", {1})]
    assert main.crowded(places) == ["a: 3 ranks on 2 cores"]


def test_serial_needs_no_mpi4py():
    program = "import sys; import fpsolve.cli.ensembling; sys.exit(any('mpi4py' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
