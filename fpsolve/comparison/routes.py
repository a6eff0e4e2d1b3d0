"""The routes to a conditional law on one noise path: density, quadrature cloud and iid tokens, each run and timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from fpsolve.comparison.counting import counting
from fpsolve.course import Course, Instant, Observer
from fpsolve.errors import InputError, Interrupted, UnresolvedError
from fpsolve.measures.base import Measure
from fpsolve.measures.build import build
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.initial import samples
from fpsolve.measures.laws import Law
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.noise.path import Array
from fpsolve.observe import overlap
from fpsolve.observe.free_energy import head_energy
from fpsolve.policies import Warn
from fpsolve.schemes import SCHEMES, Scheme, named
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.stepping import Stepper, check_run

Route = Literal["density", "cloud", "tokens"]

MEAN_FIELD: tuple[Route, ...] = ("density", "cloud")

QUICK = 0.2
"""A run of fewer processor seconds is taken again, until together they are so many."""

REPEATS = 5
"""So often at most."""


@dataclass(frozen=True)
class Problem:
    """What all routes solve: one model from one law along one path, with one scheme and step."""

    model: Model
    law: Law
    path: BrownianPath
    t_end: float
    dt: float
    scheme: Scheme
    stride: int
    rtol: float
    tokens_rtol: float
    filter: float | None
    degree: int
    """Moments are kept up to this degree."""
    stop: Callable[[], bool] = lambda: False
    """Asked between two steps; once it says yes, the states end with Interrupted."""

    @property
    def d(self) -> int:
        """d."""
        return self.law.dimension

    def course(
        self, start: Measure, path: BrownianPath, steps: int | None = None,
        within: AbstractContextManager[object] | None = None,
    ) -> Course:  # fmt: skip
        """A run of all steps, or so many; raises InputError at once where the measure does not fit."""
        stepper = Stepper(self.model, path, self.dt, self.scheme, named(SCHEMES, self.scheme)[0])
        every = check_run(stepper, start, self.t_end)
        return Course(stepper.prepared(start), Warn(), Instant(0, start), every if steps is None else steps, within)

    def followed(self, course: Course, *observers: Observer) -> Measure:
        """The last state of a course. Raises Interrupted where it is asked to stop before its end."""
        return course.follow(*observers, Stopping(self.stop, course.steps)).state


@dataclass(frozen=True)
class Stopping:
    """Ends a run of so many steps once ``stop``, which is asked after each but the last, says yes."""

    stop: Callable[[], bool]
    steps: int

    def see(self, t: float, instant: Instant) -> None:
        """Raise Interrupted where the run is to stop."""
        if instant.step < self.steps and self.stop():
            raise Interrupted(t)


@dataclass(frozen=True)
class Rung:
    """One run of a ladder. size: the degree of a density or quadrature, or the number of tokens; sample: which draw."""

    route: Route
    size: int
    sample: int = 0


@dataclass
class LadderRun:
    """What one run left: observables at the saved times, the last state, and the cost of its steps."""

    rung: Rung
    points: int
    problem: Problem
    times: list[float] = field(default_factory=list)
    moments: list[Coefficients] = field(default_factory=list)
    means: list[Real] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)
    energies: list[float | None] = field(default_factory=list)
    last: Any = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    grid_transforms: int = 0
    point_transforms: int = 0
    values: int = 0
    pair_evaluations: int = 0
    _entered: Any = None

    def __enter__(self) -> None:
        """A step begins: its time and transforms count."""
        block = counting()
        self._entered = block, block.__enter__(), time.perf_counter(), time.process_time()

    def __exit__(self, *error: Any) -> None:
        block, counter, begun, used = self._entered
        self.seconds += time.perf_counter() - begun
        self.cpu_seconds += time.process_time() - used
        block.__exit__(*error)
        self.grid_transforms += counter.grid
        self.point_transforms += counter.points
        self.values += counter.values
        self.pair_evaluations += counter.pairs
        self._entered = None

    def see(self, t: float, instant: Instant) -> None:
        """Keep the observables of a state that is to be saved."""
        problem, state = self.problem, instant.state
        if instant.step % problem.stride:
            return
        moments = state.moments(problem.degree)
        assert moments is not None
        self.times.append(t)
        self.moments.append(moments)
        self.means.append(state.mean)
        self.overlaps.append(overlap(state))
        self.energies.append(model_energy(problem.model, state))


@dataclass(frozen=True)
class TokenPath(BrownianPath):
    """A path whose common noise is shared and whose tokens' own noise (ν > 0) is that of ``own``."""

    own: BrownianPath | None = None

    def increment(self, t0: float, t1: float, channels: int, stream: str = "common") -> Array:
        """As :meth:`BrownianPath.increment`, the stream ``tokens`` taken from ``own``."""
        if stream == "tokens" and self.own is not None:
            return self.own.increment(t0, t1, channels, stream)
        return super().increment(t0, t1, channels, stream)


