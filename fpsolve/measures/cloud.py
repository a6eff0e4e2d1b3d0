"""μ by weighted points of S^{d-1}, moved by ẋ = v(x): quadratures of a law by characteristics, or finite-N tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fpsolve.attention.source import MomentSource, PointSource, Source
from fpsolve.cached import cached_property
from fpsolve.errors import InputError, UnresolvedError, check_number
from fpsolve.measures.base import Living, Measure
from fpsolve.measures.laws import Law, Prompt, Tokens, density_values, refuse_filter
from fpsolve.noise import BrownianPath
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere import heat
from fpsolve.sphere.geometry import GEOMETRIES, check_degree, geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.sphere.nested import LARGEST_OF, error_of, nested_masses
from fpsolve.sphere.scattered import Points, SpherePoints
from fpsolve.transport.runge_kutta import MOST_STEPS, for_living, integrate, swept
from fpsolve.transport.stiff import LARGEST_STATE, integrate_stiff
from fpsolve.transport.tabled import at_states, formula_for, sweep, tabled
from fpsolve.transport.velocity import Velocity, sites_of
from fpsolve.values import as_array, changed, own_arrays, unsettled

MOMENT_SENSITIVITY = 2.5
"""A displacement δ changes a moment ρ_ℓm, ℓ ≤ 8, by at most about 2.5 Σ w|δ| (root mean square of |∇Y_8m|)."""

FARTHEST = 0.5
"""How far from the sphere the stages of a sub-step may lie: beyond, the sub-step is far too long."""

STIFF_FROM = 2000
"""Sub-steps after which the living flow of few tokens is taken for a stiff one."""

DIRECT_BELOW = 128
"""Clouds of fewer points sum their attention directly: faster than any transform."""

MOST_POSITIONS = 1024
"""Of more positions results keep no means."""

HARMONIC_ABOVE = 4096
"""From this many points on, one vector synthesis at them is cheaper than evaluating an attention field there."""


@dataclass(frozen=True, eq=False, repr=False)
class Cloud(Measure):
    """Points ``x`` (n, d) on the unit sphere with ``weights`` (n,) that sum to one.

    ``log_density``: log ρ at the points, shape (n,), carried along the flow by d log ρ/ds = -div v; quadrature clouds
    have it, tokens do not. ``rtol``: accuracy of one transport. ``tokens``: whether the points are particles, which may
    carry noise of their own. ``labels``: positions in a sequence, shape (n,), for causal models. ``nested``: masses of
    two coarser quadratures by some of the points, shape (2, n), by which a quadrature cloud estimates its error. Raises
    InputError for points off the sphere or bad weights.
    """

    x: Real
    weights: Real
    log_density: Real | None = None
    rtol: float = 1e-6
    tokens: bool = False
    labels: Real | None = None
    nested: Real | None = None

    name: ClassVar[str] = "cloud"

    def __post_init__(self) -> None:
        for name in ("x", "weights", "log_density", "labels", "nested"):
            as_array(self, name, float)
        check_number("rtol", self.rtol, 1e-14)
        if self.log_density is not None and self.log_density.shape != self.x.shape[:1]:
            problem = f"must be one number for each of the {len(self.x)} points"
            raise InputError("log_density", self.log_density.shape, problem, "pass log ρ there, or leave it out")
        self._settle()

    def _settle(self) -> None:
        """Arrays of its own. Raises InputError where they are no points, masses and labels."""
        if self.x.ndim != 2 or self.x.size == 0 or self.x.shape[1] < 2 or not np.isfinite(self.x).all():
            raise InputError("x", self.x.shape, "points must be a finite array (n, d), d >= 2", "pass one row a point")
        off = float(np.abs(np.einsum("na,na->n", self.x, self.x) - 1).max())
        if off > 1e-8:
            raise InputError("x", off, "points lie off the unit sphere", "divide each row by its norm")
        if self.weights.shape != self.x.shape[:1] or not (self.weights >= 0).all():
            raise InputError("weights", self.weights, "weights must be one non-negative number a point", "check them")
        labels = self.labels
        if labels is not None and (np.shape(labels) != self.x.shape[:1] or not np.isfinite(labels).all()):
            problem = f"labels must be one finite position for each of the {len(self.x)} points"
            raise InputError("labels", np.shape(labels), problem, "pass np.arange(1, n + 1) / n, for example")
        nested = self.nested
        if nested is not None and (nested.shape != (2, len(self.x)) or not np.isfinite(nested).all()):
            problem = f"must be two finite masses for each of the {len(self.x)} points"
            raise InputError("nested", nested.shape, problem, "leave it out")
        if not abs(self.mass - 1) < 1e-6:
            raise InputError("weights", self.mass, "the mass is not 1", "divide the weights by their sum")
        own_arrays(self)

    @classmethod
    @checked_arguments
    def from_law(cls, law: Law | Tokens | Prompt, *, lmax: int, rtol: float, filter: float | None = None) -> Cloud:
        """Tokens as they are; a law as the quadrature of the grid of ``lmax``, carrying its log-density.

        A prompt as one such quadrature for each cell, without log-densities, the positions of the cells as labels.
        """
        refuse_filter(filter, cls.name)
        if isinstance(law, Prompt):
            clouds = [cls.from_law(one, lmax=lmax, rtol=rtol) for one in law.laws]
            cells = [clouds[k] for k in law.stretches]
            labels = np.repeat((np.arange(law.cells) + 0.5) / law.cells, [len(cell.x) for cell in cells])
            weights = np.concatenate([cell.weights for cell in cells]) / law.cells
            nested = np.concatenate([cell.nested for cell in cells], axis=1) / law.cells
            x = np.concatenate([cell.x for cell in cells])
            return cls(x, weights, rtol=rtol, labels=labels, nested=nested)
        if isinstance(law, Tokens):
            return cls(law.x, law.weights, rtol=rtol, tokens=True, labels=law.labels)
        check_degree("lmax", lmax)
        grid = geometry(law.dimension).grid(lmax)
        values = density_values(law, grid)
        with np.errstate(divide="ignore"):
            return cls.on_grid(grid, values, np.log(values), rtol)

    @classmethod
    def on_grid(cls, grid: Any, values: Real, log_density: Real, rtol: float) -> Cloud:
        """The quadrature of a density by the points of a grid, from its values and their logarithms there."""
        kept, masses = values > 0, grid.weights * values
        nested = nested_masses(grid, np.where(kept, values, 0.0))[:, kept]
        x = np.ascontiguousarray(grid.x[kept])
        return cls(x, masses[kept] / masses[kept].sum(), log_density[kept], rtol, nested=nested)

    @classmethod
    def taken_from(cls, measure: Any, lmax: int | None = None) -> Cloud:
        """The quadrature of a density on its own grid, with its logarithm, where ρ stands above its negative lobes.

        lmax: of a log density on the grid of this degree, at least its own.
        """
        if lmax is not None and measure.in_place:
            grid, phi = measure.logarithm_on(max(lmax, measure.lmax))
            return cls.on_grid(grid, np.exp(phi), phi, measure.rtol)
        x, masses, log_density = measure.quadrature()
        nested = measure.nested_quadrature()
        return cls(np.ascontiguousarray(x), masses / masses.sum(), log_density, measure.rtol, nested=nested)

    @property
    def dimension(self) -> int:
        """d."""
        return int(self.x.shape[1])

    @cached_property
    def sites(self) -> Points:
        """The points as sites of evaluation."""
        return sites_of(self.x)

    @property
    def masses(self) -> Real:
        return self.weights

    def quadrature(self) -> tuple[Real, Real, Real | None]:
        return self.x, self.weights, self.log_density

    @property
    def points(self) -> Real:
        return self.x

    def placed(self, x: Real) -> Cloud:
        return changed(self, x=x, log_density=None)

    @property
    def positions(self) -> Real | None:
        return None if self.labels is None else np.unique(self.labels)

    @property
    def position_means(self) -> Real | None:
        if self.labels is None:
            return None
        positions, which = np.unique(self.labels, return_inverse=True)
        masses = np.bincount(which, self.weights)
        if len(positions) > MOST_POSITIONS or not (masses > 0).all():
            return None
        sums = [np.bincount(which, self.weights * column) for column in self.x.T]
        return np.stack(sums, -1) / masses[:, None]

    @property
    def has_density(self) -> bool:
        return self.log_density is not None

    def density_on(self, grid: Any = None) -> Real | None:
        return None if self.log_density is None or grid is not None else np.exp(self.log_density)

    def without_density(self) -> Cloud:
        return self if self.log_density is None else changed(self, log_density=None)

    @cached_property
    def source(self) -> Source:
        direct = PointSource(self.x, self.weights, self.labels)
        if self.labels is not None:
            return direct
        if self.dimension not in GEOMETRIES or len(self.x) < DIRECT_BELOW:
            return direct
        sites, x, weights = self.sites, self.x, self.weights  # and not self: states are freed at once
        return MomentSource(
            lambda degree: sites.moments(weights, degree),  # type: ignore[attr-defined]
            lambda: (x, weights),
            SpherePoints.accuracy,
            geometry=geometry(self.dimension),
            rtol=self.rtol,
        )

    @cached_property
    def cloud_error(self) -> float | None:
        """An estimate of the error that the quadrature makes in the moments ℓ ≤ 8, :func:`~fpsolve.sphere.nested`.

        Of what the law has become under the flow so far: not of what earlier errors have done to the flow.
        """
        if self.nested is None:
            return None
        sets = [self._moments_by(masses, LARGEST_OF) for masses in (self.weights, *self.nested)]
        return error_of(sets, geometry(self.dimension))

    def _moments_by(self, masses: Real, degree: int) -> Coefficients:
        """The moments of other masses at the same points."""
        found: Coefficients = self.sites.moments(masses, degree)  # type: ignore[attr-defined]
        return found

    @property
    def mean(self) -> Real:
        return np.sum(self.weights[:, None] * self.x, axis=0)

    @property
    def mass(self) -> float:
        return float(self.weights.sum())

    @property
    def entropy(self) -> float | None:
        """-Σ w log ρ along the characteristics, where log ρ is carried."""
        return None if self.log_density is None else float(-np.sum(self.weights * self.log_density))

    def transport(self, velocity: Velocity | Living) -> Cloud:
        frozen = velocity if isinstance(velocity, Velocity) else None
        if frozen is not None and not frozen.flowable:
            raise InputError(
                "scheme", "a frozen flow", "the field is known only at the tokens together", 'use scheme="rk4"'
            )
        if frozen is not None and self._in_harmonics:
            frozen = frozen.resolved(self.dimension)
        tableau = for_living(self.rtol) if frozen is None else formula_for(frozen, self.rtol)
        table = None if frozen is None else tabled(frozen, self.rtol, len(self.x))
        if table is not None:
            substep = sweep(table, tableau, 1 - FARTHEST, 1 + FARTHEST)
            how = {"rtol": self.rtol, "norm": self._error_norm, "finish": self._on_sphere}
            return self._at(swept(substep, self._state, order=tableau.order, **how))  # type: ignore[arg-type]

        def rhs(state: Real) -> Real:
            source = self._at(state)
            v = velocity(source.source) if frozen is None else frozen  # type: ignore[operator]
            return source._derivative(v)

        may_be_stiff = frozen is None and self.log_density is None and self.x.size <= LARGEST_STATE
        try:
            state = integrate(
                rhs,
                self._state,
                tableau=tableau,
                rtol=self.rtol,
                norm=self._error_norm,
                finish=self._on_sphere,
                admissible=self._near_sphere,
                most=STIFF_FROM if may_be_stiff else MOST_STEPS,
            )
        except UnresolvedError:
            if not may_be_stiff:
                raise
            state = self._on_sphere(integrate_stiff(lambda y: rhs(self._on_sphere(y.copy())), self.x, self.rtol))
        return self._at(state)

    def diffuse(self, amount: float, path: BrownianPath, t0: float, t1: float) -> Cloud:
        """Independent Brownian motions of the tokens for the heat time ``amount`` τ, exact in law for every τ and d.

        The direction is that of the tangential part of the path's own increment, the angle an increasing function of
        its length (:mod:`fpsolve.sphere.heat`). On the circle the tokens so follow one Brownian motion whatever the
        step; for d > 2 two halves of a step have the law of the whole, but not its end point. Raises InputError for
        clouds that are no tokens, and for τ < 0.
        """
        if not self.tokens:
            raise InputError(
                "diffusion", amount, "a quadrature cloud cannot carry noise of its own", "use a density or tokens"
            )
        kick = path.increment(t0, t1, self.x.size, "tokens").reshape(self.x.shape) / np.sqrt(t1 - t0)
        return changed(self, x=heat.moved(self.x, self.sites.from_ambient(kick), amount))

    def is_finite(self) -> bool:
        carried = self.log_density
        return bool(np.isfinite(self.x).all() and (carried is None or np.isfinite(carried).all()))

    @property
    def _in_harmonics(self) -> bool:
        """Whether fields are written in harmonics before evaluation: for their divergence, and for many points."""
        return self.dimension in GEOMETRIES and (self.log_density is not None or len(self.x) > HARMONIC_ABOVE)

    @property
    def _state(self) -> Real:
        return self.x if self.log_density is None else np.column_stack([self.x, self.log_density])

    def _at(self, state: Real) -> Cloud:
        """The cloud moved to another state; unchecked, as the flow keeps what the checks ask."""
        d = self.dimension
        carried = None if self.log_density is None else np.ascontiguousarray(state[:, d])
        return unsettled(self, x=np.ascontiguousarray(state[:, :d]), log_density=carried)

    def _derivative(self, v: Velocity) -> Real:
        if self._in_harmonics:
            v = v.resolved(self.dimension)
        if (table := tabled(v, self.rtol, len(self.x))) is not None:
            return at_states(table, self._state)
        if self.log_density is None:
            return v.on(self.sites)
        return np.column_stack([v.on(self.sites), -v.divergence(self.sites)])

    def _near_sphere(self, state: Real) -> bool:
        """Whether all points are within FARTHEST of the sphere; off it attention grows like e^{β|x|}."""
        squares = np.einsum("na,na->n", state[:, : self.dimension], state[:, : self.dimension])
        return bool(squares.max() <= (1 + FARTHEST) ** 2 and squares.min() >= (1 - FARTHEST) ** 2)

    def _on_sphere(self, state: Real) -> Real:
        d = self.dimension
        x = state[:, :d]
        state[:, :d] = x / np.sqrt(np.einsum("na,na->n", x, x))[:, None]
        return state

    def _error_norm(self, error: Real) -> float:
        """A bound on the error of the moments ℓ ≤ 8 (and of the entropy, where log ρ is carried)."""
        d = self.dimension
        size = np.sqrt(np.einsum("na,na->n", error[:, :d], error[:, :d])) * MOMENT_SENSITIVITY
        if self.log_density is not None:
            size = size + np.abs(error[:, d])
        return float(np.sum(self.weights * size))


def geodesic(x: Real, tangent: Real) -> Real:
    """exp_x(u) = cos|u| x + sin|u| u/|u|, rows of ``x`` and ``tangent``."""
    length = np.sqrt(np.einsum("na,na->n", tangent, tangent))[:, None]
    moved = np.cos(length) * x + np.sinc(length / np.pi) * tangent
    return moved / np.sqrt(np.einsum("na,na->n", moved, moved))[:, None]
