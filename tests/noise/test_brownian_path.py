"""Brownian increments: law, purity, refinement, and what is refused.

The statistical tests have fixed seeds. Each is two-sided at level ALARM = 1e-6 (of the normal law where that
is a limit); there are about 500, so a correct generator fails this file for one choice of seeds in 2000.
"""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import stats

from fpsolve.errors import InputError
from fpsolve.noise import STREAMS, BrownianPath, _philox
from fpsolve.noise import path as path_module

ALARM = 1e-6
STEPS = [0.01 * 2.0**j for j in (2, 1, 0, -1, -2, -5)]


def cells(path, dt, count, channels, stream="common"):
    """Increments over the first ``count`` steps; shape (count, channels)."""
    return np.array([path.increment(n * dt, (n + 1) * dt, channels, stream) for n in range(count)])


def assert_standard_normal(z):
    z = np.ravel(z)
    tail = stats.chi2.sf(np.sum(z**2), z.size)
    assert ALARM / 2 < tail < 1 - ALARM / 2, f"variance {np.mean(z**2)}"
    assert abs(np.sum(z)) / np.sqrt(z.size) < stats.norm.isf(ALARM / 2)
    assert stats.kstest(z, "norm").pvalue > ALARM


def assert_uncorrelated(a, b):
    """For independent standard normals Σ a b / √n is standard normal to O(1/n)."""
    a, b = np.ravel(a), np.ravel(b)
    assert abs(np.sum(a * b)) / np.sqrt(a.size) < stats.norm.isf(ALARM / 2)
    # Equal magnitudes with random signs are uncorrelated too: test the squares.
    assert abs(np.sum((a**2 - 1) * (b**2 - 1))) / (2 * np.sqrt(a.size)) < stats.norm.isf(ALARM / 2)


@pytest.mark.parametrize("dt", STEPS)
def test_increments_are_normal_with_variance_dt(dt):
    assert_standard_normal(cells(BrownianPath(11), dt, 60, 500) / np.sqrt(dt))


@pytest.mark.parametrize("dt", STEPS)
def test_steps_and_channels_are_independent(dt):
    z = cells(BrownianPath(12), dt, 64, 501) / np.sqrt(dt)
    for lag in (1, 2, 3, 4):
        assert_uncorrelated(z[:-lag], z[lag:])
        assert_uncorrelated(z[:, :-lag], z[:, lag:])


def test_seeds_members_streams_and_purposes_are_independent():
    path = BrownianPath(13, 5)
    draws = [path.increment(0.02, 0.03, 20000, stream) / 0.1 for stream in STREAMS]
    draws += [BrownianPath(13, 6).increment(0.02, 0.03, 20000) / 0.1]
    draws += [BrownianPath(5, 13).increment(0.02, 0.03, 20000) / 0.1]
    draws += [path.normals(0.02, 0.03, 20000), path.normals(0.02, 0.03, 20000, "common")]
    draws += [path.normals(0.02, 0.04, 20000), path.normals(0.02, 0.025, 20000)]
    draws += [path.initial_normals(20000), stats.norm.ppf(path.initial_uniforms(20000))]
    for i, a in enumerate(draws):
        assert_standard_normal(a)
        for b in draws[:i]:
            assert_uncorrelated(a, b)


def test_members_at_one_cell_and_channel_are_standard_normal():
    z = np.array([BrownianPath(14, member).increment(0.0, 0.01, 3) for member in range(4000)]) / 0.1
    assert_standard_normal(z)
    assert_uncorrelated(z[:-1], z[1:])
    assert_uncorrelated(z[:, 0], z[:, 1])


@pytest.mark.parametrize("dt", [0.32, 0.04, 0.02, 0.01, 0.005, 0.01 / 2**6, 0.01 / 2**31])
@pytest.mark.parametrize("stream", ["common", "tokens"])
def test_two_halves_add_up_to_their_parent_in_every_bit(dt, stream):
    path = BrownianPath(15, cell=0.01)
    for n in (0, 1, 2, 37):
        parent = path.increment(n * dt, (n + 1) * dt, 300, stream)
        left = path.increment(n * dt, (n + 0.5) * dt, 300, stream)
        right = path.increment((n + 0.5) * dt, (n + 1) * dt, 300, stream)
        np.testing.assert_array_equal(left + right, parent)


