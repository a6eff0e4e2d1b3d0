"""Flows of points along fields of S² in harmonics: the field in a table, all stages of a sub-step in one call.

Whether there is a table, how accurate it is and which formula is taken follow from the field, the tolerance and the
number of all points: so a cloud has the same bits for any number of ranks and threads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fpsolve._kernels import _sweep
from fpsolve.sphere.geometry import SPHERE
from fpsolve.sphere.harmonics import Real
from fpsolve.sphere.torus import TorusTable, torus_table
from fpsolve.transport.runge_kutta import DORMAND_PRINCE_5, DORMAND_PRINCE_853, Array, Tableau, for_tolerance
from fpsolve.transport.velocity import RESOLVING_DEGREES, HarmonicField, Velocity

FRACTION = 1e-2
"""Error of a table, relative to the field, as part of a flow's tolerance; of fields above 1, the error itself."""

FEWEST = 512
"""Of fewer points term by term is as fast."""

POINTS_A_DEGREE = 4.0
"""A table of degree L for so many points a degree at least: for fewer it costs more than it saves."""

HIGHEST_DEGREE = RESOLVING_DEGREES[-1]
"""Fields of higher degrees have none: it would take hundreds of megabytes."""

ERROR_OF_FIVE = 0.01
"""The estimate of order 5 over a unit time is about so many |v| |∇v|⁵, root mean squares: 0.002 to 0.05 in steps."""

Substep = Callable[[Array, float], tuple[Array, list[Array]] | None]


def formula_for(field: Velocity, rtol: float) -> Tableau:
    """The cheapest formula for the flow of a field over a unit time: order 5 where one sub-step of it will do."""
    if not isinstance(field, HarmonicField) or field.geometry.dimension != SPHERE.dimension:
        return for_tolerance(rtol)
    speed, slope, _ = field.sizes
    return DORMAND_PRINCE_5 if ERROR_OF_FIVE * speed * slope**5 <= rtol else DORMAND_PRINCE_853


def tabled(field: Velocity, rtol: float, points: int) -> TorusTable | None:
    """The table of a field for flows of so many points to ``rtol``; None where sums of harmonics serve better."""
    if not isinstance(field, HarmonicField) or field.geometry.dimension != SPHERE.dimension:
        return None
    if field.degree > HIGHEST_DEGREE or points < max(FEWEST, POINTS_A_DEGREE * field.degree):
        return None
    speed, _, divergence = field.sizes
    accuracy = FRACTION * rtol / max(1.0, speed, divergence)
    return torus_table(field.spheroidal, field.toroidal, accuracy)


def sweep(table: TorusTable, tableau: Tableau, nearest: float, farthest: float) -> Substep:
    """Sub-steps of points (n, 3), or with log ρ (n, 4), along the field of a table, as ``runge_kutta.stages`` has them.

    None where a stage comes nearer to the centre, or goes farther from it.
    """
    errors, b = np.stack(tableau.errors), np.array(tableau.b)
    a = np.zeros((len(b), len(b)))
    a[:, : tableau.a.shape[1]] = tableau.a[: len(b), : len(b)]

    def substep(state: Array, h: float) -> tuple[Array, list[Array]] | None:
        moved, error = np.empty_like(state), np.empty((len(errors), *state.shape))
        bounds = nearest**2, farthest**2
        fine = _sweep.sweep(*table, a, b, errors, h, *bounds, np.ascontiguousarray(state), moved, error)
        return (moved, list(error)) if fine else None

    return substep


def at_states(table: TorusTable, state: Real) -> Real:
    """v at points (n, 3), or v and -div v where they carry log ρ, (n, 4)."""
    values = table.at(np.ascontiguousarray(state[:, :3]))
    return values[:, : state.shape[1]]
