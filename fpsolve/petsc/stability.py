r"""Linear stability of stationary states: leading eigenvalues of the linearised equation, rotations taken out.

The linearisation on perturbations of mass zero is L = νΔ DE(u). Each rotation that moves the state gives a zero
eigenvalue with the vector t_k = X_k u; L - s Σ t_k t_kᵀ, s > 0 large, moves exactly these to -s and leaves the others
(Wielandt's deflation), so that a zero that remains is a bifurcation. Up to ``DENSE`` unknowns all eigenvalues are
computed from the dense Jacobian; beyond, ARPACK (scipy.sparse.linalg.eigs) finds the leading ones by shift and invert,
each inverse a GMRES solution with the exact action under the preconditioner (νΔ)^{-1}.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigs, gmres

from fpsolve.errors import InputError
from fpsolve.measures.density import Density
from fpsolve.models.base import Model
from fpsolve.petsc.bordered import Family, moving_generators
from fpsolve.petsc.equation import Action, Generator, StationaryEquation
from fpsolve.petsc.newton_numpy import dense
from fpsolve.petsc.stationary import StationaryState
from fpsolve.sphere.harmonics import Real

DENSE = 700
"""Unknowns up to which the Jacobian is formed: lmax = 25 on S²."""

NEUTRAL = 1e-9
"""Real parts up to this part of νℓmax² are zero."""

SHIFT_DEGREE = 8
"""Degree of the truncation that says where the shift of ARPACK lies."""


@dataclass(frozen=True)
class Stability:
    """Leading eigenvalues of the linearisation at a stationary state, rotations apart.

    eigenvalues: complex, real parts falling, shape (count,). modes: their vectors in the real basis without degree 0,
    shape (count, n). degrees: the degree that carries most of each. rotations: number of neutral rotations, and
    rotation_rate: |L t| of them, zero at an exact state. unstable: eigenvalues with positive real part.
    """

    eigenvalues: NDArray[np.complex128]
    modes: NDArray[np.complex128]
    degrees: NDArray[np.int64]
    rotations: int
    rotation_rate: float
    unstable: int

    @property
    def is_stable(self) -> bool:
        """No positive real part; the state may still be moved by rotations."""
        return self.unstable == 0


def stability(model: Model | StationaryState, density: Density | None = None, *, count: int = 8) -> Stability:
    """Leading eigenvalues of ∂_tσ = -div(σ v + ρ Dv[σ]) + νΔσ at a stationary density.

    Pass a :class:`StationaryState`, or a model and its stationary density. count: number of eigenvalues returned; the
    unstable ones are counted among them for lmax > 25 and among all below. Raises InputError for a density that is not
    stationary to 1e-6.
    """
    if isinstance(model, StationaryState):
        return stability(model.model, model.density, count=count)
    if density is None:
        raise InputError("density", density, "a model alone has no linearisation", "pass its stationary density")
    family = Family(model, "diffusion", density.dimension, density.lmax)
    equation = family.equation(model.diffusion)
    u = equation.unknowns(density.coefficients)
    if np.linalg.norm(equation.residual(u)) > 1e-6:
        residual = float(np.linalg.norm(equation.residual(u)))
        raise InputError("density", residual, "the residual of a stationary state is 0", "use fp.petsc.stationary")
    return linear_stability(equation, u, equation.symmetries(), count)


def linear_stability(equation: StationaryEquation, u: Real, symmetries: list[Generator], count: int) -> Stability:
    """:func:`stability` on unknowns."""
    turning = np.array([x @ u for x in moving_generators(symmetries, u)]).reshape(-1, len(u))
    _, action = equation.linearised(u)
    rates = equation.diffusion * equation.laplacian
    far = 2 * float(np.abs(rates).max())

    def deflated(w: Real) -> Real:
        return rates * action(w) - far * (turning.T @ (turning @ w))

    if len(u) <= DENSE:
        values, vectors = np.linalg.eig(dense(deflated, len(u)))
    else:
        values, vectors = _leading(equation, deflated, min(count, len(u) - 2))
    neutral = NEUTRAL * equation.diffusion * equation.lmax**2
    order = np.argsort(-values.real, kind="stable")
    unstable = int(np.sum(values.real > neutral))
    order = order[:count]
    drift = max((float(np.linalg.norm(rates * action(t))) for t in turning), default=0.0)
    modes = vectors[:, order].T.astype(complex)
    return Stability(
        values[order].astype(complex), modes, _main_degrees(equation, modes), len(turning), drift, unstable
    )


def _main_degrees(equation: StationaryEquation, modes: NDArray[np.complex128]) -> NDArray[np.int64]:
    """The degree that carries most of each mode."""
    weights = np.abs(modes) ** 2
    powers = np.array([weights[:, equation.degrees == ell].sum(1) for ell in range(equation.lmax + 1)])
    return np.argmax(powers, axis=0)


def _leading(equation: StationaryEquation, operator: Action, count: int) -> tuple[Any, Any]:
    """ARPACK on (L - shift)^{-1}, the shift just right of the spectrum's estimate from low degrees."""
    n, rates = equation.size, equation.diffusion * equation.laplacian
    low = np.flatnonzero(equation.degrees <= SHIFT_DEGREE)
    columns = np.array([operator(np.eye(1, n, int(j))[0])[low] for j in low]).T
    rightmost = float(np.linalg.eigvals(columns).real.max())
    shift = rightmost + 0.1 * abs(rightmost) + equation.diffusion

    def inverse(b: Real) -> Real:
        shifted = LinearOperator((n, n), matvec=lambda w: (operator(w) - shift * w) / rates, dtype=float)
        solution, info = gmres(shifted, b / rates, rtol=1e-12, restart=200, maxiter=5)
        if info:
            raise InputError("lmax", equation.lmax, "a shifted system was not solved", "compute at lmax <= 25")
        return np.asarray(solution)

    solve = LinearOperator((n, n), matvec=inverse, dtype=float)
    shell = LinearOperator((n, n), matvec=operator, dtype=float)
    start = np.random.default_rng(1).standard_normal(n)
    return eigs(shell, k=count, sigma=shift, OPinv=solve, v0=start)
