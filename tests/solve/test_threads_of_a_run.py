"""Threads of one large run: the same bits for every number, and none without being asked."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.sphere import grid
from fpsolve.sphere._shtns import BANNER
from fpsolve.sphere.blocks import in_blocks
from fpsolve.sphere.grid import THREADS_FROM
from fpsolve.threads import allowed, using

START = fp.initial.von_mises_fisher([0.0, 0.6, 0.8], 3.0)
FEW = {"t_end": 0.02, "dt": 0.01, "seed": 1}


def bits(ds):
    return b"".join(ds[name].values.tobytes() for name in sorted(ds.data_vars))


@pytest.mark.parametrize("measure", ["density", "half_density"])
def test_transforms_have_the_same_bits(measure):
    model = fp.models.Homogenized(beta=2.0)
    found = {threads: fp.solve(model, START, **FEW, measure=measure, lmax=THREADS_FROM, threads=threads)
             for threads in (None, 1, 2, 3)}  # fmt: skip
    assert len({bits(ds) for ds in found.values()}) == 1
    assert "openmp" in BANNER  # otherwise nothing has been shown


def test_points_have_the_same_bits():
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.45 * t, 4)
    tokens = fp.initial.samples(START, 150_000, seed=2)
    found = [fp.solve(flow, tokens, **FEW, measure="cloud", save_every=0.02, threads=n) for n in (1, 2)]
    assert bits(found[0]) == bits(found[1])


def test_a_run_has_the_threads_that_it_asked_for(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert allowed() == 1 and grid(THREADS_FROM) is grid(THREADS_FROM)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert allowed() == 3
    with using(2):
        assert allowed() == 2
        assert grid(THREADS_FROM) is not grid(63) and grid(THREADS_FROM)._threads == 2 and grid(63)._threads == 1
        assert in_blocks(lambda part: part.start, 10, 3) == [0, 3, 6, 9]
        with using(None):
            assert allowed() == 2
    assert allowed() == 3 and grid(THREADS_FROM)._threads == 1


@pytest.mark.parametrize("threads", [0, -1, 2.5, True, 10**6, "two"])
def test_numbers_that_are_none(threads):
    with pytest.raises(InputError, match="threads"):
        fp.solve(fp.models.SelfAttention(1.0), START, **FEW, threads=threads)


def test_no_thread_leaves_a_trace_in_the_result():
    ds = fp.solve(fp.models.SelfAttention(1.0), START, t_end=0.1, dt=0.1, threads=2)
    assert "threads" not in ds.attrs["fpsolve_config"]
    assert np.array_equal(ds.moments, fp.solve(fp.models.SelfAttention(1.0), START, t_end=0.1, dt=0.1).moments)
