"""Members · steps a second and core at small degree: against the version before compiled steps, and NumPy with SHTns.

The earlier version is built from its commit beside this one and runs in a process of its own, in turn with it; the loop
in NumPy and SHTns alone (``benchmarks/peers/numpy_steps.py``) is written as a good user of both would.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import fpsolve as fp
from benchmarks.common import aim, in_turn
from benchmarks.peers import numpy_steps, steps

BEFORE = "b966871"
"""The last commit before steps were compiled."""

NOISES = ("isotropic flow", "value noise, beta 4", "gaussian A, beta 4", "product A, beta 4")
AIMS = {
    ("gaussian A, beta 4", 15): 3.0, ("gaussian A, beta 4", 31): 3.0, ("gaussian A, beta 4", 63): 1.6,
    ("product A, beta 4", 15): 3.0, ("product A, beta 4", 31): 3.0, ("product A, beta 4", 63): 1.6,
    ("value noise, beta 4", 15): 2.0, ("value noise, beta 4", 31): 2.0,
}  # fmt: skip
"""How many times as many steps as before."""

ROOT = Path(__file__).resolve().parent.parent


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: noise, degree, steps a second, times those before (with its aim) and times those of the peer."""
    with tempfile.TemporaryDirectory() as folder:
        before = Before(Path(folder), BEFORE)
        return [
            _row(name, lmax, before, quick) for name in NOISES for lmax in ((15,) if quick else (15, 31, 63))
        ]


def _row(name: str, lmax: int, before: Before, quick: bool) -> dict[str, object]:
    count, rounds = (4, 2) if quick else (12, 25)  # few steps: at degree 15 no density stays resolved for many
    ours, theirs = steps.stepping(fp, name, lmax), numpy_steps.stepping(name, lmax)
    works: dict[str, Any] = {"now": lambda: ours(count), "before": lambda: before(name, lmax, count)}
    if theirs is not None:
        works["peer"] = lambda: theirs(count)  # type: ignore[operator]
    times = in_turn(works, rounds)
    least = {key: min(values) for key, values in times.items()}
    gain = median(b / n for b, n in zip(times["before"], times["now"], strict=True))
    row: dict[str, object] = {
        "noise": name, "lmax": lmax, "steps_a_second": 1 / least["now"], "step_ms": 1e3 * least["now"],
        "times_before": gain,
    }  # fmt: skip
    row["aim of before"] = aim(gain, ">=", AIMS[name, lmax]) if (name, lmax) in AIMS else ""
    if theirs is not None:
        row["times_numpy"] = least["peer"] / least["now"]
        row["aim of numpy"] = aim(least["peer"] / least["now"], ">=", 1.0)
    else:
        row["times_numpy"], row["aim of numpy"] = float("nan"), ""
    return row


class Before:
    """An earlier version, that of a commit, built into a folder and answering from a process of its own."""

    def __init__(self, folder: Path, commit: str) -> None:
        tree, package = folder / "tree", folder / "package"
        _quiet("git", "-C", ROOT, "worktree", "add", "--detach", tree, commit)
        try:
            pip = sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"
            _quiet(*pip, "--target", package, tree)
        finally:
            _quiet("git", "-C", ROOT, "worktree", "remove", "--force", tree)
        command = [sys.executable, "-m", "benchmarks.peers.steps", str(package)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        found = self._answer()
        if not Path(found).is_relative_to(package):
            raise RuntimeError(f"the version before was not found: {found}")

    def __call__(self, name: str, lmax: int, count: int, measure: str = "density") -> float:
        assert self._process.stdin is not None
        print(name, lmax, count, measure, sep="\t", file=self._process.stdin, flush=True)
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError("the version before ended")
        return line


def _quiet(*command: object) -> None:
    """Run a command. Raises RuntimeError with what it said."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")


if __name__ == "__main__":
    for row in run("--quick" in sys.argv):
        print(row)
