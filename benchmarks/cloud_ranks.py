"""One cloud over ranks: weak scaling from one rank to two, and with ``--large`` 10⁸ tokens on two ranks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from statistics import median

from benchmarks.common import MPIEXEC, aim, environment_of_ranks, python_on

EACH, STEPS = 500_000, 3
"""Tokens of a rank and timed steps."""

LARGE = 100_000_000


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: what, setting, value, unit, aim, load of the machine while it was measured."""
    if MPIEXEC is None:
        return []
    each, rounds = (100_000, 2) if quick else (EACH, 5)
    jobs = [(_job(1, each), _job(2, each)) for _ in range(rounds)]

    def ratio(name: str) -> float:
        return 100 * median(one[name] / two[name] for one, two in jobs)

    told = f"{each} tokens a rank, {median(one['seconds'] for one, _ in jobs) / STEPS:.2f} s a step on one"
    return [
        _row("weak scaling, 1 to 2 ranks", told, ratio("seconds"), "%", ratio("seconds")),
        _row("the same, processor time of the busiest rank without waiting", told, ratio("working"), "%",
             ratio("working")),
    ]  # fmt: skip


def large() -> list[dict[str, object]]:
    """10⁸ tokens on two ranks, two steps after the first."""
    found = _job(2, LARGE // 2, 2, "lie_euler")
    told = f"{LARGE} tokens on 2 ranks, attention and isotropic noise, lie_euler"
    return [
        _row("drawing", told, found["making"], "s"),
        _row("a step", told, found["seconds"] / 2, "s"),
        _row("processor time of the busiest rank in a step", told, found["working"] / 2, "s"),
        _row("memory of a rank", told, found["megabytes"], "MB"),
    ]


def _row(what: str, setting: str, value: float, unit: str, judged: float | None = None) -> dict[str, object]:
    goal = "" if judged is None else aim(judged, ">=", 95)
    return {"what": what, "setting": setting, "value": value, "aim": goal, "unit": unit,
            "load": f"{os.getloadavg()[0]:.2f}"}  # fmt: skip


def _job(ranks: int, each: int, steps: int = STEPS, scheme: str = "rk4") -> dict[str, float]:
    """What a job of ``cloud_job`` prints."""
    command = python_on(ranks, "-m", "benchmarks.cloud_job", str(each), str(steps), scheme)
    done = subprocess.run(command, env=environment_of_ranks(), check=True, capture_output=True, text=True)
    found = dict(re.findall(r"(\w+) (-?[\d.e-]+)", done.stdout))
    assert "seconds" in found, done.stdout + done.stderr
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(large() if "--large" in sys.argv else run("--quick" in sys.argv)))
