"""Living flows of few points that are stiff: fast relaxation inside clusters, slow motion of the clusters.

Attention without its denominator contracts clusters at rates of 2e^β while clusters meet at e^{βq}: an explicit formula
takes e^{β(1-q)} sub-steps. LSODA :cite:`petzold1983`, of SciPy, turns to implicit formulas there; its dense Jacobian by
differences asks for few points.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp

from fpsolve.errors import UnresolvedError
from fpsolve.sphere.harmonics import Real

LARGEST_STATE = 1024
"""Numbers in a state up to which its Jacobian is taken."""

MOST_EVALUATIONS = 60_000
"""Velocities evaluated in one step before it is given up."""

SHARE = 0.01
"""The part of ``rtol`` that one sub-step may err."""


def integrate_stiff(rhs: Callable[[Real], Real], y: Real, rtol: float) -> Real:
    """The solution at s = 1 of y' = rhs(y), y(0) = ``y``, shape (n, d), ``rhs`` smooth and bounded for all y ≠ 0.

    Raises UnresolvedError (at time 0 of the step) where LSODA stops or ``MOST_EVALUATIONS`` do not suffice.
    """
    count = 0

    def flat(_: float, state: Real) -> Real:
        nonlocal count
        count += 1
        if count > MOST_EVALUATIONS:
            problem = f"the stiff flow needs more than {MOST_EVALUATIONS} velocities"
            raise UnresolvedError(0.0, problem, "take a smaller dt")
        return np.asarray(rhs(state.reshape(y.shape)).ravel())

    tolerance = max(SHARE * rtol, 1e-12)
    path = solve_ivp(flat, (0.0, 1.0), y.ravel(), method="LSODA", rtol=tolerance, atol=tolerance, t_eval=[1.0])
    if not path.success or not np.isfinite(path.y).all():
        raise UnresolvedError(0.0, f"the stiff flow stops: {path.message}", "take a smaller dt")
    return np.ascontiguousarray(path.y[:, -1].reshape(y.shape))
