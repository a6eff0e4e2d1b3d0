r"""Leading eigenvalues of a large linearisation L = νΔ DE(u), by ARPACK on (L - s)^{-1} with s right of all of them.

s comes from the right. It starts beyond the spectral radius; then, λ being the eigenvalue nearest to s, no real one
lies right of s - |λ - s|, and s moves three quarters of the way to Re λ, until it is near. Each inverse is a GMRES
solution with the exact action under the preconditioner (νΔ - max(s, 0))^{-1}.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs, gmres

from fpsolve.errors import DivergedError
from fpsolve.petsc.newton_numpy import Action
from fpsolve.sphere.harmonics import Real
from fpsolve.stationary.equation import StationaryEquation

NEARER = 0.25
"""Part of the distance to the nearest eigenvalue that remains after a move of the shift."""

NEAR = 0.1
"""The shift is near when its distance is at most this part of the eigenvalue, plus ν."""

ROUGH, EXACT = 1e-2, 1e-11
"""ARPACK's tolerances for where the shift goes and for the answer."""

MEMORY = 60
"""ARPACK's vectors: eigenvalues of an isotropic state are multiple and close together."""

REMEDY = "compute at lmax <= 50, where all eigenvalues are"


def leading(equation: StationaryEquation, operator: Action, count: int) -> tuple[Any, Any]:
    """``count`` eigenvalues and vectors, the nearest to a point just right of all. Raises DivergedError."""
    return _nearest(equation, operator, safe_shift(equation, operator), count, EXACT)


def safe_shift(equation: StationaryEquation, operator: Action) -> float:
    """A number right of every real eigenvalue, nearer to the rightmost than a tenth of it plus ν."""
    shell = LinearOperator((equation.size, equation.size), matvec=operator, dtype=float)
    shift = 2 * float(np.abs(_arpack(shell, 1, which="LM", tol=0.1)[0]).max())
    while True:
        nearest = float(_nearest(equation, operator, shift, 1, ROUGH)[0].real.max())
        if shift - nearest <= NEAR * abs(nearest) + equation.diffusion:
            return shift
        shift = nearest + NEARER * (shift - nearest)


def _nearest(equation: StationaryEquation, operator: Action, shift: float, count: int, tol: float) -> tuple[Any, Any]:
    """Eigenvalues and vectors nearest to the shift."""
    n, scale = equation.size, equation.diffusion * equation.laplacian - max(shift, 0.0)

    def inverse(b: Real) -> Real:
        shifted = LinearOperator((n, n), matvec=lambda w: (operator(w) - shift * w) / scale, dtype=float)
        solution, info = gmres(shifted, b / scale, rtol=max(1e-12, 1e-3 * tol), restart=min(200, n), maxiter=5)
        if info:
            residual = float(np.linalg.norm(shifted @ solution - b / scale) / np.linalg.norm(b / scale))
            raise DivergedError("SciPy gmres", f"a system shifted by {shift:.3g} was not solved", residual, REMEDY)
        return np.asarray(solution)

    solve = LinearOperator((n, n), matvec=inverse, dtype=float)
    shell = LinearOperator((n, n), matvec=operator, dtype=float)
    return _arpack(shell, count, sigma=shift, OPinv=solve, tol=tol)


def _arpack(shell: LinearOperator, count: int, **how: Any) -> tuple[Any, Any]:
    n = shell.shape[0]
    start, memory = np.random.default_rng(1).standard_normal(n), min(n, max(MEMORY, 3 * count))
    try:
        values, vectors = eigs(shell, k=count, v0=start, ncv=memory, **how)
    except ArpackNoConvergence as error:
        problem = f"{len(error.eigenvalues)} of {count} eigenvalues converged"
        raise DivergedError("ARPACK", problem, np.nan, REMEDY) from None
    return values, vectors
