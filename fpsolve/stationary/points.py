"""Points of a branch: corrected by a bordered Newton solve, each with its tangent and its leading eigenvalues."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator, gmres

from fpsolve.cached import cached_property
from fpsolve.errors import DivergedError
from fpsolve.sphere.harmonics import Real
from fpsolve.stationary.bordered import BorderedSystem, Condition, Family
from fpsolve.stationary.eigenvalues import Stability, linear_stability
from fpsolve.stationary.equation import Generator
from fpsolve.stationary.state import NewtonSettings, StationaryState, accepted

COUNTED, STABLE = 32, 8
"""Leading eigenvalues known at every point at least, and stable ones beyond many unstable ones."""

SOLVED = 1e-6
"""Largest residual of a tangent's linear system."""


@dataclass(frozen=True)
class Point:
    """A state on a branch: y = (u, q), the parameter being q·scale, and the branch's unit tangent there."""

    y: Real
    tangent: Real
    state: StationaryState
    spectrum: Stability | None


class Branch:
    """The branch of one family of equations; knows how to correct a predicted point."""

    def __init__(self, family: Family, settings: NewtonSettings, with_spectrum: bool) -> None:
        self.family, self._settings, self._with_spectrum = family, settings, with_spectrum

    @cached_property
    def symmetries(self) -> list[Generator]:
        """Rotations that commute with the equations."""
        return self.family.equation(self.family.value).symmetries()

    def first(self, state: StationaryState, row: Real) -> Point:
        """The point of a known state; its tangent has a positive product with ``row``."""
        q = getattr(state.model, self.family.parameter) / self.family.scale
        return self._point(state, np.append(self._unknowns(state), q), row)

    def corrected(self, guess: Real, row: Real) -> Point:
        """The point on the hyperplane through ``guess`` across ``row``. Raises DivergedError."""
        condition = Condition(row[:-1], float(row[-1]), float(row @ guess))
        system = self._system(guess, condition)
        state = accepted(self.family, system, self._settings.root(system))
        q = getattr(state.model, self.family.parameter) / self.family.scale
        return self._point(state, np.append(self._unknowns(state), q), row)

    def at_rest(self, u: Real, q: float, tangent: Real) -> Point:
        """The point of a state that solves the equations by itself, its tangent given. Raises DivergedError."""
        system = BorderedSystem(self.family, self.symmetries, u, q * self.family.scale)
        state = accepted(self.family, system, self._settings.root(system))
        y = np.append(self._unknowns(state), q)
        return Point(y, tangent, state, self.spectrum(y[:-1], q * self.family.scale))

    def spectrum(self, u: Real, p: float) -> Stability:
        """Leading eigenvalues at a state."""
        return linear_stability(self.family.equation(p), u, self.symmetries, COUNTED, STABLE)

    def _system(self, y: Real, condition: Condition) -> BorderedSystem:
        return BorderedSystem(self.family, self.symmetries, y[:-1], float(y[-1]) * self.family.scale, condition)

    def _unknowns(self, state: StationaryState) -> Real:
        return state.density.geometry.to_real(state.density.coefficients)[1:]

    def _point(self, state: StationaryState, y: Real, row: Real) -> Point:
        spectrum = self.spectrum(y[:-1], float(y[-1]) * self.family.scale) if self._with_spectrum else None
        return Point(y, self._tangent(y, row), state, spectrum)

    def _tangent(self, y: Real, row: Real) -> Real:
        """The unit vector along the branch with a positive product with ``row``, across the rotations.

        Raises DivergedError where its linear system is not solved.
        """
        system = self._system(y, Condition(row[:-1], float(row[-1]), 0.0))
        action, n = system.linearised(system.start)[1], len(system.start)
        last = np.append(np.zeros(n - 1), 1.0)
        matrix = LinearOperator((n, n), matvec=action, dtype=float)
        solution, _ = gmres(matrix, last, rtol=1e-9, restart=min(200, n), maxiter=3)
        residual = float(np.linalg.norm(matrix @ solution - last))
        if not residual <= SOLVED:
            raise DivergedError("SciPy gmres", "the branch's tangent was not found", residual, "take a smaller step")
        along = np.append(solution[: len(y) - 1], solution[-1])
        return along / np.linalg.norm(along)
