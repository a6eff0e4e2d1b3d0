"""Implicit transport by PETSc: shell matrices and a Krylov solver, nothing assembled.

The solver: conjugate gradients for the half density, on (1 - αz + βz²)(1 + αz + βz²), z = hL skew, which is symmetric
and at least one, with condition number 1 + h²R²/4 for the midpoint rule. They need three vectors, spend on each pair of
powers of L what GMRES spends, and keep the norm whatever the tolerance (:mod:`fpsolve.transport.implicit`). The
density's L is not skew where div v ≠ 0: GMRES, restarted at 200, since it stagnates with a shorter memory where L is
far from normal. No preconditioner: a skew L has no diagonal, its spectrum fills a segment of the imaginary axis evenly,
and the shift bounds the condition number. ``-ksp_type`` and ``-ksp_gmres_restart`` replace either.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fpsolve.errors import DivergedError
from fpsolve.petsc.library import destroyed, petsc, private_options, reason_name
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.exponential import Generator
from fpsolve.transport.implicit import RESTART, Apply, Solution, transported

REMEDY = 'raise -ksp_max_it, take a smaller dt, or use transport="chebyshev"'

GMRES_REMEDY = f"raise -ksp_gmres_restart (default {RESTART}) or {REMEDY.removeprefix('raise ')}"


class Shell:
    """The context of a shell matrix: PETSc's vectors in, PETSc's vectors out."""

    def __init__(self) -> None:
        self.apply: Apply = np.copy

    def mult(self, matrix: Any, x: Any, y: Any) -> None:
        """y = A x, as PETSc asks for it."""
        y.setArray(self.apply(np.array(x.getArray(readonly=True))))


class KrylovSolver:
    """A KSP with its shell matrix and vectors, for systems of one size and kind."""

    def __init__(self, size: int, symmetric: bool, prefix: str) -> None:
        library = petsc()
        self._shell, own = Shell(), library.COMM_SELF
        self._matrix = library.Mat().createPython((size, size), self._shell, comm=own)
        self._matrix.setUp()
        if symmetric:
            self._matrix.setOption(library.Mat.Option.SPD, True)
        self._b, self._x = self._matrix.createVecs()
        self.ksp = library.KSP().create(comm=own)
        self.ksp.setOptionsPrefix(prefix)
        self.ksp.setOperators(self._matrix)
        self.ksp.setType("cg" if symmetric else "gmres")
        self.ksp.setGMRESRestart(RESTART)
        self.ksp.getPC().setType("none")
        self._configured: float | None = None
        self._remedy = REMEDY if symmetric else GMRES_REMEDY

    def solve(self, apply: Apply, b: Real, rtol: float) -> Solution:
        """y with ‖b - A y‖ <= rtol ‖b‖ as far as KSP knows. Raises DivergedError with the true residual."""
        if rtol != self._configured:
            self.ksp.setTolerances(rtol=rtol, atol=0.0)
            self.ksp.setFromOptions()
            self._configured = rtol
        self._shell.apply = apply
        self._b.setArray(b)
        self.ksp.solve(self._b, self._x)
        y, reason = np.array(self._x.getArray(readonly=True)), self.ksp.getConvergedReason()
        name = reason_name(petsc().KSP, reason)
        if reason <= 0:
            residual = float(np.linalg.norm(b - apply(y)) / np.linalg.norm(b))
            raise DivergedError("PETSc KSP", name, residual, self._remedy)
        return Solution(y, "PETSc KSP", name)

    def destroy(self) -> None:
        """Free PETSc's memory now."""
        destroyed(self.ksp, self._matrix, self._b, self._x)


def petsc_transport(
    operator: Generator,
    u: Coefficients,
    radius: float,
    rtol: float,
    *,
    stages: int = 1,
    options: str | None = None,
    substeps: int | None = None,
) -> Coefficients:
    """exp(L) u to ``rtol`` by the implicit midpoint rule, or the Gauss method of ``stages`` stages.

    ``options``: PETSc's, for this transport alone. ``substeps``: their number, otherwise from ``rtol``. Raises
    DivergedError with KSP's reason or where the true residual is above the tolerance, UnresolvedError when the
    sub-steps are too many, InputError for options that are not used or that PETSc refuses.
    """
    if radius == 0:
        return u.copy()
    solvers: list[KrylovSolver] = []

    def solve(matrix: Apply, b: Real, tolerance: float, symmetric: bool) -> Solution:
        if not solvers:
            solvers.append(KrylovSolver(len(b), symmetric, prefix))
        return solvers[0].solve(matrix, b, tolerance)

    with private_options(options) as prefix:
        try:
            return transported(operator, u, radius, rtol, solve, stages=stages, substeps=substeps)
        finally:
            for solver in solvers:
                solver.destroy()
