"""Where branches begin: a state at a given amplitude along a direction, the parameter being what is solved for."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpsolve.errors import InputError, check_number
from fpsolve.measures.initial import uniform
from fpsolve.models.base import Model, checked_degree
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.harmonics import Real
from fpsolve.stationary.bordered import BorderedSystem, Condition, Family
from fpsolve.stationary.equation import StationaryEquation
from fpsolve.stationary.state import LMAX, StateDensity, StationaryState, accepted, as_density, make_settings, resolved


@checked_arguments
def branch_off(
    model: Model,
    direction: int | Real,
    *,
    amplitude: float = 0.05,
    parameter: str = "diffusion",
    at: StateDensity | None = None,
    lmax: int | None = None,
    d: int = 3,
    measure: str | None = None,
    **settings: Any,
) -> StationaryState:
    """The state u_0 + amplitude·φ + … of the branch that leaves a state u_0 along φ, its ``parameter`` solved for.

    direction: φ as an array of a mode (``Stability.modes``, the events of a branch), normalised here, or a degree ℓ for
    the zonal harmonic Y_ℓ0, the critical direction of the uniform state. amplitude: ⟨φ, u - u_0⟩ in L², either sign.
    at: u_0 (the uniform law of degree ``lmax``, 23 by default, on S^{d-1}). measure: ``zonal`` for laws about an axis,
    in every d from 2 to 10,000. The parameter's first guess is the model's;
    for ν at the uniform state it is the threshold itself. The answer's model has the parameter found.
    settings: as in :func:`solve`. Raises InputError for bad arguments, DivergedError when no state is found.
    """
    chosen = make_settings(settings)
    check_number("amplitude", amplitude)
    degree = LMAX if at is None and lmax is None else lmax
    base = as_density(uniform(d) if at is None else at, degree, measure)
    family = Family(model, parameter, base.dimension, base.lmax, base.is_axial)
    equation = family.equation(family.value)
    origin = equation.unknowns(base.coefficients)
    phi = _unit(equation, direction)
    p = family.value
    if parameter == "diffusion" and at is None:  # E'(0)φ = (1 - ν_c/ν)φ
        p *= 1 - float(phi @ equation.linearised(origin)[1](phi))
    condition = Condition(phi, 0.0, float(phi @ origin) + amplitude)
    if p <= 0:
        raise InputError("direction", direction, "this degree never grows: its threshold is negative", "pass another")
    system = BorderedSystem(family, equation.symmetries(), origin + amplitude * phi, p, condition)
    return resolved(accepted(family, system, chosen.root(system)))


def _unit(equation: StationaryEquation, direction: int | Real) -> Real:
    """φ as unknowns of norm one."""
    if np.ndim(direction) == 0:
        checked_degree("direction", direction)
        return zonal(equation, int(direction))
    phi = np.real(np.asarray(direction))
    size = float(np.linalg.norm(phi))
    if phi.shape != (equation.size,) or not 0 < size < np.inf:
        problem = f"{equation.size} numbers are needed at lmax = {equation.lmax}"
        raise InputError("direction", phi.shape, problem, "pass a mode of the same lmax, or a degree")
    return np.asarray(phi / size)


def zonal(equation: StationaryEquation, degree: int) -> Real:
    """Y_ℓ0 (cos ℓθ/√π on the circle) as unknowns."""
    if not 1 <= degree <= equation.lmax:
        raise InputError("direction", degree, f"degrees are 1..{equation.lmax}", "pass direction=1, for example")
    degrees, orders = equation.geometry.real_degrees_orders(equation.lmax)
    order = degree if equation.geometry.dimension == 2 and not equation.is_axial else 0
    return np.where((degrees[1:] == degree) & (orders[1:] == order), 1.0, 0.0)
