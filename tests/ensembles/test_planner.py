"""Plans against real stores, against shares counted by hand, and up to 10⁵ ranks."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from fpsolve.cli.ensembling import plan_ensemble
from fpsolve.ensembles import ensemble
from fpsolve.ensembles.layout import make_layout
from fpsolve.ensembles.planner import as_text, plan, shares
from fpsolve.ensembles.sizing import default_block
from fpsolve.ensembles.sweep import make_sweep
from fpsolve.ensembles.trial import Extra, MemberCost
from fpsolve.errors import InputError
from fpsolve.measures import initial
from fpsolve.models import IsotropicFlow

LAW = initial.von_mises_fisher([1, 2, 2], 1.5)
MODEL = IsotropicFlow([0.2, 4.0, 1.0], noise=0.3)
RUN = {"t_end": 0.5, "dt": 0.1, "path_cell": 0.1, "lmax": 15, "rtol": 1e-4, "moments_lmax": 6}


def on_disk(folder):
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)


@pytest.mark.parametrize(
    "kind",
    [
        {"members": 24, "block": 1},
        {"members": 20, "sweep": {"noise": [0.1, 0.2]}, "block": 8, "save_density": True},
        {"members": 3, "sweep": {"lmax": [13, 15]}, "block": 3, "save_every": 0.5},
        {"members": 6, "block": 2, "on_underresolved": "filter"},
    ],
)
def test_bytes_and_files_of_real_stores(kind, tmp_path):
    """Bytes to 5 %, files to 3 %: blocks of one member, blocks that do not divide the members, shapes that differ."""
    about = RUN | {"measure": "density"} | kind
    found = plan(MODEL, LAW, ranks=3, budget=0.5, **about)
    ensemble(MODEL, LAW, output=tmp_path / "real.zarr", progress=False, **about)
    size, files = on_disk(tmp_path)
    assert found.stored == pytest.approx(size, rel=0.05)
    assert found.files == pytest.approx(files, rel=0.03, abs=1)
    assert 0 < found.peak - found.files <= 9


@pytest.mark.parametrize("noise", [0.2, 0.4])
def test_bytes_and_files_where_clouds_may_take_over(noise, tmp_path):
    """Planned as if one took over in every block, which some or all members do."""
    about = {**RUN, "members": 24, "block": 1, "sweep": {"noise": [noise]}}
    found = plan(MODEL, LAW, ranks=3, budget=0.2, **about)
    ds = ensemble(MODEL, LAW, output=tmp_path / "real.zarr", progress=False, **about)
    clouds = ds.handed_over_at.notnull().values
    assert clouds.all() == (noise == 0.4) and clouds.any() and ds.cloud_unresolved_from.isnull().all()
    size, files = on_disk(tmp_path)
    without = 2 * np.count_nonzero(~clouds)  # neither handed_over_at nor cloud_error
    assert found.stored == pytest.approx(size, rel=0.1)
    assert found.files == pytest.approx(files + without, rel=0.03)
    assert found.longest >= found.seconds > 0


def test_the_time_with_clouds_is_that_of_their_steps():
    """Where a step takes a second, and a cloud's three; nothing is said of it where no cloud may take over."""
    found = plan(MODEL, LAW, members=4, ranks=2, budget=0.2, **RUN)
    assert "with clouds" in as_text(replace(found, longest=3 * found.seconds))
    assert "with clouds" not in as_text(replace(found, longest=found.seconds))
    density = plan(MODEL, LAW, members=4, ranks=2, budget=0.2, measure="density", **RUN)
    assert density.longest == density.seconds and "with clouds" not in as_text(density)


def test_files_while_an_ensemble_runs_stay_below_the_peak(tmp_path, monkeypatch):
    """Counted at every step of 20 members in blocks of 5."""
    seen = []

    def look():
        seen.append(on_disk(tmp_path)[1])
        return False

    found = plan(MODEL, LAW, members=20, block=5, ranks=1, budget=0.2, **RUN)
    ensemble(MODEL, LAW, members=20, block=5, output=tmp_path / "a.zarr", progress=False, stop=look, **RUN)
    assert max(seen) <= found.peak and len(list((tmp_path / "a.zarr.work/members").iterdir())) == 0


def planned(members, ranks, schedule, steps=(10,), block=1, prepare=0.0, extra=Extra(0, 0, 0.0, 0.0)):  # noqa: B008
    """Seconds and members of the ranks where a step takes a second, and a point is swept over t_end = steps·dt."""
    sweep = make_sweep(MODEL, LAW, RUN, {"noise": [0.1 * n for n in range(1, 1 + len(steps))]})
    layout = make_layout(sweep, members, block, ranks)
    object.__setattr__(layout, "steps", steps)
    return shares(layout, [MemberCost(prepare, 1.0, 0.0, {}, 1.0)] * len(steps), extra, ranks, schedule)


