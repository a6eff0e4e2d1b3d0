"""Checkpoint files: exact, put into place as a whole, never trusted when damaged, refused for another run."""

import errno
import json
import os
from dataclasses import fields

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import CheckpointWarning, InputError, Interrupted
from fpsolve.io import checkpoint, keeper
from fpsolve.io.checkpoint import Snapshot, read, write
from fpsolve.io.sealed import Damaged, Stranger
from fpsolve.measures.build import build
from fpsolve.solving import prepare

LAW = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
MODEL = fp.models.SelfAttention(beta=2.0)
FEW = {"t_end": 0.3, "dt": 0.1, "lmax": 9}
TOKENS = fp.initial.points([[1, 0], [0, 1]], labels=[0.25, 0.75])
STATES = [
    build(LAW, "density", 9, 1e-6, 0.15),
    build(LAW, "half_density", 9, np.float64(1e-5)),
    build(LAW, "log_density", 9, 1e-6),
    build(LAW, "cloud", 9, 1e-6),
    build(TOKENS, "cloud", 9, 1e-6),
]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run.ckpt"


@pytest.fixture
def whole(file):
    """A finished run and its checkpoint in ``file``."""
    return fp.solve(MODEL, LAW, **FEW, checkpoint=file)


def same(one, other):
    """Equal types, and for arrays equal bits, shapes and order in memory."""
    if not isinstance(one, np.ndarray):
        return type(one) is type(other) and one == other
    return (one.dtype, one.shape, one.flags.f_contiguous) == (other.dtype, other.shape, other.flags.f_contiguous) and (
        one.tobytes() == other.tobytes()
    )


@pytest.mark.parametrize("state", STATES, ids=["density", "half density", "log density", "quadrature", "labels"])
def test_every_field_of_a_measure_comes_back_in_its_bits(state, file):
    write(file, Snapshot(7, state), {})
    back = read(file)[0].state
    assert type(back) is type(state)
    for one in fields(state):
        assert same(getattr(state, one.name), getattr(back, one.name)), one.name
    assert same(np.asarray(state.mean), np.asarray(back.mean))


def test_records_times_notes_and_fields_come_back(file):
    records = [{"mean": np.arange(3.0), "energy": 0.1 + 0.2}, {"mean": -np.arange(3.0), "method": "cloud"}]
    pairs = [(np.arange(3) * 1j, np.ones(3) + 0j), (np.zeros(2, complex), np.ones(2) * 1j)]
    at = Snapshot(4, STATES[-1], [0.0, np.nextafter(0.1, 1)], records, {"unresolved_from": 0.1}, pairs)
    write(file, at, {"config": {"β": 1}})
    back, about = read(file)
    assert (back.step, back.times, back.notes, about["config"]) == (4, at.times, at.notes, {"β": 1})
    for one, other in zip(records, back.records, strict=True):
        assert one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
    assert all(np.array_equal(a, b) for a, b in zip(pairs, back.fields, strict=True))
    assert about["versions"]["numpy"] == np.__version__


def test_every_truncation_and_alteration_is_seen(whole, file):
    """A flipped bit at 300 places, and 300 lengths, the first and last bytes among them."""
    content = file.read_bytes()
    ends = [*range(90), *range(len(content) - 60, len(content))]
    for place in {*ends, *np.linspace(0, len(content) - 1, 150).astype(int)}:
        altered = bytearray(content)
        altered[place] ^= 0x10
        for damaged in (bytes(altered), content[:place]):
            file.write_bytes(damaged)
            with pytest.raises(Damaged):
                read(file)
    file.write_bytes(content)
    assert read(file)[0].step == 3


@pytest.mark.parametrize("kept", [slice(1000), slice(5), slice(0)])
def test_a_damaged_checkpoint_is_named_set_aside_and_recomputed(whole, file, kept):
    file.write_bytes(file.read_bytes()[kept])
    before = file.read_bytes()
    with pytest.warns(CheckpointWarning, match=r"run\.ckpt.*run\.ckpt\.damaged.*begins anew"):
        again = fp.solve(MODEL, LAW, **FEW, checkpoint=file)
    assert again.identical(whole)
    assert file.with_name("run.ckpt.damaged").read_bytes() == before
    assert read(file)[0].step == 3
    file.write_bytes(b"fpsolve checkpoint second")
    with pytest.warns(CheckpointWarning, match=r"damaged-2"):
        fp.solve(MODEL, LAW, **FEW, checkpoint=file)


def test_a_file_of_another_format_is_not_read(whole, file):
    content = file.read_bytes()
    line, _, body = content.partition(b"\n")
    *_, length, digest = line.split()
    before = b"fpsolve checkpoint 2\n" + digest + b"\n" + body  # length and digest stood in no line of their own
    later = content.replace(b"checkpoint 3 ", b"checkpoint 4 ", 1)
    assert later != content and int(length) == len(body)
    for number, other in ((2, before), (4, later)):
        file.write_bytes(other)
        with pytest.raises(Stranger, match=f"its format is {number}, this version of fpsolve reads 3"):
            read(file)
        with pytest.raises(InputError, match=rf"checkpoint = .*its format is {number}"):
            fp.solve(MODEL, LAW, **FEW, checkpoint=file)
        assert file.read_bytes() == other


