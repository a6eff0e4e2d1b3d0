"""Timing by interleaved repeats, and the machine that it was done on."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from fpsolve.observe import versions
from fpsolve.sphere._shtns import BANNER


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Mean time of one call over ``repeats``."""
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats


def interleaved(
    works: dict[str, Callable[[], object]],
    repeats: int,
    rounds: int = 9,
    statistic: Callable[[list[float]], float] = median,
) -> dict[str, float]:
    """Time of each work over rounds in which all take turns, so that a busy machine hits all alike.

    ``statistic`` of the rounds: their median, or ``min``, what the work costs undisturbed.
    """
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work, repeats))
    return {name: statistic(values) for name, values in times.items()}


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
