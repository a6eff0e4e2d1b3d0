"""What the ranks of ``cloud_ranks`` run: ``cloud_job TOKENS_A_RANK STEPS SCHEME``; rank 0 prints what all took.

Attention with β = 1, with ``lie_euler`` and isotropic noise too; dt = 0.04, to an rtol of 1e-4. A step is made before
the clock starts, so that tables are there. Processor time is that of the busiest rank, once with and once without what
passes within sums over ranks, where ranks wait for each other with open eyes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import fpsolve as fp
from benchmarks.ensemble_job import largest_memory
from fpsolve.ensembles.comm import Ranks, communicator
from fpsolve.spread.drawing import drawn_later
from fpsolve.spread.solving import prepared

MODELS = {
    "rk4": fp.models.SelfAttention(1.0),
    "lie_euler": fp.models.SelfAttention(1.0) + fp.models.IsotropicFlow([0.2, 4.0, 1.0], noise=0.1),
}
LAW = fp.initial.von_mises_fisher([1, 2, 2], 1.5)
HOW = {"dt": 0.04, "t_end": 1.0, "rtol": 1e-4, "measure": "cloud"}


class Waiting:
    """Seconds, of the processor and of the clock, within the sums of ranks."""

    def __init__(self, ranks: Ranks) -> None:
        self.processor = self.clock = 0.0
        for name in ("summed", "largest", "agree"):
            setattr(ranks, name, self._timed(getattr(ranks, name)))

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            processor, clock = time.process_time(), time.perf_counter()
            found = call(*arguments)
            self.processor += time.process_time() - processor
            self.clock += time.perf_counter() - clock
            return found

        return called


def main(each: int, steps: int, scheme: str) -> None:
    ranks, how, begun = communicator(), {**HOW, "scheme": scheme}, time.perf_counter()
    job = prepared(MODELS[scheme], drawn_later(LAW, each * ranks.size, 1), how, ranks)
    made, stepper, state = time.perf_counter() - begun, job.stepper, job.state
    del job
    state = stepper(state, 0)
    waiting = Waiting(ranks)
    ranks.barrier()
    started, worked = time.perf_counter(), time.process_time()
    for n in range(1, steps + 1):
        state = stepper(state, n)
    worked = time.process_time() - worked
    ranks.barrier()
    spent = time.perf_counter() - started
    found = ranks.gather((worked, worked - waiting.processor, waiting.clock, largest_memory()))
    if ranks.rank == 0:
        busiest = [max(one) for one in zip(*found, strict=True)]
        names = ("processor", "working", "summing", "megabytes")
        told = " ".join(f"{name} {value:.6f}" for name, value in zip(names, busiest, strict=True))
        print(f"seconds {spent:.6f} {told} making {made:.6f} mean {float(state.mean[0])!r}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