def model_energy(model: Model, state: Measure) -> float | None:
    """Σ_h w_h (1/2β)∬e^{β⟨A_h x,y⟩}dμdμ with the model's matrices; None without a β > 0."""
    beta = getattr(model, "beta", None)
    heads = [head_energy(state, beta, weight, matrix) for weight, matrix in model.interaction] if beta else [None]
    return None if None in heads else float(np.sum(np.array(heads, float)))


def halfway(first: Cloud, second: Cloud) -> Cloud:
    """½(μ + μ')."""
    weights = np.concatenate([first.weights, second.weights]) / 2
    return Cloud(np.concatenate([first.x, second.x]), weights, None, first.rtol)


def start_of(problem: Problem, rung: Rung) -> tuple[Measure, BrownianPath]:
    """The initial state and the path of a run.

    Samples of tokens are drawn with members of their own, so that they are independent of one another; tokens of one
    member would only be continued in a longer draw. The common noise is that of the problem's path for all.
    """
    path = problem.path
    if rung.route != "tokens":
        filter = problem.filter if rung.route == "density" else None
        return _plain(build(problem.law, rung.route, rung.size, problem.rtol, filter), problem), path
    member = path.member + 1 + rung.sample
    drawn = samples(problem.law, rung.size, path.seed, member)
    own = BrownianPath(path.seed, member, path.cell)
    return build(drawn, "cloud", 4, problem.tokens_rtol), TokenPath(path.seed, path.member, path.cell, own=own)


def follow(problem: Problem, rung: Rung, warm: bool) -> LadderRun:
    """Run it; seconds and transforms are those of the steps alone. ``warm``: first take a step that does not count.

    A quick run is timed again, and its least times are kept. Raises UnresolvedError where it stops being a measure.
    """
    if warm:  # plans and tables of the noise law are made once in a process
        problem.followed(problem.course(*start_of(problem, rung), steps=1))
    start, path = start_of(problem, rung)
    outcome = LadderRun(rung, _points(start), problem)
    outcome.last = copied(problem.followed(problem.course(start, path, within=outcome), outcome))
    _time_again(outcome, problem)
    return outcome


def _time_again(outcome: LadderRun, problem: Problem) -> None:
    """The least times of a quick run and of repetitions of its steps."""
    spent, repeats = outcome.cpu_seconds, 1
    while spent < QUICK and repeats < REPEATS:
        course = problem.course(*start_of(problem, outcome.rung))
        begun, used = time.perf_counter(), time.process_time()
        problem.followed(course)
        outcome.seconds = min(outcome.seconds, time.perf_counter() - begun)
        again = time.process_time() - used
        outcome.cpu_seconds = min(outcome.cpu_seconds, again)
        spent, repeats = spent + again, repeats + 1


def copied(state: Any) -> Any:
    """The same measure without what it has cached, which for many tokens is much."""
    return replace(state)


def refusal(problem: Problem, rung: Rung) -> InputError | None:
    """Why a run cannot begin; None where it can."""
    try:
        problem.course(*start_of(problem, rung))
    except InputError as error:
        return error
    return None


def attempted(problem: Problem, rung: Rung, warm: bool) -> LadderRun | str:
    """The outcome, or the sentence that says why there is none."""
    try:
        return follow(problem, rung, warm)
    except UnresolvedError as error:
        return f"{rung.route} of degree {rung.size}: {error}"


def _points(state: Measure) -> int:
    return int(state.masses.size)


def _plain(state: Measure, problem: Problem) -> Measure:
    """A quadrature without its log-density, which the comparison does not ask for: its steps are cheaper."""
    return state.without_density()
