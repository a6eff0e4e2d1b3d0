"""One call from a model and an initial law to an xarray Dataset."""

from __future__ import annotations

import sys
import warnings
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from fpsolve.errors import InputError, UnderResolvedWarning, check_number
from fpsolve.measures import Measure
from fpsolve.measures.build import build, measure_class
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.initial import Initial
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.observe import Recorder, dataset
from fpsolve.run import count_steps, default_scheme, run
from fpsolve.schemes import SCHEMES, Scheme, check_scheme, named

LARGEST_DEGREE = 2047
"""Degrees beyond this are refused: SHTns ends the process where a grid is too large for it."""

UNRESOLVED = 1e-3
"""A density whose tail exceeds this is no longer resolved."""

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
    moments. save_density, save_points: keep ρ on the grid (a quadrature cloud's at its points), or the points.
    progress: a bar (by default on a terminal).

    Returns a Dataset with dimension ``time``: mean_vector, overlap, energy, entropy, mass, moments, and for densities
    min_density, tail [, density]; for clouds [points, weights]. What a measure does not have is absent.
    Warns (UnderResolvedWarning) when the tail of a saved density first exceeds 1e-3. Raises InputError before any
    computing, UnresolvedError when the numbers stop being those of a measure.
    """
    arguments = {k: v for k, v in locals().items() if k not in ("model", "initial", "progress")}
    arguments["measure"] = measure_class(measure).name
    if not isinstance(model, Model):
        raise InputError("model", model, "not a model", "use fp.models.Homogenized(beta=4.0), for example")
    scheme_name, chosen = named(SCHEMES, default_scheme(model) if scheme is None else scheme)
    stride = _check(model, chosen, scheme_name, arguments)
    path = BrownianPath(seed, member, path_cell)
    state = _start(build(initial, measure, lmax, rtol, filter), scheme_name)
    _check_saved(state, save_density, save_points)
    states = run(model, state, path, t_end=t_end, dt=dt, scheme=chosen)
    recorder = Recorder(getattr(model, "beta", None), moments_lmax, save_density, save_points)

    times, records = [], []
    resolution = Resolution()
    steps = count_steps(t_end, dt)
    bar = sys.stderr.isatty() and steps >= LONG_RUN if progress is None else progress
    for n, (t, here) in enumerate(tqdm(states, total=steps + 1, disable=not bar, unit="step", desc="fpsolve")):
        if n % stride == 0:
            times.append(t)
            records.append(recorder(here))
            resolution.see(t, here)
    arguments |= {"scheme": scheme_name, **{k: getattr(state, k) for k in ("lmax", "rtol") if hasattr(state, k)}}
    config = {"model": described(model), "initial": described(initial), "solve": arguments}
    return dataset(times, records, state, config).assign_attrs(resolution.attributes)


class Resolution:
    """Watches the spectral tail of the saved states and says once when it is lost."""

    def __init__(self) -> None:
        self.attributes: dict[str, float] = {}

    def see(self, t: float, state: Measure) -> None:
        """Warn at the first state whose tail exceeds ``UNRESOLVED``; keep its time as an attribute."""
        tail = state.tail
        if tail is None or tail <= UNRESOLVED or self.attributes:
            return
        self.attributes["unresolved_from"] = t
        warnings.warn(
            f"the density is under-resolved from t = {t:.6g} on (tail = {tail:.2g} at lmax = "
            f"{getattr(state, 'lmax', '?')}): raise lmax, set filter=0.15, or follow it with measure='cloud'",
            UnderResolvedWarning,
            stacklevel=3,
        )


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
