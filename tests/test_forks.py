"""Processes that are forked after the package has computed go on computing, with the same bits."""

import pytest

from tests.command import python

PROGRAM = """
import multiprocessing, numpy as np
import fpsolve as fp
from fpsolve._kernels.softmax import softmax_attention

LAW = fp.initial.von_mises_fisher([0, 0.6, 0.8], 2.0)
TOKENS = fp.initial.samples(LAW, 600, 1)

def work(kind):
    if kind == "kernel":
        return softmax_attention(3 * TOKENS.x, TOKENS.x, TOKENS.weights)[1]
    model = fp.models.Homogenized(2.0, "gaussian" if kind == "density" else "identity")
    start, measure = (TOKENS, "cloud") if kind == "tokens" else (LAW, kind)
    degree = {} if start is TOKENS else {"lmax": 31}
    return fp.solve(model, start, t_end=0.02, dt=0.01, **degree, measure=measure, progress=False).mean_vector.values

KINDS = ["kernel", "tokens", "density", "cloud"]
first = [work(kind) for kind in KINDS]
with multiprocessing.get_context("fork").Pool(2) as pool:
    again = pool.map_async(work, KINDS).get(timeout=60)
print(all(np.array_equal(one, other) for one, other in zip(first, again)))
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_fork_after_a_first_solve_computes(threads):
    """With two threads OpenMP had begun its own, for which a child would wait."""
    done = python("-c", PROGRAM, threads=threads, timeout=200)
    assert done.stdout == "True\n", done.stderr[-2000:]
