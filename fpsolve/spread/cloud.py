"""A cloud of which each rank holds some blocks of points, moved by fields that all ranks know in harmonics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpsolve.attention.source import TOLERANCE
from fpsolve.cached import cached_property, read_only
from fpsolve.errors import InputError, UnresolvedError
from fpsolve.measures.base import Living
from fpsolve.measures.cloud import FARTHEST, Cloud
from fpsolve.noise import BrownianPath
from fpsolve.sphere import heat
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.spread.share import Share
from fpsolve.spread.source import SpreadSource
from fpsolve.transport.runge_kutta import combination, controlled, estimate, for_living, stages, usable
from fpsolve.transport.tabled import Substep, at_states, formula_for, sweep, tabled
from fpsolve.transport.velocity import (
    RESOLVING_DEGREES,
    AmbientField,
    HarmonicField,
    ScaledField,
    SumField,
    Velocity,
    ZeroField,
    sites_of,
)
from fpsolve.values import unsettled

AS_KNOWN = 10 * TOLERANCE
"""Of a field that is not resolved: ten times the accuracy asked of F."""


@dataclass(frozen=True, eq=False, repr=False)
class SpreadCloud(Cloud):
    """The points of one rank, rows of ``x`` with ``weights``, of a cloud of mass ``total``.

    share: which they are. All ranks call its methods together; only what it is made of (``x``, ``weights``,
    ``log_density``) is this rank's own.
    """

    share: Any = None
    total: float = 1.0

    @property
    def mass(self) -> float:
        return self.total

    @cached_property
    def source(self) -> SpreadSource:
        x, weights = self.x, self.weights  # and not self: states are freed at once
        return SpreadSource(self.share, lambda part: x[part], weights, self.dimension, self.rtol)

    @property
    def mean(self) -> Real:
        return self.source.mean

    def moments(self, degree: int) -> Coefficients:
        return self.source.moments(degree)

    def _moments_by(self, masses: Real, degree: int) -> Coefficients:
        x = self.x
        return SpreadSource(self.share, lambda part: x[part], masses, self.dimension, self.rtol).moments(degree)

    @property
    def entropy(self) -> float | None:
        carried = self.log_density
        return None if carried is None else -float(self.integral(lambda part: carried[part]))

    def integral(self, of: Callable[[slice], Real]) -> Real:
        """∫ f dμ, ``of(block)`` the values at its points."""
        total: Real = self.share.summed(lambda part: np.sum(self.weights[part] * of(part)))
        return total

    def is_finite(self) -> bool:
        return bool(self.share.ranks.agree(super().is_finite()))

    @property
    def sites(self) -> Any:
        raise self._apart()

    @property
    def masses(self) -> Real:
        raise self._apart()

    def quadrature(self) -> tuple[Real, Real, Real | None]:
        raise self._apart()

    def placed(self, x: Real) -> Cloud:
        raise self._apart()

    def _apart(self) -> InputError:
        problem = f"its points are known to {self.share.ranks.size} ranks, a part to each"
        return InputError("measure", self.name, problem, "run it on one process, without mpiexec")

    def transport(self, velocity: Velocity | Living) -> Cloud:
        flow = BlockFlow(self, velocity)
        order = flow.tableau.order
        controlled(flow.attempt, flow.accept, order=order, rtol=self.rtol)
        return flow.cloud

    def diffuse(self, amount: float, path: BrownianPath, t0: float, t1: float) -> Cloud:
        if not self.tokens:
            return super().diffuse(amount, path, t0, t1)
        moved, d, start = np.empty_like(self.x), self.dimension, self.share.points.start
        for part in self.share.parts:
            x, first = self.x[part], d * (start + part.start)
            kick = path.later_increment(t0, t1, first, x.size, "tokens").reshape(x.shape) / np.sqrt(t1 - t0)
            moved[part] = heat.moved(x, sites_of(x).from_ambient(kick), amount)
        return unsettled(self, x=read_only(moved))

    def state_of(self, part: slice) -> Real:
        """Points of a block, with the logarithm of the density that they carry."""
        x, carried = self.x[part], self.log_density
        return x if carried is None else np.column_stack([x, carried[part]])

    def with_states(self, states: list[Real]) -> SpreadCloud:
        """The cloud moved to other states of its blocks."""
        x, d = np.empty_like(self.x), self.dimension
        carried = None if self.log_density is None else np.empty_like(self.log_density)
        for part, state in zip(self.share.parts, states, strict=True):
            x[part] = state[:, :d]
            if carried is not None:
                carried[part] = state[:, d]
        return unsettled(self, x=x, log_density=carried)

    def error_of(self, part: slice, error: Real) -> float:
        """What a block gives to the bound on the error of the moments, as :meth:`Cloud.transport` measures it."""
        return unsettled(self, weights=self.weights[part])._error_norm(error)


class BlockFlow:
    """Sub-steps of one transport: each block moved for itself, errors added up, decisions taken by all.

    A frozen field is known everywhere, so that the stages of one block at a time are in memory; one that lives needs
    those of all, as its moments are theirs.
    """

    def __init__(self, cloud: SpreadCloud, velocity: Velocity | Living) -> None:
        self.cloud, self._share = cloud, cloud.share
        self._living: Any = None if isinstance(velocity, Velocity) else velocity
        self._field = None if self._living is not None else harmonic(velocity, cloud.dimension)  # type: ignore[arg-type]
        self.tableau = formula_for(self._field, cloud.rtol) if self._field is not None else for_living(cloud.rtol)
        self._substep = self._substeps()
        self._tried: list[Real] = []
        self._first: list[Real] | None = None
        self._directions = False

    def attempt(self, h: float) -> float:
        """The error of a sub-step, ∞ where a stage cannot be."""
        errors = self._frozen(h) if self._living is None else self._lived(h)
        if errors is None:
            return np.inf
        found = iter(errors)
        return estimate(self._share.summed(lambda part: np.array(next(found))).tolist())

    def accept(self, is_last: bool) -> None:
        """Keep the sub-step that was tried, its points on the sphere."""
        self.cloud = self.cloud.with_states([self.cloud._on_sphere(state) for state in self._tried])
        self._tried, self._first = [], None

    def _substeps(self) -> Substep:
        """Sub-steps of a block along the frozen field."""
        cloud, field = self.cloud, self._field
        table = None if field is None else tabled(field, cloud.rtol, self._share.count)
        if table is not None:
            return sweep(table, self.tableau, 1 - FARTHEST, 1 + FARTHEST)
        rhs: Callable[[Real], Real] = lambda y: derivative(cloud, field, y)  # noqa: E731
        return lambda y, h: stages(rhs, y, rhs(y), h, self.tableau, cloud._near_sphere)

    def _frozen(self, h: float) -> list[list[float]] | None:
        cloud, errors = self.cloud, []
        self._tried = []
        for part in self._share.parts:
            found = self._substep(cloud.state_of(part), h)
            if found is None:
                break
            self._tried.append(found[0])
            errors.append([cloud.error_of(part, error) for error in found[1]])
        return errors if self._share.ranks.agree(len(errors) == len(self._share.parts)) else None

    def _lived(self, h: float) -> list[list[float]] | None:
        cloud, tableau, parts = self.cloud, self.tableau, self._share.parts
        y = [cloud.state_of(part) for part in parts]
        self._first = self._first or self._derivatives(y)
        k, stage = [[one] for one in self._first], list(y)
        with np.errstate(over="ignore", invalid="ignore"):
            for row in (*tableau.a[1 : len(tableau.b)], tableau.b):
                for n, (at, slopes) in enumerate(zip(y, k, strict=True)):
                    stage[n] = at + h * combination(row, slopes)  # one block after another: the old ones go
                if not self._share.ranks.agree(all(usable(one, cloud._near_sphere) for one in stage)):
                    return None
                if row is not tableau.b or tableau.error[-1] != 0:
                    for slopes, new in zip(k, self._derivatives(stage), strict=True):
                        slopes.append(new)
            self._tried = stage
            errors = (h * combination(tableau.error, slopes) for slopes in k)
            return [[cloud.error_of(part, error)] for part, error in zip(parts, errors, strict=True)]

    def _derivatives(self, states: list[Real]) -> list[Real]:
        """The slopes of all blocks by the field that these states make.

        Points of a stage lie off the sphere, where moments and sums over points are different continuations of M: if
        both had a part in the field, so that it has no harmonics, it is that of the points' directions.
        """
        cloud, d, size = self.cloud, self.cloud.dimension, self._share.size
        raw: Callable[[slice], Real] = lambda part: states[part.start // size][:, :d]  # noqa: E731
        directions: Callable[[slice], Real] = lambda part: cloud._on_sphere(raw(part).copy())  # noqa: E731
        field = None
        if not self._directions:
            try:
                field = harmonic(self._living(SpreadSource(self._share, raw, cloud.weights, d, cloud.rtol)), d)
            except UnresolvedError:
                self._directions = True
        if field is None:
            field = harmonic(self._living(SpreadSource(self._share, directions, cloud.weights, d, cloud.rtol)), d)
        table = tabled(field, cloud.rtol, self._share.count)
        if table is not None:
            return [at_states(table, state) for state in states]
        return [derivative(cloud, field, state) for state in states]


def derivative(cloud: SpreadCloud, field: Any, state: Real) -> Real:
    """v at the points of a block, and -div v where they carry log ρ."""
    sites = sites_of(np.ascontiguousarray(state[:, : cloud.dimension]))
    if cloud.log_density is None:
        moved: Real = field.on(sites)
        return moved
    return np.column_stack([field.on(sites), -field.divergence(sites)])


def harmonic(velocity: Velocity, d: int) -> Velocity:
    """The field in harmonics, which every rank can evaluate for itself.

    Where these are not right to 1e-10 they are taken at ``AS_KNOWN``, what attention near cancelling moments is right
    to. Raises UnresolvedError (at time 0 of the step) where the field has none up to degree 255.
    """
    if isinstance(velocity, SumField):
        terms = [harmonic(term, d) for term in velocity.terms]
        return sum(terms[1:], terms[0])
    if isinstance(velocity, ScaledField):
        return velocity.factor * harmonic(velocity.field, d)
    field = velocity.resolved(d)
    if isinstance(velocity, AmbientField) and field is velocity:
        tried = (velocity.looked_at(geometry(d), degree, AS_KNOWN) for degree in RESOLVING_DEGREES)
        field = next((found for found in tried if found is not None), velocity)
    if not isinstance(field, HarmonicField | ZeroField):
        problem = f"the field of a step has no harmonics up to degree {RESOLVING_DEGREES[-1]}, by which ranks know it"
        raise UnresolvedError(0.0, problem, "run it on one process, without mpiexec, or take a smaller beta")
    return field


def spread(cloud: Cloud, share: Share) -> SpreadCloud:
    """A rank's share of a cloud that it has whole."""
    here, carried = share.points, cloud.log_density
    own = None if carried is None else carried[here].copy()
    nested = None if cloud.nested is None else cloud.nested[:, here].copy()
    return of_rows(cloud.x[here].copy(), cloud.weights[here].copy(), own, cloud.rtol, cloud.tokens, share, nested)


def of_rows(
    x: Real, weights: Real, log_density: Real | None, rtol: float, tokens: bool, share: Share,
    nested: Real | None = None,
) -> SpreadCloud:  # fmt: skip
    """The cloud whose points on this rank are ``x``; arrays are not copied."""
    total = float(share.summed(lambda part: np.array(weights[part].sum())))
    arrays = [one for one in (x, weights, log_density, nested) if one is not None]
    read_only(arrays)
    return SpreadCloud(x, weights, log_density, rtol, tokens, nested=nested, share=share, total=total)


