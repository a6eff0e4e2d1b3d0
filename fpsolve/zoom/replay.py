"""A result's run again, from the configuration that it carries: model, initial law, path and steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fpsolve.config import Catalogue, parse_config
from fpsolve.errors import InputError
from fpsolve.measures.initial import LAWS, Initial, Law
from fpsolve.models import MODELS, Model
from fpsolve.resolution import quadrature_degree
from fpsolve.zoom.flow import Flow
from fpsolve.zoom.recorder import NODES, THROUGHOUT, FlowRecorder, check_flow

if TYPE_CHECKING:
    import xarray as xr

NUMBERS = ("t_end", "dt", "scheme", "lmax", "rtol", "seed", "member", "path_cell", "transport")
"""The arguments of ``solve`` that decide how the points move."""

INTERPOLATED = 1e-5
"""Largest estimate, a hundredfold too high in practice, of what interpolation in time may miss (a displacement)."""

HALVINGS = 5
"""How often the step of a run whose field lives throughout is halved to get there."""

DOUBLINGS = 2
"""How often the nodes of fields that live within a flow are doubled to get there."""


def configuration(ds: xr.Dataset) -> dict[str, Any]:
    """What the result says of its run. Raises InputError for a Dataset that is no result of ``solve``."""
    text = ds.attrs.get("fpsolve_config")
    config = json.loads(text) if isinstance(text, str) else {}
    if not {"model", "initial", "solve"} <= config.keys():
        problem = "it does not say how it was solved"
        raise InputError("solution", type(ds).__name__, problem, "pass a result of fp.solve")
    solve = config["solve"]
    if solve["measure"] != "cloud" and solve.get("on_underresolved") != "cloud":
        problem = f"a run with measure={solve['measure']!r} has no flow of points"
        raise InputError("solution", solve["measure"], problem, 'solve with measure="cloud"')
    return dict(config)


def law_of(config: dict[str, Any], initial: Initial | None) -> Law:
    """The initial law of the run, from its recipe or as it is given. Raises InputError where there is none."""
    from fpsolve.solve import described

    if initial is None:
        initial = _built(config, "initial")
    elif described(initial) != config["initial"]:
        raise InputError("initial", described(initial), "not the law of this run", f"pass {config['initial']}")
    if not isinstance(initial, Law):
        raise InputError("solution", config["initial"]["name"], "its points carry no density", "start from a law")
    return initial


def model_of(config: dict[str, Any], model: Model | None) -> Model:
    """The model of the run, from its parameters or as it is given."""
    from fpsolve.solve import described

    if model is None:
        built: Model = _built(config, "model")
        return built
    if described(model) != config["model"]:
        raise InputError("model", described(model), "not the model of this run", f"pass {config['model']}")
    return model


def flow_of(ds: xr.Dataset, law: Law, model: Model | None) -> Flow:
    """The flow that the result holds; or that of its run, done again, with as many values as interpolate well.

    Raises InputError where the flow cannot be run backwards, or the model cannot be built again.
    """
    if "flow" in ds:
        flow = Flow.of_dataset(ds)
        if flow.interpolation_error <= INTERPOLATED:
            return flow
    config = configuration(ds)
    model = model_of(config, model)
    for arguments, nodes in _attempts(_arguments(config["solve"])):
        flow = _flow(model, law, arguments, nodes)
        if flow.interpolation_error <= INTERPOLATED:
            break
    return flow


def _attempts(arguments: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int]]:
    """The run with ever finer values of its fields: other steps where that solves the same equation, else more nodes.

    Chebyshev's points of a doubled number of intervals contain those of before.
    """
    if arguments["scheme"] == THROUGHOUT:
        yield from ((arguments | {"dt": arguments["dt"] / 2**k}, NODES) for k in range(HALVINGS + 1))
    else:
        yield from ((arguments, (NODES - 1) * 2**k + 1) for k in range(DOUBLINGS + 1))


def _arguments(solve: dict[str, Any]) -> dict[str, Any]:
    """Those of the cloud whose points the run followed."""
    arguments = {k: v for k, v in solve.items() if k in NUMBERS}
    if solve["measure"] != "cloud":
        arguments["lmax"] = quadrature_degree(solve["lmax"], solve["lmax_cap"])
    return arguments | {"measure": "cloud"}


def _flow(model: Model, law: Law, arguments: dict[str, Any], nodes: int) -> Flow:
    from fpsolve.solve import prepare

    job = prepare(model, law, **arguments)
    check_flow(job.state, arguments["scheme"], "solution")
    recorder = FlowRecorder(nodes=nodes)
    *_, (_, last) = recorder.followed(job).states()
    return recorder.flow(job, last)


def _built(config: dict[str, Any], table: str) -> Any:
    """The model or the initial law of a configuration."""
    from fpsolve.solve import solve

    known = Catalogue(MODELS, LAWS, solve)
    valid = {"model": {"name": "IsotropicFlow", "spectrum": [1.0]}, "initial": {"name": "uniform"}}
    try:
        parsed = parse_config({**valid, "solve": {"t_end": 1.0, "dt": 1.0}, table: config[table]}, known)
        return getattr(parsed, table)
    except InputError as error:
        name = config[table].get("name")
        problem = f"the {table} of this run cannot be built again from what the result says of it ({error})"
        raise InputError(table, name, problem, f"pass {table}=…, as it was given to fp.solve") from error
