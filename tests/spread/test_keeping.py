"""Checkpoints of a spread cloud, and its plan, on one rank."""

import re

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.cli.spreading import plan_spread, run_spread
from fpsolve.ensembles.comm import Serial
from fpsolve.ensembles.lock import Lock
from fpsolve.errors import CheckpointWarning, InputError, Interrupted
from fpsolve.spread import planner
from fpsolve.spread.drawing import drawn_later
from fpsolve.spread.planner import SpreadTrial, as_text, plan
from fpsolve.spread.solving import Call, prepared, solved

LAW = fp.initial.von_mises_fisher([1, 2, 2], 2.0)
MODEL = fp.models.IsotropicFlow(np.full(4, 0.1), noise=0.5)
HOW = {"t_end": 0.04, "dt": 0.01, "measure": "cloud", "save_points": True}


def run(folder, name, model=MODEL, **more):
    call = {one: more.pop(one) for one in ("checkpoint", "checkpoint_every", "stop") if one in more}
    job = prepared(model, drawn_later(LAW, 9000, 3), {**HOW, **more}, Serial())
    solved(job, Call(folder / name, **call))
    return fp.load(folder / name)


class After:
    def __init__(self, times):
        self.left = times

    def __call__(self):
        self.left -= 1
        return self.left < 0


@pytest.fixture
def kept(tmp_path):
    """A checkpoint of a run that was stopped after two steps, and the run that was not."""
    with pytest.raises(Interrupted, match=r"t = 0.02; the same call goes on from '.*/a.ckpt'"):
        run(tmp_path, "a.zarr", checkpoint=tmp_path / "a.ckpt", stop=After(2))
    assert not (tmp_path / "a.zarr").exists()
    return tmp_path / "a.ckpt", run(tmp_path, "whole.zarr")


def test_a_stopped_run_goes_on_to_the_same_bits(kept, tmp_path):
    path, whole = kept
    assert run(tmp_path, "a.zarr", checkpoint=path).identical(whole)
    longer = run(tmp_path, "b.zarr", checkpoint=path, t_end=0.06)
    assert longer.identical(run(tmp_path, "c.zarr", t_end=0.06))
    with pytest.raises(InputError, match="beyond t_end"):
        run(tmp_path, "d.zarr", checkpoint=path, t_end=0.02)


@pytest.mark.parametrize("file", ["progress", "state"])
def test_a_damaged_checkpoint_is_set_aside_and_the_run_begins_anew(kept, tmp_path, file):
    path, whole = kept
    damaged = next(path.glob(f"{file}*"))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.warns(CheckpointWarning, match=r"truncated or altered.*a.ckpt.damaged"):
        again = run(tmp_path, "a.zarr", checkpoint=path)
    assert again.identical(whole) and (tmp_path / "a.ckpt.damaged" / damaged.name).exists()


def test_other_runs_and_other_places_are_refused(kept, tmp_path):
    path, _ = kept
    with pytest.raises(InputError, match=r"belongs to another run \(model.noise: 0.5 -> 0.25\)"):
        run(tmp_path, "a.zarr", fp.models.IsotropicFlow(np.full(4, 0.1), noise=0.25), checkpoint=path)
    lock = Lock(path / "lock")
    lock.take()
    with pytest.raises(InputError, match=r"checkpoint = .*a.ckpt': being written by process"):
        run(tmp_path, "a.zarr", checkpoint=path)
    lock.release()
    (tmp_path / "file").write_bytes(b"fpsolve checkpoint")
    with pytest.raises(InputError, match="that of ranks is a folder"):
        run(tmp_path, "a.zarr", checkpoint=tmp_path / "file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/letter.txt").write_text("dear")
    with pytest.raises(InputError, match="is a folder of something else"):
        run(tmp_path, "a.zarr", checkpoint=tmp_path / "folder")
    with pytest.raises(InputError, match="ranks write their points into one Zarr store"):
        run(tmp_path, "a.nc")
    assert not list(tmp_path.glob("a.*[cr]"))


def test_a_store_with_an_altered_chunk_or_without_its_seal_is_not_loaded(tmp_path):
    run(tmp_path, "a.zarr")
    chunk = tmp_path / "a.zarr/points/2.1.0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as zarr"):
        fp.load(tmp_path / "a.zarr")


def test_the_plan_makes_nothing_of_its_size_and_says_what_is_exact(tmp_path):
    """Ten billion tokens on a thousand ranks; times and memory are those of a trial, and no test's."""
    found = plan(MODEL, drawn_later(LAW, 10**10, 3), HOW, 1000)
    assert (found.blocks, found.size, found.points) == (38147, 1 << 18, 39 << 18)
    assert found.stored == 24 * 10**10 * 5 and found.files == 38147 * 5
    assert 80 * found.points < found.memory < 300 * found.points + 4e9
    text = as_text(found)
    assert "10000000000 points in 38147 blocks of 262144, 4 steps" in text
    assert re.search(r"ranks +1000, 10223616 points on the busiest, 1.02 times the mean", text)


def test_the_plan_draws_the_lines_of_its_trial(monkeypatch):
    """Two clouds of 1 and 3 s, so 1 s and 2 s more for each 2^14 tokens; 30 columns in 2 sums."""
    trials = iter([SpreadTrial(1 << 14, 2.0, 1 << 20, 2, 30), SpreadTrial(1 << 15, 3.0, 1 << 21, 2, 30)])
    monkeypatch.setattr(planner, "_tried", lambda *_: next(trials))
    found = plan(MODEL, drawn_later(LAW, 1 << 20, 3), HOW, 16)
    assert (found.blocks, found.points, found.imbalance) == (256, 1 << 16, 1.0)
    assert found.travels == 8 * 30 * (256 // 16 + 1)
    assert found.seconds - found.network == pytest.approx(1.0 + 4.0)
    assert found.network == pytest.approx(found.travels / planner.NETWORK + 4 * planner.LATENCY * 4)


CONFIG = """
[model]
name = "SelfAttention"
beta = 1.0
[initial]
name = "von_mises_fisher"
mean = [1, 2, 2]
kappa = 2.0
[solve]
t_end = 0.2
dt = 0.1
lmax = 63
measure = "cloud"
"""


def test_the_command_plans_and_runs_a_quadrature(tmp_path, capsys):
    (tmp_path / "a.toml").write_text(CONFIG)
    assert "18432 points in 5 blocks of 4096, 2 steps" in plan_spread(tmp_path / "a.toml", [], {}, 5)
    with pytest.raises(InputError, match="start 5, or one process"):
        plan_spread(tmp_path / "a.toml", [], {}, 6)
    run_spread(tmp_path / "a.toml", tmp_path / "a.nc", False, [], {})
    assert "wrote" in capsys.readouterr().out and fp.load(tmp_path / "a.nc")["entropy"].notnull().all()
