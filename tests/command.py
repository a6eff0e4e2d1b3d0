"""Programs in processes of their own: Python, and through it the command line, alone or on the ranks of an MPI job."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FPSOLVE = ("-m", "fpsolve")
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")

RANKS = {
    **{f"{name}_ALLOW_RUN_AS_ROOT{end}": "1" for name in ("OMPI", "PRTE") for end in ("", "_CONFIRM")},
    "OMPI_MCA_mpi_yield_when_idle": "1",  # ranks that wait leave the cores to those that work
}


def environment(threads: int = 1) -> dict[str, str]:
    """This one, with so many threads and standard output buffered as usual."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**kept, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}


def python(*arguments: str, threads: int = 1, timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
    """Python with these arguments, to its end; options of ``subprocess.run``."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=environment(threads), capture_output=True, text=True, timeout=timeout, check=False, **options
    )


def said(*arguments: str, **options: Any) -> str:
    """What Python prints with these arguments; it has to succeed."""
    done = python(*arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def started(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Python with these arguments, under way; options of ``subprocess.Popen``."""
    command, pipe = [sys.executable, *arguments], subprocess.PIPE
    return subprocess.Popen(command, env=environment(), stdout=pipe, stderr=pipe, text=True, **options)


def ranks_of(count: int, *arguments: str, timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
    """Python with these arguments on so many ranks, to their end; the checkout is importable."""
    oversubscribed = () if "mpich" in str(MPIEXEC) else ("--oversubscribe",)
    command = [str(MPIEXEC), *oversubscribed, "-n", str(count), sys.executable, *arguments]
    places = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    settings = {**environment(), **RANKS, "PYTHONPATH": places}
    return subprocess.run(
        command, env=settings, capture_output=True, text=True, timeout=timeout, check=False, **options
    )
