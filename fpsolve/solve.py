"""One call from a model and an initial law to an xarray Dataset."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

from tqdm import tqdm

from fpsolve.arguments import CAP, RTOL, check_arguments, check_effect, check_saved, first_state, with_petsc
from fpsolve.errors import InputError, Interrupted, SamplingWarning
from fpsolve.io.checkpoint import Snapshot
from fpsolve.io.keeper import Keeper
from fpsolve.measures import Measure
from fpsolve.measures.build import build, measure_class
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.initial import Initial, Law
from fpsolve.models.base import Model
from fpsolve.models.noise_degree import short_from
from fpsolve.noise import BrownianPath
from fpsolve.observe import Recorder, Result, dataset
from fpsolve.plain import to_plain
from fpsolve.plain.numbers import as_annotated
from fpsolve.policies import LARGEST_DEGREE as LARGEST_DEGREE
from fpsolve.policies import Policy, checked_policy
from fpsolve.resolution import Course, Moment, Resolution, states
from fpsolve.run import check_run, default_scheme
from fpsolve.schemes import SCHEMES, Scheme, named
from fpsolve.surroundings import is_terminal, usual_arithmetic
from fpsolve.times import saved_time
from fpsolve.transport.flows import EXPLICIT
from fpsolve.zoom.recorder import FlowRecorder

CHECKPOINT_EVERY = 60.0
"""Seconds between two writings of a checkpoint."""

OF_THE_CALL = ("progress", "checkpoint", "checkpoint_every")
"""Arguments of ``solve`` that change nothing in its result, and stand in no configuration."""

LONG_RUN = 50
"""Runs of more steps show a progress bar on a terminal."""


@usual_arithmetic
def solve(
    model: Model,
    initial: Initial,
    *,
    t_end: float,
    dt: float,
    scheme: str | Scheme | None = None,
    measure: str | type[Measure] = "density",
    lmax: int = 63,
    rtol: float = RTOL,
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
    lmax_cap: int = CAP,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: float = CHECKPOINT_EVERY,
) -> Result:
    """The conditional law of a token given the common noise, t = 0 to ``t_end``.

    model: a system of ``fp.models``. initial: a law or tokens of ``fp.initial``, or a measure.
    dt: time step, path_cell·2^±j with common noise. scheme: a name in ``fp.SCHEMES``, by default ``rk4`` without
    common noise, with it ``lie_euler`` (``geodesic_euler`` for fields known only at points together).
    measure: ``density``, ``half_density``, ``log_density`` or ``cloud``. lmax: degree of the density,
    or of a cloud's initial quadrature. rtol: accuracy of one step's transport in the moments ℓ ≤ 8. filter: strength of
    the density's exponential filter. transport: ``chebyshev``, ``krylov`` (fewer
    applications while a density is smooth), or a density's implicit steps ``petsc``, ``petsc_gauss`` and, by SciPy,
    ``midpoint``. petsc_options: PETSc's, "-ksp_monitor" for example.
    (seed, member): the Brownian path, whose root cells have length ``path_cell``.
    save_every: time between saved states, a multiple of dt (every step by default). moments_lmax: degree of the saved
    moments. save_density, save_points: keep ρ on the grid (a quadrature cloud's at its points), or the points.
    save_flow: keep the field of every step, from which ``fp.zoom`` takes the density anywhere (quadrature clouds).
    on_underresolved: what to do once a density's tail exceeds 1e-3 (a log density's 1e-6, or its mass is off by
    1e-7), looked at in every step: ``warn``; ``stop`` and return what is saved; ``filter`` from there on; ``refine``,
    at a thousandth of that tail already, to 2ℓmax + 1 up to ``lmax_cap``; or hand over to the ``cloud`` of degree
    2ℓmax + 1, ``lmax_cap`` at most, that starts from the same law on the same path, and whose points and flow may be
    saved. Under all but ``warn`` coordinates ``method``, ``lmax`` and ``filter`` say what made each saved state, and
    where no step leads on the run ends early, as with ``stop``, with the attribute ``stopped_at``.
    progress: a bar (by default on a terminal). checkpoint: a file that keeps the run's progress, written every
    ``checkpoint_every`` seconds and at the end; where it exists, the run goes on from it, also to a later t_end, in the
    bits of a run that was never stopped. It stays; one of another run is refused, a damaged one set aside.

    Returns a Dataset with dimension ``time``: mean_vector, overlap, energy, entropy, mass, moments, and for densities
    min_density, tail [, mass_defect, density]; for clouds [points, weights]. What a measure does not have is absent.
    Warns (UnderResolvedWarning) when a density is first under-resolved, and says by what. Raises InputError before any
    computing (also for an ``rtol``, ``filter``, ``lmax_cap`` or ``petsc_options`` off its default that changes
    nothing), UnresolvedError (under ``warn``) when the numbers stop being those of a measure.
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

    @usual_arithmetic
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
        resolution = Resolution(self.config["solve"]["lmax"], self.model)
        resolution.attributes.update(here.notes)
        flow = FlowRecorder(here.fields, here.points_moved) if self.config["solve"]["save_flow"] else None
        course, recorded = self._course(here, flow), 0
        for moment in self._watched(course, progress):
            t, hands_over = saved_time(moment.step * self.dt), here.behind is None and moment.behind is not None
            here.step, here.state, here.behind = moment.step, moment.state, moment.behind
            resolution.see(t, here.state)
            here.notes = dict(resolution.attributes)
            if flow is not None:
                here.fields, recorded = flow.fields, len(flow.fields)
            self._save(here, t)
            stopping, lost = here.step < self.steps and stop(), ""
            if keeper is not None:
                lost = keeper.see(here, stopping or hands_over or (keep_last and here.step == self.steps))
            if stopping:
                kept = None if keeper is None or keeper.step is None else saved_time(keeper.step * self.dt)
                raise Interrupted(t, checkpoint, lost, kept)
        del here.fields[recorded:]  # those of a step that could not be done
        if keeper is not None and keep_last and here.step < self.steps:
            keeper.see(here, True)
        resolution.end(self.config["solve"]["t_end"], course.why)
        return self._result(here, flow, resolution.attributes)

    def _save(self, here: Snapshot, t: float) -> None:
        """Keep the record of a state that is to be saved, and is not yet."""
        if here.step == self.stride * len(here.times):
            here.times.append(t)
            here.records.append(self.recorder(here.state))

    def _course(self, here: Snapshot, flow: FlowRecorder | None) -> Course:
        """What is to come after a snapshot; ``flow`` collects the fields."""
        scheme = self.scheme if flow is None else self._recording(flow)
        start = Moment(here.step, here.state, here.behind)
        return Course(self.model, self.path, self.dt, scheme, self.policy, start, self.steps)

    def _recording(self, flow: FlowRecorder) -> Scheme:
        """The scheme whose flows are kept where it moves points, and not while a density carries the run."""
        recording = flow.followed(replace(self, state=self.policy.points(self.state))).scheme

        def step(model: Model, measure: Measure, path: BrownianPath, t0: float, t1: float) -> Measure:
            scheme = recording if isinstance(measure, Cloud) else self.scheme
            return scheme.step(model, measure, path, t0, t1)

        return replace(self.scheme, step=step)

    def _watched(self, course: Course, progress: bool | None) -> Iterator[Moment]:
        """The moments of a course, under a bar where one is wanted; it tells how far a cloud is that catches up."""
        bar = is_terminal() and self.steps >= LONG_RUN if progress is None else progress
        total, before = self.steps + 1, course.start.step
        with tqdm(initial=before, total=total, disable=not bar, unit="step", desc="fpsolve") as line:
            for moment in course:
                yield moment
                if moment.behind is not None:
                    line.set_postfix_str(f"the cloud catches up: {moment.behind[0]} of {moment.step}")
                    continue
                line.set_postfix_str("", refresh=False)
                line.update()

    def _result(self, here: Snapshot, flow: FlowRecorder | None, notes: dict[str, float]) -> Result:
        """The Dataset of a run that ended ``here``."""
        ds = dataset(here.times, here.records, self.state, self.config, here.state).assign_attrs(notes)
        ds = _with_noise(ds)
        if flow is None:
            return ds
        if not isinstance(here.state, Cloud):
            return ds.assign_attrs(flow_left_out="no points were followed: the density carried the run to its end")
        if flow.given_up:
            return ds.assign_attrs(flow_left_out="the field of a step has no harmonics up to degree 255")
        return flow.flow(self, here.state).to_dataset(ds)

    def states(self, start: int = 0, state: Measure | None = None) -> Iterator[tuple[float, Measure]]:
        """``(t, measure)`` at every step from ``start`` on, where the measure is ``state`` (by default the first)."""
        t_end, first = self.config["solve"]["t_end"], self.state if state is None else state
        how: dict[str, Any] = {"t_end": t_end, "dt": self.dt, "scheme": self.scheme, "policy": self.policy}
        return states(self.model, first, self.path, start=start, **how)


