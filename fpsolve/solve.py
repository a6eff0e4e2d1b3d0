"""One call from a model and an initial law to an xarray Dataset."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from inspect import signature
from typing import Any

import numpy as np
from tqdm import tqdm

from fpsolve.errors import InputError, check_number
from fpsolve.measures import Measure
from fpsolve.measures.build import build, measure_class
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.initial import Initial
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.observe import Recorder, Result, dataset
from fpsolve.resolution import Resolution, states
from fpsolve.run import check_run, count_steps, default_scheme
from fpsolve.schemes import SCHEMES, Scheme, check_scheme, named

LARGEST_DEGREE = 2047
"""Degrees beyond this are refused: SHTns ends the process where a grid is too large for it."""

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
) -> Result:
    """The conditional law of a token given the common noise, t = 0 to ``t_end``.

    model: a system of ``fp.models``. initial: a law or tokens of ``fp.initial``, or a measure.
    dt: time step, path_cell·2^±j with common noise. scheme: a name in ``fp.SCHEMES``, by default ``lie_euler`` with
    common noise and ``rk4`` without. measure: ``density``, ``half_density`` or ``cloud``. lmax: degree of the density,
    or of a cloud's initial quadrature. rtol: accuracy of one step's transport in the moments ℓ ≤ 8. filter: strength of
    the density's exponential filter. (seed, member): the Brownian path, whose root cells have length ``path_cell``.
    save_every: time between saved states, a multiple of dt (every step by default). moments_lmax: degree of the saved
    moments. save_density, save_points: keep ρ on the grid (a quadrature cloud's at its points), or the points.
    progress: a bar (by default on a terminal).

    Returns a Dataset with dimension ``time``: mean_vector, overlap, energy, entropy, mass, moments, and for densities
    min_density, tail [, density]; for clouds [points, weights]. What a measure does not have is absent.
    Warns (UnderResolvedWarning) when the tail of a saved density first exceeds 1e-3. Raises InputError before any
    computing, UnresolvedError when the numbers stop being those of a measure.
    """
    arguments = {k: v for k, v in locals().items() if k not in ("model", "initial", "progress")}
    return prepare(model, initial, **arguments).run(progress=progress)


@dataclass(frozen=True)
class Job:
    """A solve that is checked and built, ready to run; its steps are counted from 0 to ``steps``.

    ``config`` is what its result carries: model, initial law and arguments as plain data.
    """

    model: Model
    state: Measure
    path: BrownianPath
    scheme: Scheme
    dt: float
    steps: int
    stride: int
    recorder: Recorder
    config: dict[str, Any]

    def run(self, *, progress: bool | None = None) -> Result:
        """From the first state to the last."""
        times, records = [], []
        resolution = Resolution()
        bar = sys.stderr.isatty() and self.steps >= LONG_RUN if progress is None else progress
        for n, (t, here) in enumerate(
            tqdm(self.states(), total=self.steps + 1, disable=not bar, unit="step", desc="fpsolve")
        ):
            if n % self.stride == 0:
                times.append(t)
                records.append(self.recorder(here))
                resolution.see(t, here)
        return dataset(times, records, self.state, self.config).assign_attrs(resolution.attributes)

    def states(self) -> Iterator[tuple[float, Measure]]:
        """``(t, measure)`` at every step."""
        t_end = self.config["solve"]["t_end"]
        return states(self.model, self.state, self.path, t_end=t_end, dt=self.dt, scheme=self.scheme)


def prepare(model: Model, initial: Initial, **arguments: Any) -> Job:
    """Check the arguments of ``solve`` and build the initial state, before any step. Raises InputError."""
    asked = {name: one.default for name, one in signature(solve).parameters.items() if name not in ("model", "initial")}
    asked.pop("progress")
    asked |= arguments
    asked["measure"] = measure_class(asked["measure"]).name
    if not isinstance(model, Model):
        raise InputError("model", model, "not a model", "use fp.models.Homogenized(beta=4.0), for example")
    scheme_name, chosen = named(SCHEMES, default_scheme(model) if asked["scheme"] is None else asked["scheme"])
    stride = _check(model, chosen, scheme_name, asked)
    path = BrownianPath(asked["seed"], asked["member"], asked["path_cell"])
    measure = arguments.get("measure", "density")
    state = _start(build(initial, measure, asked["lmax"], asked["rtol"], asked["filter"]), scheme_name)
    _check_saved(state, asked["save_density"], asked["save_points"])
    t_end, dt = asked["t_end"], asked["dt"]
    steps = check_run(model, state, path, t_end=t_end, dt=dt, name=scheme_name, scheme=chosen)
    asked |= {"scheme": scheme_name, **{k: getattr(state, k) for k in ("lmax", "rtol") if hasattr(state, k)}}
    saved = (asked["moments_lmax"], asked["save_density"], asked["save_points"])
    recorder = Recorder(getattr(model, "beta", None), *saved, model.interaction)
    config = {"model": described(model), "initial": described(initial), "solve": asked}
    return Job(model, state, path, chosen, dt, steps, stride, recorder, config)


def _check_saved(state: Measure, save_density: bool, save_points: bool) -> None:
    """Raise InputError for asked variables that the measure does not have."""
    points = isinstance(state, Cloud)
    if save_points and not points:
        raise InputError("save_points", True, f"a {state.name} has no points", 'use measure="cloud"')
    if save_density and points and state.log_density is None:  # type: ignore[attr-defined]
        raise InputError("save_density", True, "these points carry no density", "start a cloud from a law, not tokens")


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
    if arguments["lmax"] > LARGEST_DEGREE:
        raise InputError("lmax", arguments["lmax"], f"beyond {LARGEST_DEGREE}", f"pass lmax <= {LARGEST_DEGREE}")
    check_number("rtol", arguments["rtol"], 1e-14, 1)
    if arguments["filter"] is not None:
        check_number("filter", arguments["filter"], 0)
    every = arguments["save_every"]
    if every is None:
        return 1
    stride = round(check_number("save_every", every, 0, above=True) / arguments["dt"])
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
