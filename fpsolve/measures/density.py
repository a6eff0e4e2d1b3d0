"""μ by its density's harmonic coefficients on S²: ∂_s ρ = -div(ρ v)."""

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
from fpsolve.sphere.grid import Grid, grid
from fpsolve.sphere.harmonics import (
    MASS_MOMENT,
    Coefficients,
    Real,
    by_degree,
    degree_of,
    degrees_orders,
    laplacian,
    power,
    resized,
    size,
)
from fpsolve.transport.exponential import exponential
from fpsolve.transport.runge_kutta import for_living, integrate
from fpsolve.transport.velocity import Velocity

LOW_DEGREE = 8
"""Tolerances are on the moments up to this degree."""

SPECTRAL_MARGIN = 1.15
"""The spectral radius of v·∇ at degree ℓmax is about max|v| ℓmax; this covers what div v adds."""

class AdvectionOperator:
    """L u = -div(u v) on coefficients, for v frozen on the grid."""

    def __init__(self, sphere: Grid, v: Real) -> None:
        self._sphere, self._v = sphere, v
        self._plan = sphere.plan(sphere.lmax)
        self._eigenvalues = -laplacian(sphere.lmax)
        self._rho = np.empty(sphere.shape)
        self._flux = np.empty((2, *sphere.shape))
        self._potential, self._unused = np.empty((2, size(sphere.lmax)), complex)

    def add_to(self, u: Coefficients, out: Coefficients, factor: float) -> None:
        """out += factor · L u: one scalar synthesis, one vector analysis."""
        self._plan.SH_to_spat(u, self._rho)
        np.multiply(self._rho, self._v[0], out=self._flux[0])
        np.multiply(self._rho, self._v[1], out=self._flux[1])
        self._plan.spat_to_SHsphtor(self._flux[0], self._flux[1], self._potential, self._unused)
        self._potential *= self._eigenvalues
        if factor != 1:
            self._potential *= factor
        out += self._potential


@dataclass(frozen=True, eq=False)
class Density(Measure):
    """A density ρ = Σ ρ_ℓm Y_ℓm on S², ∫ρ = 1.

    ``coefficients``: complex, shape ((L+1)(L+2)/2,), order and norm of :mod:`fpsolve.sphere.harmonics`.
    ``rtol``: accuracy of one transport. ``filter``: strength a of the optional factor
    exp(-a √(κΔt) ℓmax (ℓ/ℓmax)^16) after each transport, √(κΔt) the root mean square displacement in one direction.
    Raises InputError when the mass is not one to 1e-6.
    """

    coefficients: Coefficients
    rtol: float = 1e-6
    filter: float | None = None

    name: ClassVar[str] = "density"

    def __post_init__(self) -> None:
        mass = self.coefficients[0].real / MASS_MOMENT
        if not abs(mass - 1) < 1e-6:
            raise InputError("coefficients", mass, "the mass is not 1", "divide the density by its integral")

    @classmethod
    def from_law(cls, law: Law | Tokens, *, lmax: int, rtol: float, filter: float | None = None) -> Density:
        return cls(grid(lmax).to_modes(density_values(law, grid(lmax))), rtol, filter)

    @property
    def dimension(self) -> int:
        """d = 3."""
        return 3

    @property
    def lmax(self) -> int:
        """Truncation degree."""
        return degree_of(self.coefficients)

    @property
    def grid(self) -> Grid:
        """The Gauss grid of this degree."""
        return grid(self.lmax)

    @cached_property
    def values(self) -> Real:
        """ρ on the grid."""
        return self.grid.to_grid(self.coefficients)

    @cached_property
    def source(self) -> Source:
        return MomentSource(
            lambda degree: resized(self.coefficients, degree), self._positive_quadrature, highest=self.lmax
        )

    @property
    def mass(self) -> float:
        return float(self.coefficients[0].real / MASS_MOMENT)

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
        return spectral_tail(self.coefficients)

    def moments(self, degree: int) -> Coefficients:
        """ρ_ℓm up to ``degree``."""
        return resized(self.coefficients, degree)

    def transport(self, velocity: Velocity | Living) -> Density:
        if not isinstance(velocity, Velocity):
            return self._with(_live(self, velocity))
        v = velocity.on(self.grid)
        operator = AdvectionOperator(self.grid, v)
        moved = exponential(operator, self.coefficients, spectral_radius(v, self.lmax), self.rtol)
        return self._with(moved if self.filter is None else moved * _filter(self.lmax, self.filter, self.grid, v))

    def diffuse(self, amount: float, path: BrownianPath, t0: float, t1: float) -> Density:
        return self._with(self.coefficients * np.exp(amount * laplacian(self.lmax)))

    def is_finite(self) -> bool:
        return bool(np.isfinite(self.coefficients).all())

    def _with(self, coefficients: Coefficients) -> Density:
        coefficients[0] = self.coefficients[0]  # L annihilates it exactly; the polynomial's weights sum to 1 ± ulp
        return replace(self, coefficients=coefficients)

    def _positive_quadrature(self) -> tuple[Real, Real]:
        """Grid points and weights where ρ stands above its own error: round-off, and lobes like the negative ones.

        Once those exceed a hundredth of the peak the density is under-resolved, which ``tail`` and the least density
        report, and everything above that hundredth is kept.
        """
        highest, lowest = float(self.values.max()), float(self.values.min())
        kept = self.values > np.clip(-2 * lowest, 1e-14 * highest, 1e-2 * highest)
        weights = (self.grid.weights * self.values)[kept]
        return self.grid.x[kept], weights / weights.sum()


