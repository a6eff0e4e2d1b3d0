"""One call from a model and an initial law to an xarray Dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from fpsolve.choosing import chosen_policy, with_measure
from fpsolve.course import Course, Instant
from fpsolve.errors import InputError, Interrupted, SamplingWarning
from fpsolve.io.checkpoint import Snapshot
from fpsolve.io.keeper import Keeper
from fpsolve.measures import Measure
from fpsolve.measures.build import build, measure_class
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.initial import Initial
from fpsolve.measures.laws import Law, Tokens
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.notes import HANDED_OVER
from fpsolve.observe import Observable, Recorder, Result, dataset
from fpsolve.observe.flow_recorder import FlowRecorder
from fpsolve.observe.member_run import with_noise
from fpsolve.observe.own import Observe, check_later, identities, own_observables
from fpsolve.observe.saved import SavedStates
from fpsolve.plain import to_plain
from fpsolve.plain.arguments import checked_arguments, checked_values
from fpsolve.policies import CAP, Policy
from fpsolve.resolution import Resolution
from fpsolve.schemes import SCHEMES, Scheme, named
from fpsolve.schemes.counting import Tally
from fpsolve.settings import (
    OF_THE_CALL,
    SETTINGS,
    Settings,
    check_arguments,
    check_degrees_of,
    check_effect,
    check_saved,
    first_state,
    with_petsc,
    with_step,
)
from fpsolve.sphere.geometry import GEOMETRIES
from fpsolve.stepping import Stepper, check_run, default_scheme
from fpsolve.surroundings import shows_progress, tqdm, usual_arithmetic, warn
from fpsolve.threads import check_threads, using
from fpsolve.times import saved_time

CHECKPOINT_EVERY = 60.0
"""Seconds between two writings of a checkpoint."""

LONG_RUN = 50
"""Runs of more steps show a progress bar on a terminal."""


@checked_arguments
def solve(
    model: Model,
    initial: Initial,
    *,
    t_end: float,
    dt: float | Literal["auto"],
    scheme: str | Scheme | None = Settings.scheme,
    measure: str | type[Measure] = Settings.measure,
    lmax: int = Settings.lmax,
    rtol: float = Settings.rtol,
    filter: float | None = Settings.filter,
    transport: str = Settings.transport,
    petsc_options: str | None = Settings.petsc_options,
    seed: int = Settings.seed,
    member: int = Settings.member,
    path_cell: float = Settings.path_cell,
    save_every: float | None = Settings.save_every,
    moments_lmax: int = Settings.moments_lmax,
    save_density: bool = Settings.save_density,
    save_points: bool = Settings.save_points,
    save_flow: bool = Settings.save_flow,
    observe: Observe | None = None,
    on_underresolved: str | Mapping[str, Any] | Policy | None = Settings.on_underresolved,
    lmax_cap: int = Settings.lmax_cap,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: float = CHECKPOINT_EVERY,
    threads: int | None = None,
) -> Result:
    """The conditional law of a token given the common noise, t = 0 to ``t_end``.

    model: a system of ``fp.models``. initial: a law or tokens of ``fp.initial``, or a measure.
    dt: time step, path_cell·2^±j with common noise; ``"auto"``, for models without noise: from one saved time to the
    next, in sub-steps chosen by ``rtol``, with a variable ``evaluations`` that says what they cost.
    scheme: a name in ``fp.SCHEMES``, by default ``rk4`` without
    common noise, with it ``lie_euler`` (``geodesic_euler`` for fields known only at points together).
    measure: ``auto``: of a law its log density while that is resolved, then a cloud that takes over from it; a cloud
    for tokens and where points are to be saved; a density for laws with zeros, ν > 0, a filter and other transports; a
    given measure stays. By name: ``density``, ``half_density``, ``log_density`` or ``cloud``; ``causal_density`` for
    laws of positions of a sequence; for laws about an axis, A and V multiples of I and no common noise, in every d from
    2 to 10,000 ``zonal`` or ``zonal_cloud``. lmax: degree of the density, or of a cloud's initial quadrature. rtol:
    accuracy of one step's transport in the moments ℓ ≤ 8. filter: strength of a density's exponential filter.
    transport: ``chebyshev``, ``krylov`` (fewer applications while a density is smooth), or a density's implicit steps
    ``petsc``, ``petsc_gauss`` and, by SciPy, ``midpoint``. petsc_options: PETSc's, "-ksp_monitor" for example.
    (seed, member): the Brownian path, whose root cells have length ``path_cell``.
    save_every: time between saved states, a multiple of dt (every step by default). moments_lmax: degree of the saved
    moments. save_density, save_points: keep ρ on the grid (a quadrature cloud's at its points), or the points.
    save_flow: keep the field of every step, from which ``fp.zoom`` takes the density anywhere (quadrature clouds).
    observe: observables of one's own, ``{"name": function}`` or ``{"name": fp.Observable(…)}``: a function takes the
    measure at a saved time and returns a number, an array of one shape, or None where there is none.
    on_underresolved: what to do once a density's tail exceeds 1e-3 (a log density's 1e-6, or its mass is off by
    1e-7), looked at in every step: ``warn``; ``stop`` and return what is saved; ``filter`` from there on; ``refine``,
    at a thousandth of that tail already, to 2ℓmax + 1 up to ``lmax_cap``; or hand over to the ``cloud`` of degree
    2ℓmax + 1, ``lmax_cap`` at most: from a log density where it stands, from others by one that starts from the same
    law on the same path; its points and flow may be saved; or a policy of ``fp.policies``, or one's own. None:
    ``cloud`` under ``measure="auto"``, otherwise ``warn``. Under all but ``warn`` coordinates ``method``, ``lmax`` and
    ``filter`` say what made each saved state, and where no step leads on the run ends early, as with ``stop``, with the
    attribute ``stopped_at``.
    progress: a bar (by default on a terminal and in a notebook). checkpoint: a file that keeps the run's progress,
    written every ``checkpoint_every`` seconds and at the end; where it exists, the run goes on from it, also to a later
    t_end, in the bits of a run that was never stopped. It stays; one of another run is refused, a damaged one set
    aside. threads: for one large run, the transforms of lmax >= 255 and sums at many points; the same bits for every
    number (by default OMP_NUM_THREADS for points, and one).

    Returns a Dataset with dimension ``time``: mean_vector, overlap, energy, entropy, mass, moments, and for densities
    min_density, tail [, mass_defect, density]; for clouds cloud_error [points, weights]; for laws about an axis
    axis_mean for mean_vector, moments by degree, density by height u [, heights]. What a measure has not is absent.
    Warns (UnderResolvedWarning) when a density, or the quadrature of a cloud, is first under-resolved, and says by
    what. Raises InputError before any
    computing (also for an ``rtol``, ``filter``, ``lmax_cap`` or ``petsc_options`` off its default that changes
    nothing), UnresolvedError (under ``warn``) when the numbers stop being those of a measure.
    """
    arguments = {k: v for k, v in locals().items() if k not in ("model", "initial", *OF_THE_CALL)}
    if checkpoint is None and checkpoint_every != CHECKPOINT_EVERY:
        raise InputError("checkpoint_every", checkpoint_every, "there is no checkpoint", 'pass checkpoint="run.ckpt"')
    check_threads(threads)
    job = prepare_single(model, initial, **arguments)
    return job.run(progress=progress, checkpoint=checkpoint, checkpoint_every=checkpoint_every, threads=threads)


@dataclass(frozen=True)
class Job:
    """A solve that is checked and built, ready to run; its steps are counted from 0 to ``steps``.

    described: model and initial law as plain data. settings: as they were found, of plain data too.
    """

    stepper: Stepper
    state: Measure
    steps: int
    stride: int
    recorder: Recorder
    described: dict[str, Any]
    settings: Settings
    policy: Policy

    @property
    def config(self) -> dict[str, Any]:
        """What the result carries: model, initial law and settings as plain data."""
        return {**self.described, "solve": self.settings.to_plain()}

    @usual_arithmetic()
    def run(
        self,
        *,
        progress: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = CHECKPOINT_EVERY,
        stop: Callable[[], bool] = lambda: False,
        keep_last: bool = True,
        threads: int | None = None,
    ) -> Result:
        """From the first state, or that of the checkpoint, to the last, on so many ``threads``.

        stop: asked after every step but the last; once it says yes, the checkpoint is written and Interrupted raised.
        keep_last: write the last state to the checkpoint too.
        """
        check_threads(threads)
        keeper = None if checkpoint is None else Keeper(checkpoint, checkpoint_every, self.config, self.state)
        begun = Snapshot(0, self.state) if keeper is None else keeper.resume(self.steps)
        flow = None
        resolution = Resolution(self.settings.lmax, self.stepper.model, self.policy, begun.notes)
        records = SavedStates(self.recorder, self.stride, begun.times, begun.records)
        if self.settings.save_flow:
            flow = FlowRecorder(self.stepper, self.policy.points(self.state), begun.fields, self._followed(begun))
        about = (keeper, self.stepper.dt, self.steps, stop, keep_last)
        saving = Checkpointing(*about, records, resolution, flow, begun.behind)
        course = self.course(Instant(begun.step, begun.state, begun.behind), flow.recording if flow else None)
        with using(threads), Progress(self.steps, begun.step, progress) as bar:
            last = course.follow(resolution, *((flow,) if flow else ()), records, saving, bar)
        if flow is not None:
            flow.end()
        saving.end(last)
        resolution.end(self.settings.t_end, course.why)
        return self._result(last.state, records, flow, resolution.attributes)

    def course(self, start: Instant | None = None, stepper: Stepper | None = None) -> Course:
        """What is to come after an instant, by default the first; by another stepper that does the same."""
        return Course(stepper or self.stepper, self.policy, start or Instant(0, self.state), self.steps)

    def _followed(self, begun: Snapshot) -> int:
        """The steps whose fields a snapshot has: those of points, or all of what may hand over in place."""
        return begun.points_moved if self.policy.hands_over(self.state) else begun.step

    def given(self) -> Cloud | None:
        """The cloud that the run was given in the place of a law."""
        known = self.described["initial"]["name"] == Cloud.name and isinstance(self.state, Cloud)
        return self.state if known else None  # type: ignore[return-value]

    def _result(self, last: Measure, saved: SavedStates, flow: FlowRecorder | None, notes: dict[str, float]) -> Result:
        """The Dataset of a run that ended in a state."""
        ds = dataset(saved.times, saved.records, self.state, self.config, last, self.recorder.own)
        ds = _with_noise(ds.assign_attrs(notes))
        if "density" in ds and HANDED_OVER.name in notes:
            since = f"NaN from t = {notes[HANDED_OVER.name]:.6g} on, where a cloud carries the measure"
            ds["density"].attrs["comment"] = f"{since}: fp.zoom gives it around any point"
        if flow is None:
            return ds
        if not flow.follows(last):
            return ds.assign_attrs(flow_left_out="no points were followed: the density carried the run to its end")
        if flow.given_up:
            return ds.assign_attrs(flow_left_out="the field of a step has no harmonics up to degree 255")
        return flow.flow(last, self.given()).to_dataset(ds)


class Checkpointing:
    """Writes the progress of a run to its checkpoint, where it has one, and ends it where it is asked to stop."""

    def __init__(
        self, keeper: Keeper | None, dt: float, steps: int, stop: Callable[[], bool], keep_last: bool,
        records: SavedStates, resolution: Resolution, flow: FlowRecorder | None, behind: tuple[int, Measure] | None,
    ) -> None:  # fmt: skip
        self._keeper, self._dt, self._steps, self._stop, self._keep_last = keeper, dt, steps, stop, keep_last
        self._records, self._resolution, self._flow = records, resolution, flow
        self._catches_up = behind is not None

    def see(self, t: float, instant: Instant) -> None:
        """Write when it is time to, before a cloud begins to catch up, and before Interrupted is raised."""
        hands_over = not self._catches_up and instant.behind is not None
        self._catches_up = instant.behind is not None
        stopping = instant.step < self._steps and self._stop()
        lost = self._write(instant, stopping or hands_over or (self._keep_last and instant.step == self._steps))
        if stopping:
            keeper = self._keeper
            kept = None if keeper is None or keeper.step is None else saved_time(keeper.step * self._dt)
            raise Interrupted(t, None if keeper is None else keeper.path, lost, kept)

    def end(self, instant: Instant) -> None:
        """Write the last state of a run that ended early."""
        if self._keep_last and instant.step < self._steps:
            self._write(instant, True)

    def _write(self, instant: Instant, is_last: bool) -> str:
        """Why what was to be written is not there, or nothing."""
        if self._keeper is None:
            return ""
        saved, notes = self._records, dict(self._resolution.attributes)
        fields = [] if self._flow is None else self._flow.fields
        written = (instant.step, instant.state, saved.times, saved.records, notes, fields, instant.behind)
        return self._keeper.see(Snapshot(*written), is_last)


class Progress:
    """A bar, where one is wanted; it tells how far a cloud is that catches up."""

    def __init__(self, steps: int, before: int, wanted: bool | None) -> None:
        bar = shows_progress() and steps >= LONG_RUN if wanted is None else wanted
        self._line = tqdm(initial=before, total=steps + 1, disable=not bar, unit="step", desc="fpsolve")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._line.close()

    def see(self, t: float, instant: Instant) -> None:
        """Move on, or tell of the cloud."""
        if instant.behind is not None:
            self._line.set_postfix_str(f"the cloud catches up: {instant.behind[0]} of {instant.step}")
        else:
            self._line.set_postfix_str("", refresh=False)
            self._line.update()


@usual_arithmetic()
def prepare(model: Model, initial: Initial, **arguments: Any) -> Job:
    """Check the settings of ``solve`` and build the initial state, before any step. Raises InputError."""
    asked = Settings(**checked_values(Settings, arguments))
    if not isinstance(model, Model):
        raise InputError("model", model, "not a model", "use fp.models.Homogenized(beta=4.0), for example")
    given = with_measure(asked, model, initial)
    usual = default_scheme(model, measure_class(given.measure).name)
    scheme_name, chosen = named(SCHEMES, usual if given.scheme is None else given.scheme)
    tally = Tally() if given.dt == "auto" else None
    given = with_step(given, model, chosen, scheme_name)
    stride = check_arguments(model, chosen, scheme_name, given)
    own = own_observables(given.observe)
    chosen, flow = with_petsc(chosen, scheme_name, given.transport, given.petsc_options)
    chosen = chosen if tally is None else tally.counting(chosen)
    path = BrownianPath(given.seed, given.member, given.path_cell)
    stepper = Stepper(model, path, float(given.dt), chosen, scheme_name)

    def built(lmax: int) -> Measure:
        return first_state(build(initial, given.measure, lmax, given.rtol, given.filter, *flow), chosen)

    state = built(given.lmax)
    check_effect(given, chosen, scheme_name, initial, state)
    policy = chosen_policy(asked, model, scheme_name, chosen, initial, state)
    check_saved(state, policy, given, scheme_name)
    check_run(stepper, state, given.t_end)
    first = first_state(policy.first(state, built), chosen) if isinstance(initial, Law) else state
    stepper = replace(stepper, model=model.prepared(first))
    steps = check_run(stepper, first, given.t_end)
    settings = replace(
        given, scheme=scheme_name, measure=measure_class(given.measure).name, observe=identities(own) or None,
        on_underresolved=policy.recorded(), lmax_cap=getattr(policy, "lmax_cap", CAP),
        lmax=Settings.lmax if isinstance(initial, Tokens) else getattr(state, "lmax", given.lmax),
        rtol=getattr(state, "rtol", given.rtol),
        moments_lmax=given.moments_lmax if state.dimension in GEOMETRIES or state.is_axial else Settings.moments_lmax,
    )  # fmt: skip
    recorder = replace(_recorder(stepper.model, first, given, policy, own), tally=tally)
    described = {"model": to_plain(stepper.model), "initial": to_plain(initial)}
    return Job(stepper, first, steps, stride, recorder, described, settings, policy)


def prepare_single(model: Model, initial: Initial, **arguments: Any) -> Job:
    """:func:`prepare` of a run that is no member of an ensemble: degrees without effect are refused, too."""
    job = prepare(model, initial, **arguments)
    given = Settings(**arguments)
    check_degrees_of(initial, given.lmax, given.moments_lmax, job.state.is_axial)
    later = job.policy.later(job.state) if job.recorder.own else None
    if later is not None:
        check_later(job.recorder.own, job.state, later, job.recorder)
    return job


def refusals(model: Model, initial: Initial, arguments: Mapping[str, Any]) -> list[InputError]:
    """All that :func:`prepare` refuses: what is wrong is set to its default, and the rest looked at again."""
    given = {key: value for key, value in arguments.items() if key in SETTINGS}
    found: list[InputError] = []
    while True:
        try:
            prepare(model, initial, **given)
            return found
        except InputError as error:
            found.append(error)
            name = error.argument.split("[")[0].split(".")[0]
            if name not in given:
                return found
            if name in ("t_end", "dt"):
                cell = {"path_cell": Settings.path_cell, "dt": Settings.path_cell, "t_end": Settings.path_cell}
                if cell.items() <= given.items():
                    return found
                given = {key: value for key, value in given.items() if key != "save_every"} | cell
            else:
                del given[name]


def _recorder(model: Model, state: Measure, settings: Settings, policy: Policy, own: dict[str, Observable]) -> Recorder:
    """What is kept of every state, of the same shapes whatever the degrees that a policy takes."""
    degree = settings.moments_lmax
    if hasattr(state, "lmax"):
        degree = min(degree, policy.highest_degree(state.lmax))
    saved, grid = (degree, settings.save_density, settings.save_points), getattr(state, "grid", None)
    return Recorder(getattr(model, "beta", None), *saved, model.interaction, policy.acts, grid, model, own)


def _with_noise(ds: Result) -> Result:
    """With ``noise_short_from``, and a warning, where the spectrum of the noise outgrew its degrees on the way."""
    attributes = with_noise(ds, ds.attrs)
    begun = attributes.get("noise_short_from")
    if begun:
        text = f"from t = {begun:.6g} on the noise has a large share of k'(1) in its last degrees (noise_tail, up to "
        text += f"{float(ds['noise_tail'].max()):.2g}): it needs a higher noise_lmax than the start did"
        warn(text, SamplingWarning)
    return ds.assign_attrs(attributes)
