"""An observer of the fields of a run: the flows that make a step are kept as they are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from fpsolve.attention.source import Source
from fpsolve.cached import cached_property
from fpsolve.course import Instant
from fpsolve.errors import InputError, UnresolvedError
from fpsolve.measures.base import Living, Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.observe.flow import FROZEN, Flow, chebyshev
from fpsolve.sphere.geometry import GEOMETRIES, geometry
from fpsolve.sphere.harmonics import Coefficients
from fpsolve.stepping import Stepper
from fpsolve.transport.velocity import HarmonicField, ScaledField, SumField, Velocity, ZeroField

THROUGHOUT = "rk4"
"""The scheme whose field lives through the whole run: its values at the ends of the steps are enough."""

COMPOSED = ("lie_euler", "heun", "ninomiya", THROUGHOUT)
"""The schemes whose step is made of flows of fields, and can be run backwards."""

NODES = 5
"""Values of a field that lives within a flow; flows are a step long, so that few suffice."""

NEGLIGIBLE = 1e-11
"""Degrees beyond which a field carries less than this part of its norm are not kept."""

WHY_NOT = {
    "euler_maruyama": "moves points by the layer map x <- N(x + u), which is not the flow of a field",
    "geodesic_euler": "moves points along great circles x <- exp_x(u), which is not the flow of a field",
}
"""Why a scheme has no flow that runs backwards: such a map need not be one-to-one, and carries no density."""

Pair = tuple[Coefficients, Coefficients]
"""(S, T) of a field."""


class FlowRecorder:
    """Collects the fields of a run while points are stepped; ``recording`` steps as ``stepper``, bit for bit.

    points: those of step 0, or a log density of step 0, whose own fields move the points that take over in its place.
    fields: (S, T) of those of the first ``step`` steps, in their order, from a checkpoint.
    nodes: values to keep of a field that lives within a flow. ``given_up``: a field had no harmonics, and from there on
    none is kept.
    """

    def __init__(
        self, stepper: Stepper, points: Measure, fields: Sequence[Pair] = (), step: int = 0, nodes: int = NODES
    ) -> None:
        self.stepper, self._living_nodes = stepper, nodes
        self._points_alone = points.points is not None
        self._throughout = stepper.name == THROUGHOUT
        self._nodes: tuple[int, ...] = FROZEN if self._throughout else self._nodes_of(points)
        expected = step * sum(self._nodes)
        self.fields = list(fields)[:expected]  # older checkpoints hold those of the next step too
        self.given_up = len(self.fields) < expected
        self._seen = len(self.fields)
        self.recording = replace(stepper, scheme=replace(stepper.scheme, step=self._step))

    def see(self, t: float, instant: Instant) -> None:
        """What is there now belongs to steps that have been done."""
        self._seen = len(self.fields)

    def follows(self, last: Measure) -> bool:
        """Whether what it keeps leads to a state: a density that points were to follow is none of its own."""
        return last.points is not None or not self._points_alone

    def end(self) -> None:
        """Forget the fields of a step that could not be done."""
        del self.fields[self._seen :]

    def _step(self, model: Model, measure: Measure, path: BrownianPath, t0: float, t1: float) -> Measure:
        """The step of the scheme, whose flows are kept where it moves points, and not while a density does."""
        if measure.points is None and self._points_alone:
            return self.stepper.scheme.step(model, measure, path, t0, t1)
        del self.fields[round(t0 / self.stepper.dt) * sum(self._nodes) :]  # of a step that is done again
        end: Any = self.stepper.scheme.step(model, Listener(measure), path, t0, t1)  # type: ignore[arg-type]
        self._keep(end.flows(), measure.dimension, t0)
        moved: Measure = end.measure
        return moved

    def _nodes_of(self, points: Measure) -> tuple[int, ...]:
        """The fields of each flow of a step: the same for all, so that the run's first one tells, and none need be."""
        flows = flows_of_step(self.stepper, points, 0)
        return tuple(1 if isinstance(flow.velocity, Velocity) else self._living_nodes for flow in flows)

    def _keep(self, flows: list[Listener], d: int, t: float) -> None:
        """Keep the fields of a step; what cannot be kept does not end the run."""
        if self.given_up:
            return
        try:
            self.fields += self._kept(flows, d, t)
        except UnresolvedError:
            self.given_up = True
            self.fields.clear()

    def _kept(self, flows: list[Listener], d: int, t: float) -> list[Pair]:
        nodes = 1 if self._throughout else self._living_nodes
        return [_trimmed(potentials(v, d, t), d) for flow in flows for v in values(flow, nodes)]

    def bytes_a_step(self, points: Measure) -> int:
        """Memory, and room in a file, of the first step's fields, as its points have them."""
        kept = self._kept(flows_of_step(self.stepper, points, 0), points.dimension, 0.0)
        return sum(part.nbytes for pair in kept for part in pair)

    def flow(self, last: Measure, given: Cloud | None = None) -> Flow:
        """What was collected of the run, whose last state is ``last``: a field that lives throughout ends there.

        given: the cloud that the run began with, where no law says how it was made.
        """
        d, fields, dt = last.dimension, self.fields, self.stepper.dt
        if self._throughout:
            fields = fields + self._kept(flows_of_step(self.stepper, last, len(fields)), d, len(fields) * dt)
        sphere = geometry(d)
        degree = max(sphere.degree_of(s) for s, _ in fields)
        kept = np.array([[sphere.resized(p, degree) for p in pair] for pair in fields])
        kept = kept.reshape(-1, sum(self._nodes), *kept.shape[1:])
        known = given is not None and given.log_density is not None
        start = np.column_stack([given.x, given.weights, given.log_density]) if known else None  # type: ignore
        return Flow(kept, dt, d, self._throughout, self._nodes, start)


