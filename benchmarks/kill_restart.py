"""kill -9 of a rank or of the whole job at random moments, then the same command again until it is done.

``python -m benchmarks.kill_restart [--trials 20] [--ranks 2] [--seed 1]``: the final store of every trial is compared
with that of an undisturbed run, all arrays and attributes of members and statistics.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import environment_of_ranks, python_on

CONFIG = """
[model]
name = "IsotropicFlow"
spectrum = [0.0, 0.4, 0.1]
[initial]
name = "von_mises_fisher"
mean = [0.0, 0.6, 0.8]
kappa = 1.5
[solve]
t_end = 1.0
dt = 0.01
lmax = 15
save_every = 0.1
seed = 3
[sweep]
noise = [0.5, 1.0]
[ensemble]
members = 10
block = 2
"""

COMMAND = ("-m", "fpsolve", "ensemble", "run.toml", "-o", "out.zarr", "--no-progress")


def start(folder: Path, ranks: int) -> subprocess.Popen[str]:
    """The command in its own session."""
    command = python_on(ranks if ranks > 1 else None, *COMMAND, options=("--oversubscribe",))
    log = (folder / "log").open("a")
    return subprocess.Popen(
        command, cwd=folder, env=environment_of_ranks(), stdout=log, stderr=log, text=True, start_new_session=True
    )


def processes(root: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        parents.setdefault(parent, []).append(int(path.parent.name))
    found = [root]
    for pid in found:
        found += parents.get(pid, [])
    return found


def ranks_of(root: int) -> list[int]:
    """The processes of a job that compute."""
    return [pid for pid in processes(root) if b"fpsolve\0ensemble" in _command(pid) and b"mpiexec" not in _command(pid)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def kill(job: subprocess.Popen[str], whole: bool, draw: random.Random) -> bool:
    """SIGKILL to every process of the job, or to one rank; False if there was none any more."""
    targets = processes(job.pid) if whole else (ranks_of(job.pid) or [job.pid])
    if job.poll() is not None:
        return False
    for pid in targets if whole else [draw.choice(targets)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return True


def undisturbed(folder: Path, ranks: int) -> float:
    """Run to the end; the seconds that it took once its store was there."""
    job = start(folder, ranks)
    begun = wait_for_store(folder, job)
    if job.wait(timeout=300) != 0:
        raise RuntimeError((folder / "log").read_text())
    return time.monotonic() - begun


def wait_for_store(folder: Path, job: subprocess.Popen[str]) -> float:
    """The moment at which the job's lock is there, or the job has ended."""
    before = _changed(folder)
    while job.poll() is None and _changed(folder) == before:
        time.sleep(0.005)
    return time.monotonic()


def _changed(folder: Path) -> int:
    lock = folder / "out.zarr.work" / "lock"
    return lock.stat().st_mtime_ns if lock.exists() else 0


def trial(folder: Path, ranks: int, lasts: float, most: int, draw: random.Random) -> dict[str, object] | None:
    """Kill one to ``most`` times within the time that the job lasts, then let it end; what happened, as a row.

    None if every kill came too late.
    """
    (folder / "run.toml").write_text(CONFIG)
    told: list[str] = []
    for _ in range(draw.randint(1, most)):
        job, whole = start(folder, ranks), draw.random() < 0.5
        wait_for_store(folder, job)
        moment = draw.uniform(0, 0.9 * lasts)
        time.sleep(moment)
        if kill(job, whole, draw):
            told.append(f"{'job' if whole else 'rank'} at {moment:.2f} s")
        job.wait(timeout=60)
    if not told:
        return None
    kept = len(list((folder / "out.zarr.work" / "blocks").glob("*.record")))
    last = start(folder, ranks)
    status = last.wait(timeout=300)
    return {"killed": ", ".join(told), "blocks kept": kept, "last status": status}


def identical(one: Path, other: Path) -> bool:
    """Every array and attribute, of members and statistics."""
    import xarray as xr

    groups = (None, "statistics")
    return all(xr.open_zarr(one, group=group).identical(xr.open_zarr(other, group=group)) for group in groups)


def trials(count: int, ranks: int, seed: int, most: int = 3) -> Iterator[dict[str, object]]:
    """Rows of so many trials of up to ``most`` kills, each against an undisturbed run of one process."""
    draw = random.Random(seed)
    with TemporaryDirectory() as base:
        whole = Path(base) / "whole"
        whole.mkdir()
        (whole / "run.toml").write_text(CONFIG)
        undisturbed(whole, 1)
        timed = Path(base) / "timed"
        timed.mkdir()
        (timed / "run.toml").write_text(CONFIG)
        lasts = undisturbed(timed, ranks)
        for n in range(count):
            folder, row = Path(base) / str(n), None
            while row is None:
                folder.mkdir()
                row = trial(folder, ranks, lasts, most, draw)
                same = row and row["last status"] == 0 and identical(folder / "out.zarr", whole / "out.zarr")
                shutil.rmtree(folder)
                lasts *= 1 if row else 0.7  # the machine has become faster
            yield {"trial": n + 1, **row, "identical": same}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print("| trial | killed | blocks kept | last status | identical |\n| --- | --- | --- | --- | --- |")
    rows = []
    for row in trials(asked.trials, asked.ranks, asked.seed):
        rows.append(row)
        print("| " + " | ".join(map(str, row.values())) + " |", flush=True)
    same = sum(bool(row["identical"]) for row in rows)
    print(f"\n{same} of {len(rows)} final stores are those of an undisturbed run")
    sys.exit(same < len(rows))


if __name__ == "__main__":
    main()
