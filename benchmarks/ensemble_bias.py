"""Means over members that all count to the end, and over those whose densities are resolved, against exact ones.

Noise of a frozen spectrum: E Σ_m|ρ_ℓm|² follows from the overlap, :func:`fpsolve.theory.isotropic_overlap`.
"""

from __future__ import annotations

import sys
from typing import Any

import fpsolve as fp
from fpsolve.ensembles import ensemble, statistics
from fpsolve.measures.build import build
from fpsolve.models import IsotropicFlow
from fpsolve.sphere.harmonics import power
from fpsolve.theory import isotropic_overlap

MEMBERS, TIMES, DT, LMAX = 512, (0.1, 0.2, 0.4), 0.05, 15

DEGREES = (1, 2, 3, 4)

LAW = fp.initial.von_mises_fisher([0, 0, 1], 2.0)


def kernel(t):  # type: ignore[no-untyped-def]
    """k(t) of the noise."""
    return 0.05 + 0.5 * t + 0.15 * t**3


def deviations(ds: Any) -> list[dict[str, Any]]:
    """At every time of ``TIMES`` how many members count, and by how many standard errors the mean powers are off."""
    overlap, start = isotropic_overlap(kernel, 3), power(build(LAW, "density", 31, 1e-6).coefficients)
    found, rows = statistics(ds), []
    for time in (t for t in TIMES if t <= float(ds.time[-1]) * (1 + 1e-9)):
        here = found.sel(time=time, method="nearest")
        count = int(here["count"])
        row: dict[str, Any] = {"t": time, "counted": f"{100 * count / ds.sizes['member']:.0f} %"}
        for ell in DEGREES:
            off = float(here.spectrum_mean[ell]) - overlap.expected_power(ell, start, time)
            row[f"l = {ell}"] = f"{off / float(here.spectrum_error[ell]):+.1f}" if count > 1 else "-"
        rows.append(row)
    return rows


def members(count: int, t_end: float, **options: Any) -> Any:
    """An ensemble of the noise, its densities of degree 15."""
    return ensemble(
        IsotropicFlow.from_kernel(kernel, 3), LAW, members=count, t_end=t_end, dt=DT, path_cell=DT, scheme="ninomiya",
        lmax=LMAX, rtol=1e-4, moments_lmax=max(DEGREES), seed=5, progress=False, **options,
    )  # fmt: skip


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: which members count, time, share of them, deviation of the mean power of each degree in standard errors."""
    count, t_end = (96, TIMES[0]) if quick else (MEMBERS, TIMES[-1])
    told = {"density, while resolved": {"measure": "density"}, "auto, to the end": {}}
    rows = {name: deviations(members(count, t_end, **options)) for name, options in told.items()}
    return [{"members": name, **row} for name, found in rows.items() for row in found]


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(run("--quick" in sys.argv)))
