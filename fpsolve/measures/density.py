"""μ by its density's coefficients on the sphere or the circle: ∂_s ρ = -div(ρ v)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fpsolve.attention.source import MomentSource, Source
from fpsolve.errors import InputError
from fpsolve.measures.base import Living, Measure
from fpsolve.measures.initial import Law, Tokens, density_values
from fpsolve.noise import BrownianPath
from fpsolve.sphere.geometry import Geometry, geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.commutator_free import flow_of_living
from fpsolve.transport.exponential import Generator
from fpsolve.transport.flows import EXPLICIT, flow_of
from fpsolve.transport.operators import advection, spectral_bound, transport_grid
from fpsolve.transport.runge_kutta import for_living, integrate
from fpsolve.transport.velocity import Velocity

LIVING_SHARE = 0.1
"""The part of ``rtol`` to which the frozen flows of a living one are computed."""

THIN_DEGREES = (31, 39, 47, 55, 63, 79, 95, 111)
"""Degrees of grids tried, in turn, for a thin quadrature."""

LOW_DEGREE = 8
"""Tolerances are on the moments up to this degree."""


@dataclass(frozen=True, eq=False)
class Density(Measure):
    """A density ρ = Σ ρ_ℓm Y_ℓm on S² (d = 3) or S¹ (d = 2), ∫ρ = 1.

    ``coefficients``: complex, order and norm of :mod:`fpsolve.sphere.harmonics` (of :mod:`fpsolve.sphere.fourier`).
    ``rtol``: accuracy of one transport. ``filter``: strength a of the optional factor
    exp(-a √(κΔt) ℓmax (ℓ/ℓmax)^16) after each transport, √(κΔt) the root mean square displacement in one direction.
    ``flow``: what moves it, a name in ``TRANSPORTS``, PETSc's options after it.
    Raises InputError when the mass is not one to 1e-6.
    """

    coefficients: Coefficients
    rtol: float = 1e-6
    filter: float | None = None
    d: int = 3
    flow: str = EXPLICIT

    name: ClassVar[str] = "density"

    def __post_init__(self) -> None:
        if not abs(self.mass - 1) < 1e-6:
            raise InputError("coefficients", self.mass, "the mass is not 1", "divide the density by its integral")

    @classmethod
    def from_law(cls, law: Law | Tokens, *, lmax: int, rtol: float, filter: float | None = None) -> Density:
        grid = geometry(law.dimension).grid(lmax)
        return cls(grid.to_modes(density_values(law, grid)), rtol, filter, law.dimension)

    @property
    def dimension(self) -> int:
        """d."""
        return self.d

    @property
    def geometry(self) -> Geometry:
        """The sphere or the circle."""
        return geometry(self.d)

    @property
    def lmax(self) -> int:
        """Truncation degree."""
        return self.geometry.degree_of(self.coefficients)

    @property
    def grid(self) -> Any:
        """The grid of this degree."""
        return self.geometry.grid(self.lmax)

    @cached_property
    def values(self) -> Real:
        """ρ on the grid."""
        return self.grid.to_grid(self.coefficients)

    @cached_property
    def source(self) -> Source:
        return MomentSource(
            self.moments,
            lambda: positive_quadrature(self.grid, self.values),
            highest=self.lmax,
            geometry=self.geometry,
            coarse_points=self._thin_quadrature,
        )

    @property
    def mass(self) -> float:
        return float(self.coefficients[0].real / self.geometry.mass_moment)

    @property
    def entropy(self) -> float:
        """-∫ ρ log ρ over the part of the grid where ρ > 0."""
        return grid_entropy(self.grid, self.values)

    @property
    def min_density(self) -> float:
        """The least value of ρ on the grid."""
        return float(self.values.min())

    @property
    def tail(self) -> float:
        """Σ_{ℓ > 0.9 ℓmax} |ρ_ℓm|² / Σ |ρ_ℓm|²."""
        return self.geometry.spectral_tail(self.coefficients)

    def at(self, coefficients: Coefficients) -> Density:
        """The density of other coefficients."""
        return replace(self, coefficients=coefficients)

    def carried(self, u: Coefficients, v: Real, rtol: float) -> Coefficients:
        """exp(L) u for a field on the grid or on its thinner one, by the measure's flow; L annihilates the mass."""
        moved = flow_of(self.flow)(self.generator(v), u, spectral_bound(v, self.lmax), rtol)
        moved[0] = u[0]  # the polynomial's weights sum to 1 ± ulp
        return moved

    def generator(self, v: Real) -> Generator:
        """L u = -div(u v) for a field on the grid or on its thinner one."""
        return advection(self.grid, v)

    def moments(self, degree: int) -> Coefficients:
        """ρ_ℓm up to ``degree``."""
        return self.geometry.resized(self.coefficients, degree)

    def transport(self, velocity: Velocity | Living) -> Density:
        if not isinstance(velocity, Velocity):
            live = _live if self.flow == EXPLICIT else live_by_frozen_fields
            return self._with(live(self, velocity))
        grid = transport_grid(self.grid, velocity)
        v = velocity.on(grid)
        moved = self.carried(self.coefficients, v, self.rtol)
        return self._with(moved if self.filter is None else moved * _filter(self, grid, v))

    def diffuse(self, amount: float, path: BrownianPath, t0: float, t1: float) -> Density:
        return self._with(self.coefficients * np.exp(amount * self.geometry.laplacian(self.lmax)))

    def is_finite(self) -> bool:
        return bool(np.isfinite(self.coefficients).all())

    def _with(self, coefficients: Coefficients) -> Density:
        coefficients[0] = self.coefficients[0]  # L annihilates it exactly
        return self.at(coefficients)

    def _thin_quadrature(self) -> tuple[Real, Real]:
        """The positive quadrature on the coarsest grid that holds every degree above round-off (at least 31)."""
        here, spectrum = self.geometry, self.geometry.power(self.coefficients)
        bound = np.cumsum(np.sqrt((2 * np.arange(len(spectrum)) + 1) * spectrum)[::-1])[::-1]
        needed = int(np.sum(bound > 1e-14 * bound[0])) - 1
        degree = next((d for d in THIN_DEGREES if needed <= d < self.lmax), self.lmax)
        if degree == self.lmax:
            return positive_quadrature(self.grid, self.values)
        grid = here.grid(degree)
        return positive_quadrature(grid, grid.to_grid(here.resized(self.coefficients, degree)))


