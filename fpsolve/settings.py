"""The settings of ``solve``, what of them is refused before any computing, and the first state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import log2
from typing import Any, Literal

import numpy as np

from fpsolve.errors import InputError, check_number
from fpsolve.measures import Measure
from fpsolve.measures.build import AUTO, measure_class
from fpsolve.measures.laws import Tokens
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.noise.path import COARSEST_LEVEL, FINEST_LEVEL
from fpsolve.observe.flow_recorder import check_flow
from fpsolve.observe.own import Observe
from fpsolve.policies import CAP, Policy
from fpsolve.schemes import Scheme, check_scheme
from fpsolve.sphere.geometry import GEOMETRIES, check_degree
from fpsolve.stepping import count_steps
from fpsolve.times import LONGEST
from fpsolve.transport.flows import EXPLICIT

KEPT = "the measure that was given keeps its own"
OF_THE_CALL = ("progress", "checkpoint", "checkpoint_every", "threads")
"""Arguments of ``solve`` that change nothing in its result, and are no settings."""

FINER = 12
"""Halvings of a step that a remedy looks at."""
MOST_TIMES = 100_000_000
"""Saved times of one run."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What :func:`fpsolve.solve` is asked beside a model and an initial law; here alone stand its defaults.

    The signatures of ``solve`` and of ``compare`` take them from here, sweeps, ensembles and configurations their keys.
    """

    t_end: float
    dt: float | Literal["auto"]
    scheme: str | Scheme | None = None
    measure: str | type[Measure] = AUTO
    lmax: int = 63
    rtol: float = 1e-6
    filter: float | None = None
    transport: str = EXPLICIT
    petsc_options: str | None = None
    seed: int = 0
    member: int = 0
    path_cell: float = 0.01
    save_every: float | None = None
    moments_lmax: int = 8
    save_density: bool = False
    save_points: bool = False
    save_flow: bool = False
    observe: Observe | Mapping[str, str] | None = None
    """Functions by name; in what a run has recorded, their marks."""
    on_underresolved: str | Mapping[str, Any] | Policy | None = None
    lmax_cap: int = CAP

    def to_plain(self) -> dict[str, Any]:
        """What a configuration holds of them."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


SETTINGS = {one.name: one for one in fields(Settings)}
"""By name, with their defaults."""


def with_petsc(scheme: Scheme, name: str, transport: str, options: str | None) -> tuple[Scheme, tuple[str, str | None]]:
    """PETSc's options go to the scheme that takes them, otherwise to the transport."""
    if not scheme.takes_options:
        return scheme, (transport, options)
    if transport != EXPLICIT:
        raise InputError("transport", transport, f"{name} integrates the density by itself", "leave it out")
    return scheme.with_options(options), (EXPLICIT, None)


def with_step(settings: Settings, model: Model, scheme: Scheme, scheme_name: str) -> Settings:
    """``dt="auto"`` as the time between saved states, for schemes that reach any time to a tolerance.

    Raises InputError for common noise, for other schemes, for ν that is split off, and without ``save_every``.
    """
    if settings.dt != "auto":
        return settings
    guilty = ", ".join(type(term).__name__ for term in model.terms if term.is_stochastic)
    if guilty:
        problem = f"{guilty} has common noise, whose steps are those of its path"
        raise InputError("dt", "auto", problem, f"pass dt={settings.path_cell!r}, or noise=0")
    if not scheme.adaptive:
        problem = f"a step of scheme={scheme_name!r} is not computed to a tolerance"
        raise InputError("dt", "auto", problem, "leave scheme out (rk4), or pass dt")
    if model.diffusion > 0 and not scheme.diffuses:
        problem = f"diffusion = {model.diffusion:g} is split off from the drift, with an error of order dt²"
        raise InputError("dt", "auto", problem, 'pass dt, or use scheme="petsc_ts" on a density')
    if settings.save_every is None:
        raise InputError("save_every", None, 'dt="auto" steps from one saved time to the next', "pass save_every=…")
    every = check_number("save_every", settings.save_every, 0, LONGEST, above=True)
    if every > settings.t_end * (1 + 1e-9):
        raise InputError("save_every", every, f"longer than t_end = {settings.t_end}", "save more often, or end later")
    return replace(settings, dt=every)


def check_saved(state: Measure, policy: Policy, settings: Settings, scheme_name: str) -> None:
    """Raise InputError for asked variables that neither the measure has nor the cloud that may take over from it."""
    if settings.save_points and state.points is None and not policy.to_points:
        remedy = 'use measure="cloud" or on_underresolved="cloud"'
        raise InputError("save_points", True, f"a {state.name} has no points", remedy)
    if settings.save_density and not state.has_density:
        raise InputError("save_density", True, "these points carry no density", "start a cloud from a law, not tokens")
    if settings.save_flow:
        check_flow(policy.points(state), scheme_name)


