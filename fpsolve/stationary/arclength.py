"""Pseudo-arclength continuation of stationary states in β or ν: through folds, with bifurcations located."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from fpsolve.errors import DivergedError, InputError, UnderResolvedWarning, check_integer, check_number
from fpsolve.measures.laws import Law
from fpsolve.models.base import Model
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.harmonics import Real
from fpsolve.stationary.at_uniform import uniform_point
from fpsolve.stationary.bordered import NOTHING, Family
from fpsolve.stationary.branch_record import dataset
from fpsolve.stationary.eigenvalues import MODES
from fpsolve.stationary.events import Event, at_uniform, events_between
from fpsolve.stationary.points import Branch, Point
from fpsolve.stationary.retrace import Retrace
from fpsolve.stationary.state import TAIL, StateDensity, StationaryState, as_density, make_settings, solve
from fpsolve.surroundings import warn

SAG, SAG_OF_STATE = 0.002, 0.001
"""Largest distance of the branch from the chord of a step: part of the way to ``to``, and in |u|_{L²}."""

LEAST_SPAN = 0.02
"""The way to ``to`` counts as this part of the parameter at least."""

QUICK, SLOW = 4, 7
"""Newton iterations up to which the next step grows, and from which it shrinks."""

GROWTH, LONGEST, SHORTEST = 1.4, 2.0, 1e-4
"""Growth of a step, and its bounds relative to the first one."""

SAFETY = 0.9
"""Part of the step that the bend allows which is taken."""

GRAZE = 0.1
"""A step that comes from the uniform state's surroundings ends no nearer to it than this part of |u|."""

NEAR_UNIFORM = 0.1
"""|u|_{L²} up to which the first point of a branch may have come from the uniform state."""

STRAIGHT = 0.7
"""Least product of consecutive unit tangents: below it a step may have left the branch and is halved."""


@checked_arguments
def continuation(
    model: Model,
    start: StationaryState | StateDensity | Law,
    *,
    parameter: str = "diffusion",
    to: float,
    step: float = 0.1,
    max_points: int = 100,
    modes: int = 6,
    away_from: StateDensity | Law | None = None,
    lmax: int | None = None,
    measure: str | None = None,
    retrace: bool = False,
    **settings: Any,
) -> xr.Dataset:
    """The branch of stationary states through ``start`` as ``parameter`` (``diffusion`` or ``beta``) varies.

    A step goes along the branch's tangent by an arclength in (|u|_{L²}, p/p_0), p_0 the model's own value, and is
    corrected across it by Newton–Krylov :cite:`keller1977`; it adapts to the iterations needed and to the bend, so that
    folds are passed and chords are good pictures. It ends (attribute ``ended``) at ``to``, after ``max_points``, or,
    unless ``retrace``, where it repeats what it has passed, as a loop or in a mirror image.
    start: a :class:`StationaryState`, whose model is taken, or a guess at the model's value. away_from: the state whose
    branch was left, for a start close to it (``branch_off``): the first step leads away from it, and where it is the
    uniform law the branch point there is the first event; by default the parameter first moves towards ``to``. modes:
    eigenvalues kept; 0 computes none, and finds no bifurcations.
    measure, settings: as in :func:`solve`. Returns a Dataset by ``point`` (``branch_record.LONG_NAMES``), and by
    ``crossing`` the folds, branch points and Hopf points with their neutral modes. Raises InputError for bad arguments,
    DivergedError (attribute ``branch``: the Dataset so far) where no step is short enough.
    """
    _check_numbers(to=to, step=step)
    check_integer("modes", modes, 0, MODES)
    check_integer("max_points", max_points, 1)
    if isinstance(start, StationaryState) and start.model != model:
        raise InputError("model", model, f"the state is one of {start.model}", "pass start.model, or its density")
    for name, value, own in (("lmax", lmax, "lmax"), ("measure", measure, "name")):
        if isinstance(start, StationaryState) and value not in (None, getattr(start.density, own)):
            problem = f"the state has {name} = {getattr(start.density, own)!r}"
            raise InputError(name, value, problem, "leave it out, or start from its density")
    state = start if isinstance(start, StationaryState) else solve(model, start, lmax=lmax, measure=measure, **settings)
    density = state.density
    family = Family(state.model, parameter, density.dimension, density.lmax, density.is_axial)
    if family.value == to:
        raise InputError("to", to, f"the branch starts at this {parameter}", "pass another value")
    branch = Branch(family, make_settings(settings), modes > 0)
    points = [branch.first(state, _first_row(branch, state, to, away_from))]
    events = _origin(branch, points[0]) if away_from is not None and modes > 0 else []
    seen = None if retrace else Retrace(family.equation(family.value).degrees)
    try:
        ended = _follow(branch, points, events, to / family.scale, step, int(max_points), seen)
    except DivergedError as error:
        error.branch = dataset(parameter, points, events, modes)  # type: ignore[attr-defined]
        raise
    _warn_if_unresolved(parameter, points)
    return dataset(parameter, points, events, modes).assign_attrs(ended=ended)


