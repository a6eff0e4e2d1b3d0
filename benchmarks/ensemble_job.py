"""What the ranks of ``ensemble_scaling`` run: ``ensemble_job MEMBERS_A_RANK LMAX STEPS``; rank 0 prints seconds.

Every rank computes one member before the clock starts, so that plans and tables are there, as in a long job.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import fpsolve as fp
from fpsolve.ensembles import ensemble
from fpsolve.ensembles.comm import Serial, communicator

MODEL = fp.models.IsotropicFlow([0.2, 4 * np.pi / 3, 1.0], noise=0.1)
LAW = fp.initial.von_mises_fisher([1, 2, 2], 1.5)


def arguments(lmax: int, steps: int) -> dict[str, object]:
    """A run of so many steps that saves eleven states."""
    return {"t_end": steps * 0.01, "dt": 0.01, "lmax": lmax, "measure": "density", "save_every": steps * 0.001}


def largest_memory() -> float:
    """The most that this process has had in memory, in megabytes; getrusage would count what its parent had (Linux)."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def main(each: int, lmax: int, steps: int) -> None:
    ranks, run = communicator(), arguments(lmax, steps)
    ensemble(MODEL, LAW, members=1, comm=Serial(), progress=False, **run)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(str(ranks.share(folder))) / "job.zarr"
        ranks.barrier()
        started = time.perf_counter()
        ensemble(MODEL, LAW, members=each * ranks.size, output=path, progress=False, **run)  # type: ignore[arg-type]
        ranks.barrier()
        spent = time.perf_counter() - started
    if ranks.rank == 0:
        print(f"seconds {spent:.6f} megabytes {largest_memory():.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
