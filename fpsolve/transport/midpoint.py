"""The readable twin of the PETSc transport: the same sub-steps with SciPy's Krylov solvers."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg, gmres

from fpsolve.errors import DivergedError
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.exponential import Generator
from fpsolve.transport.implicit import RESTART, Apply, Solution, transported

REMEDY = 'take a smaller dt or lmax, or use transport="chebyshev"'


def midpoint(operator: Generator, u: Coefficients, radius: float, rtol: float) -> Coefficients:
    """exp(L) u to ``rtol`` by the implicit midpoint rule; raises as :func:`fpsolve.transport.implicit.transported`."""
    return u.copy() if radius == 0 else transported(operator, u, radius, rtol, scipy_solve, stages=1)


def scipy_solve(matrix: Apply, b: Real, rtol: float, symmetric: bool) -> Solution:
    """Conjugate gradients for a symmetric matrix, GMRES for another. Raises DivergedError."""
    operator = LinearOperator((len(b), len(b)), matvec=matrix, dtype=np.float64)
    if symmetric:
        y, failed = cg(operator, b, rtol=rtol, atol=0.0)
    else:
        y, failed = gmres(operator, b, rtol=rtol, atol=0.0, restart=min(RESTART, len(b)))
    name = "SciPy " + ("cg" if symmetric else "gmres")
    if failed:
        residual = float(np.linalg.norm(b - matrix(y)) / np.linalg.norm(b))
        raise DivergedError(name, f"{failed} iterations", residual, REMEDY)
    return Solution(y, name, "converged")
