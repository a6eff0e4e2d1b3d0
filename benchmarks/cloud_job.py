"""What the ranks of ``cloud_ranks`` run: ``cloud_job TOKENS_A_RANK STEPS MODEL``; rank 0 prints what all took.

A step is made before the clock starts, so that tables are there, unless there is to be but one.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import fpsolve as fp
from benchmarks.ensemble_job import largest_memory
from fpsolve.ensembles.comm import communicator
from fpsolve.spread.drawing import drawn_later
from fpsolve.spread.solving import prepared

MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "attention": (fp.models.SelfAttention(1.0), {"dt": 0.1, "t_end": 10.0}),
    "noise": (fp.models.IsotropicFlow([0.2, 4.0, 1.0], noise=0.1), {"dt": 0.01, "t_end": 1.0, "rtol": 1e-4}),
}


def main(each: int, steps: int, name: str) -> None:
    ranks = communicator()
    model, how = MODELS[name]
    tokens = drawn_later(fp.initial.von_mises_fisher([1, 2, 2], 1.5), each * ranks.size, 1)
    job = prepared(model, tokens, {**how, "measure": "cloud"}, ranks)
    state = job.state if steps == 1 else job.stepper(job.state, 0)
    ranks.barrier()
    started, worked = time.perf_counter(), time.process_time()
    for n in range(steps):
        state = job.stepper(state, n)
    worked = time.process_time() - worked
    ranks.barrier()
    spent = time.perf_counter() - started
    found = ranks.gather((worked, largest_memory()))
    if ranks.rank == 0:
        busiest, memory = (max(one) for one in zip(*found, strict=True))
        print(f"seconds {spent:.6f} processor {busiest:.6f} megabytes {memory:.1f} mean {state.mean[0]!r}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
