"""Newton's method with a dense Jacobian: the readable twin of :mod:`fpsolve.petsc.newton`, for small systems."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from fpsolve.sphere.harmonics import Real

Action = Callable[[Real], Real]
"""A linear map by its action."""

SHORTER = 0.5 ** np.arange(12)
"""Parts of a Newton step that are tried."""


class System(Protocol):
    """Equations f(y) = 0 with an exact linearisation."""

    start: Real

    def residual(self, y: Real) -> Real:
        """f(y)."""

    def linearised(self, y: Real) -> tuple[Real, Action]:
        """f(y) and w ↦ Df(y)w."""


class Root(NamedTuple):
    """What a Newton iteration reached: converged or not, why, |f|, and its cost."""

    y: Real
    converged: bool
    reason: str
    norm: float
    iterations: int
    linear_iterations: int


def dense(action: Action, size: int) -> Real:
    """The matrix of a linear map, by columns."""
    return np.array([action(column) for column in np.eye(size)]).T


def newton_numpy(system: System, *, rtol: float, atol: float, max_iterations: int, options: str | None = None) -> Root:
    """Newton steps, halved until |f| falls, until |f| ≤ max(atol, rtol |f(start)|)."""
    y = system.start
    norm = float(np.linalg.norm(system.residual(y)))
    goal = max(atol, rtol * norm)
    for iteration in range(max_iterations):
        if norm <= goal:
            return Root(y, True, "CONVERGED_FNORM", norm, iteration, 0)
        value, action = system.linearised(y)
        try:
            step = np.linalg.solve(dense(action, len(y)), value)
        except np.linalg.LinAlgError:
            return Root(y, False, "DIVERGED_LINEAR_SOLVE", norm, iteration, 0)
        for length in SHORTER:
            reached = float(np.linalg.norm(system.residual(y - length * step)))
            if reached < norm:
                break
        else:
            return Root(y, False, "DIVERGED_LINE_SEARCH", norm, iteration, 0)
        y, norm = y - length * step, reached
    return Root(y, norm <= goal, "CONVERGED_FNORM" if norm <= goal else "DIVERGED_MAX_IT", norm, max_iterations, 0)
