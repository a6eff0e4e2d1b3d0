"""Newton–Krylov by PETSc's SNES: the exact Jacobian's action in a shell matrix, GMRES for the linear systems.

The systems are the identity minus a compact operator, plus a few borders: GMRES without restart and without a further
preconditioner needs about as many iterations as that operator has eigenvalues away from zero, whatever the degree.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fpsolve.petsc.library import destroyed, petsc, private_options, reason_name
from fpsolve.petsc.newton_numpy import Action, Root, System
from fpsolve.sphere.harmonics import Real

DEFAULTS = {"ksp_type": "gmres", "ksp_gmres_restart": 200, "ksp_rtol": 1e-8, "ksp_max_it": 1000, "pc_type": "none"}
"""Linear systems to 1e-8: Newton stays quadratic until round-off."""

ROUND_OFF = 1e-3
"""A recomputed |f| may exceed the tolerance by this part of it."""


class _Shell:
    """The matrix of an action, for PETSc."""

    action: Action

    def mult(self, matrix: Any, x: Any, y: Any) -> None:
        """y = Df x."""
        y.setArray(self.action(x.getArray(readonly=True)))


def newton(system: System, *, rtol: float, atol: float, max_iterations: int, options: str | None = None) -> Root:
    """The root that SNES reaches from ``system.start``; whether it converged, and why, is in the answer.

    Converged is what SNES says and the recomputed |f| ≤ max(atol, rtol |f(start)|) confirms, whatever the options.
    ``options``: PETSc options of this solve, "-snes_monitor -ksp_converged_reason" for example; they come last.
    """
    with private_options(options, **DEFAULTS) as prefix:
        root = _solved(system, prefix, {"rtol": rtol, "atol": atol, "stol": 0.0, "max_it": max_iterations})
    goal = max(atol, rtol * float(np.linalg.norm(system.residual(system.start))))
    if root.converged and not root.norm <= goal * (1 + ROUND_OFF):
        return root._replace(converged=False, reason=f"{root.reason} short of the tolerance {goal:.2g}")
    return root


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
    y.setArray(system.start)
    try:
        snes.setFromOptions()
        snes.solve(None, y)
        return _root(system, snes, y.getArray().copy(), reason_name(library.SNES, snes.getConvergedReason()))
    finally:
        destroyed(snes, matrix, y, value)


def _root(system: System, snes: Any, y: Real, reason: str) -> Root:
    norm, converged = float(np.linalg.norm(system.residual(y))), snes.getConvergedReason() > 0
    found = bool(np.isfinite(y).all())
    return Root(y, converged and found, reason, norm, snes.getIterationNumber(), snes.getLinearSolveIterations())
