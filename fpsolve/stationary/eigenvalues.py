r"""Linear stability of stationary states: leading eigenvalues of the linearised equation, rotations taken out.

The linearisation on perturbations of mass zero is L = νΔ DE(u). Each rotation that moves the state gives a zero
eigenvalue with the vector t_k = X_k u; L - s Σ t_k t_kᵀ, s > 0 large, moves exactly these to -s and leaves the others
(Wielandt's deflation), so that a zero that remains is a bifurcation. Up to ``DENSE`` unknowns all eigenvalues are
computed from the dense Jacobian; beyond, :mod:`fpsolve.stationary.leading` finds the leading ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpsolve.errors import InputError, check_integer
from fpsolve.models.base import Model
from fpsolve.petsc.newton_numpy import dense
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.harmonics import Real
from fpsolve.stationary.bordered import Family, moving_generators
from fpsolve.stationary.equation import Generator, StationaryEquation
from fpsolve.stationary.leading import leading
from fpsolve.stationary.state import StateDensity, StationaryState
from fpsolve.values import Value

DENSE = 2600
"""Unknowns up to which the Jacobian is formed: lmax = 50 on S²; all eigenvalues there take about ten seconds."""

MODES = 1000
"""Eigenvalues that may be asked for."""

NEUTRAL = 1e-10
"""Real parts up to this part of νℓmax² are zero."""


@dataclass(frozen=True, eq=False, repr=False)
class Stability(Value):
    """Leading eigenvalues of the linearisation at a stationary state, rotations apart.

    eigenvalues: complex, real parts falling, shape (count,). modes: their vectors in the real basis without degree 0,
    shape (count, n). degrees: the degree that carries most of each. rotations: number of neutral rotations, and
    rotation_rate: |L t| of them, zero at an exact state. unstable: eigenvalues with positive real part; where
    ``complete`` is False, only those among the ``count`` leading ones, so that there may be more.
    """

    eigenvalues: NDArray[np.complex128]
    modes: NDArray[np.complex128]
    degrees: NDArray[np.int64]
    rotations: int
    rotation_rate: float
    unstable: int
    complete: bool = True

    @property
    def is_stable(self) -> bool:
        """No positive real part; the state may still be moved by rotations."""
        return self.unstable == 0


@checked_arguments
def stability(model: Model | StationaryState, density: StateDensity | None = None, *, count: int = 8) -> Stability:
    """Leading eigenvalues of ∂_tσ = -div(σ v + ρ Dv[σ]) + νΔσ at a stationary density.

    Pass a :class:`StationaryState`, or a model and its stationary density. count: number of eigenvalues returned; the
    unstable ones are counted among all up to lmax = 50 (of a zonal density within laws about its axis), and among those
    returned beyond (``complete`` tells). Raises InputError for a density that is not stationary to 1e-6, DivergedError
    where ARPACK does not converge.
    """
    check_integer("count", count, 1, MODES)
    if isinstance(model, StationaryState):
        if density is not None:
            raise InputError("density", density, "a StationaryState has its own", "leave it out, or pass state.model")
        return stability(model.model, model.density, count=count)
    if density is None:
        raise InputError("density", density, "a model alone has no linearisation", "pass its stationary density")
    family = Family(model, "diffusion", density.dimension, density.lmax, density.is_axial)
    equation = family.equation(model.diffusion)
    u = equation.unknowns(density.coefficients)  # type: ignore[arg-type]
    if np.linalg.norm(equation.residual(u)) > 1e-6:
        residual = float(np.linalg.norm(equation.residual(u)))
        raise InputError("density", residual, "the residual of a stationary state is 0", "use fp.stationary.solve")
    return linear_stability(equation, u, equation.symmetries(), count)


def linear_stability(
    equation: StationaryEquation, u: Real, symmetries: list[Generator], count: int, stable: int = 0
) -> Stability:
    """:func:`stability` on unknowns; where more than ``count`` are unstable, all these and ``stable`` further ones."""
    turning = np.array([x @ u for x in moving_generators(symmetries, u)]).reshape(-1, len(u))
    _, action = equation.linearised(u)
    rates = equation.diffusion * equation.laplacian
    far = 2 * float(np.abs(rates).max())

    def deflated(w: Real) -> Real:
        return rates * action(w) - far * (turning.T @ (turning @ w))

    if len(u) <= DENSE:
        values, vectors = np.linalg.eig(dense(deflated, len(u)))
    else:
        values, vectors = leading(equation, deflated, min(count, len(u) - 2))
    neutral = NEUTRAL * equation.diffusion * equation.lmax**2
    order = np.argsort(-values.real, kind="stable")
    unstable = int(np.sum(values.real > neutral))
    complete = len(values) == len(u) or unstable == 0
    order = order[: max(count, unstable + stable) if stable else count]
    drift = max((float(np.linalg.norm(rates * action(t))) for t in turning), default=0.0)
    modes = vectors[:, order].T.astype(complex)
    return Stability(
        values[order].astype(complex), modes, _main_degrees(equation, modes), len(turning), drift, unstable, complete
    )


def _main_degrees(equation: StationaryEquation, modes: NDArray[np.complex128]) -> NDArray[np.int64]:
    """The degree that carries most of each mode."""
    weights = np.abs(modes) ** 2
    powers = np.array([weights[:, equation.degrees == ell].sum(1) for ell in range(equation.lmax + 1)])
    return np.argmax(powers, axis=0)
