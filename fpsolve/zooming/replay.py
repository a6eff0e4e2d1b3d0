"""A result's run again, from the configuration that it carries: model, initial law, path and steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fpsolve.errors import InputError
from fpsolve.measures import MEASURES
from fpsolve.measures.initial import Initial
from fpsolve.models import Model
from fpsolve.observe.flow import Flow
from fpsolve.observe.flow_recorder import NODES, THROUGHOUT, FlowRecorder, check_flow
from fpsolve.policies import quadrature_degree
from fpsolve.solving import prepare
from fpsolve.zooming.solution import Kept, configuration
from fpsolve.zooming.start import model_of

if TYPE_CHECKING:
    import xarray as xr

NUMBERS = ("t_end", "dt", "scheme", "lmax", "rtol", "seed", "member", "path_cell")
"""The arguments of ``solve`` that decide how the points move."""

INTERPOLATED = 1e-5
"""Largest estimate, a hundredfold too high in practice, of what interpolation in time may miss (a displacement)."""

HALVINGS = 5
"""How often the step of a run whose field lives throughout is halved to get there."""

DOUBLINGS = 2
"""How often the nodes of fields that live within a flow are doubled to get there."""


def flow_of(ds: xr.Dataset, initial: Initial, model: Model | None) -> Flow:
    """The flow that the result holds; or that of its run, done again, with as many values as interpolate well.

    initial: a law, or the cloud that the run started from. Raises InputError where the flow cannot be run backwards,
    where the model cannot be built again, and where the run done again is not the one whose moments were saved.
    """
    config = configuration(ds)
    if model is not None:
        model_of(config, model)  # another one is refused, whether it is needed or not
    if "flow" in ds:
        flow = Flow.of_dataset(ds)
        if flow.interpolation_error <= INTERPOLATED:
            return flow
    model, kept = model_of(config, model), Kept(ds, config["solve"]["rtol"])
    arguments = _arguments(config["solve"])
    for changes, nodes in _attempts(arguments):
        flow = _flow(model, initial, arguments | changes, nodes, None if changes else kept)
        if flow.interpolation_error <= INTERPOLATED:
            break
    return flow


def _attempts(arguments: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int]]:
    """The run with ever finer values of its fields: other steps where that solves the same equation, else more nodes.

    Chebyshev's points of a doubled number of intervals contain those of before.
    """
    if arguments["scheme"] == THROUGHOUT:
        yield {}, NODES
        yield from (({"dt": arguments["dt"] / 2**k}, NODES) for k in range(1, HALVINGS + 1))
    else:
        yield from (({}, (NODES - 1) * 2**k + 1) for k in range(DOUBLINGS + 1))


def _arguments(solve: dict[str, Any]) -> dict[str, Any]:
    """Those of the cloud whose points the run followed, or of the run itself where that has a flow from the start."""
    arguments = {k: v for k, v in solve.items() if k in NUMBERS}
    if MEASURES[solve["measure"]].in_place:
        return arguments | {name: solve[name] for name in ("measure", "on_underresolved", "lmax_cap")}
    if solve["measure"] != "cloud":
        arguments["lmax"] = quadrature_degree(solve["lmax"], solve["lmax_cap"])
    return arguments | {"measure": "cloud"}


def _flow(model: Model, initial: Initial, arguments: dict[str, Any], nodes: int, kept: Kept | None) -> Flow:
    job = prepare(model, initial, **arguments)
    first = job.policy.points(job.state)
    check_flow(first, arguments["scheme"], "solution")
    recorder = FlowRecorder(job.stepper, first, nodes=nodes)
    for time, last in job.course(stepper=recorder.recording).states():
        if kept is not None:
            kept.check(time, last)
    if recorder.given_up:
        problem = "a field of this run has no harmonics up to degree 255, so that its flow cannot be run backwards"
        raise InputError("solution", type(model).__name__, problem, "zoom in a run of smoother attention (lower beta)")
    return recorder.flow(last, job.given())