def positive_quadrature(grid: Any, values: Real) -> tuple[Real, Real]:
    """Points and weights where ρ stands above its own error: round-off, and lobes like the negative ones.

    Once those exceed a hundredth of the peak the density is under-resolved, which ``tail`` and the least density
    report, and everything above that hundredth is kept.
    """
    highest, lowest = float(values.max()), float(values.min())
    kept = values > np.clip(-2 * lowest, 1e-14 * highest, 1e-2 * highest)
    weights = (grid.weights * values)[kept]
    return grid.x[kept], weights / weights.sum()


def grid_entropy(sphere: Any, values: Real) -> float:
    """-∫ ρ log ρ over the points where ρ > 0."""
    positive = np.maximum(values, 1e-300)
    return -float(sphere.integral(positive * np.log(positive)))


def _live(measure: Density, velocity: Living) -> Coefficients:
    """Runge–Kutta in s with v[μ_s] evaluated in every stage; stable sub-steps, their error from ``rtol``."""
    low = measure.geometry.degrees(measure.lmax) <= LOW_DEGREE

    def rhs(coefficients: Coefficients) -> Coefficients:
        here = replace(measure, coefficients=coefficients)
        out = np.zeros_like(coefficients)
        advection(measure.grid, velocity(here.source).on(measure.grid)).add_to(coefficients, out, 1.0)
        return out

    return integrate_living(rhs, measure, velocity, lambda error: float(np.abs(error[low]).max()))


def integrate_living(
    rhs: Callable[[Coefficients], Coefficients],
    measure: Any,
    velocity: Living,
    norm: Callable[[Coefficients], float],
) -> Coefficients:
    """Coefficients after unit time under a living field, sub-steps bounded by the spectral radius at the start."""
    tableau = for_living(measure.rtol)
    radius = spectral_bound(velocity(measure.source).on(measure.grid), measure.lmax)
    longest = min(1.0, tableau.imaginary_limit / max(radius, 1e-300))
    return integrate(
        rhs, measure.coefficients, tableau=tableau, rtol=measure.rtol, norm=norm, longest=longest
    )


def live_by_frozen_fields(measure: Any, velocity: Living) -> Coefficients:
    """Coefficients after unit time under a living field, by the measure's own flow of frozen fields."""

    def field(u: Coefficients) -> Real:
        return velocity(measure.at(u).source).on(measure.grid)

    rtol = LIVING_SHARE * measure.rtol
    return flow_of_living(measure.coefficients, field, lambda u, v: measure.carried(u, v, rtol), measure.rtol)


def _filter(measure: Density, grid: Any, v: Real) -> Real:
    """exp(-a √(κΔt) ℓmax (ℓ/ℓmax)^16), √(κΔt) from the mean square of v over d - 1 directions."""
    assert measure.filter is not None
    lmax, geometry = measure.lmax, measure.geometry
    mean_square = grid.integral((v**2).sum(axis=0)) / (geometry.area * (measure.d - 1))
    ratio = np.arange(lmax + 1) / lmax
    return geometry.by_degree(np.exp(-measure.filter * np.sqrt(mean_square) * lmax * ratio**16), lmax)