def _check_numbers(**numbers: float) -> None:
    """Raise InputError unless all are positive."""
    for name, value in numbers.items():
        check_number(name, value, 0, above=True)


def _warn_if_unresolved(parameter: str, points: list[Point]) -> None:
    """One warning for the first point with a tail above ``TAIL``."""
    for point in points:
        density = point.state.density
        if density.tail > TAIL:
            value = getattr(point.state.model, parameter)
            where = f"from {parameter} = {value:.6g} on (tail = {density.tail:.2g})"
            text = f"the branch is under-resolved {where}: raise lmax"
            warn(text, UnderResolvedWarning)
            return


def _first_row(branch: Branch, state: StationaryState, to: float, away_from: StateDensity | Law | None) -> Real:
    """A unit vector that the first tangent is to point along."""
    u = state.density.geometry.to_real(state.density.coefficients)[1:]
    if away_from is None:
        return np.append(np.zeros_like(u), np.sign(to - branch.family.value))
    other = as_density(away_from, state.density.lmax, state.density.name)
    away = u - other.geometry.to_real(other.coefficients)[1:]
    size = float(np.linalg.norm(away))
    if size == 0:
        raise InputError("away_from", away_from, "the branch starts at this very state", "use fp.stationary.branch_off")
    return np.append(away / size, 0.0)


def _origin(branch: Branch, first: Point) -> list[Event]:
    """The branch point at the uniform state from which a branch with this first point starts, if it does."""
    u = first.y[:-1]
    if np.linalg.norm(u) > NEAR_UNIFORM:
        return []
    point = uniform_point(branch, u, float(first.y[-1]))
    return [] if point is None else [at_uniform(point, -1, 0.0, 0)]


def _follow(
    branch: Branch,
    points: list[Point],
    events: list[Event],
    goal: float,
    step: float,
    most: int,
    seen: Retrace | None,
) -> str:
    """Append points until q passes ``goal``, the branch repeats itself, or there are ``most``; says which."""
    length, span = step, max(abs(goal - points[0].y[-1]), LEAST_SPAN)
    while len(points) < most:
        last = points[-1]
        try:
            new = branch.corrected(last.y + length * last.tangent, last.tangent)
            bend = 2.0 if _grazes(last, new) else _bend(last, new, span)
        except DivergedError as error:
            if length <= SHORTEST * step:
                raise error
            bend = np.inf
        if bend > 1 and length > SHORTEST * step:
            length *= max(0.5, SAFETY / np.sqrt(bend)) if np.isfinite(bend) else 0.5
            continue
        reached = (new.y[-1] - goal) * (points[0].y[-1] - goal) <= 0
        if reached:
            new = _at(branch, last, new, goal)
        points.append(new)
        if new.spectrum is not None:
            events += events_between(branch, last, new, len(points) - 2)
        if reached:
            return "to"
        if seen is not None and seen.passed(last, new):
            return "retraced"
        length = _next_length(length, step, new.state.iterations, bend)
    return "max_points"


def _grazes(last: Point, new: Point) -> bool:
    """Whether a step lands so near to the uniform state that its neutral modes cannot be told from round-off."""
    before = float(np.linalg.norm(last.y[:-1]))
    return before > NOTHING and float(np.linalg.norm(new.y[:-1])) < GRAZE * before


def _bend(last: Point, new: Point, span: float) -> float:
    """The distance of the branch from the chord, h|Δt|/8, by what is allowed; infinite for a turn that is too sharp."""
    if float(new.tangent @ last.tangent) < STRAIGHT:
        return np.inf
    sag = float(np.linalg.norm(new.y - last.y)) * np.abs(new.tangent - last.tangent) / 8
    return max(float(sag[-1]) / (SAG * span), float(np.linalg.norm(sag[:-1])) / SAG_OF_STATE)


def _at(branch: Branch, last: Point, new: Point, goal: float) -> Point:
    """The point between two at which the parameter is the goal."""
    share = (goal - last.y[-1]) / (new.y[-1] - last.y[-1])
    row = np.append(np.zeros(len(new.y) - 1), np.sign(goal - last.y[-1]))
    guess = last.y + share * (new.y - last.y)
    guess[-1] = goal
    return branch.corrected(guess, row)


def _next_length(length: float, step: float, iterations: int, bend: float) -> float:
    factor = GROWTH if iterations <= QUICK else 1 / GROWTH if iterations >= SLOW else 1.0
    factor = min(factor, SAFETY / np.sqrt(max(bend, 1e-3)))
    return float(np.clip(length * factor, SHORTEST * step, LONGEST * step))
