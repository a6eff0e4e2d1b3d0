"""Any number of threads gives the bits of a loop: no work array is shared, not even through a cache."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import fpsolve as fp
from fpsolve.measures.build import build
from fpsolve.sphere import grid
from fpsolve.sphere.harmonics import size
from fpsolve.threads import one_blas_thread


@pytest.fixture(autouse=True)
def _hasty():
    """Threads change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(work, tasks, threads=4):
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, tasks))


@pytest.mark.parametrize("lmax", [31, 127])
def test_one_grid_transforms_for_many_threads(lmax):
    """Both layouts: from degree 127 on analysis eats its input, which must then be a thread's own copy."""
    sphere, draw = grid(lmax), np.random.default_rng(3)
    waves = [draw.normal(size=(2, size(lmax), 2)).view(complex)[..., 0] for _ in range(8)]
    for pair in waves:
        pair[:, : lmax + 1].imag = 0
        pair[:, 0] = 0

    def round_trip(pair):
        field, tangent = sphere.to_grid(pair[0]), sphere.tangent(*pair)
        kept = field.copy(), tangent.copy()
        found = sphere.to_modes(field), *sphere.tangent_modes(tangent)
        assert np.array_equal(field, kept[0]) and np.array_equal(tangent, kept[1])
        return found

    loop = [round_trip(pair) for pair in waves]
    for pair, (scalar, spheroidal, toroidal) in zip(waves, loop, strict=True):
        assert np.allclose([scalar, spheroidal, toroidal], [pair[0], *pair], atol=1e-11)
    for n, values in enumerate(in_threads(lambda n: round_trip(waves[n % 8]), range(48))):
        assert all(np.array_equal(one, other) for one, other in zip(values, loop[n % 8], strict=True))


@pytest.mark.parametrize("measure", ["density", "half_density", "cloud"])
def test_members_in_threads_have_the_bits_of_a_loop(measure):
    model = fp.models.Homogenized(beta=2, key_query="gaussian")
    start = fp.initial.von_mises_fisher([0.2, -0.5, 1], 2.0)

    def member(k):
        return fp.solve(model, start, t_end=0.02, dt=0.01, lmax=31, member=k, measure=measure, progress=False)

    loop, threads = [member(k) for k in range(6)], in_threads(member, range(6))
    assert all(one.identical(other) for one, other in zip(loop, threads, strict=True))


def test_a_limit_on_linear_algebra_holds_until_the_last_who_asked():
    """threadpoolctl alone would give the libraries back when the first one ends."""

    def threads():
        return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    with threadpool_limits(2, "blas"):
        if threads() != {2}:
            pytest.skip("this linear algebra has one thread")
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert threads() == {1}
        second.__exit__(None, None, None)
        assert threads() == {2}


@pytest.mark.parametrize("measure", ["density", "half_density", "log_density", "cloud"])
def test_what_was_asked_of_a_measure_before_changes_no_bit(measure):
    """Else an observer of a saved state, or another thread, would change the steps after it."""
    start = build(fp.initial.von_mises_fisher([0.2, -0.5, 1], 2.0), measure, 31, 1e-6)
    model = fp.models.Homogenized(beta=2.0, key_query="gaussian", noise_lmax=8)
    increment = fp.BrownianPath(1).increment(0.0, 0.01, model.channels(3))
    fresh, asked = (start.transport(model.noise_field(start.source, increment)) for _ in range(2))
    for degree in (96, 60, 40, 1):
        asked.source.moments(degree)
    asked.source.F_sphere(20.0, grid(63))
    for degree in (5, 24, 31, 60):
        assert np.array_equal(fresh.source.moments(degree), asked.source.moments(degree))
    pairs = zip(fresh.source.F_sphere(2.0, grid(31)), asked.source.F_sphere(2.0, grid(31)), strict=True)
    assert all(np.array_equal(*pair) for pair in pairs)
    assert np.array_equal(model.spectrum(fresh.source), model.spectrum(asked.source))
