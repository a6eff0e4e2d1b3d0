"""Living fields by flows of frozen ones: Celledoni, Marthinsen & Owren's method of order 4 :cite:`celledoni2003`.

Each of its five flows is one of a frozen field, so that what these conserve (the norm of a half density) or stand
(long implicit steps) the living flow does too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fpsolve.errors import UnresolvedError
from fpsolve.sphere.harmonics import Coefficients, Real

Field = Callable[[Coefficients], Real]
"""v[u] on the grid."""

Move = Callable[[Coefficients, Real], Coefficients]
"""exp(L_v) u."""

MOST_DOUBLINGS = 8


def flow_of_living(u: Coefficients, field: Field, move: Move, rtol: float) -> Coefficients:
    """The solution at s = 1 of u' = L_{v[u]} u in 1, 2, 4, … steps, until two agree: ‖δu‖/15 <= rtol ‖u‖.

    Raises UnresolvedError when 2^8 steps do not suffice.
    """
    coarse = _steps(u, field, move, 1)
    for doubling in range(1, MOST_DOUBLINGS + 1):
        fine = _steps(u, field, move, 2**doubling)
        if np.linalg.norm(fine - coarse) <= 15 * rtol * np.linalg.norm(fine):
            return fine
        coarse = fine
    raise UnresolvedError(0.0, f"the living flow needs more than {2**MOST_DOUBLINGS} sub-steps", "take a smaller dt")


def _steps(u: Coefficients, field: Field, move: Move, n: int) -> Coefficients:
    for _ in range(n):
        u = step(u, field, move, 1 / n)
    return u


def step(u: Coefficients, field: Field, move: Move, h: float) -> Coefficients:
    """One step of length h: the stages and weights of the classical Runge–Kutta formula, no commutators."""
    k1 = h * field(u)
    half = move(u, k1 / 2)
    k2 = h * field(half)
    k3 = h * field(move(u, k2 / 2))
    k4 = h * field(move(half, k3 - k1 / 2))
    middle = move(u, (3 * k1 + 2 * k2 + 2 * k3 - k4) / 12)
    return move(middle, (-k1 + 2 * k2 + 2 * k3 + 3 * k4) / 12)
