"""One call from a model and an initial law to an xarray Dataset."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from inspect import signature
from typing import Any

import numpy as np
from tqdm import tqdm

from fpsolve.errors import InputError, Interrupted, check_number
from fpsolve.identity import told
from fpsolve.io.checkpoint import Snapshot
from fpsolve.io.keeper import Keeper
from fpsolve.measures import Measure
from fpsolve.measures.build import build, measure_class
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.initial import Initial
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.observe import Recorder, Result, dataset
from fpsolve.resolution import LARGEST_DEGREE, Policy, Resolution, checked_policy, states
from fpsolve.run import check_run, count_steps, default_scheme
from fpsolve.schemes import SCHEMES, Scheme, check_scheme, named
from fpsolve.transport.flows import EXPLICIT
from fpsolve.zoom.recorder import FlowRecorder, check_flow

CHECKPOINT_EVERY = 60.0
"""Seconds between two writings of a checkpoint."""

OF_THE_CALL = ("progress", "checkpoint", "checkpoint_every")
"""Arguments of ``solve`` that change nothing in its result, and stand in no configuration."""

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
    transport: str = EXPLICIT,
    petsc_options: str | None = None,
    seed: int = 0,
    member: int = 0,
    path_cell: float = 0.01,
    save_every: float | None = None,
    moments_lmax: int = 8,
    save_density: bool = False,
    save_points: bool = False,
    save_flow: bool = False,
    on_underresolved: str = "warn",
    lmax_cap: int = 255,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: float = CHECKPOINT_EVERY,
) -> Result:
    """The conditional law of a token given the common noise, t = 0 to ``t_end``.

    model: a system of ``fp.models``. initial: a law or tokens of ``fp.initial``, or a measure.
    dt: time step, path_cell·2^±j with common noise. scheme: a name in ``fp.SCHEMES``, by default ``lie_euler`` with
    common noise, ``rk4`` without, ``geodesic_euler`` for causal models.
    measure: ``density``, ``half_density`` or ``cloud``. lmax: degree of the density,
    or of a cloud's initial quadrature. rtol: accuracy of one step's transport in the moments ℓ ≤ 8. filter: strength of
    the density's exponential filter. transport: ``chebyshev``, or a density's implicit steps ``petsc``,
    ``petsc_gauss`` and, by SciPy, ``midpoint``. petsc_options: PETSc's, "-ksp_monitor" for example.
    (seed, member): the Brownian path, whose root cells have length ``path_cell``.
    save_every: time between saved states, a multiple of dt (every step by default). moments_lmax: degree of the saved
    moments. save_density, save_points: keep ρ on the grid (a quadrature cloud's at its points), or the points.
    save_flow: keep the field of every step, from which ``fp.zoom`` takes the density anywhere (quadrature clouds).
    on_underresolved: what to do once a density's tail exceeds 1e-3, looked at in every step: ``warn``; ``stop`` and
    return what is saved; ``filter`` from there on; ``refine``, at 1e-6 already, to 2ℓmax + 1 up to ``lmax_cap``; or
    hand over to the ``cloud`` of degree 2ℓmax + 1, ``lmax_cap`` at most, that starts from the same law on the same
    path. Under all but ``warn`` the coordinates ``method``, ``lmax`` and ``filter`` say what made each saved state.
    progress: a bar (by default on a terminal). checkpoint: a file that keeps the run's progress, written every
    ``checkpoint_every`` seconds and at the end; where it exists, the run goes on from it, also to a later t_end, in the
    bits of a run that was never stopped. It stays; one of another run is refused, a damaged one set aside.

    Returns a Dataset with dimension ``time``: mean_vector, overlap, energy, entropy, mass, moments, and for densities
    min_density, tail [, density]; for clouds [points, weights]. What a measure does not have is absent.
    Warns (UnderResolvedWarning) when the tail of a density first exceeds 1e-3. Raises InputError before any
    computing, UnresolvedError when the numbers stop being those of a measure.
    """
    arguments = {k: v for k, v in locals().items() if k not in ("model", "initial", *OF_THE_CALL)}
    job = prepare(model, initial, **arguments)
    return job.run(progress=progress, checkpoint=checkpoint, checkpoint_every=checkpoint_every)


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
    policy: Policy

    def run(
        self,
        *,
        progress: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = CHECKPOINT_EVERY,
        stop: Callable[[], bool] = lambda: False,
        keep_last: bool = True,
    ) -> Result:
        """From the first state, or that of the checkpoint, to the last.

        stop: asked after every step but the last; once it says yes, the checkpoint is written and Interrupted raised.
        keep_last: write the last state to the checkpoint too.
        """
        keeper = None if checkpoint is None else Keeper(checkpoint, checkpoint_every, self.config, self.state)
        here = Snapshot(0, self.state) if keeper is None else keeper.resume(self.steps)
        resolution = Resolution()
        resolution.attributes.update(here.notes)
        flow = FlowRecorder(here.fields, here.step) if self.config["solve"]["save_flow"] else None
        job = self if flow is None else flow.followed(self)
        for n, (t, state) in enumerate(job._watched(here.step, here.state, progress), here.step):
            here.step, here.state = n, state
            resolution.see(t, state)
            here.notes = dict(resolution.attributes)
            if flow is not None:
                here.fields = flow.fields
            if n == self.stride * len(here.times):  # not yet saved
                here.times.append(t)
                here.records.append(self.recorder(state))
            stopping = n < self.steps and stop()
            if keeper is not None:
                keeper.see(here, stopping or (keep_last and n == self.steps))
            if stopping:
                raise Interrupted(t, checkpoint)
        resolution.end(self.config["solve"]["t_end"])
        ds = dataset(here.times, here.records, self.state, self.config).assign_attrs(resolution.attributes)
        return ds if flow is None else flow.flow(self, here.state).to_dataset(ds)

    def _watched(self, start: int, state: Measure, progress: bool | None) -> Iterator[tuple[float, Measure]]:
        """``(t, measure)`` from step ``start`` on, under a bar where one is wanted."""
        bar = sys.stderr.isatty() and self.steps >= LONG_RUN if progress is None else progress
        total, states = self.steps + 1, self.states(start, state)
        yield from tqdm(states, initial=start, total=total, disable=not bar, unit="step", desc="fpsolve")

    def states(self, start: int = 0, state: Measure | None = None) -> Iterator[tuple[float, Measure]]:
        """``(t, measure)`` at every step from ``start`` on, where the measure is ``state`` (by default the first)."""
        t_end, first = self.config["solve"]["t_end"], self.state if state is None else state
        how: dict[str, Any] = {"t_end": t_end, "dt": self.dt, "scheme": self.scheme, "policy": self.policy}
        return states(self.model, first, self.path, start=start, **how)


def prepare(model: Model, initial: Initial, **arguments: Any) -> Job:
    """Check the arguments of ``solve`` and build the initial state, before any step. Raises InputError."""
    asked = {name: one.default for name, one in signature(solve).parameters.items() if name not in ("model", "initial")}
    for name in OF_THE_CALL:
        asked.pop(name)
    asked |= arguments
    asked["measure"] = measure_class(asked["measure"]).name
    if not isinstance(model, Model):
        raise InputError("model", model, "not a model", "use fp.models.Homogenized(beta=4.0), for example")
    scheme_name, chosen = named(SCHEMES, default_scheme(model) if asked["scheme"] is None else asked["scheme"])
    stride = _check(model, chosen, scheme_name, asked)
    chosen, flow = _with_petsc(chosen, scheme_name, asked["transport"], asked["petsc_options"])
    path = BrownianPath(asked["seed"], asked["member"], asked["path_cell"])
    measure = arguments.get("measure", "density")
    state = _start(build(initial, measure, asked["lmax"], asked["rtol"], asked["filter"], *flow), chosen)
    _check_saved(state, asked["save_density"], asked["save_points"])
    t_end, dt = asked["t_end"], asked["dt"]
    steps = check_run(model, state, path, t_end=t_end, dt=dt, name=scheme_name, scheme=chosen)
    asked |= {"scheme": scheme_name, **{k: getattr(state, k) for k in ("lmax", "rtol") if hasattr(state, k)}}
    policy = checked_policy(asked["on_underresolved"], asked["lmax_cap"], model, initial, state)
    if asked["save_flow"]:
        check_flow(state, scheme_name)
    recorder = _recorder(model, state, asked)
    config = {"model": described(model), "initial": described(initial), "solve": asked}
    return Job(model, state, path, chosen, dt, steps, stride, recorder, config, policy)


def _recorder(model: Model, state: Measure, asked: dict[str, Any]) -> Recorder:
    """What is kept of every state, of the same shapes whatever the degrees that a policy takes."""
    degree, policy = asked["moments_lmax"], asked["on_underresolved"]
    if hasattr(state, "lmax"):
        degree = min(degree, max(state.lmax, asked["lmax_cap"]) if policy == "refine" else state.lmax)
    saved = (degree, asked["save_density"], asked["save_points"])
    followed = policy != "warn"
    return Recorder(getattr(model, "beta", None), *saved, model.interaction, followed, getattr(state, "grid", None))


def _with_petsc(
    scheme: Scheme, name: str, transport: str, options: str | None
) -> tuple[Scheme, tuple[str, str | None]]:
    """PETSc's options go to the scheme that takes them, otherwise to the transport."""
    if not scheme.takes_options:
        return scheme, (transport, options)
    if transport != EXPLICIT:
        raise InputError("transport", transport, f"{name} integrates the density by itself", "leave it out")
    return scheme.with_options(options), (EXPLICIT, None)


def _check_saved(state: Measure, save_density: bool, save_points: bool) -> None:
    """Raise InputError for asked variables that the measure does not have."""
    points = isinstance(state, Cloud)
    if save_points and not points:
        raise InputError("save_points", True, f"a {state.name} has no points", 'use measure="cloud"')
    if save_density and points and state.log_density is None:  # type: ignore[attr-defined]
        raise InputError("save_density", True, "these points carry no density", "start a cloud from a law, not tokens")


def _check(model: Model, scheme: Scheme, scheme_name: str, arguments: dict[str, Any]) -> int:
    """Check what needs no measure; return the number of steps between saved states."""
    steps = count_steps(arguments["t_end"], arguments["dt"])
    check_number("path_cell", arguments["path_cell"], 0, above=True)
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


def _start(state: Measure, scheme: Scheme) -> Measure:
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


def described(thing: Any, strict: bool = False) -> dict[str, Any]:
    """A model or an initial law as plain data for the configuration that a result carries.

    What has no exact text, such as a function, is told by its content. strict: raise Unidentified where that fails.
    """
    recipe = getattr(thing, "recipe", None)
    if recipe:
        return dict(recipe)
    if isinstance(thing, Measure):
        return {"name": thing.name, "mean": thing.mean.tolist()}
    parameters = fields(thing) if is_dataclass(thing) else ()
    return {"name": type(thing).__name__, **{f.name: told(getattr(thing, f.name), strict) for f in parameters}}