@usual_arithmetic
def prepare(model: Model, initial: Initial, **arguments: Any) -> Job:
    """Check the arguments of ``solve`` and build the initial state, before any step. Raises InputError."""
    asked = {name: one.default for name, one in signature(solve).parameters.items() if name not in ("model", "initial")}
    for name in OF_THE_CALL:
        asked.pop(name)
    asked |= as_annotated(solve, arguments)
    asked["measure"] = measure_class(asked["measure"]).name
    if not isinstance(model, Model):
        raise InputError("model", model, "not a model", "use fp.models.Homogenized(beta=4.0), for example")
    scheme_name, chosen = named(SCHEMES, default_scheme(model) if asked["scheme"] is None else asked["scheme"])
    stride = check_arguments(model, chosen, scheme_name, asked)
    chosen, flow = with_petsc(chosen, scheme_name, asked["transport"], asked["petsc_options"])
    path = BrownianPath(asked["seed"], asked["member"], asked["path_cell"])

    def built(lmax: int) -> Measure:
        measure = arguments.get("measure", "density")
        return first_state(build(initial, measure, lmax, asked["rtol"], asked["filter"], *flow), chosen)

    state, t_end, dt = built(asked["lmax"]), asked["t_end"], asked["dt"]
    check_effect(asked, chosen, scheme_name, initial, state)
    asked |= {"scheme": scheme_name, **{k: getattr(state, k) for k in ("lmax", "rtol") if hasattr(state, k)}}
    policy = checked_policy(asked, model, chosen, initial, state)
    asked["lmax_cap"] = policy.lmax_cap
    check_saved(state, policy, asked)
    check_run(model, state, path, t_end=t_end, dt=dt, name=scheme_name, scheme=chosen)
    model = model.prepared(state)
    steps = check_run(model, state, path, t_end=t_end, dt=dt, name=scheme_name, scheme=chosen)
    state = policy.first(state, built) if isinstance(initial, Law) else state
    recorder = _recorder(model, state, asked)
    config = {"model": to_plain(model), "initial": to_plain(initial), "solve": asked}
    return Job(model, state, path, chosen, dt, steps, stride, recorder, config, policy)


