"""Temporary names: exact, unpredictable, owned, cleaned after kills; links stay links."""

import fcntl
import os
import stat
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import fpsolve as fp
from fpsolve.ensembles.lock import Lock
from fpsolve.errors import FPSolveError, InputError
from fpsolve.io.atomic import clean, put, room_for, write_whole
from tests.command import started

DS = xr.Dataset({"overlap": ("time", np.arange(3.0))})
FORMATS = ("s.nc", "s.zarr")


def abandoned(place):
    """What a process leaves that is killed while it writes."""
    folder = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.", suffix=".partial"))
    (folder / "part").write_text("half")
    return folder


@pytest.mark.parametrize("name", FORMATS)
def test_what_was_abandoned_is_cleaned_and_what_is_at_work_is_not(tmp_path, name):
    """The cleaner of ``s`` leaves a live save of ``s.1`` alone, and a folder that only looks alike."""
    left, other = abandoned(tmp_path / name), abandoned(tmp_path / f"s.1{name[1:]}")
    alike = tmp_path / f".{name}.notes.partial"
    alike.mkdir()
    with room_for(tmp_path / name) as at_work:
        at_work.write_text("still going")
        fp.save(DS, tmp_path / name)
        assert at_work.read_text() == "still going"
    assert not left.exists() and other.exists() and alike.exists()
    clean(tmp_path)
    assert not other.exists() and alike.exists()
    assert fp.load(tmp_path / name).overlap.identical(DS.overlap)


def test_an_ensemble_leaves_a_live_save_of_a_like_name_alone(tmp_path):
    from fpsolve.models import IsotropicFlow

    with room_for(tmp_path / "s.1.zarr") as at_work:
        at_work.mkdir()
        (tmp_path / f".s.1.{os.getpid()}.partial.zarr").mkdir()
        law, asked = fp.initial.uniform(), {"t_end": 0.01, "dt": 0.01, "lmax": 8, "progress": False}
        fp.ensemble(IsotropicFlow([0.1, 0.1]), law, members=1, output=tmp_path / "s.zarr", **asked)
        assert at_work.is_dir() and (tmp_path / f".s.1.{os.getpid()}.partial.zarr").is_dir()


def test_a_killed_save_is_cleaned_by_the_next(tmp_path):
    program = textwrap.dedent("""
        import sys, time, numpy as np, xarray as xr, fpsolve as fp
        write = xr.Dataset.to_netcdf
        def slow(self, path, **options):
            write(self, path, **options)
            print(path, flush=True)
            time.sleep(100)
        xr.Dataset.to_netcdf = slow
        fp.save(xr.Dataset({"overlap": ("time", np.arange(3.0))}), sys.argv[1])
    """)
    process = started("-c", program, str(tmp_path / "s.nc"))
    assert process.stdout.readline().strip()
    process.kill()
    process.communicate()
    assert len(os.listdir(tmp_path)) == 1
    fp.save(DS, tmp_path / "s.nc")
    assert os.listdir(tmp_path) == ["s.nc"]