@pytest.mark.parametrize("cell", [1e-6, 0.01, 0.25, 1.0, 3.0, 1e4])
def test_halves_add_up_for_any_cell(cell):
    path = BrownianPath(16, cell=cell)
    fine = cells(path, cell / 8, 16, 2000)
    for _ in range(3):
        coarse = cells(path, 16 * cell / 8 / (fine.shape[0] // 2), fine.shape[0] // 2, 2000)
        fine = fine[0::2] + fine[1::2]
        np.testing.assert_array_equal(fine, coarse)
    assert_standard_normal(fine / np.sqrt(cell))


def test_three_grids_see_one_path():
    fine, middle, coarse = (
        cells(BrownianPath(1, 2), dt, count, 7) for dt, count in ((0.005, 40), (0.01, 20), (0.02, 10))
    )
    np.testing.assert_array_equal(fine[0::2] + fine[1::2], middle)
    np.testing.assert_array_equal(middle[0::2] + middle[1::2], coarse)


@pytest.mark.parametrize("dt", STEPS)
@pytest.mark.parametrize("stream", STREAMS)
def test_more_channels_only_append(dt, stream):
    for n in (0, 3):
        most = BrownianPath(17).increment(n * dt, (n + 1) * dt, 203, stream)
        for channels in (0, 1, 4, 5, 202):
            fewer = BrownianPath(17).increment(n * dt, (n + 1) * dt, channels, stream)
            np.testing.assert_array_equal(fewer, most[:channels])
        most = BrownianPath(17).normals(n * dt, (n + 1) * dt, 203, stream)
        np.testing.assert_array_equal(BrownianPath(17).normals(n * dt, (n + 1) * dt, 50, stream), most[:50])


def test_more_initial_draws_only_append():
    path = BrownianPath(17, cell=0.3)
    np.testing.assert_array_equal(path.initial_normals(5), BrownianPath(17).initial_normals(99)[:5])
    np.testing.assert_array_equal(path.initial_uniforms(5), BrownianPath(17).initial_uniforms(99)[:5])


def _queries():
    rng = np.random.default_rng(0)
    for _ in range(400):
        level, n = int(rng.integers(-2, 7)), int(rng.integers(0, 30))
        yield 0.01 * 2.0**-level, n, int(rng.integers(0, 40)), str(rng.choice(list(STREAMS)))


def test_the_order_of_calls_is_irrelevant():
    """The cache never shows, not even when a caller writes into an answer."""
    shared = BrownianPath(18)
    for dt, n, channels, stream in [*_queries(), *reversed(list(_queries()))]:
        answer = shared.increment(n * dt, (n + 1) * dt, channels, stream)
        fresh = BrownianPath(18).increment(n * dt, (n + 1) * dt, channels, stream)
        np.testing.assert_array_equal(answer, fresh)
        answer[:] = np.nan


@pytest.mark.parametrize(("limit", "value"), [("_CACHE_ENTRIES", 7), ("_CACHE_BYTES", 1000)])
def test_the_cache_is_bounded_and_its_size_does_not_matter(monkeypatch, limit, value):
    dt, expected = 0.01 / 16, cells(BrownianPath(22), 0.01 / 16, 100, 20)
    monkeypatch.setattr(path_module, limit, value)
    path = BrownianPath(22)
    np.testing.assert_array_equal(cells(path, dt, 100, 20), expected)
    kept = list(path._halves._entries.values())
    assert path._halves._bytes == sum(halves.nbytes for halves in kept)
    assert 0 < {"_CACHE_ENTRIES": len(kept), "_CACHE_BYTES": path._halves._bytes}[limit] <= value


def test_threads_see_the_same_path():
    shared, dt = BrownianPath(19), 0.01 / 16
    serial = cells(BrownianPath(19), dt, 300, 11)
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: cells(shared, dt, 300, 11), range(4)))
    for run in runs:
        np.testing.assert_array_equal(run, serial)


def test_sequential_steps_cost_at_most_two_draws(monkeypatch):
    draws = []
    original = _philox.normals
    monkeypatch.setattr(_philox, "normals", lambda at, count: draws.append(at) or original(at, count))
    cells(BrownianPath(20), 0.01 / 2**4, 160, 9)
    assert len(draws) == 160 and len(set(draws)) == 160


def test_time_is_recognised_through_rounding():
    path, dt = BrownianPath(21), 0.01
    for n in (3, 29, 57, 10**6 + 1, 10**9 + 7):
        exact = path.increment(n * dt, (n + 1) * dt, 3)
        rounded = path.increment(n * dt * (1 + 1e-15), (n + 1) * dt * (1 - 1e-15), 3)
        np.testing.assert_array_equal(rounded, exact)
    t = sum([dt] * 100)  # 1.0000000000000007
    np.testing.assert_array_equal(path.increment(t, t + dt, 3), path.increment(1.0, 1.01, 3))