def _recorder(model: Model, state: Measure, asked: dict[str, Any]) -> Recorder:
    """What is kept of every state, of the same shapes whatever the degrees that a policy takes."""
    degree, policy = asked["moments_lmax"], asked["on_underresolved"]
    if hasattr(state, "lmax"):
        degree = min(degree, max(state.lmax, asked["lmax_cap"]) if policy == "refine" else state.lmax)
    saved = (degree, asked["save_density"], asked["save_points"])
    followed, grid = policy != "warn", getattr(state, "grid", None)
    return Recorder(getattr(model, "beta", None), *saved, model.interaction, followed, grid, model)


def _with_noise(ds: Result) -> Result:
    """With ``noise_short_from``, and a warning, where the spectrum of the noise outgrew its degrees on the way."""
    begun = short_from(ds["time"].values, ds["noise_tail"].values) if "noise_tail" in ds else None
    if begun is None:
        return ds
    if begun > 0:
        text = f"from t = {begun:.6g} on the noise has a large share of k'(1) in its last degrees (noise_tail, up to "
        text += f"{float(ds['noise_tail'].max()):.2g}): it needs a higher noise_lmax than the start did"
        warnings.warn(text, SamplingWarning, stacklevel=4)
    return ds.assign_attrs(noise_short_from=begun)
