"""The one loop: a state stepped under a policy, instant after instant; all that looks on is an observer of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from fpsolve.defects import Defect, defects
from fpsolve.errors import InputError, UnresolvedError
from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.plain.arguments import checked_arguments
from fpsolve.policies import Policy, policy_of
from fpsolve.schemes import SCHEMES, Scheme, named
from fpsolve.stepping import Stepper, check_run, default_scheme
from fpsolve.times import saved_time


@dataclass(frozen=True)
class Instant:
    """A run at step ``step``, in a state.

    behind: (step, cloud) of the cloud that is to take over and still catches up, from step 0; its last step is
    ``step``.
    """

    step: int
    state: Measure
    behind: tuple[int, Measure] | None = None


class Observer(Protocol):
    """What looks on: records, resolution, flow, checkpoint, progress, costs."""

    def see(self, time: float, instant: Instant) -> None:
        """Take notice of the next instant; an error ends the run."""


class Course:
    """The instants of a run from ``start`` to step ``steps``, or to its early end, of which ``why`` says the cause.

    A step that ends unresolved is done again from the state before it, in the next representation. An instant follows
    from the one before it alone, so a run may be taken up again from any. Where nothing is left to do the run ends
    with the last state; UnresolvedError is raised under a policy that does not act. within: entered for each step.
    """

    def __init__(
        self, stepper: Stepper, policy: Policy, start: Instant, steps: int,
        within: AbstractContextManager[object] | None = None,
    ) -> None:  # fmt: skip
        self.stepper, self.policy, self.start, self.steps, self.why = stepper, policy, start, steps, ""
        self._within = nullcontext() if within is None else within

    def __iter__(self) -> Iterator[Instant]:
        instant: Instant | None = self.start
        while instant is not None:
            yield instant
            instant = self._next(instant) if instant.step < self.steps else None

    def follow(self, *observers: Observer) -> Instant:
        """The last instant, once all have been seen by the observers, in their order."""
        for instant in self:
            for one in observers:
                one.see(saved_time(instant.step * self.stepper.dt), instant)
        return instant

    def states(self) -> Iterator[tuple[float, Measure]]:
        """``(t, measure)`` after every step."""
        return ((one.step * self.stepper.dt, one.state) for one in self if one.behind is None)

    def _next(self, instant: Instant) -> Instant | None:
        """What follows an instant; None where the run is to end."""
        if instant.behind is None:
            return self._following(instant, instant.state)
        at, cloud = instant.behind
        if at == instant.step:
            return self._following(instant, cloud)
        nearer = self._stepped(cloud, at)
        return None if nearer is None else replace(instant, behind=(at + 1, nearer))

    def _following(self, instant: Instant, state: Measure) -> Instant | None:
        """The step after ``state`` in the first representation that resolves it, or the beginning of a hand-over."""
        while True:
            following = self._stepped(state, instant.step)
            shown: list[Defect] = []
            if following is not None:
                if self.policy.acts:
                    shown = defects(following, self.stepper.model, partial(self.policy.limit, state))
                if not shown:
                    return Instant(instant.step + 1, following)
            if self.policy.hands_over(state):
                return replace(instant, behind=(0, self.policy.points(state)))
            better = self.policy.successor(state, shown)
            if better is None:
                ends = following is None or not self.policy.keeps_unresolved
                return None if following is None or ends else Instant(instant.step + 1, following)
            state = better

    def _stepped(self, state: Measure, n: int) -> Measure | None:
        """The state after step ``n``; None where that cannot be done."""
        self.why = ""
        try:
            with self._within:
                return self.stepper(state, n)
        except UnresolvedError as error:
            if not self.policy.acts:
                raise
            self.why = error.problem
            return None


@checked_arguments
def run(
    model: Model,
    measure: Measure,
    path: BrownianPath | Any,
    *,
    t_end: float,
    dt: float,
    scheme: str | Scheme | None = None,
    start: int = 0,
    policy: str | Mapping[str, Any] | Policy = "warn",
) -> Iterator[tuple[float, Measure]]:
    """Yield ``(t, measure)`` at t = start·dt, (start+1)·dt, …, t_end; time is n·dt, never accumulated.

    ``measure`` is the state at step ``start``, so that a run can be taken up again from any state that it yielded.
    ``noise_lmax="auto"`` is resolved here by the first measure (:meth:`Model.prepared`). policy: as
    ``on_underresolved`` of ``fp.solve``; nothing tells the law of ``measure``, so that a cloud takes over with the
    density's own quadrature. Raises InputError before the first step for arguments that do not fit, UnresolvedError
    when a state is not finite or its mean leaves the unit ball.
    """
    if not hasattr(path, "increment"):
        raise InputError("path", path, "it has no increments", "pass fp.BrownianPath(seed=1)")
    name, chosen = named(SCHEMES, default_scheme(model, measure.name) if scheme is None else scheme)
    stepper = Stepper(model, path, dt, chosen, name)
    steps = check_run(stepper, measure, t_end)
    if not 0 <= start <= steps:
        raise InputError("start", start, f"the run has {steps} steps", f"pass 0 <= start <= {steps}")
    ready = stepper.prepared(measure)
    if start > 0 and ready != stepper:
        remedy = "pass the model that ran, model.prepared(first measure)"
        raise InputError("model", type(model).__name__, "its noise_lmax is that of a run's first state", remedy)
    return Course(ready, policy_of(policy, argument="policy"), Instant(start, measure), steps).states()
