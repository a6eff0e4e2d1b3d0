"""Where a run began: its first density, evaluated anywhere, and what a replay of it starts from."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from fpsolve.errors import InputError
from fpsolve.measures.build import MEASURES, build
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.expansion import Expansion
from fpsolve.measures.initial import LAWS, Initial
from fpsolve.measures.laws import FunctionLaw, Law
from fpsolve.models import MODELS, Model
from fpsolve.observe.flow import Flow
from fpsolve.plain import from_plain, to_plain
from fpsolve.plain.objects import Table
from fpsolve.policies import cloud_of
from fpsolve.zooming.solution import Kept

REPRODUCED = 1e-5
"""How far a law may be from the density that a cloud carries, relative to it (and a millionth of its peak)."""


def start_of(ds: xr.Dataset, config: dict[str, Any], initial: Initial | None) -> tuple[Law, Initial]:
    """(ρ_0, what the run started from): a law; for a density that was given, its quadrature; a cloud as it was given.

    Raises InputError where ``initial`` is not what the run began with, or is needed, or has no density.
    """
    kind = config["initial"]["name"]
    if kind == Cloud.name:
        return _of_cloud(ds, config, initial)
    if issubclass(MEASURES.get(kind, Law), Expansion) and getattr(initial, "name", None) != kind:
        problem = f"this run began with a {kind} that it was given"
        raise InputError("initial", type(initial).__name__, problem, "pass the same, initial=…")
    passed = initial is not None
    if initial is None:
        initial = _built(config, "initial", LAWS)
    elif to_plain(initial) != config["initial"]:
        raise InputError("initial", to_plain(initial), "not the law of this run", f"pass {config['initial']}")
    if passed and isinstance(initial, Law):  # functions are told by their names alone, which may be alike
        solve = config["solve"]
        Kept(ds, solve["rtol"]).check(0.0, build(initial, "cloud", solve["lmax"], solve["rtol"]), "initial")
    if isinstance(initial, Expansion):
        Kept(ds, 0.0).check(0.0, initial, "initial")
        return law_of(initial), initial if initial.in_place else cloud_of(initial)
    if not isinstance(initial, Law):
        raise InputError("solution", kind, "its points carry no density", "start from a law")
    return initial, initial


def law_of(measure: Expansion) -> Law:
    """ρ = Σ ρ_ℓm Y_ℓm, or ψ², or e^φ, at any points; zero in negative lobes."""
    return FunctionLaw(lambda x: np.maximum(measure.density_at(x), 0), measure.dimension)


def model_of(config: dict[str, Any], model: Model | None) -> Model:
    """The model of the run, from its parameters or as it is given."""
    if model is None:
        built: Model = _built(config, "model", MODELS)
        return built
    if to_plain(model) != config["model"]:
        raise InputError("model", to_plain(model), "not the model of this run", f"pass {config['model']}")
    return model


def _of_cloud(ds: xr.Dataset, config: dict[str, Any], initial: Initial | None) -> tuple[Law, Initial]:
    start = Flow.of_dataset(ds).start if "flow" in ds else None
    if start is None:
        problem = "the cloud that this run was given is not in the result"
        raise InputError("solution", Cloud.name, problem, "solve with save_flow=True, or start from a law")
    cloud = Cloud(start[:, :-2].copy(), start[:, -2].copy(), start[:, -1].copy(), config["solve"]["rtol"])
    law = law_of(initial) if isinstance(initial, Expansion) else initial
    if not isinstance(law, Law) or law.dimension != cloud.dimension:
        problem = f"the cloud of this run has a density at its points alone, d = {cloud.dimension}"
        raise InputError("initial", type(initial).__name__, problem, "pass the law or the density that it was made of")
    carried = np.exp(start[:, -1])
    off = float((np.abs(law.density(cloud.x) - carried) / (carried + 1e-6 * carried.max())).max())
    if not off <= REPRODUCED:
        problem = f"not the density that the points of this run carry: {off:.1g} off"
        raise InputError("initial", to_plain(initial), problem, "pass the law or the density that they were made of")
    return law, cloud


def _built(config: dict[str, Any], table: str, known: Table) -> Any:
    """The model or the initial law of a configuration."""
    try:
        return from_plain(config[table], known, table)
    except InputError as error:
        name = config[table].get("name")
        problem = f"the {table} of this run cannot be built again from what the result says of it ({error})"
        raise InputError(table, name, problem, f"pass {table}=…, as it was given to fp.solve") from error
