"""Bad members: what is one's own, what ends the job, what of an under-resolved one counts; records and checkpoints."""

import time

import numpy as np
import pytest
import xarray as xr

import fpsolve as fp
from fpsolve.ensembles import ensemble, member, statistics
from fpsolve.ensembles.records import DONE, UNRESOLVED, Outcome, Records
from fpsolve.errors import FPSolveError, InputError, Interrupted
from fpsolve.io.sealed import Damaged
from fpsolve.models import IsotropicFlow
from fpsolve.solving import Job
from tests.ensembles.conftest import LAW, RUN

SHARP = IsotropicFlow([0.2, 4.0, 1.0], noise=0.5)
"""Noise that the degree 15 does not follow for long."""
FINE = {**RUN, "t_end": 0.4, "dt": 0.05, "path_cell": 0.05, "save_every": 0.05, "members": 6, "progress": False,
        "measure": "density"}  # fmt: skip


def outcome(n=0, status=DONE):
    values = {"overlap": np.array([1.0 * n, 2.0]), "method": np.array(["density", "cloud"], "<U16"), "at": np.array(n)}
    return Outcome({**values, "at": np.array(float(n))}, status, "" if status == DONE else "why")


@pytest.fixture(scope="module")
def warned():
    return ensemble(SHARP, LAW, **FINE)


def test_an_under_resolved_member_has_its_own_status(warned):
    """Its values stay, its cause says from when; every member whose tail exceeds 1e-3 is one."""
    under = warned.tail.max("time") > 1e-3
    assert under.any() and (warned.status == np.where(under, 3, 1)).all()
    n = int(np.argmax(under.values))
    begun = float(warned.time[int(np.argmax(warned.tail.values[n] > 1e-3))])
    assert warned.unresolved_from.values[n] == pytest.approx(begun)
    assert str(warned.cause.values[n]) == f"under-resolved from t = {begun:.6g}"
    assert np.isfinite(warned.overlap).all()
    flags = dict(zip(warned.status.flag_meanings.split(), warned.status.flag_values, strict=True))
    assert flags == {"pending": 0, "done": 1, "failed": 2, "under_resolved": 3}


def test_statistics_are_over_members_while_they_are_resolved(warned):
    found = statistics(warned)
    resolved = np.array([warned.time.values < one if one > 0 else warned.time.values >= 0
                         for one in warned.unresolved_from.values])  # fmt: skip
    assert not resolved.all() and resolved[:, 0].all()
    np.testing.assert_array_equal(found["count"], resolved.sum(0))
    assert found["count"].dims == ("time",) and found.underresolved == (warned.status == 3).sum() and found.failed == 0
    for n in range(warned.sizes["time"]):
        some = warned.overlap.values[resolved[:, n], n]
        np.testing.assert_allclose(found.overlap_mean[n], some.mean() if len(some) else np.nan, rtol=1e-13)
        if len(some):
            np.testing.assert_array_equal(found.overlap_quantiles[:, n], np.quantile(some, found["quantile"]))


def test_under_stop_a_member_ends_with_its_last_resolved_state(warned):
    ds = ensemble(SHARP, LAW, on_underresolved="stop", **FINE)
    under = ds.status.values == 3
    assert (under == (warned.status == 3)).all()
    np.testing.assert_allclose(ds.stopped_at.values[under] + 0.05, warned.unresolved_from.values[under], rtol=1e-12)
    at = float(ds.stopped_at.values[under][0])
    assert str(ds.cause.values[under][0]) == f"under-resolved from t = {at + 0.05:.6g}, stopped at t = {at:.6g}"
    np.testing.assert_array_equal(statistics(ds)["count"], statistics(warned)["count"])
    np.testing.assert_array_equal(statistics(ds).overlap_mean, statistics(warned).overlap_mean)