def test_objects_are_not_unpickled(file, monkeypatch):
    monkeypatch.setattr(checkpoint, "split", lambda state: ({"x": np.array([{"a": 1}], object)}, {}))
    write(file, Snapshot(0, STATES[0]), {})
    with pytest.raises(Damaged):
        read(file)


def test_another_run_is_refused_with_every_difference(whole, file):
    content = file.read_bytes()
    with pytest.raises(InputError) as caught:
        fp.solve(fp.models.SelfAttention(beta=3.0), LAW, **{**FEW, "seed": 4, "t_end": 0.6}, checkpoint=file)
    assert caught.value.argument == "checkpoint"
    assert "(model.beta: 2.0 -> 3.0, solve.seed: 0 -> 4)" in str(caught.value)
    assert file.read_bytes() == content


def test_another_initial_state_of_the_same_name_is_refused(file):
    """Laws made from functions and arrays have no description that tells them apart; their states do."""

    def made(kappa):
        return fp.initial.function(lambda x: kappa * np.exp(kappa * x[..., 2]) / (4 * np.pi * np.sinh(kappa)))

    fp.solve(MODEL, made(1.0), **FEW, checkpoint=file)
    with pytest.raises(InputError, match="the initial state"):
        fp.solve(MODEL, made(1.0 + 1e-9), **FEW, checkpoint=file)
    fp.solve(MODEL, made(1.0), **FEW, checkpoint=file)  # another function of the same values is the same law


def test_an_earlier_end_is_refused(whole, file):
    with pytest.raises(InputError, match=r"stands at t = 0.3, beyond t_end"):
        fp.solve(MODEL, LAW, **{**FEW, "t_end": 0.2}, checkpoint=file)


def test_other_versions_are_told(whole, file, monkeypatch):
    now = keeper.versions()
    monkeypatch.setattr(keeper, "versions", lambda: {**now, "numpy": "9.0"})
    with pytest.warns(CheckpointWarning, match=r'numpy: "[\d.]+" -> "9.0".*not bit for bit'):
        assert fp.solve(MODEL, LAW, **FEW, checkpoint=file).identical(whole)


@pytest.mark.parametrize(("path", "words"), [("none/a.ckpt", "does not exist"), (".", "is a folder")])
def test_places_that_do_not_serve(tmp_path, path, words):
    with pytest.raises(InputError, match=f"checkpoint = .*{words}"):
        fp.solve(MODEL, LAW, **FEW, checkpoint=tmp_path / path)


@pytest.mark.parametrize("every", [-1.0, float("nan"), "1"])
def test_intervals_that_are_none(file, every):
    with pytest.raises(InputError, match="checkpoint_every"):
        fp.solve(MODEL, LAW, **FEW, checkpoint=file, checkpoint_every=every)


def test_a_measure_that_is_no_dataclass_is_refused(file):
    job = prepare(MODEL, LAW, **FEW)
    bare = type("Bare", (), {"name": "bare"})()
    with pytest.raises(InputError, match="no dataclass"):
        keeper.Keeper(file, 1.0, job.config, bare)


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_last_checkpoint_and_the_run(whole, file, monkeypatch):
    """A write that fails is told; the result comes all the same, and a stop goes on from the older checkpoint."""
    content = file.read_bytes()
    longer = {**FEW, "t_end": 0.6}
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full_disk)
        with pytest.warns(CheckpointWarning, match="No space left on device.*unchanged"):
            assert fp.solve(MODEL, LAW, **longer, checkpoint=file).identical(fp.solve(MODEL, LAW, **longer))
        asked = iter([False, True])
        with pytest.warns(CheckpointWarning, match="No space left"), pytest.raises(Interrupted):
            prepare(MODEL, LAW, **longer).run(checkpoint=file, stop=lambda: next(asked))
    assert file.read_bytes() == content and os.listdir(file.parent) == [file.name]


def test_stopping_says_when_and_where(file):
    with pytest.raises(Interrupted, match=r"t = 0; the same call goes on from '.*run.ckpt'") as caught:
        prepare(MODEL, LAW, **FEW).run(checkpoint=file, stop=lambda: True)
    assert caught.value.time == 0 and read(file)[0].step == 0
    with pytest.raises(Interrupted, match="nothing was kept"):
        prepare(MODEL, LAW, **FEW).run(stop=lambda: True)


def test_the_interval_of_writing(file, monkeypatch):
    """A clock that gains a second a reading: with 0 every step is written, with 1000 the last one alone."""
    seconds = iter(range(10**6))
    monkeypatch.setattr(keeper.time, "monotonic", lambda: next(seconds))
    written = []
    monkeypatch.setattr(keeper, "write", lambda path, snapshot, about: written.append(snapshot.step))
    fp.solve(MODEL, LAW, **FEW, checkpoint=file, checkpoint_every=0)
    fp.solve(MODEL, LAW, **FEW, checkpoint=file, checkpoint_every=1000)
    assert written == [0, 1, 2, 3, 3]


def test_a_checkpoint_is_no_part_of_the_result(whole):
    assert "checkpoint" not in json.loads(whole.fpsolve_config)["solve"]
    assert whole.identical(fp.solve(MODEL, LAW, **FEW))