def test_names_cannot_be_guessed_and_nothing_is_written_through_them(tmp_path):
    """Links of the names of before lead to what is not to be touched."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in (".c.ckpt.partial", f".c.{os.getpid()}.partial.ckpt"):
        (tmp_path / name).symlink_to(victim)
    write_whole(tmp_path / "c.ckpt", b"content")
    with room_for(tmp_path / "a") as one, room_for(tmp_path / "a") as two:
        assert one.parent != two.parent and stat.S_IMODE(os.stat(one.parent).st_mode) == 0o700
    assert victim.read_text() == "precious" and (tmp_path / "c.ckpt").read_bytes() == b"content"


def test_a_file_has_the_mode_that_the_user_asked_for(tmp_path):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "c", b"")
        fp.save(DS, tmp_path / "s.nc")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("c", "s.nc")} == {0o640}


@pytest.mark.parametrize("name", FORMATS)
def test_a_link_stays_one(tmp_path, name):
    (tmp_path / "disk").mkdir()
    link, place = tmp_path / name, tmp_path / "disk" / f"real-{name}"
    link.symlink_to(place)
    for overwrite in (False, True):  # first it leads nowhere
        fp.save(DS * (1 + overwrite), link, overwrite)
        assert link.is_symlink() and not place.is_symlink() and place.exists()
        assert float(fp.load(place).overlap[1]) == 1 + overwrite
    assert sorted(os.listdir(tmp_path)) == ["disk", name] and os.listdir(tmp_path / "disk") == [place.name]


def test_a_link_in_a_circle_is_refused(tmp_path):
    (tmp_path / "s.nc").symlink_to(tmp_path / "s.nc")
    with pytest.raises(InputError, match="leads to itself"):
        fp.save(DS, tmp_path / "s.nc", overwrite=True)


def test_the_lock_is_not_a_link(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(InputError, match=r"its lock .* is a link"):
        Lock(tmp_path / "lock", tmp_path / "s.zarr").take()
    assert victim.read_text() == "precious"


def test_folders_change_places_in_one_step_or_in_two(tmp_path, monkeypatch):
    for exchange in (True, False):
        if not exchange:
            monkeypatch.setattr("fpsolve.io.atomic._exchanged", lambda one, other: False)
        for name in ("old", "new"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "who").write_text(name)
        with room_for(tmp_path / "old") as temporary:
            os.rename(tmp_path / "new", temporary)
            put(temporary, tmp_path / "old")
        assert (tmp_path / "old" / "who").read_text() == "new" and os.listdir(tmp_path) == ["old"]
        (tmp_path / "old" / "who").unlink()
        (tmp_path / "old").rmdir()


def test_a_long_name_has_a_room_too(tmp_path):
    path = tmp_path / ("n" * 250 + ".nc")
    fp.save(DS, path)
    assert os.listdir(tmp_path) == [path.name]


def test_a_system_without_locks_cleans_nothing(tmp_path, monkeypatch):
    left = abandoned(tmp_path / "s.nc")

    def none(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", none)
    fp.save(DS, tmp_path / "s.nc")
    assert left.exists() and (tmp_path / "s.nc").exists()


@pytest.mark.parametrize("content", [b"[solve]\ndt = 0.1\n", b"precious", b"\x89PNG\r\n", b"fpsolve"])
def test_a_checkpoint_touches_no_file_that_is_none(tmp_path, content):
    path, asked = tmp_path / "run.toml", {"t_end": 0.1, "dt": 0.05, "lmax": 8, "progress": False}
    path.write_bytes(content)
    if content == b"fpsolve":  # what a crash leaves of one
        with pytest.warns(fp.errors.CheckpointWarning, match="kept as"):
            fp.solve(fp.models.SelfAttention(1.0), fp.initial.uniform(), checkpoint=path, **asked)
        assert (tmp_path / "run.toml.damaged").read_bytes() == content
        return
    with pytest.raises(InputError, match=r"checkpoint = .*is no checkpoint, and stays as it is"):
        fp.solve(fp.models.SelfAttention(1.0), fp.initial.uniform(), checkpoint=path, **asked)
    assert os.listdir(tmp_path) == ["run.toml"] and path.read_bytes() == content


def test_a_file_that_comes_into_the_place_of_a_checkpoint_stays(tmp_path):
    from fpsolve.solving import prepare

    path, asked = tmp_path / "c", {"t_end": 0.2, "dt": 0.05, "lmax": 8}

    def stop():
        path.write_text("precious")
        return False

    job = prepare(fp.models.SelfAttention(1.0), fp.initial.von_mises_fisher([0, 0, 1], 2.0), **asked)
    with pytest.warns(fp.errors.CheckpointWarning, match="is no checkpoint any more"):
        ds = job.run(checkpoint=path, checkpoint_every=0.0, stop=stop)
    assert path.read_text() == "precious" and ds.sizes["time"] == 5


def test_a_linked_checkpoint_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    link, place = tmp_path / "c", tmp_path / "disk" / "real"
    link.symlink_to(place)
    asked = {"t_end": 0.1, "dt": 0.05, "lmax": 8, "progress": False, "checkpoint": link}
    for _ in range(2):
        fp.solve(fp.models.SelfAttention(1.0), fp.initial.uniform(), **asked)
        assert link.is_symlink() and place.read_bytes().startswith(b"fpsolve checkpoint ")
    place.write_bytes(place.read_bytes()[:300])
    with pytest.warns(fp.errors.CheckpointWarning, match="real.damaged"):
        fp.solve(fp.models.SelfAttention(1.0), fp.initial.uniform(), **asked)
    assert link.is_symlink() and sorted(os.listdir(tmp_path / "disk")) == ["real", "real.damaged"]


def test_writing_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FPSolveError, match="No space left"):
        write_whole(tmp_path / "c", b"content")
    assert os.listdir(tmp_path) == []
