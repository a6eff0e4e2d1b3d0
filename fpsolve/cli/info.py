"""``fpsolve info``: what is installed, how it was built, and whether the transforms are right."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_PACKAGES = (
    "fpsolve numpy scipy xarray netCDF4 zarr shtns ducc0 pydantic typer matplotlib threadpoolctl"
).split()


def collect() -> dict[str, Any]:
    """Versions, machine, SHTns's build and SIMD level, threads and self-tests, as plain JSON values."""
    from fpsolve.cli.selftest import transform_tests
    from fpsolve.sphere._shtns import shtns

    build = shtns.build_info()

    return {
        "versions": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "shtns": {"build": build, "simd": simd_level(build), "threads_per_plan": 1},
        "tests": transform_tests(),
    }


def simd_level(build: str) -> str | None:
    """The instruction set in SHTns's build line: ``avx512`` in ``… id: avx512,ishioka,openmp``; None if it
    names none."""
    found = re.search(r"\bid:\s*([\w.+-]+)", build)
    return found.group(1) if found else None


def as_text(report: dict[str, Any]) -> str:
    """The report for people."""
    facts = {
        **report["versions"],
        "Python": report["python"],
        "platform": report["platform"],
        "CPUs": report["cpus"],
        "OMP_NUM_THREADS": report["omp_num_threads"] or "not set",
        "SHTns build": report["shtns"]["build"],
        "SIMD level": report["shtns"]["simd"] or "not stated",
    }
    lines = [f"{name:<17}{value or 'not installed'}" for name, value in facts.items()]
    lines += ["", "Transforms, degree 63:"]
    for test in report["tests"]:
        verdict = "pass" if test["passed"] else "FAIL"
        lines.append(
            f"  {verdict}  {test['name']}: error {test['error']:.1e} (allowed {test['tolerance']:.0e})"
        )
    return "\n".join(lines)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
