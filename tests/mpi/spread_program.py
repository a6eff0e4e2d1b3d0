"""``fpsolve run`` with an error on rank 1 alone: ``spread_program.py CASE CONFIG OUTPUT``."""

import sys

from fpsolve.cli import main, spreading
from fpsolve.ensembles.comm import communicator
from fpsolve.errors import UnresolvedError
from fpsolve.spread.cloud import BlockFlow
from fpsolve.spread.store import PointStore

CASES = {
    "bug": (BlockFlow, "_frozen", KeyError("no such thing")),
    "own": (BlockFlow, "_frozen", UnresolvedError(0.0, "a rank lost its way", "try again")),
    "disk": (PointStore, "_array", OSError(28, "No space left on device")),
}


def run(case, config, output):
    owner, name, error = CASES[case]

    def failing(*arguments):
        raise error

    if communicator().rank == 1:
        setattr(owner, name, failing)
    spreading.PATIENCE = 2.0
    sys.argv = ["fpsolve", "run", config, "-o", output]
    main()


if __name__ == "__main__":
    run(*sys.argv[1:])
