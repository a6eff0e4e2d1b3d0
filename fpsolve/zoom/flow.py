"""The flow of a cloud run: the field of every step, in harmonics.

A field is kept by its potentials, v = ∇S + ∇T × x, rather than by the moments of μ that made it: far from a
concentrated μ moments do not determine F_μ, as their sum cancels; the potentials of the field that was used always do.
Under ``lie_euler`` the field of a step is frozen and the flow is exact; under ``rk4`` it lives, v(t) is known at the
ends of the steps and is interpolated in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fpsolve.errors import InputError, UnresolvedError
from fpsolve.measures.base import Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.sphere.geometry import GEOMETRIES, geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.velocity import HarmonicField, ScaledField, SumField, Velocity, ZeroField

if TYPE_CHECKING:
    import xarray as xr

    from fpsolve.observe.result import Result
    from fpsolve.solve import Job

FROZEN, LIVING = "lie_euler", "rk4"
"""The schemes whose flow can be run backwards from the fields of the steps."""

NEGLIGIBLE = 1e-11
"""Degrees beyond which a field carries less than this part of its norm are not kept."""

NODES = 8
"""Living fields are interpolated in time through so many of their values."""


@dataclass(frozen=True, eq=False)
class Flow:
    """Displacement fields of the steps of a run on S^{d-1}.

    potentials: (S, T), complex, shape (steps, 2, modes) when frozen, (steps + 1, 2, modes) at the ends when ``living``.
    """

    potentials: Coefficients
    dt: float
    d: int
    living: bool

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.potentials) - self.living

    def field(self, step: int, s: float) -> HarmonicField:
        """The field at the part ``s`` of a step, as a displacement per step."""
        if not self.living:
            spheroidal, toroidal = self.potentials[step]
        else:
            spheroidal, toroidal = self._between(step + s, NODES)
        return HarmonicField(spheroidal, toroidal, d=self.d)

    def _between(self, at: float, nodes: int) -> Coefficients:
        """(S, T) at a time in steps, by the polynomial through the nearest values."""
        first, weights = _interpolation(at, len(self.potentials), nodes)
        return np.asarray(np.tensordot(weights, self.potentials[first : first + len(weights)], 1))

    @cached_property
    def interpolation_error(self) -> float:
        """A bound on the displacement that interpolation in time misses, summed over the steps: 0 when frozen.

        It is the difference of the interpolants through eight and six values in the middle of the steps, largest speed.
        """
        if not self.living:
            return 0.0
        if len(self.potentials) < NODES:
            return np.inf
        grid, total = geometry(self.d).grid(max(31, geometry(self.d).degree_of(self.potentials))), 0.0
        for step in range(self.steps):
            spheroidal, toroidal = self._between(step + 0.5, NODES) - self._between(step + 0.5, NODES - 2)
            total += float(np.sqrt((grid.tangent(spheroidal, toroidal) ** 2).sum(axis=0).max()))
        return total

    def to_dataset(self, ds: Result) -> Result:
        """The result with the flow in it."""
        about = {
            "long_name": "potentials S, T of the field v = grad S + grad T x x of every step, a displacement",
            "flow_dt": self.dt,
            "flow_living": int(self.living),
            "flow_dimension": self.d,
        }
        pairs = self.potentials.view(float).reshape(*self.potentials.shape, 2)
        return ds.assign(flow=(("step", "potential", "mode", "part"), pairs, about))

    @classmethod
    def of_dataset(cls, ds: xr.Dataset) -> Flow:
        """The flow that a result holds."""
        kept, about = np.ascontiguousarray(ds["flow"].values), ds["flow"].attrs
        potentials = kept.view(complex)[..., 0]
        return cls(potentials, float(about["flow_dt"]), int(about["flow_dimension"]), bool(about["flow_living"]))


def _interpolation(at: float, count: int, nodes: int) -> tuple[int, Real]:
    """Lagrange weights at ``at`` of the nearest ``nodes`` of 0, 1, …, count - 1, and the first of them."""
    nodes = min(nodes, count)
    first = int(np.clip(np.floor(at) - nodes // 2 + 1, 0, count - nodes))
    j = np.arange(nodes)
    apart = j[:, None] - j + np.eye(nodes)
    ratios = (at - first - j + np.zeros((nodes, 1))) / apart
    return first, np.prod(np.where(np.eye(nodes, dtype=bool), 1.0, ratios), axis=1)


class FlowRecorder:
    """Collects the fields of a run as its states go by; ``fields``: those of its beginning, from a checkpoint."""

    def __init__(self, fields: Sequence[tuple[Coefficients, Coefficients]] = ()) -> None:
        self.fields = list(fields)
        self._about: tuple[float, int, bool] | None = None

    def see(self, job: Job, state: Measure, n: int) -> None:
        """Keep the field of the step from the state at step ``n``; of the last state only a living one."""
        living = job.config["solve"]["scheme"] == LIVING
        self._about = (job.dt, state.dimension, living)
        if n == len(self.fields) and (n < job.steps or living):
            pair = potentials(field_of_step(job, state, n), state.dimension, n * job.dt)
            self.fields.append(_trimmed(pair, state.dimension))

    def flow(self) -> Flow:
        """What was collected."""
        assert self._about is not None
        dt, d, living = self._about
        here = geometry(d)
        degree = max(here.degree_of(s) for s, _ in self.fields)
        return Flow(np.array([[here.resized(p, degree) for p in pair] for pair in self.fields]), dt, d, living)

    def kept_in(self, ds: Result) -> Result:
        """The result with the flow in it."""
        return self.flow().to_dataset(ds)


class _Listener:
    """Stands in for a measure before a scheme, and keeps the velocity along which it is to be transported."""

    def __init__(self, measure: Measure) -> None:
        self.source, self.dimension = measure.source, measure.dimension
        self.heard: Any = None

    def transport(self, velocity: Any) -> _Listener:
        self.heard = velocity
        return self


def field_of_step(job: Job, state: Measure, n: int) -> Velocity:
    """The displacement field with which step ``n`` of a ``lie_euler`` or ``rk4`` run leaves the state."""
    t0, t1 = n * job.dt, (n + 1) * job.dt
    listener: Any = _Listener(state)
    job.scheme.step(job.model.drawn(job.path, t0, t1, state.dimension), listener, job.path, t0, t1)
    heard = listener.heard
    return heard if isinstance(heard, Velocity) else heard(state.source)


def potentials(v: Velocity, d: int, t: float) -> tuple[Coefficients, Coefficients]:
    """(S, T) of a field. Raises UnresolvedError where no degree up to 255 resolves it."""
    here, v = geometry(d), v.resolved(d)
    if isinstance(v, HarmonicField):
        return v.spheroidal, v.toroidal
    if isinstance(v, ZeroField):
        return np.zeros(here.size(1), complex), np.zeros(here.size(1), complex)
    if isinstance(v, ScaledField):
        s, p = potentials(v.field, d, t)
        return v.factor * s, v.factor * p
    if isinstance(v, SumField):
        return _summed([potentials(term, d, t) for term in v.terms], d)
    raise UnresolvedError(t, "the field of this step has no harmonics up to degree 255", "run without save_flow")


def _summed(pairs: list[tuple[Coefficients, Coefficients]], d: int) -> tuple[Coefficients, Coefficients]:
    here = geometry(d)
    degree = max(here.degree_of(s) for s, _ in pairs)
    s, p = (sum(here.resized(pair[k], degree) for pair in pairs) for k in (0, 1))
    return np.asarray(s), np.asarray(p)


def _trimmed(pair: tuple[Coefficients, Coefficients], d: int) -> tuple[Coefficients, Coefficients]:
    """The potentials without the degrees that carry next to nothing of the field."""
    here = geometry(d)
    degree = here.degree_of(pair[0])
    slopes = np.arange(degree + 1.0) ** 2 * sum(here.power(p) for p in pair)
    rest = np.cumsum(slopes[::-1])[::-1]
    needed = max(1, int(np.sum(rest > NEGLIGIBLE**2 * rest[0])) - 1)
    return here.resized(pair[0], needed), here.resized(pair[1], needed)


def check_flow(state: Measure, scheme: str, argument: str = "save_flow") -> None:
    """Raise InputError unless this is a quadrature cloud of S² or S¹ under a scheme whose flow runs backwards."""
    problem, remedy = "", 'use measure="cloud"'
    if not isinstance(state, Cloud):
        problem = f"a {state.name} is moved by coefficients, not by a flow of points"
    elif state.dimension not in GEOMETRIES:
        problem, remedy = f"densities exist for d = 2 and d = 3, not d = {state.dimension}", "leave it out"
    elif state.log_density is None:
        problem, remedy = "these points carry no density", "start a cloud from a law, with lie_euler or rk4"
    elif scheme not in (FROZEN, LIVING):
        problem = f"scheme={scheme!r} moves points by fields of predictors or stages, which are not kept"
        remedy = 'use scheme="lie_euler", or "rk4" without common noise'
    if problem:
        raise InputError(argument, True, problem, remedy)