def grid_entropy(sphere: Grid, values: Real) -> float:
    """-∫ ρ log ρ over the points where ρ > 0."""
    positive = np.maximum(values, 1e-300)
    return -sphere.integral(positive * np.log(positive))


def spectral_radius(v: Real, lmax: int) -> float:
    """A bound on the spectrum of v·∇ at degree ``lmax``: 1.15 max|v| (ℓmax + 1)."""
    return SPECTRAL_MARGIN * float(np.sqrt((v**2).sum(axis=0).max())) * (lmax + 1)


def spectral_tail(coefficients: Coefficients) -> float:
    """Σ_{ℓ > 0.9 ℓmax} |f_ℓm|² / Σ |f_ℓm|²."""
    spectrum = power(coefficients)
    return float(spectrum[int(0.9 * degree_of(coefficients)) + 1 :].sum() / spectrum.sum())


def moment_error(error: Coefficients) -> float:
    """The largest error of a moment up to degree 8, in units of the mass."""
    lmax = degree_of(error)
    low = degrees_orders(lmax)[0] <= LOW_DEGREE
    return float(np.abs(error[low]).max())


def _live(measure: Density, velocity: Living) -> Coefficients:
    """Runge–Kutta in s with v[μ_s] evaluated in every stage; stable sub-steps, their error from ``rtol``."""

    def rhs(coefficients: Coefficients) -> Coefficients:
        here = replace(measure, coefficients=coefficients)
        out = np.zeros_like(coefficients)
        AdvectionOperator(measure.grid, velocity(here.source).on(measure.grid)).add_to(coefficients, out, 1.0)
        return out

    return integrate_living(rhs, measure, velocity, moment_error)


def integrate_living(
    rhs: Callable[[Coefficients], Coefficients],
    measure: Any,
    velocity: Living,
    norm: Callable[[Coefficients], float],
) -> Coefficients:
    """Coefficients after unit time under a living field, sub-steps bounded by the spectral radius at the start."""
    tableau = for_living(measure.rtol)
    radius = spectral_radius(velocity(measure.source).on(measure.grid), measure.lmax)
    longest = min(1.0, tableau.imaginary_limit / max(radius, 1e-300))
    return integrate(
        rhs, measure.coefficients, tableau=tableau, rtol=measure.rtol, norm=norm, longest=longest
    )


def _filter(lmax: int, strength: float, sphere: Grid, v: Real) -> Real:
    displacement = np.sqrt(sphere.integral((v**2).sum(axis=0)) / (8 * np.pi))
    ratio = np.arange(lmax + 1) / lmax
    return by_degree(np.exp(-strength * displacement * lmax * ratio**16), lmax)