@pytest.mark.parametrize(
    ("policy", "names"),
    [("filter", ["filtered_from"]), ("refine", ["refined_from", "filtered_from"]), ("cloud", ["handed_over_at"])],
)
def test_other_policies_go_on_and_count(policy, names):
    cap = {} if policy == "filter" else {"lmax_cap": 31}
    ds = ensemble(SHARP, LAW, on_underresolved=policy, **cap, **{**FINE, "members": 2})
    assert (ds.status == 1).all() and (statistics(ds)["count"] == 2).all() and statistics(ds).underresolved == 0
    assert all(name in ds and ds[name].dims == ("member",) for name in [*names, "unresolved_from"])
    assert (ds[names[0]] > 0).any() and ds.stopped_at.isnull().all()


def test_a_filter_that_was_asked_for_takes_care_of_it():
    assert (ensemble(SHARP, LAW, filter=0.15, **FINE).status == 1).all()


@pytest.mark.parametrize("policy", ["warn", "stop"])
def test_fail_fast_ends_at_an_under_resolved_member(policy, tmp_path):
    """Also at one that another call has recorded."""
    how = {**FINE, "on_underresolved": policy, "output": tmp_path / "a.zarr"}
    for _ in range(2):
        with pytest.raises(FPSolveError, match=r"member . failed: under-resolved from t = "):
            ensemble(SHARP, LAW, fail_fast=True, **how)
    ensemble(SHARP, LAW, **how)
    with pytest.raises(FPSolveError, match=r"member . failed: under-resolved from t = "):
        ensemble(SHARP, LAW, fail_fast=True, **how)


class Raising:
    """In the place of ``Job.run``: raises for member 1."""

    def __init__(self, error):
        self.error, self.run = error, Job.run

    def __get__(self, job, _):
        def run(**how):
            if job.config["solve"]["member"] == 1:
                raise self.error
            return self.run(job, **how)

        return run


@pytest.mark.parametrize(
    "error",
    [ValueError("array must not contain infs or NaNs"), np.linalg.LinAlgError("singular"), OverflowError("too large"),
     InputError("kappa", float("nan"), "must be finite", "pass another")],
)  # fmt: skip
def test_numbers_are_one_members_own(small, monkeypatch, error):
    monkeypatch.setattr(Job, "run", Raising(error))
    ds = small()
    assert ds.status.values.tolist() == [1, 2, 1]
    assert str(ds.cause.values[1]) == f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(
    "error",
    [TypeError("x"), AttributeError("x"), NameError("x"), KeyError("x"), ImportError("x"), MemoryError(),
     RuntimeError(),
     fp.errors.MissingDependencyError("pip"), InputError("checkpoint", "a", "belongs to another run", "delete it")],
)  # fmt: skip
def test_mistakes_end_the_job(small, monkeypatch, error):
    monkeypatch.setattr(Job, "run", Raising(error))
    with pytest.raises(type(error)):
        small()


def test_moments_that_are_not_finite_are_a_failure(small, monkeypatch):
    run = Job.run

    def broken(job, **how):
        ds = run(job, **how)
        ds["moments"][1, 5] = np.nan
        return ds

    monkeypatch.setattr(Job, "run", broken)
    assert (small().status == 2).all() and "t = 0.1: the moments are not finite" in str(small().cause.values[0])


def checkpoints(tmp_path):
    return [path.name for path in (tmp_path / "a.zarr.work/checkpoints").iterdir()]


def test_a_stopped_member_has_its_checkpoint_whatever_the_one_before_took(small, tmp_path):
    """The third member of a rank, after two short ones, goes on from its last step."""
    asked, path = [], tmp_path / "a.zarr"
    with pytest.raises(Interrupted):
        small(output=path, stop=lambda: asked.append(1) or len(asked) > 5)
    assert checkpoints(tmp_path) == ["0-2.checkpoint"]
    asked.clear()
    small(output=path, stop=lambda: asked.append(1) and False)
    assert len(asked) == 1 and checkpoints(tmp_path) == []  # of its two steps the second
    small(output=tmp_path / "b.zarr")
    assert xr.open_zarr(path).identical(xr.open_zarr(tmp_path / "b.zarr"))


