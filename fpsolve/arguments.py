"""The arguments of ``solve``: what is refused before any computing, and the first state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fpsolve.errors import InputError, check_number
from fpsolve.measures import Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.policies import LARGEST_DEGREE, Policy
from fpsolve.run import count_steps
from fpsolve.schemes import Scheme, check_scheme
from fpsolve.times import check_cells
from fpsolve.transport.flows import EXPLICIT
from fpsolve.zoom.recorder import check_flow

RTOL = 1e-6
"""Accuracy of one transport where nothing else is said."""

CAP = 255
"""The highest degree of a policy where nothing else is said."""

KEPT = "the measure that was given keeps its own"
MOST_TIMES = 100_000_000
"""Saved times of one run."""


def with_petsc(scheme: Scheme, name: str, transport: str, options: str | None) -> tuple[Scheme, tuple[str, str | None]]:
    """PETSc's options go to the scheme that takes them, otherwise to the transport."""
    if not scheme.takes_options:
        return scheme, (transport, options)
    if transport != EXPLICIT:
        raise InputError("transport", transport, f"{name} integrates the density by itself", "leave it out")
    return scheme.with_options(options), (EXPLICIT, None)


def check_saved(state: Measure, policy: Policy, asked: dict[str, Any]) -> None:
    """Raise InputError for asked variables that neither the measure has nor the cloud that may take over from it."""
    if asked["save_points"] and not isinstance(state, Cloud) and not policy.hands_over(state):
        remedy = 'use measure="cloud" or on_underresolved="cloud"'
        raise InputError("save_points", True, f"a {state.name} has no points", remedy)
    if asked["save_density"] and isinstance(state, Cloud) and state.log_density is None:
        raise InputError("save_density", True, "these points carry no density", "start a cloud from a law, not tokens")
    if asked["save_flow"]:
        check_flow(policy.points(state), asked["scheme"])


def check_effect(asked: dict[str, Any], scheme: Scheme, scheme_name: str, initial: Any, state: Measure) -> None:
    """Raise InputError for an argument off its default that changes nothing: whoever gave it expected it to.

    What a configuration records passes, as do defaults.
    """
    given = initial if isinstance(initial, Measure) else None
    rtol, filter, cap = asked["rtol"], asked["filter"], asked["lmax_cap"]
    if rtol != RTOL and not scheme.uses_rtol and rtol != getattr(given, "rtol", None):
        problem = f"scheme={scheme_name!r} moves points in one step of length dt, without a tolerance"
        raise InputError("rtol", rtol, problem, 'leave it out and choose dt, or use scheme="lie_euler" or "rk4"')
    if given is not None and rtol not in (RTOL, getattr(given, "rtol", None)):
        raise InputError("rtol", rtol, KEPT, "set it there: replace(measure, rtol=…)")
    if filter is not None and given is not None and filter != getattr(given, "filter", None):
        raise InputError("filter", filter, KEPT, "set it there: replace(density, filter=…)")
    idle = f"scheme={scheme_name!r} filters nothing"
    if not scheme.uses_filter and getattr(state, "filter", None) is not None:
        raise InputError("filter", filter, idle, "leave it out, or use another scheme")
    if not scheme.uses_filter and asked["on_underresolved"] == "filter":
        raise InputError("on_underresolved", "filter", idle, 'use "refine" or "cloud", or another scheme')
    if cap != CAP and asked["on_underresolved"] not in ("refine", "cloud"):
        problem = f"on_underresolved={asked['on_underresolved']!r} raises no degree"
        raise InputError("lmax_cap", cap, problem, 'leave it out, or use on_underresolved="refine" or "cloud"')


def check_arguments(model: Model, scheme: Scheme, scheme_name: str, arguments: dict[str, Any]) -> int:
    """Check what needs no measure; return the number of steps between saved states."""
    check_number("path_cell", arguments["path_cell"], 0, above=True)
    if model.is_stochastic:
        path = BrownianPath(arguments["seed"], arguments["member"], arguments["path_cell"])
        check_cells(path, arguments["t_end"], arguments["dt"])
    steps = count_steps(arguments["t_end"], arguments["dt"])
    check_scheme(scheme_name, scheme, model, arguments["measure"])
    for name, least in (("lmax", 4), ("moments_lmax", 1)):
        value = arguments[name]
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise InputError(name, value, f"must be an integer >= {least}", f"pass {name}=63, for example")
    if arguments["lmax"] > LARGEST_DEGREE:
        raise InputError("lmax", arguments["lmax"], f"beyond {LARGEST_DEGREE}", f"pass lmax <= {LARGEST_DEGREE}")
    check_number("rtol", arguments["rtol"], 1e-14, 1)
    if arguments["filter"] is not None:
        check_number("filter", arguments["filter"], 0)
    every = arguments["save_every"]
    if every is None:
        _check_saved_times(every, steps)
        return 1
    stride = round(check_number("save_every", every, 0, above=True) / arguments["dt"])
    if stride < 1 or abs(stride * arguments["dt"] - every) > 1e-9 * every or steps % stride:
        raise InputError(
            "save_every",
            every,
            f"must be a multiple of dt = {arguments['dt']} that divides t_end",
            "change one of them",
        )
    _check_saved_times(every, steps // stride)
    return stride


def _check_saved_times(every: float | None, count: int) -> None:
    """Raise InputError for more saved times than a result has room for."""
    if count > MOST_TIMES:
        raise InputError("save_every", every, f"{count} saved times, more than {MOST_TIMES}", "save less often")


def first_state(state: Measure, scheme: Scheme) -> Measure:
    """Where a scheme carries no density along the points, the run starts without one."""
    if not scheme.carries_density and isinstance(state, Cloud):
        state = replace(state, log_density=None)
    return _contiguous(state)


def _contiguous(state: Measure) -> Measure:
    """Arrays in one piece, as they come back from a file: sums over strides may round otherwise."""
    values: dict[str, Any] = {name: getattr(state, name) for name in getattr(state, "__dataclass_fields__", ())}
    strided = {k: v for k, v in values.items() if isinstance(v, np.ndarray) and not v.flags.forc}
    pieces = {k: np.ascontiguousarray(v) for k, v in strided.items()}
    return replace(state, **pieces) if pieces else state  # type: ignore[type-var]