def check_effect(settings: Settings, scheme: Scheme, scheme_name: str, initial: Any, state: Measure) -> None:
    """Raise InputError for an argument off its default that changes nothing: whoever gave it expected it to.

    What a configuration records passes, as do defaults.
    """
    given = initial if isinstance(initial, Measure) else None
    rtol, filter, usual = settings.rtol, settings.filter, Settings.rtol
    if rtol != usual and not scheme.uses_rtol and rtol != getattr(given, "rtol", None):
        problem = f"scheme={scheme_name!r} moves points in one step of length dt, without a tolerance"
        raise InputError("rtol", rtol, problem, 'leave it out and choose dt, or use scheme="lie_euler" or "rk4"')
    if given is not None and rtol not in (usual, getattr(given, "rtol", None)):
        raise InputError("rtol", rtol, KEPT, "set it there: replace(measure, rtol=…)")
    if given is not None and settings.transport not in (Settings.transport, getattr(given, "flow", Settings.transport)):
        raise InputError("transport", settings.transport, KEPT, "set it there: replace(density, flow=…)")
    if filter is not None and given is not None and filter != getattr(given, "filter", None):
        raise InputError("filter", filter, KEPT, "set it there: replace(density, filter=…)")
    if not scheme.uses_filter and getattr(state, "filter", None) is not None:
        idle = f"scheme={scheme_name!r} filters nothing"
        raise InputError("filter", filter, idle, "leave it out, or use another scheme")


def check_degrees_of(initial: Any, lmax: int, moments_lmax: int, is_axial: bool) -> None:
    """Raise InputError for degrees of a single run whose initial state has its own, or none.

    An ensemble may sweep over initial states of which some take it.
    """
    degree = getattr(initial, "lmax", None)
    if isinstance(initial, Measure | Tokens) and lmax not in (Settings.lmax, degree):
        without = "tokens have no degree" if isinstance(initial, Tokens) else f"the given {initial.name} has no degree"
        problem = without if degree is None else f"the given measure has degree {degree}"
        raise InputError("lmax", lmax, problem, "leave it out")
    d = getattr(initial, "dimension", 3)
    if moments_lmax != Settings.moments_lmax and d not in GEOMETRIES and not is_axial:
        problem = f"moments are saved in d = 2 and 3, not in d = {d}"
        raise InputError("moments_lmax", moments_lmax, problem, "leave it out")


def check_cells(path: BrownianPath, t_end: float, dt: float) -> None:
    """Raise InputError for a step that is not the path's cell times a power of two; what it names fits t_end too."""
    for name, value in (("t_end", t_end), ("dt", dt)):
        check_number(name, value, 0, LONGEST, above=True)
    try:
        path.check_step(dt)
    except InputError as error:
        near = path.cell * 2.0 ** min(max(round(log2(dt / path.cell)), -FINEST_LEVEL), -COARSEST_LEVEL)
        steps = (near * 2.0**j for j in (0, 1, *range(-1, -FINER, -1)))
        step = next((h for h in steps if round(t_end / h) and abs(round(t_end / h) * h - t_end) <= 1e-9 * t_end), None)
        pair = f"dt = {near:.12g} and t_end = {max(1, round(t_end / near)) * near:.12g}"
        cell = f", or pass path_cell={dt!r}" if abs(round(t_end / dt) * dt - t_end) <= 1e-9 * t_end else ""
        remedy = f"take {pair if step is None else f'dt = {step:.12g}'}{cell}"
        raise InputError("dt", dt, error.problem, remedy) from None


def check_arguments(model: Model, scheme: Scheme, scheme_name: str, settings: Settings) -> int:
    """Check what needs no measure; return the number of steps between saved states."""
    dt = float(settings.dt)
    check_number("path_cell", settings.path_cell, 0, LONGEST, above=True)
    if model.is_stochastic:
        check_cells(BrownianPath(settings.seed, settings.member, settings.path_cell), settings.t_end, dt)
    steps = count_steps(settings.t_end, dt)
    check_scheme(scheme_name, scheme, model, measure_class(settings.measure).name)
    for name, least in (("lmax", 4), ("moments_lmax", 1)):
        check_degree(name, getattr(settings, name), least)
    check_number("rtol", settings.rtol, 1e-14, 1)
    if settings.filter is not None:
        check_number("filter", settings.filter, 0)
    if settings.save_every is None:
        _check_saved_times(None, steps)
        return 1
    stride = saved_stride(settings.save_every, dt, steps)
    _check_saved_times(settings.save_every, steps // stride)
    return stride


def saved_stride(every: float, dt: float, steps: int) -> int:
    """Steps between saved times. Raises InputError unless ``every`` is a multiple of dt that divides t_end."""
    stride = round(check_number("save_every", every, 0, LONGEST, above=True) / dt)
    if stride < 1 or abs(stride * dt - every) > 1e-9 * every or steps % stride:
        problem = f"must be a multiple of dt = {dt} that divides t_end"
        raise InputError("save_every", every, problem, "change one of them")
    return stride


def _check_saved_times(every: float | None, count: int) -> None:
    """Raise InputError for more saved times than a result has room for."""
    if count > MOST_TIMES:
        raise InputError("save_every", every, f"{count} saved times, more than {MOST_TIMES}", "save less often")


def first_state(state: Measure, scheme: Scheme) -> Measure:
    """Where a scheme carries no density along the points, the run starts without one."""
    return _contiguous(state if scheme.carries_density else state.without_density())


def _contiguous(state: Measure) -> Measure:
    """Arrays in one piece, as they come back from a file: sums over strides may round otherwise."""
    values: dict[str, Any] = {name: getattr(state, name) for name in getattr(state, "__dataclass_fields__", ())}
    strided = {k: v for k, v in values.items() if isinstance(v, np.ndarray) and not v.flags.forc}
    pieces = {k: np.ascontiguousarray(v) for k, v in strided.items()}
    return replace(state, **pieces) if pieces else state  # type: ignore[type-var]
