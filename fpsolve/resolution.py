"""A run under a policy: its moments one after the other, and what is said of its resolution."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from fpsolve.defects import defects, is_resolved
from fpsolve.errors import UnderResolvedWarning, UnresolvedError
from fpsolve.measures import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.notes import ATTENTION, STOPPED, UNRESOLVED, Note
from fpsolve.policies import Policy, Warn, policy_of
from fpsolve.run import attention_remedy, count_steps, remedy, step
from fpsolve.schemes import Scheme


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
                shown = defects(following, self.model, partial(self.policy.limit, state))
                if not shown:
                    return Moment(here.step + 1, following)
            if self.policy.hands_over(state):
                return replace(here, behind=(0, self.policy.points(state)))
            better = self.policy.successor(state, shown)
            if better is None:
                kept = following is not None and self.policy.keeps_unresolved
                return Moment(here.step + 1, following) if kept else None  # type: ignore[arg-type]
            state = better

    def _stepped(self, state: Measure, n: int) -> Measure | None:
        """The state after step ``n``; None where that cannot be done."""
        self.why = ""
        try:
            return step(self.model, state, self.path, self.dt, self.scheme, n)
        except UnresolvedError as error:
            if not self.policy.acts:
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
    course = Course(model, path, dt, scheme, policy_of(policy), Moment(start, measure), count_steps(t_end, dt))
    return ((here.step * dt, here.state) for here in course if here.behind is None)


class Resolution:
    """Watches the states of a run and says once when resolution is lost and what was done about it.

    lmax: the degree that was asked for. model: whose attention is to be resolved. policy: whose notes are taken.
    ``attributes``: the times of the notes, for the result.
    """

    def __init__(self, lmax: int | None = None, model: Model | None = None, policy: Policy | None = None) -> None:
        self.attributes: dict[str, float] = {}
        self._lmax, self._model, self._policy = lmax, model, policy or Warn()
        self._before: Measure | None = None
        self._time = 0.0

    def see(self, t: float, state: Measure) -> None:
        """Take notice of the next state; warn at the first that shows a defect."""
        before, self._before, self._time = self._before, state, t
        for note in self._policy.notes:
            if note.begins is not None and note.begins(before, state, self._lmax):
                self._say(note, t, note.warning.format(time=t))
        self._tell_defects(t, state)

    def _tell_defects(self, t: float, state: Measure) -> None:
        """Say of every kind of defect from when on it is there."""
        shown, lmax = defects(state, self._model), getattr(state, "lmax", "?")
        own = [one for one in shown if one.since is UNRESOLVED]
        if own:
            where = f"({', '.join(map(str, own))} at lmax = {lmax})"
            told = f"the density is under-resolved from t = {t:.6g} on {where}"
            self._say(UNRESOLVED, t, f"{told}: {remedy(state, 'or on_underresolved')}")
        for one in shown:
            if one.since is ATTENTION:
                told = f"far attention outgrows what the density knows from t = {t:.6g} on"
                where = f"({one} at rtol = {getattr(state, 'rtol', 0.0):g}, lmax = {lmax})"
                self._say(ATTENTION, t, f"{told} {where}: {attention_remedy(state, one.is_truncation)}")

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
        self._say(STOPPED, self._time, told)

    def _say(self, note: Note, t: float, message: str) -> None:
        if note.name not in self.attributes:
            self.attributes[note.name] = t
            if message:
                warnings.warn(message, UnderResolvedWarning, stacklevel=5)
