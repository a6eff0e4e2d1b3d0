"""A run under a policy: its moments one after the other, and what is said of its resolution."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

from fpsolve.defects import defects, is_resolved
from fpsolve.errors import UnderResolvedWarning, UnresolvedError
from fpsolve.measures import Density, Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.policies import (
    FILTER,
    LARGEST_DEGREE,
    POLICIES,
    Policy,
    checked_policy,
    cloud_of,
    quadrature_degree,
    refined,
)
from fpsolve.run import attention_remedy, count_steps, remedy, run, step
from fpsolve.schemes import Scheme

__all__ = [
    "FILTER",
    "LARGEST_DEGREE",
    "POLICIES",
    "Course",
    "Moment",
    "Policy",
    "Resolution",
    "checked_policy",
    "cloud_of",
    "is_resolved",
    "quadrature_degree",
    "refined",
    "states",
]


@dataclass(frozen=True)
class Moment:
    """A run at step ``step``, in a state.

    behind: (step, cloud) of the cloud that is to take over and still catches up, from step 0; its last step is
    ``step``.
    """

    step: int
    state: Measure
    behind: tuple[int, Measure] | None = None


class Course:
    """The moments of a run from ``start`` to step ``steps``, or to its early end, of which ``why`` says the cause.

    A step that ends unresolved is done again from the state before it, in the next representation. A moment follows
    from the one before it alone, so a run may be taken up again from any. Where nothing is left to do the run ends
    with the last state, but under ``warn``, where UnresolvedError is raised.
    """

    def __init__(
        self, model: Model, path: BrownianPath, dt: float, scheme: Scheme, policy: Policy, start: Moment, steps: int
    ) -> None:
        self.model, self.path, self.dt, self.scheme, self.policy = model, path, dt, scheme, policy
        self.start, self.steps, self.why = start, steps, ""

    def __iter__(self) -> Iterator[Moment]:
        here: Moment | None = self.start
        while here is not None:
            yield here
            here = self._next(here) if here.step < self.steps else None

    def _next(self, here: Moment) -> Moment | None:
        """What follows a moment; None where the run is to end."""
        if here.behind is None:
            return self._following(here, here.state)
        at, cloud = here.behind
        if at == here.step:
            return self._following(here, cloud)
        nearer = self._stepped(cloud, at)
        return None if nearer is None else replace(here, behind=(at + 1, nearer))

    def _following(self, here: Moment, state: Measure) -> Moment | None:
        """The step after ``state`` in the first representation that resolves it, or the beginning of a hand-over."""
        while True:
            following = self._stepped(state, here.step)
            shown = []
            if following is not None:
                shown = defects(following, self.model, self.policy.acts_early(state))
                if not shown:
                    return Moment(here.step + 1, following)
            if self.policy.name == "stop":
                return None
            if self.policy.hands_over(state):
                return replace(here, behind=(0, self.policy.points(state)))
            better = self.policy.successor(state, shown)
            if better is None:
                return None if following is None else Moment(here.step + 1, following)
            state = better

    def _stepped(self, state: Measure, n: int) -> Measure | None:
        """The state after step ``n``; None where that cannot be done."""
        self.why = ""
        try:
            return step(self.model, state, self.path, self.dt, self.scheme, n)
        except UnresolvedError as error:
            if self.policy.name == "warn":
                raise
            self.why = error.problem
            return None


def states(
    model: Model,
    measure: Measure,
    path: BrownianPath,
    *,
    t_end: float,
    dt: float,
    scheme: Scheme,
    start: int = 0,
    policy: Policy | str = "warn",
) -> Iterator[tuple[float, Measure]]:
    """The states of ``fp.run`` under a policy for densities that outgrow their degree.

    A step that ends unresolved is done again from the state before it, in the next representation. Under all policies
    but ``warn`` the run may end early, with the last state that was resolved (``stop``) or from which no step leads on.
    """
    policy = Policy(policy) if isinstance(policy, str) else policy
    if policy.name == "warn":
        return run(model, measure, path, t_end=t_end, dt=dt, scheme=scheme, start=start)
    course = Course(model, path, dt, scheme, policy, Moment(start, measure), count_steps(t_end, dt))
    return ((here.step * dt, here.state) for here in course if here.behind is None)


class Resolution:
    """Watches the states of a run and says once when resolution is lost and what was done about it.

    lmax: the degree that was asked for. model: whose attention is to be resolved. ``attributes``: the times from which
    on the density or its attention was unresolved, refined or filtered and at which the run stopped or was handed over
    to a cloud, for the result.
    """

    def __init__(self, lmax: int | None = None, model: Model | None = None) -> None:
        self.attributes: dict[str, float] = {}
        self._lmax, self._model = lmax, model
        self._before: Measure | None = None
        self._time = 0.0

    def see(self, t: float, state: Measure) -> None:
        """Take notice of the next state; warn at the first that shows a defect."""
        before, self._before, self._time = self._before, state, t
        if before is not None and before.name != state.name:
            self.attributes.setdefault("handed_over_at", t)
        if before is not None and isinstance(state, Density) and state.filter != getattr(before, "filter", None):
            told = f"the density is filtered from t = {t:.6g} on: details are no longer resolved"
            self._say("filtered_from", t, told)
        if self._lmax is not None and getattr(state, "lmax", self._lmax) > self._lmax:
            self.attributes.setdefault("refined_from", t)
        if before is not None and getattr(state, "rtol", 0.0) < getattr(before, "rtol", 0.0):
            self.attributes.setdefault("refined_from", t)
        self._tell_defects(t, state)

    def _tell_defects(self, t: float, state: Measure) -> None:
        """Say of every kind of defect from when on it is there."""
        shown, lmax = defects(state, self._model), getattr(state, "lmax", "?")
        own = [one for one in shown if one.since == "unresolved_from"]
        if own:
            where = f"({', '.join(map(str, own))} at lmax = {lmax})"
            told = f"the density is under-resolved from t = {t:.6g} on {where}"
            self._say("unresolved_from", t, f"{told}: {remedy(state, 'or on_underresolved')}")
        for one in shown:
            if one.since == "attention_unresolved_from":
                told = f"far attention outgrows what the density knows from t = {t:.6g} on"
                where = f"({one} at rtol = {getattr(state, 'rtol', 0.0):g}, lmax = {lmax})"
                self._say(one.since, t, f"{told} {where}: {attention_remedy(state, one.is_truncation)}")

    def end(self, t_end: float, why: str = "") -> None:
        """Take notice of the end of the run, which may be early; ``why`` no step led on, where one was tried."""
        if self._time >= t_end * (1 - 1e-9):
            return
        lmax = getattr(self._before, "lmax", "?")
        if why:
            cause = f"from which no step leads on ({why})"
        elif self._before is not None and is_resolved(self._before, self._model):
            cause = f"the last state that lmax = {lmax} resolves"
        else:
            cause = f"as lmax = {lmax} does not resolve the state that it starts from"
        told = f"the run ends at t = {self._time:.6g}, {cause}; what was saved until then is returned"
        self._say("stopped_at", self._time, told)

    def _say(self, attribute: str, t: float, message: str) -> None:
        if attribute not in self.attributes:
            self.attributes[attribute] = t
            warnings.warn(message, UnderResolvedWarning, stacklevel=5)
