"""μ by its density's coefficients on the sphere or the circle: ∂_s ρ = -div(ρ v)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fpsolve.attention.floor import Floor
from fpsolve.attention.source import MomentSource, Source
from fpsolve.attention.thinning import above_error
from fpsolve.cached import cached_property
from fpsolve.errors import check_number
from fpsolve.measures.base import Living
from fpsolve.measures.expansion import Expansion
from fpsolve.measures.laws import Law, Tokens, density_values
from fpsolve.noise import BrownianPath
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.geometry import Geometry, check_degree, geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.exponential import Generator
from fpsolve.transport.flows import EXPLICIT
from fpsolve.transport.operators import advection, smooth_field, transport_grid
from fpsolve.transport.velocity import Velocity
from fpsolve.values import changed

THIN_DEGREES = (31, 39, 47, 55, 63, 79, 95, 111)
"""Degrees of grids tried, in turn, for a thin quadrature."""

LOW_DEGREE = 8
"""Tolerances are on the moments up to this degree."""


@dataclass(frozen=True, eq=False, repr=False)
class Density(Expansion):
    """A density ρ = Σ ρ_ℓm Y_ℓm on S² (d = 3) or S¹ (d = 2), ∫ρ = 1.

    ``coefficients``: complex, order and norm of :mod:`fpsolve.sphere.harmonics` (of :mod:`fpsolve.sphere.fourier`).
    ``rtol``: accuracy of one transport. ``filter``: strength a of the optional factor
    exp(-a √(κΔt) ℓmax (ℓ/ℓmax)^16) after each transport, √(κΔt) the root mean square displacement in one direction.
    ``flow``: what moves it, a name in ``TRANSPORTS``, PETSc's options after it. ``coarsest``: the largest ``rtol`` of
    the transports that made it.
    Raises InputError when the mass is not one to 1e-6.
    """

    coefficients: Coefficients
    rtol: float = 1e-6
    filter: float | None = None
    d: int = 3
    flow: str = EXPLICIT
    coarsest: float = 0.0

    name: ClassVar[str] = "density"
    normalise: ClassVar[str] = "divide the density by its integral"

    def _check_arguments(self) -> None:
        super()._check_arguments()
        if self.filter is not None:
            check_number("filter", self.filter, 0)

    @classmethod
    @checked_arguments
    def from_law(cls, law: Law | Tokens, *, lmax: int, rtol: float, filter: float | None = None) -> Density:
        check_degree("lmax", lmax)
        grid = geometry(law.dimension).grid(lmax)
        return cls(grid.to_modes(density_values(law, grid)), rtol, filter, law.dimension)

    @cached_property
    def values(self) -> Real:
        """ρ on the grid."""
        return self.grid.to_grid(self.coefficients)

    @cached_property
    def source(self) -> Source:
        return DensitySource(self.geometry, self.coefficients, self.rtol)

    @cached_property
    def floor(self) -> Floor:
        return Floor(self.geometry, self.grid, self.coefficients, self.values, self.coarsest)

    @property
    def mean(self) -> Real:
        return self.geometry.mean_vector(self.coefficients)

    @property
    def mass(self) -> float:
        return float(self.coefficients[0].real / self.geometry.mass_moment)

    def at(self, coefficients: Coefficients) -> Density:
        """The density of other coefficients."""
        return changed(self, coefficients=coefficients)

    def filtered(self, strength: float) -> Density:
        return changed(self, filter=strength)

    def carried(self, u: Coefficients, v: Real, rtol: float) -> Coefficients:
        moved = super().carried(u, v, rtol)
        moved[0] = u[0]  # L annihilates the mass; the polynomial's weights sum to 1 ± ulp
        return moved

    def generator(self, v: Real) -> Generator:
        """L u = -div(u v) for a field on the grid or on its thinner one."""
        return advection(self.grid, v)

    def moments(self, degree: int) -> Coefficients:
        """ρ_ℓm up to ``degree``."""
        return self.geometry.resized(self.coefficients, degree)

    def transport(self, velocity: Velocity | Living) -> Density:
        if not isinstance(velocity, Velocity):
            moved = self.carried_alive(velocity)
            v = None if self.filter is None else velocity(self.source).on(self.grid)
            return self._moved(moved if v is None else moved * _filter(self, self.grid, v))
        own = self.grid
        velocity = smooth_field(own, velocity, self.d, self.rtol)
        grid = transport_grid(own, velocity)
        v = velocity.on(grid)
        moved = self.carried(self.coefficients, v, self.rtol)
        return self._moved(moved if self.filter is None else moved * _filter(self, grid, v))

    def diffuse(self, amount: float, path: BrownianPath, t0: float, t1: float) -> Density:
        return self._with(self.coefficients * np.exp(amount * self.geometry.laplacian(self.lmax)))

    def error_norm(self, error: Coefficients) -> float:
        """The largest error of the moments up to LOW_DEGREE."""
        low = self.geometry.degrees(self.lmax) <= LOW_DEGREE
        return float(np.abs(error[low]).max())

    def _moved(self, coefficients: Coefficients) -> Density:
        """The density that a transport has made."""
        return self._with(coefficients, coarsest=max(self.rtol, self.coarsest))

    def _with(self, coefficients: Coefficients, **others: float) -> Density:
        coefficients[0] = self.coefficients[0]  # L annihilates it exactly
        return changed(self, coefficients=coefficients, **others)


class DensitySource(MomentSource):
    """That of ρ = Σ ρ_ℓm Y_ℓm; it holds the coefficients and not their density, so that states are freed at once."""

    def __init__(self, sphere: Geometry, coefficients: Coefficients, rtol: float) -> None:
        lmax = sphere.degree_of(coefficients)
        grid = sphere.grid(lmax)
        super().__init__(
            lambda degree: sphere.resized(coefficients, degree),
            lambda: positive_quadrature(grid, grid.to_grid(coefficients)),
            highest=lmax,
            geometry=sphere,
            coarse_points=lambda: thin_quadrature(sphere, coefficients),
            rtol=rtol,
        )


def thin_quadrature(sphere: Geometry, coefficients: Coefficients) -> tuple[Real, Real]:
    """The positive quadrature on the coarsest grid that holds every degree above round-off (at least 31)."""
    lmax, spectrum = sphere.degree_of(coefficients), sphere.power(coefficients)
    bound = np.cumsum(np.sqrt((2 * np.arange(len(spectrum)) + 1) * spectrum)[::-1])[::-1]
    needed = int(np.sum(bound > 1e-14 * bound[0])) - 1
    degree = next((d for d in THIN_DEGREES if needed <= d < lmax), lmax)
    grid = sphere.grid(degree)
    return positive_quadrature(grid, grid.to_grid(sphere.resized(coefficients, degree)))


def positive_quadrature(grid: Any, values: Real, exponent: int = 1) -> tuple[Real, Real]:
    """Points and weights of ρ, ``values`` to the power, where they stand above their own error, round-off and lobes.

    Once lobes exceed a hundredth of the peak the density is under-resolved, which ``tail`` and the least density
    report, and everything above that hundredth is kept.
    """
    kept = above_error(values)
    weights = (grid.weights * values**exponent)[kept]
    return grid.x[kept], weights / weights.sum()


def _filter(measure: Density, grid: Any, v: Real) -> Real:
    """exp(-a √(κΔt) ℓmax (ℓ/ℓmax)^16), √(κΔt) from the mean square of v over d - 1 directions."""
    assert measure.filter is not None
    lmax, geometry = measure.lmax, measure.geometry
    mean_square = grid.integral((v**2).sum(axis=0)) / (geometry.area * (measure.d - 1))
    ratio = np.arange(lmax + 1) / lmax
    return geometry.by_degree(np.exp(-measure.filter * np.sqrt(mean_square) * lmax * ratio**16), lmax)