def test_check_step_gives_the_level():
    path = BrownianPath(1, cell=0.01)
    steps = (0.01, 0.005, 0.02, 0.01 / 2**32, 0.01 * 2**20)
    assert [path.check_step(dt) for dt in steps] == [0, 1, -1, 32, -20]
    assert path.check_step(0.01 * (1 + 1e-10)) == 0
    assert BrownianPath(1, cell=1 / 3).check_step(1 / 6) == 1


@pytest.mark.parametrize(
    ("dt", "nearest"),
    [
        (0.015, "0.01 or 0.02"),
        (0.003, "0.0025 or 0.005"),
        (0.01 * (1 + 1e-8), "0.01 or 0.02"),
        (1e-30, "2.32830643654e-12"),
        (1e30, "10485.76"),
    ],
)
def test_a_foreign_step_is_refused_with_the_nearest_ones(dt, nearest):
    path = BrownianPath(1, cell=0.01)
    calls = ((path.check_step, (dt,)), (path.increment, (0.0, dt, 3)), (path.normals, (0.0, dt, 3)))
    for call, arguments in calls:
        with pytest.raises(InputError, match="path_cell=dt") as refused:
            call(*arguments)
        assert str(refused.value).startswith(f"dt = {dt!r}: ")
        assert f"take dt = {nearest}, or pass" in str(refused.value)


@pytest.mark.parametrize(
    ("t0", "t1", "argument"),
    [
        (0.005, 0.015, "t0"),
        (0.01, 0.03, "t0"),
        (1e8 + 0.005, 1e8 + 0.015, "t0"),
        (-0.01, 0.0, "t0"),
        (0.02, 0.01, "t1"),
        (0.01, 0.01, "t1"),
        (float("nan"), 0.01, "t0"),
        (0.0, float("inf"), "t1"),
        ("now", 0.01, "t0"),
    ],
)
def test_other_intervals_are_refused(t0, t1, argument):
    path = BrownianPath(1, cell=0.01)
    for call in (path.increment, path.normals):
        with pytest.raises(InputError) as refused:
            call(t0, t1, 3, "common")
        assert refused.value.argument == argument


def test_a_shifted_interval_names_the_nearest_start():
    with pytest.raises(InputError, match=r"start at a multiple of the step, 0\.02 is the nearest"):
        BrownianPath(1).increment(0.022, 0.032, 3)


def test_unknown_streams_and_bad_counts_are_refused():
    path = BrownianPath(1)
    with pytest.raises(InputError, match="did you mean 'common'"):
        path.increment(0.0, 0.01, 3, "comon")
    with pytest.raises(InputError, match="did you mean 'second'"):
        path.normals(0.0, 0.01, 3, "secnd")
    for count in (-1, 2.5, "three"):
        with pytest.raises(InputError, match="channels"):
            path.increment(0.0, 0.01, count)
        with pytest.raises(InputError, match="count"):
            path.initial_normals(count)


@pytest.mark.parametrize("word", [-1, 2**64, 1.0, "one", None])
@pytest.mark.parametrize("argument", ["seed", "member"])
def test_bad_seeds_and_members_are_refused(argument, word):
    with pytest.raises(InputError) as refused:
        BrownianPath(**{"seed": 1, argument: word})
    assert refused.value.argument == argument


@pytest.mark.parametrize("cell", [0, -0.01, float("nan"), float("inf"), "long"])
def test_bad_cells_are_refused(cell):
    with pytest.raises(InputError, match="cell"):
        BrownianPath(1, cell=cell)


def test_identity_is_seed_member_cell_and_term():
    path = BrownianPath(2**64 - 1, np.int64(3), 0.02)
    path.increment(0.0, 0.01, 3)
    assert path == BrownianPath(2**64 - 1, 3, 0.02) and hash(path) == hash(BrownianPath(2**64 - 1, 3, 0.02))
    assert path != BrownianPath(2**64 - 1, 4, 0.02)
    assert repr(path) == f"BrownianPath(seed={2**64 - 1}, member=3, cell=0.02, term=0)"
    for twin in (pickle.loads(pickle.dumps(path)), copy.deepcopy(path)):
        assert twin == path
        np.testing.assert_array_equal(twin.increment(0.01, 0.02, 9), path.increment(0.01, 0.02, 9))
    with pytest.raises(AttributeError):
        path.seed = 2
