"""An observer of a run that says when its resolution is lost, and what was done about it."""

from __future__ import annotations

from collections.abc import Mapping

from fpsolve.course import Instant
from fpsolve.defects import defects, is_resolved
from fpsolve.errors import UnderResolvedWarning
from fpsolve.measures import Measure
from fpsolve.models.base import Model
from fpsolve.notes import ATTENTION, CLOUD, STOPPED, UNRESOLVED, Note
from fpsolve.policies import Policy
from fpsolve.stepping import attention_remedy, remedy
from fpsolve.surroundings import warn


class Resolution:
    """Watches the states of a run and says once when resolution is lost and what was done about it.

    lmax: the degree that was asked for. model: whose attention is to be resolved. policy: whose notes are taken.
    ``attributes``: the times of the notes, for the result; those of a checkpoint to begin with.
    """

    def __init__(self, lmax: int, model: Model, policy: Policy, attributes: Mapping[str, float]) -> None:
        self.attributes: dict[str, float] = dict(attributes)
        self._lmax, self._model, self._policy = lmax, model, policy
        self._before: Measure | None = None
        self._time = 0.0

    def see(self, t: float, instant: Instant) -> None:
        """Take notice of the next state; warn at the first that shows a defect."""
        state = instant.state
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
            message = f"the density is under-resolved from t = {t:.6g} on {where}"
            self._say(UNRESOLVED, t, f"{message}: {remedy(state, 'or on_underresolved')}")
        for one in shown:
            if one.since is ATTENTION:
                message = f"far attention outgrows what the density knows from t = {t:.6g} on"
                where = f"({one} at rtol = {getattr(state, 'rtol', 0.0):g}, lmax = {lmax})"
                self._say(ATTENTION, t, f"{message} {where}: {attention_remedy(state, one.is_truncation)}")
            if one.since is CLOUD:
                message = f"the quadrature of the cloud is under-resolved from t = {t:.6g} on ({one} in moments ℓ ≤ 8)"
                self._say(CLOUD, t, f"{message}: raise lmax, that of the cloud's first points")

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
        message = f"the run ends at t = {self._time:.6g}, {cause}; what was saved until then is returned"
        self._say(STOPPED, self._time, message)

    def _say(self, note: Note, t: float, message: str) -> None:
        if note.name not in self.attributes:
            self.attributes[note.name] = t
            if message:
                warn(message, UnderResolvedWarning)
