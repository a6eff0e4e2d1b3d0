"""Timing by interleaved repeats, and the machine that it was done on."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from fpsolve.observe import versions
from fpsolve.sphere._shtns import BANNER


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Mean time of one call over ``repeats``."""
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats


def interleaved(
    works: Mapping[str, Callable[[], object]],
    repeats: int,
    rounds: int = 9,
    statistic: Callable[[list[float]], float] = median,
) -> dict[str, float]:
    """Time of each work over rounds in which all take turns.

    ``statistic`` of the rounds: their median, or ``min``, what the work costs undisturbed.
    """
    timed = {name: lambda work=work: seconds(work, repeats) for name, work in works.items()}  # type: ignore[misc]
    return {name: statistic(values) for name, values in in_turn(timed, rounds).items()}


def in_turn(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each work says in rounds in which all take turns, so that a busy machine hits all alike.

    A first call of each is not counted.
    """
    for work in works.values():
        work()
    told: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            told[name].append(work())
    return told


LINEAR = 1.25
"""A cost that is linear: that of one, among many of them or late, is at most so many times that among few or early."""

_AIM = re.compile(r"(<=|>=|<) ([\d.e+-]+)[^:]*: (.*)")


def aim(value: float, relation: str, bound: float) -> str:
    """What a row aims at and whether it is reached: ``<= 0.15: met`` or ``<= 0.15: NOT MET``.

    It judges the column that stands before it, and its own column is named ``aim`` or ``aim of …``.
    """
    reached = {"<=": value <= bound, ">=": value >= bound, "<": value < bound}[relation]
    return f"{relation} {bound:g}: {'met' if reached else 'NOT MET'}"


def unmeasured(relation: str, bound: float, why: str) -> str:
    """The aim of a row that could not be measured here."""
    return f"{relation} {bound:g}: not measured, {why}"


def bound_of(text: object) -> float | None:
    """The number in an aim, None where there is none."""
    found = _AIM.match(str(text))
    return float(found[2]) if found else None


def aims_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every aim of a benchmark's rows: which row, which column, what was measured, the aim."""
    found = []
    for row in rows:
        columns = list(row)
        names = [row[key] if isinstance(row[key], str) else f"{key} {row[key]}" for key in columns[:2]
                 if isinstance(row[key], str | int)]  # fmt: skip
        for before, column in pairwise(columns):
            if column.startswith("aim") and bound_of(row[column]) is not None:
                found.append({"row": ", ".join(names), "column": before, "measured": row[before], "aim": row[column]})
    return found


MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def python_on(ranks: int | None, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
    """The command for Python with these arguments on so many ranks, None for without MPI; options of ``mpiexec``."""
    launcher = [] if ranks is None else [MPIEXEC or "mpiexec", *options, "-n", str(ranks)]
    return [*launcher, sys.executable, *arguments]


def environment_of_ranks() -> dict[str, str]:
    """This one, with one thread a rank and root allowed, as in containers."""
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return {**os.environ, **allowed, "OMP_NUM_THREADS": "1"}


def machine() -> dict[str, str]:
    """Processor, cores, load and versions."""
    model = "unknown"
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.2f}",
        "system": platform.platform(),
        "shtns build": BANNER,
        **versions(),
    }
