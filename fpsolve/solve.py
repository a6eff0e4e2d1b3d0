"""One call from a model and an initial law to an xarray Dataset."""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from fpsolve.errors import InputError
from fpsolve.measures import Measure
from fpsolve.measures.build import build, measure_class
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.initial import Initial
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.observe import Recorder, dataset
from fpsolve.run import count_steps, default_scheme, run
from fpsolve.schemes import SCHEMES, Scheme, check_scheme, named

LONG_RUN = 50
"""Runs of more steps show a progress bar on a terminal."""


def solve(
    model: Model,
    initial: Initial,
    *,
    t_end: float,
    dt: float,
    scheme: str | Scheme | None = None,
    measure: str | type[Measure] = "density",
    lmax: int = 63,
    rtol: float = 1e-6,
    filter: float | None = None,
    seed: int = 0,
    member: int = 0,
    path_cell: float = 0.01,
    save_every: float | None = None,
    moments_lmax: int = 8,
    save_density: bool = False,
    save_points: bool = False,
    progress: bool | None = None,
) -> xr.Dataset:
    """The conditional law of a token given the common noise, t = 0 to ``t_end``.

    model: a system of ``fp.models``. initial: a law or tokens of ``fp.initial``, or a measure.
    dt: time step, path_cell·2^±j with common noise. scheme: a name in ``fp.SCHEMES``, by default ``lie_euler`` with
    common noise and ``rk4`` without. measure: ``density``, ``half_density`` or ``cloud``. lmax: degree of the density,
    or of a cloud's initial quadrature. rtol: accuracy of one step's transport in the moments ℓ ≤ 8. filter: strength of
    the density's exponential filter. (seed, member): the Brownian path, whose root cells have length ``path_cell``.
    save_every: time between saved states, a multiple of dt (every step by default). moments_lmax: degree of the saved
    moments. save_density, save_points: keep ρ on the grid, or the points. progress: a bar (by default on a terminal).

    Returns a Dataset with dimension ``time``: mean_vector, overlap, energy, entropy, mass, moments, and for densities
    min_density, tail [, density]; for clouds [points, weights]. What a measure does not have is absent.
    Raises InputError before any computing, UnresolvedError when the numbers stop being those of a measure.
    """
    arguments = {k: v for k, v in locals().items() if k not in ("model", "initial", "progress")}
    arguments["measure"] = measure_class(measure).name
    scheme_name, chosen = named(SCHEMES, default_scheme(model) if scheme is None else scheme)
    stride = _check(model, chosen, scheme_name, arguments)
    path = BrownianPath(seed, member, path_cell)
    state = _start(build(initial, measure, lmax, rtol, filter), scheme_name)
    states = run(model, state, path, t_end=t_end, dt=dt, scheme=chosen)
    recorder = Recorder(getattr(model, "beta", None), moments_lmax, save_density, save_points)

    times, records = [], []
    steps = count_steps(t_end, dt)
    bar = sys.stderr.isatty() and steps >= LONG_RUN if progress is None else progress
    for n, (t, here) in enumerate(tqdm(states, total=steps + 1, disable=not bar, unit="step", desc="fpsolve")):
        if n % stride == 0:
            times.append(t)
            records.append(recorder(here))
    arguments["scheme"] = scheme_name
    config = {"model": described(model), "initial": described(initial), "solve": arguments}
    return dataset(times, records, state, config)


def _check(model: Model, scheme: Scheme, scheme_name: str, arguments: dict[str, Any]) -> int:
    """Check what needs no measure; return the number of steps between saved states."""
    if not isinstance(model, Model):  # type: ignore[unreachable,unused-ignore]
        raise InputError("model", model, "not a model", "use fp.models.Homogenized(beta=4.0), for example")
    steps = count_steps(arguments["t_end"], arguments["dt"])
    if not (np.isfinite(arguments["path_cell"]) and arguments["path_cell"] > 0):
        raise InputError("path_cell", arguments["path_cell"], "must be finite and positive", "pass path_cell=dt")
    check_scheme(scheme_name, scheme, model, arguments["measure"])
    for name, least in (("lmax", 4), ("moments_lmax", 1)):
        value = arguments[name]
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise InputError(name, value, f"must be an integer >= {least}", f"pass {name}=63, for example")
    if not 1e-14 <= arguments["rtol"] <= 1:
        raise InputError("rtol", arguments["rtol"], "outside [1e-14, 1]", "pass rtol=1e-6, for example")
    if arguments["filter"] is not None and not arguments["filter"] >= 0:
        raise InputError("filter", arguments["filter"], "must be non-negative", "pass filter=0.15, or None")
    every = arguments["save_every"]
    if every is None:
        return 1
    stride = round(every / arguments["dt"]) if np.isfinite(every) else 0
    if stride < 1 or abs(stride * arguments["dt"] - every) > 1e-9 * every or steps % stride:
        raise InputError(
            "save_every",
            every,
            f"must be a multiple of dt = {arguments['dt']} that divides t_end",
            "change one of them",
        )
    return stride


def _start(state: Measure, scheme_name: str) -> Measure:
    """Euler–Maruyama carries no density along the points, so it starts without one."""
    if scheme_name == "euler_maruyama" and isinstance(state, Cloud):
        return Cloud(state.x, state.weights, None, state.rtol, state.tokens)
    return state


def described(thing: Any) -> dict[str, Any]:
    """A model or an initial law as plain data for the configuration that a result carries."""
    recipe = getattr(thing, "recipe", None)
    if recipe:
        return dict(recipe)
    if isinstance(thing, Measure):
        return {"name": thing.name, "mean": thing.mean.tolist()}
    parameters = fields(thing) if is_dataclass(thing) else ()
    return {"name": type(thing).__name__, **{f.name: _plain(getattr(thing, f.name)) for f in parameters}}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value if isinstance(value, str | int | float | bool | list | tuple | type(None)) else repr(value)
