"""``fpsolve info``: what is installed, how it was built, and whether the transforms are right."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fpsolve.cli.selftest import transform_tests
from fpsolve.sphere._shtns import shtns

_PACKAGES = (
    "fpsolve numpy scipy xarray netCDF4 zarr shtns ducc0 pydantic typer matplotlib threadpoolctl mpi4py petsc4py"
).split()

_LEVELS = {"avx512f": "avx512", "avx2": "avx2", "avx": "avx", "pni": "sse3", "sse2": "sse2", "asimd": "neon"}
"""Flags of /proc/cpuinfo, the widest first, by SHTns's names."""


def collect() -> dict[str, Any]:
    """Versions, machine, SHTns's build and SIMD level, threads and self-tests, as plain JSON values."""
    build = shtns.build_info()

    return {
        "versions": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "cpus_allowed": len(os.sched_getaffinity(0)),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "shtns": {"build": build, "simd": simd_level(build), "simd_here": processor_level(), "threads_per_plan": 1},
        "tests": transform_tests(),
    }


def simd_level(build: str) -> str | None:
    """The instruction set in SHTns's build line: ``avx512`` in ``… id: avx512,ishioka,openmp``; None if it
    names none."""
    found = re.search(r"\bid:\s*([\w.+-]+)", build)
    return found.group(1) if found else None


def processor_level(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """The widest instruction set of this processor, by SHTns's names; None where the system does not tell."""
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    flags = set(found.group(1).split()) if found else set()
    return next((level for flag, level in _LEVELS.items() if flag in flags), None)


def as_text(report: dict[str, Any]) -> str:
    """The report for people."""
    simd = report["shtns"]
    facts = {
        **report["versions"],
        "Python": report["python"],
        "platform": report["platform"],
        "CPUs": f"{report['cpus']}, {report['cpus_allowed']} for this process",
        "OMP_NUM_THREADS": report["omp_num_threads"] or "not set",
        "SHTns build": report["shtns"]["build"],
        "SIMD level": f"{simd['simd'] or 'not stated'} in SHTns, {simd['simd_here'] or 'not stated'} by this processor",
    }
    lines = [f"{name:<17}{value or 'not installed'}" for name, value in facts.items()]
    lines += ["", "Transforms, degree 63:"]
    lines += map(test_line, report["tests"])
    return "\n".join(lines)


def test_line(test: dict[str, Any]) -> str:
    """A test's record for people."""
    verdict = test.get("problem", f"error {test['error']:.1e} (allowed {test['tolerance']:.0e})")
    return f"  {'pass' if test['passed'] else 'FAIL'}  {test['name']}: {verdict}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
