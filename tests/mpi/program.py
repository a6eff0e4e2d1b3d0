"""What the ranks of these tests run: ``program.py CASE STORE``."""

import sys

from fpsolve.ensembles import ensemble
from fpsolve.ensembles.comm import communicator
from fpsolve.errors import InputError, Interrupted
from tests.ensembles.conftest import LAW, MODEL, RUN, Fragile

SWEEP = {"noise": [0.1, 0.3]}


class After:
    """Says stop on one rank, from its n-th asking on."""

    def __init__(self, rank: int, n: int) -> None:
        self.here, self.left = communicator().rank == rank, n

    def __call__(self) -> bool:
        self.left -= 1
        return self.here and self.left < 0


def main(case: str, path: str) -> int:
    fragile = Fragile(MODEL.spectrum, MODEL.noise, bad=2, how="bug" if case == "raises" else "unresolved")
    arguments = {"members": 4, "sweep": SWEEP, "output": path, "progress": True, **RUN, "measure": "density"}
    more = {
        "static": {"schedule": "static"},
        "refused": {"dt": 0.3},
        "stopped": {"stop": After(1, 2), "block": 4, "schedule": "static"},
    }
    try:
        ensemble(fragile, LAW, **(arguments | more.get(case, {})))
    except Interrupted:
        return 75
    except InputError as error:
        print(f"rank {communicator().rank}: {error}", flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
