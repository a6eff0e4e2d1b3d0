"""Ensembles: weak scaling from one rank to two, the layer's cost over bare ``solve``, throughput, memory of a rank."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import fpsolve as fp
from benchmarks.common import MPIEXEC, environment_of_ranks, interleaved, python_on
from benchmarks.ensemble_job import LAW, MODEL, arguments
from fpsolve.ensembles import ensemble


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: what, setting, value, unit, load of the machine while it was measured."""
    rows = _overhead(quick)
    rows += [_throughput(lmax, quick) for lmax in (15, 31, 63)]
    rows += [_memory(members) for members in ((16, 64) if quick else (16, 256, 1024))]
    return rows + _weak_scaling(quick)


def _row(what: str, setting: str, value: float, unit: str) -> dict[str, object]:
    return {"what": what, "setting": setting, "value": value, "unit": unit, "load": f"{os.getloadavg()[0]:.2f}"}


def _overhead(quick: bool) -> list[dict[str, object]]:
    """Members by ``solve`` in a loop and by ensembles of two sizes, whose difference is a member's cost, in turn.

    Members of 0.3 s and more in blocks of eight, the default from 32 members a rank on. The rest is what a job costs
    once, template and statistics, so that the last row holds for a job of 64 members, about 20 s on one core.
    """
    few, many, whole, how = 8, 16 if quick else 24, 64, arguments(63, 100 if quick else 400)

    def bare() -> None:
        for member in range(many - few):
            fp.solve(MODEL, LAW, member=member, progress=False, **how)  # type: ignore[arg-type]

    def stored(members: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.zarr"
            ensemble(MODEL, LAW, members=members, block=8, output=path, progress=False, **how)  # type: ignore[arg-type]

    works = {"bare": bare, "few": lambda: stored(few), "many": lambda: stored(many)}
    times = interleaved(works, 1, 3 if quick else 7)
    alone, one = times["bare"] / (many - few), (times["many"] - times["few"]) / (many - few)
    once = times["few"] - few * one
    told, over = f"members of {alone:.2f} s, lmax 63, blocks of eight", 100 * ((one + once / whole) / alone - 1)
    return [
        _row("overhead of a member over solve", told, 100 * (one / alone - 1), "%"),
        _row("store and statistics of a job", "once, whatever its members", once, "s"),
        _row("overhead of a job over solve", f"{whole} of these members", over, "%"),
    ]


def _throughput(lmax: int, quick: bool) -> dict[str, object]:
    members, steps = (2, 50) if quick else (4, 200)
    how = arguments(lmax, steps)

    def work() -> None:
        ensemble(MODEL, LAW, members=members, progress=False, **how)  # type: ignore[arg-type]

    spent = interleaved({"work": work}, 1, 3 if quick else 5)["work"]
    return _row("throughput", f"lmax {lmax}, rtol 1e-6", members * steps / spent, "members*steps/s/core")


def _memory(members: int) -> dict[str, object]:
    """Largest resident memory of a process with so many members of two steps."""
    return _row("memory of a rank", f"{members} members, lmax 15", _job(None, members, 15, 10)[1], "MB")


def _weak_scaling(quick: bool) -> list[dict[str, object]]:
    """One rank and two with as many members each, in turn; the median of the ratios of neighbours."""
    if MPIEXEC is None:
        return []
    each, steps = (4, 100) if quick else (8, 400)
    times = [(_job(1, each, 63, steps)[0], _job(2, each, 63, steps)[0]) for _ in range(2 if quick else 7)]
    ratio = median(one / two for one, two in times)
    told = f"{each} members a rank, {median(one for one, _ in times):.2f} s on one"
    return [_row("weak scaling, 1 to 2 ranks", told, 100 * ratio, "%")]


def _job(ranks: int | None, *numbers: int) -> tuple[float, float]:
    """(seconds, megabytes) of a job of ``ensemble_job``; without MPI for None."""
    command = python_on(ranks, "-m", "benchmarks.ensemble_job", *map(str, numbers))
    done = subprocess.run(command, env=environment_of_ranks(), check=True, capture_output=True, text=True)
    found = re.search(r"seconds ([\d.]+) megabytes ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    return float(found[1]), float(found[2])


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(_weak_scaling(False) if "--weak" in sys.argv else run("--quick" in sys.argv)))