class Listener:
    """Stands in for a measure before a scheme, and keeps the flow that led to it; it moves once its source is asked.

    What a scheme transports without looking at it afterwards costs nothing, as the last flow of a step.
    """

    def __init__(self, before: Listener | Measure, velocity: Velocity | Living | None = None) -> None:
        self.before, self.velocity = before, velocity
        self.dimension: int = before.dimension

    @cached_property
    def measure(self) -> Measure:
        """The measure that this one stands for."""
        if isinstance(self.before, Listener):
            assert self.velocity is not None
            return self.before.measure.transport(self.velocity)
        return self.before

    @property
    def source(self) -> Source:
        """That of the measure."""
        return self.measure.source

    def transport(self, velocity: Velocity | Living) -> Listener:
        """The measure moved by another flow."""
        return Listener(self, velocity)

    def flows(self) -> list[Listener]:
        """The ends of the flows on the way to here, in their order; branches that lead elsewhere are left out."""
        return [*self.before.flows(), self] if isinstance(self.before, Listener) else []


def flows_of_step(stepper: Stepper, state: Measure, n: int) -> list[Listener]:
    """The flows whose composition is step ``n`` of a run from ``state``, in their order, by their ends."""
    t0, t1 = n * stepper.dt, (n + 1) * stepper.dt
    model, stand_in = stepper.model.drawn(stepper.path, t0, t1, state.dimension), Listener(state)
    end: Any = stepper.scheme.step(model, stand_in, stepper.path, t0, t1)  # type: ignore[arg-type]
    flows: list[Listener] = end.flows()
    return flows


def values(flow: Listener, nodes: int) -> list[Velocity]:
    """A frozen field as it is; one that lives, v[μ_s], at so many of Chebyshev's points s of its flow (one: s = 0).

    The measure goes from node to node in flows of its own, as the sub-steps of a transport are not seen from outside.
    """
    assert isinstance(flow.before, Listener) and flow.velocity is not None
    measure, velocity = flow.before.measure, flow.velocity
    if isinstance(velocity, Velocity):
        return [velocity]
    found = [velocity(measure.source)]
    if nodes == 1:
        return found
    for s, following in pairwise(chebyshev(nodes)[:-1]):
        measure = measure.transport(_slowed(velocity, float(following - s)))
        found.append(velocity(measure.source))
    return [*found, velocity(flow.source)]


def _slowed(velocity: Living, factor: float) -> Living:
    return lambda source: factor * velocity(source)


def potentials(v: Velocity, d: int, t: float) -> Pair:
    """(S, T) of a field. Raises UnresolvedError where no degree up to 255 resolves it."""
    sphere, v = geometry(d), v.resolved(d)
    if isinstance(v, HarmonicField):
        return v.spheroidal, v.toroidal
    if isinstance(v, ZeroField):
        return np.zeros(sphere.size(1), complex), np.zeros(sphere.size(1), complex)
    if isinstance(v, ScaledField):
        s, p = potentials(v.field, d, t)
        return v.factor * s, v.factor * p
    if isinstance(v, SumField):
        return _summed([potentials(term, d, t) for term in v.terms], d)
    raise UnresolvedError(t, "the field of this step has no harmonics up to degree 255", "run without save_flow")


def _summed(pairs: list[Pair], d: int) -> Pair:
    sphere = geometry(d)
    degree = max(sphere.degree_of(s) for s, _ in pairs)
    s, p = (sum(sphere.resized(pair[k], degree) for pair in pairs) for k in (0, 1))
    return np.asarray(s), np.asarray(p)


def _trimmed(pair: Pair, d: int) -> Pair:
    """The potentials without the degrees that carry next to nothing of the field."""
    sphere = geometry(d)
    degree = sphere.degree_of(pair[0])
    slopes = np.arange(degree + 1.0) ** 2 * sum(sphere.power(p) for p in pair)
    rest = np.cumsum(slopes[::-1])[::-1]
    needed = max(1, int(np.sum(rest > NEGLIGIBLE**2 * rest[0])) - 1)
    return sphere.resized(pair[0], needed), sphere.resized(pair[1], needed)


def check_flow(state: Measure, scheme: str, argument: str = "save_flow") -> None:
    """Raise InputError unless this is a quadrature cloud of S² or S¹, or what a cloud may take over from in place.

    The flow of its scheme must run backwards.
    """
    problem, remedy = "", 'use measure="cloud"'
    if state.points is None and not state.in_place:
        problem = f"a {state.name} is moved by coefficients, not by a flow of points"
    elif state.is_axial:
        problem, remedy = f"a {state.name} carries its density along its own circles of latitude alone", "leave it out"
    elif state.dimension not in GEOMETRIES:
        problem, remedy = f"densities exist for d = 2 and d = 3, not d = {state.dimension}", "leave it out"
    elif scheme not in COMPOSED:
        why = WHY_NOT.get(scheme, "is not known to be made of flows of fields")
        problem = f"scheme={scheme!r} {why}, so that it cannot be run backwards"
        remedy = 'use scheme="lie_euler", "heun" or "ninomiya", or "rk4" without common noise'
    elif not state.has_density:
        problem, remedy = "these points carry no density", "start a cloud from a law"
    if problem:
        raise InputError(argument, True, problem, remedy)
