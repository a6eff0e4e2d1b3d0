"""Implicit transport: work against accuracy beside Chebyshev's exponential, the Krylov methods, the norm's drift.

A von Mises–Fisher density (κ = 4, lmax 63) under a field of degree 3; R = max|v| √(lmax (lmax + 1)) bounds h‖L‖. Work
is counted in applications of L, ``ms`` is the time of one transport. ``python -m benchmarks.implicit_transport`` also
prints the Krylov methods, for fields of degree 3 and 6, and 10⁴ steps of the norm.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

import fpsolve as fp
from benchmarks.common import seconds
from fpsolve.errors import FPSolveError
from fpsolve.measures.build import build
from fpsolve.sphere import grid
from fpsolve.sphere.harmonics import Coefficients, size
from fpsolve.transport.exponential import exponential, polynomial
from fpsolve.transport.implicit import RealForm
from fpsolve.transport.operators import spectral_bound

LAW = fp.initial.von_mises_fisher([0.6, 0.0, 0.8], 4.0)
KRYLOV = {
    "half_density": ("cg", "minres", "gmres"),
    "density": ("gmres", "gmres -ksp_gmres_restart 30", "bcgs", "bcgsl"),
}


class Counting:
    """An operator that counts its applications."""

    def __init__(self, inner: Any) -> None:
        self.count = 0
        kind = type(inner)
        counting = type(kind.__name__, (kind,), {"recur": self._recur(kind), "polynomial": polynomial})
        self.operator = object.__new__(counting)
        self.operator.__dict__ = inner.__dict__

    def _recur(self, kind: Any) -> Callable[..., float]:
        def recur(operator: Any, *arguments: Any) -> float:
            self.count += 1
            return float(kind.recur(operator, *arguments))

        return recur


def problem(measure: str, lmax: int, radius: float, degree: int = 3) -> tuple[Counting, Coefficients]:
    """An operator of a field of a degree with the bound ``radius``, and the coefficients that it moves."""
    rng = np.random.default_rng(5)
    modes = rng.standard_normal((2, size(degree))) + 1j * rng.standard_normal((2, size(degree)))
    modes[:, : degree + 1] = modes[:, : degree + 1].real
    v = fp.HarmonicField(*modes).on(grid(lmax))
    v *= radius / spectral_bound(v, lmax)
    start = build(LAW, measure, lmax, 1e-6)
    return Counting(start.generator(v)), start.coefficients  # type: ignore[attr-defined]


def flows() -> dict[str, Callable[..., Coefficients]]:
    """The ways of transport to compare."""
    from fpsolve.transport.petsc import petsc_transport

    return {"chebyshev": exponential, "petsc": petsc_transport, "petsc_gauss": partial(petsc_transport, stages=4)}


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: R, tolerance, way, applications, error reached, milliseconds."""
    if find_spec("petsc4py") is None:
        return [{"transport": "PETSc is not installed"}]
    radii, tolerances = ((20.0,), (1e-4,)) if quick else ((5.0, 40.0, 200.0), (1e-2, 1e-4, 1e-8))
    return [
        row
        for measure in ("half_density", "density")
        for radius in radii
        for rtol in tolerances
        for row in _rows(measure, radius, rtol)
    ]


def _rows(measure: str, radius: float, rtol: float) -> list[dict[str, object]]:
    counted, u = problem(measure, 63, radius)
    form = RealForm.of(counted.operator, u)
    exact = form.unknowns(exponential(counted.operator, u, radius, 1e-13))
    rows = []
    for name, flow in flows().items():
        counted.count = 0
        row: dict[str, object] = {"measure": measure, "R": radius, "rtol": rtol, "transport": name}
        try:
            moved = form.unknowns(flow(counted.operator, u, radius, rtol))
        except FPSolveError as error:
            rows.append(row | {"applications": type(error).__name__, "error": "", "ms": ""})
            continue
        row["applications"] = counted.count
        row["error"] = float(np.linalg.norm(moved - exact) / np.linalg.norm(exact))
        row["ms"] = 1e3 * seconds(partial(flow, counted.operator, u, radius, rtol), 1)
        rows.append(row)
    return rows


def krylov() -> list[dict[str, object]]:
    """Applications of L in one midpoint step of length hR by each Krylov method, residual 1e-7."""
    return [
        {"measure": measure, "lmax": lmax, "degree of the field": degree, "hR": radius}
        | {method: _applications(method, *problem(measure, lmax, radius, degree), radius) for method in methods}
        for measure, methods in KRYLOV.items()
        for lmax, degree in ((63, 3), (15, 6))
        for radius in (1.0, 10.0, 28.0, 100.0)
    ]


def _applications(method: str, counted: Counting, u: Coefficients, radius: float) -> int | str:
    """Those of one step, or why it failed."""
    from fpsolve.transport.petsc import petsc_transport

    options = f"-ksp_type {method} -ksp_max_it 2000"
    try:
        petsc_transport(counted.operator, u, radius, 1e-6, substeps=1, options=options)
    except FPSolveError as error:
        return str(error).split(":")[1].split()[0]
    return counted.count


def drift(steps: int = 10_000) -> dict[str, object]:
    """The norm over midpoint steps at hR = 28, ten times RK4's limit, rtol 1e-13, nothing renormalised."""
    from fpsolve.transport.petsc import petsc_transport

    counted, u = problem("half_density", 15, 28.0)
    form = RealForm.of(counted.operator, u)
    first, largest = np.linalg.norm(form.unknowns(u)), 0.0
    before = first
    for _ in range(steps):
        u = petsc_transport(counted.operator, u, 28.0, 1e-13, substeps=1)
        now = np.linalg.norm(form.unknowns(u))
        largest, before = max(largest, abs(now / before - 1)), now
    return {"steps": steps, "largest drift of a step": largest, "drift": abs(before / first - 1)}


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(run("--quick" in sys.argv)))
    for measure in KRYLOV:
        print("\n" + table([row for row in krylov() if row["measure"] == measure]))
    print("\n" + table([drift(500 if "--quick" in sys.argv else 10_000)]))
