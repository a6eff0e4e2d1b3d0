"""Disks that are full, names that no file can have, and what is said of both.

A disk is filled by a limit on the size of files (``ulimit -f``), which every user may set: the system refuses what is
beyond it, as it does on a full disk.
"""

import os
import resource
import shutil
import signal
import textwrap
import time
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import fpsolve as fp
from fpsolve.cli.app import app
from fpsolve.errors import CheckpointWarning, FPSolveError, InputError, Interrupted
from fpsolve.io import check_output
from fpsolve.io.checkpoint import read
from fpsolve.signals import EX_IOERR
from fpsolve.solving import prepare
from fpsolve.surroundings import user_path
from tests.command import FPSOLVE, started

LAW, MODEL = fp.initial.von_mises_fisher([0, 0, 1], 2.0), fp.models.SelfAttention(beta=2.0)
FEW = {"t_end": 0.4, "dt": 0.1, "lmax": 9}
CONFIG = """
[model]
name = "SelfAttention"
beta = 2.0
[initial]
name = "von_mises_fisher"
mean = [0.0, 0.0, 1.0]
kappa = 2.0
[solve]
t_end = 0.4
dt = 0.1
lmax = 9
"""
LARGE = xr.Dataset({"density": (("time", "lat"), np.random.default_rng(0).random((300, 1000)))})


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def no_large_files():
    """Files of at most 64 kB, and no signal at the limit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("name", ["r.nc", "r.zarr"])
def test_a_result_that_does_not_fit_leaves_nothing_and_says_so(here, no_large_files, name):
    with pytest.raises(FPSolveError, match=rf"output = .*{name}'?: writing failed .*; nothing existing was changed"):
        fp.save(LARGE, here / name)
    assert os.listdir(here) == ["run.toml"]


def test_writers_that_go_on_after_the_first_error_leave_nothing(here):
    """Zarr's threads make the folders of their chunks again, which had been removed."""
    import asyncio

    from zarr.core.sync import _get_loop

    from fpsolve.io.output import replacing

    def late(folder):
        time.sleep(0.3)
        folder.mkdir(parents=True)
        (folder / "chunk").write_text("late")

    async def begun(folder):
        task = asyncio.ensure_future(asyncio.to_thread(late, folder))
        await asyncio.sleep(0)
        return task

    with pytest.raises(FPSolveError, match="the disk is full"), replacing(here / "r.zarr") as temporary:
        task = asyncio.run_coroutine_threadsafe(begun(temporary / "density"), _get_loop()).result()
        raise OSError("the disk is full")
    time.sleep(0.5)
    assert task.done() and os.listdir(here) == ["run.toml"]


def test_a_picture_that_does_not_fit_leaves_nothing(here, no_large_files):
    fp.save(fp.solve(MODEL, LAW, save_density=True, **FEW), here / "r.zarr")
    assert app(["plot", "r.zarr", "-o", "r.png"], standalone_mode=False) == 1
    assert sorted(os.listdir(here)) == ["r.zarr", "run.toml"]


def refused_after(monkeypatch, steps):
    """A disk that is full once the checkpoint stands at this step."""
    from fpsolve.io import checkpoint, keeper

    write = checkpoint.write

    def full(path, snapshot, about):
        if snapshot.step > steps:
            raise FPSolveError(f"writing {str(path)!r} failed (No space left on device)")
        write(path, snapshot, about)

    monkeypatch.setattr(keeper, "write", full)


