"""How many velocities a step evaluates, where its sub-steps choose their own length."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import partial

from fpsolve.attention.source import Source
from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.schemes.scheme import Scheme, Step
from fpsolve.transport.velocity import Velocity


class Tally:
    """The velocities of the last step alone: what led to a state, whatever was computed before it."""

    def __init__(self) -> None:
        self.last = 0
        self._known: tuple[Model, Model] | None = None

    def counting(self, scheme: Scheme) -> Scheme:
        """The scheme, whose steps count here how often they ask the model for its drift."""

        return replace(scheme, step=partial(self._step, scheme.step))

    def _step(self, step: Step, model: Model, measure: Measure, path: BrownianPath, t0: float, t1: float) -> Measure:
        self.last = 0
        return step(self._watched(model), measure, path, t0, t1)

    def _watched(self, model: Model) -> Model:
        """The model with a count; one for all steps, so that its caches live."""
        if self._known is None or self._known[0] is not model:
            watched = copy(model)
            object.__setattr__(watched, "flow_drift", partial(self._counted, model.flow_drift))
            self._known = model, watched
        return self._known[1]

    def _counted(self, drift: Callable[[Source], Velocity], source: Source) -> Velocity:
        self.last += 1
        return drift(source)