@pytest.mark.parametrize(("every", "kept"), [(20.0, False), (0.1, True)])
def test_a_member_writes_checkpoints_once_it_has_run_for_long(small, tmp_path, monkeypatch, every, kept):
    """What kill -9 leaves, looked at in every step: nothing of a short member, of a longer one a state not long ago."""
    seen, written = [], []
    monkeypatch.setattr(member, "CHECKPOINT_EVERY", every)
    small(output=tmp_path / "b.zarr", members=1)  # a short one

    def look():
        seen.append(checkpoints(tmp_path))
        written.extend(path.stat().st_mtime_ns for path in (tmp_path / "a.zarr.work/checkpoints").iterdir())
        time.sleep(0.05)
        return False

    small(output=tmp_path / "a.zarr", stop=look, members=1, t_end=1.0, save_every=0.5)
    assert seen[0] == [] and seen[-1] == (["0-0.checkpoint"] if kept else []) and checkpoints(tmp_path) == []
    assert not kept or len(set(written)) > 1


@pytest.fixture
def records(tmp_path):
    made = Records(tmp_path, "digest")
    made.prepare()
    for n in range(3):
        made.write_member("1-4", 1, n, outcome(n, UNRESOLVED if n == 2 else DONE))
    return made


def test_a_block_has_one_record_whatever_it_holds(records):
    for n in range(3, 100):
        records.write_member("1-4", 1, n, outcome(n))
    assert [path.name for path in records.work.rglob("*") if path.is_file()] == ["1-4.records"]
    found, damages = records.read_members("1-4", 1)
    assert damages == [] and list(found) == list(range(100)) and found[2].cause == "why"
    assert all(one.digest == outcome(n, one.status).digest for n, one in found.items())


def test_a_record_that_was_cut_short_anywhere_gives_what_is_whole(records):
    path = records.members_path("1-4")
    whole = path.read_bytes()
    ends = [n for n in range(len(whole)) if whole.startswith((b"fpsolve member:1 ", b"fpsolve member:2 "), n)]
    for length in (*range(0, len(whole), 7), *ends, *(end + 91 for end in ends)):
        path.write_bytes(whole[:length])
        found, damages = records.read_members("1-4", 1)
        assert len(found) == sum(end <= length for end in ends)
        assert bool(damages) == (length not in (0, *ends))
        assert path.stat().st_size == max([0, *(end for end in ends if end <= length)])
    records.write_member("1-4", 1, 7, outcome(7))
    assert list(records.read_members("1-4", 1)[0]) == [0, 1, 7]


def test_an_altered_entry_is_named_and_the_others_are_kept(records):
    path = records.members_path("1-4")
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    found, damages = records.read_members("1-4", 1)
    assert list(found) == [1, 2] and damages == [("member 0", "it was truncated or altered, its SHA-256 is wrong")]


def test_records_of_another_point_or_command_are_not_trusted(records, tmp_path):
    for found, damages in (records.read_members("1-4", 0), Records(tmp_path, "other").read_members("1-4", 1)):
        assert not found and {why for _, why in damages} == {"it belongs to another command"}


@pytest.mark.parametrize("change", [
    lambda whole: b"", lambda whole: b'{"sha256": 1}', lambda whole: whole[:-1], lambda whole: whole + b"\n",
    lambda whole: whole.replace(b"block", b"member", 1), lambda whole: whole.replace(b"digest", b"Digest", 1),
])  # fmt: skip
def test_a_block_record_that_is_not_whole_is_damaged(records, change):
    records.write_block("1-2", {0: "a"})
    assert records.read_block("1-2") == {0: "a"}
    path = records.block_path("1-2")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(Damaged, match=r"truncated or altered|it was altered|does not begin like a block"):
        records.read_block("1-2")


def test_a_block_record_under_another_name_is_not_trusted(records, tmp_path):
    records.write_block("1-2", {0: "a"})
    records.block_path("1-2").rename(records.block_path("1-4"))
    with pytest.raises(Damaged, match="belongs to another command"):
        records.read_block("1-4")