@pytest.mark.parametrize(("steps", "told", "kept"), [
    (-1, r"stopped on request at t = 0.2; writing '.*c' failed \(No space left.*; nothing was kept", None),
    (1, r"stopped on request at t = 0.2; .*No space left.*; the same call goes on from '.*c', at t = 0.1", 0.1),
    (9, r"stopped on request at t = 0.2; the same call goes on from '.*c'$", 0.2),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::fpsolve.errors.CheckpointWarning")
def test_a_stop_says_what_is_there(tmp_path, monkeypatch, steps, told, kept):
    asked = []
    refused_after(monkeypatch, steps)
    job = prepare(MODEL, LAW, **FEW)
    with pytest.raises(Interrupted, match=told) as caught:
        job.run(checkpoint=tmp_path / "c", checkpoint_every=0.0, stop=lambda: asked.append(1) or len(asked) > 2)
    assert caught.value.kept_until == kept and bool(caught.value.lost) == (kept != 0.2)
    assert (tmp_path / "c").exists() == (kept is not None)
    assert kept is None or read(tmp_path / "c")[0].times[-1] == kept


def test_a_checkpoint_that_was_there_before_is_what_is_kept(tmp_path, monkeypatch):
    with pytest.raises(Interrupted):
        prepare(MODEL, LAW, **FEW).run(checkpoint=tmp_path / "c", stop=lambda: True)
    refused_after(monkeypatch, -1)
    asked = []
    with pytest.raises(Interrupted, match=r"goes on from .*, at t = 0$"), pytest.warns(CheckpointWarning):
        prepare(MODEL, LAW, **FEW).run(checkpoint=tmp_path / "c", stop=lambda: asked.append(1) or len(asked) > 2)


PROGRAM = """
    import os, signal, sys
    from fpsolve.errors import FPSolveError
    from fpsolve.io import keeper
    import fpsolve.resolution as resolution
    def full(path, snapshot, about):
        raise FPSolveError(f"writing {str(path)!r} failed (No space left on device)")
    keeper.write = full
    seen = resolution.Resolution.see
    def stopping(self, t, instant):
        os.kill(os.getpid(), signal.SIGTERM)
        return seen(self, t, instant)
    resolution.Resolution.see = stopping
    sys.argv = ["fpsolve", *sys.argv[1:]]
    from fpsolve.cli import main
    main()
"""


@pytest.mark.parametrize("command", [["run", "run.toml", "--checkpoint", "c"], ["ensemble", "run.toml"]])
def test_the_command_ends_with_a_status_of_its_own(here, command):
    """74 (EX_IOERR): asked to stop, and the progress of the run, or of a member, is lost."""
    process = started("-c", textwrap.dedent(PROGRAM), *command, cwd=here)
    _, err = process.communicate(timeout=100)
    assert process.returncode == EX_IOERR == 74, err
    assert "SIGTERM: stopped on request" in err and "No space left on device" in err
    assert ("nothing was kept" in err) == (command[0] == "run")
    assert ("of a member in work" in err and "goes on from" in err) == (command[0] == "ensemble")
    assert not (here / "c").exists()


def test_room_is_asked_for_before_the_first_step(here, monkeypatch, capsys):
    """Five saved times of 11 kB; a checkpoint of them, twice."""
    free = []
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free[-1]))
    refused = {1000: "output = 'run.nc': needs up to ", 80_000: "checkpoint = 'c': needs up to ", 10**6: ""}
    for room, told in refused.items():
        free.append(room)
        options = ["--set", "solve.save_density=true", "--checkpoint", "c", "--no-progress"]
        code = app(["run", "run.toml", *options], standalone_mode=False)
        err = capsys.readouterr().err
        assert (code == 2 and told in err) if told else not code, err
        assert sorted(os.listdir(here)) == (["run.toml"] if told else ["c", "run.nc", "run.toml"])


def test_a_signal_during_the_final_save_does_not_lose_it(here):
    program = """
        import os, signal, sys
        import fpsolve.io.files as files
        write = files.write_result
        def slow(ds, path):
            os.kill(os.getpid(), signal.SIGTERM)
            write(ds, path)
        files.write_result = slow
        sys.argv = ["fpsolve", "run", "run.toml"]
        from fpsolve.cli import main
        main()
    """
    process = started("-c", textwrap.dedent(program), cwd=here)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0 and "wrote run.nc" in out, err
    assert sorted(os.listdir(here)) == ["run.nc", "run.toml"] and fp.load(here / "run.nc").sizes["time"] == 5


@pytest.mark.parametrize("name", ["n" * 253 + ".nc", "n" * 247 + ".zarr", f"{'f' * 300}/r.nc"])
def test_names_that_are_too_long_are_refused_before_computing(here, name):
    with pytest.raises(InputError, match=r"output = .*(bytes, the place takes 2)"):
        check_output(here / name)
    with pytest.raises(InputError, match="output = "):
        fp.ensemble(MODEL, LAW, members=1, output=here / f"{name.removesuffix('.nc')}.zarr", **FEW)


def test_names_that_are_no_text_are_refused_before_computing(here):
    for name in (os.fsdecode(b"r\xff.nc"), "r\0.nc"):
        with pytest.raises(InputError, match=r"output = .*(is not UTF-8|null character)"):
            check_output(name)
        with pytest.raises(InputError, match=r"path = "):
            fp.load(name)
    for path in (3, None, b"r.nc", ["r.nc"]):
        with pytest.raises(InputError, match=r"path = .*should be a valid string"):
            fp.save(LARGE, path)
        with pytest.raises(InputError, match=r"path = .*should be a valid string"):
            fp.load(path)


def test_a_tilde_of_nobody_is_a_letter(here, monkeypatch):
    ds = LARGE.isel(time=0)
    assert fp.save(ds, "~old.nc").name == "~old.nc" and (here / "~old.nc").exists()
    assert fp.load("~old.nc").sizes == ds.sizes
    monkeypatch.setenv("HOME", str(here))
    assert user_path("~/r.nc", "output") == here / "r.nc"


def test_a_terminal_without_greek_is_written_to(here, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    process = started(*FPSOLVE, "models", cwd=here, encoding="latin-1")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and ("\\u" in out or "\\x" in out), err
