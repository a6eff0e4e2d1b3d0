"""Newton–Krylov by PETSc's SNES: the exact Jacobian's action in a shell matrix, GMRES for the linear systems.

The systems are the identity minus a compact operator, plus a few borders: GMRES without restart and without a further
preconditioner needs about as many iterations as that operator has eigenvalues away from zero, whatever the degree.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fpsolve.petsc._petsc import petsc, private_options, reason_name
from fpsolve.petsc.equation import Action
from fpsolve.petsc.newton_numpy import Root, System
from fpsolve.sphere.harmonics import Real

DEFAULTS = {"ksp_type": "gmres", "ksp_gmres_restart": 200, "ksp_rtol": 1e-8, "ksp_max_it": 1000, "pc_type": "none"}
"""Linear systems to 1e-8: Newton stays quadratic until round-off."""


class _Shell:
    """The matrix of an action, for PETSc."""

    action: Action

    def mult(self, matrix: Any, x: Any, y: Any) -> None:
        """y = Df x."""
        y.setArray(self.action(x.getArray(readonly=True)))


def newton(
    system: System, *, rtol: float, atol: float, max_iterations: int, options: str | None = None
) -> Root:
    """The root that SNES reaches from ``system.start``; whether it converged, and why, is in the answer.

    ``options``: PETSc options of this solve, "-snes_monitor -ksp_converged_reason" for example; they come last.
    """
    with private_options(options, **DEFAULTS) as prefix:
        return _solved(system, prefix, {"rtol": rtol, "atol": atol, "stol": 0.0, "max_it": max_iterations})


def _solved(system: System, prefix: str, tolerances: dict[str, Any]) -> Root:
    library = petsc()
    shell, n = _Shell(), len(system.start)
    matrix = library.Mat().createPython([n, n], shell, comm=library.COMM_SELF)
    matrix.setUp()
    y, value = matrix.createVecs()

    def function(snes: Any, at: Any, out: Any) -> None:
        out.setArray(system.residual(at.getArray(readonly=True).copy()))

    def jacobian(snes: Any, at: Any, *matrices: Any) -> None:
        shell.action = system.linearised(at.getArray(readonly=True).copy())[1]

    snes = library.SNES().create(comm=library.COMM_SELF)
    snes.setOptionsPrefix(prefix)
    snes.setFunction(function, value)
    snes.setJacobian(jacobian, matrix)
    snes.setTolerances(**tolerances)
    snes.setFromOptions()
    y.setArray(system.start)
    snes.solve(None, y)
    root = _root(snes, y.getArray().copy(), reason_name(library.SNES, snes.getConvergedReason()))
    for item in (snes, matrix, y, value):
        item.destroy()
    return root


def _root(snes: Any, y: Real, reason: str) -> Root:
    norm, converged = float(snes.getFunctionNorm()), snes.getConvergedReason() > 0
    found = bool(np.isfinite(y).all())
    return Root(y, converged and found, reason, norm, snes.getIterationNumber(), snes.getLinearSolveIterations())