def test_equal_members_are_dealt_in_turn():
    seconds, members = planned(10, 4, "static")
    assert members.tolist() == [3, 3, 2, 2] and seconds.tolist() == [30, 30, 20, 20]
    seconds, members = planned(10, 4, "static", block=3)
    assert members.tolist() == [3, 3, 3, 1]
    assert planned(2, 4, "static")[1].tolist() == [1, 1, 0, 0]


def test_uneven_points_are_balanced_by_asking():
    """Six runs of 10 steps and six of 1: dealt in turn to two ranks they are even; to 12, asking shares by length."""
    seconds, members = planned(6, 3, "dynamic", steps=(1, 10))
    assert members.sum() == 12 and seconds.max() == 22
    seconds, _ = planned(5, 2, "static", steps=(10, 1))
    assert seconds.tolist() == [32, 23]
    seconds, _ = planned(5, 2, "dynamic", steps=(10, 1))
    assert sorted(seconds) == [25, 30]


def test_preparing_and_writing_are_counted():
    """Two points of two blocks of two members on one rank: each point is prepared once."""
    seconds, _ = planned(4, 1, "static", steps=(10, 10), block=2, prepare=3.0, extra=Extra(0, 0, 0.5, 0.25))
    assert seconds.tolist() == [8 * 10.5 + 4 * 0.25 + 2 * 3]


def test_a_hundred_thousand_ranks():
    """The default keeps files few, though ranks are idle, and says what block gives them all work."""
    found = plan(MODEL, LAW, members=200_000, ranks=100_000, budget=0.2, **RUN)
    assert found.files < 1.01e5 and found.members[0] == 0
    assert "idle" in as_text(found) and "--block 2 gives every rank work" in as_text(found)
    asked = plan(MODEL, LAW, members=200_000, ranks=100_000, block=2, budget=0.2, **RUN)
    assert asked.members == (2, 2) and asked.files > 8 * found.files
    assert "idle" not in as_text(asked)
    assert asked.seconds < 60 and np.isfinite(asked.imbalance) and asked.memory > 1e7


@pytest.mark.parametrize("ranks", [1, 2, 4, 7, 16, 64, 1000, 10_000, 100_000])
def test_default_blocks(ranks):
    """Files below 10⁵; unless for that, no rank has much more than its share; 32 members a rank come in eights."""
    for points, members in product((1, 12), (1, 10, 32, 100, 256, 4096, 10**5, 10**7)):
        block = default_block(members, points, ranks, 3000, 10)
        blocks, runs = points * -(-members // block), points * members
        assert 1 <= block <= members and block * 3000 <= 1 << 26
        assert 10 * blocks <= 1e5
        if 10 * runs <= 1e5:
            assert min(-(-blocks // ranks) * block, runs) <= 1.03 * -(-runs // ranks)
    if ranks <= 1000:
        assert default_block(32 * ranks, 1, ranks, 3000, 10) == 8


@pytest.mark.parametrize("ranks", [0, 100_001, 2.0, True])
def test_ranks_that_are_none(ranks):
    with pytest.raises(InputError, match="ranks"):
        plan(MODEL, LAW, members=2, ranks=ranks, **RUN)


def test_members_that_end_at_their_first_step_are_planned():
    """No step is timed then, and none is taken in the ensemble either."""
    sharp = initial.von_mises_fisher([1, 2, 2], 60.0)
    found = plan(MODEL, sharp, members=3, ranks=2, budget=0.2, **RUN | {"lmax": 7, "on_underresolved": "stop"})
    assert found.members == (1, 2) and 0 < found.seconds < 60 and found.stored > 0


def test_a_cloud_that_cannot_step_is_planned_all_the_same(fragile):
    """Neither can the density before it."""
    found = plan(fragile(bad=0), LAW, members=2, ranks=1, budget=0.2, **RUN)
    assert found.longest >= found.seconds > 0


def test_an_observable_of_changing_shape_is_refused():
    """As by the ensemble: that is no member's own fault."""
    seen = []
    with pytest.raises(InputError, match="observe"):
        observed = {"growing": lambda state: seen.append(0) or np.zeros(len(seen))}
        plan(MODEL, LAW, members=2, ranks=1, budget=0.2, observe=observed, **RUN)


def test_the_command_says_the_plan(tmp_path):
    (tmp_path / "e.toml").write_text(
        '[model]\nname = "IsotropicFlow"\nspectrum = [0.2, 4.0]\n[initial]\nname = "uniform"\n'
        "[solve]\nt_end = 0.1\ndt = 0.05\npath_cell = 0.05\nlmax = 9\n"
        "[ensemble]\nmembers = 8\n[sweep]\nnoise = [0.1, 0.2]\n"
    )
    out = plan_ensemble(tmp_path / "e.toml", given={"block": 2}, ranks=4)
    assert "2 points x 8 members, 32 steps" in out and "4, dynamic" in out and "in blocks of 2" in out
    assert "timed on" in out and [path.name for path in tmp_path.iterdir()] == ["e.toml"]
