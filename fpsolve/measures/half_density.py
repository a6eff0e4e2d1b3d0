"""μ by ψ = √ρ on S²: ∂_s ψ = -½[v·∇ψ + div(vψ)], skew, so that ρ = ψ² ≥ 0 and ‖ψ‖ = 1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from fpsolve.attention.source import MomentSource, Source
from fpsolve.errors import InputError
from fpsolve.measures.base import Living, Measure
from fpsolve.measures.density import grid_entropy, integrate_living, spectral_radius, spectral_tail
from fpsolve.measures.initial import Law, Tokens, density_values, refuse_filter
from fpsolve.noise import BrownianPath
from fpsolve.sphere.grid import Grid, grid
from fpsolve.sphere.harmonics import Coefficients, Real, degree_of, laplacian, power, resized, size
from fpsolve.transport.exponential import exponential
from fpsolve.transport.velocity import Velocity

NORM_MARGIN = 1e-3
"""‖ψ‖ is kept to this part of ``rtol`` in each step, at the price of a few applications, so that mass stays one."""


class SkewOperator:
    """L u = -½[v·∇u + div(vu)]; with analysis the adjoint of synthesis, ⟨w, Lu⟩ = -⟨Lw, u⟩ to round-off."""

    def __init__(self, sphere: Grid, v: Real) -> None:
        self._v, self._plan = v, sphere.plan(sphere.lmax)
        self._half_eigenvalues = -0.5 * laplacian(sphere.lmax)
        self._psi = np.empty(sphere.shape)
        self._field = np.empty((2, *sphere.shape))
        self._along, self._potential, self._unused = np.empty((3, size(sphere.lmax)), complex)

    def add_to(self, u: Coefficients, out: Coefficients, factor: float) -> None:
        """out += factor · L u: a scalar and a vector synthesis, a scalar and a vector analysis."""
        field, psi = self._field, self._psi
        self._plan.SHsph_to_spat(u, field[0], field[1])
        np.multiply(field, self._v, out=field)
        np.add(field[0], field[1], out=psi)
        self._plan.spat_to_SH(psi, self._along)
        self._plan.SH_to_spat(u, psi)
        np.multiply(psi, self._v, out=field)
        self._plan.spat_to_SHsphtor(field[0], field[1], self._potential, self._unused)
        self._potential *= self._half_eigenvalues
        self._along *= -0.5
        self._potential += self._along
        self._potential *= factor
        out += self._potential


@dataclass(frozen=True, eq=False)
class HalfDensity(Measure):
    """A half density ψ = Σ ψ_ℓm Y_ℓm on S², ρ = ψ², ∫ψ² = 1.

    Positive and norm-conserving; once under-resolved its low moments are worse than those of :class:`Density`.
    Raises InputError when the mass is not one to 1e-6, or for idiosyncratic noise.
    """

    coefficients: Coefficients
    rtol: float = 1e-6

    name: ClassVar[str] = "half_density"

    def __post_init__(self) -> None:
        if not abs(self.mass - 1) < 1e-6:
            raise InputError("coefficients", self.mass, "the mass is not 1", "divide ψ by the root of ∫ψ²")

    @classmethod
    def from_law(cls, law: Law | Tokens, *, lmax: int, rtol: float, filter: float | None = None) -> HalfDensity:
        refuse_filter(filter, cls.name)
        coefficients = grid(lmax).to_modes(np.sqrt(density_values(law, grid(lmax))))
        return cls(coefficients / np.sqrt(power(coefficients).sum()), rtol)

    @property
    def dimension(self) -> int:
        """d = 3."""
        return 3

    @property
    def lmax(self) -> int:
        """Truncation degree of ψ; ρ has twice that."""
        return degree_of(self.coefficients)

    @property
    def grid(self) -> Grid:
        """The Gauss grid of this degree."""
        return grid(self.lmax)

    @cached_property
    def values(self) -> Real:
        """ρ = ψ² on the grid."""
        return self.grid.to_grid(self.coefficients) ** 2

    @cached_property
    def _rho(self) -> Coefficients:
        return self.grid.to_modes(self.values)

    @cached_property
    def _all_moments(self) -> Coefficients:
        """Moments up to 2ℓmax, on the grid that holds the square exactly."""
        finer = grid(2 * self.lmax)
        return finer.to_modes(finer.to_grid(self.coefficients) ** 2)

    @cached_property
    def source(self) -> Source:
        return MomentSource(self.moments, self._quadrature, highest=2 * self.lmax)

    @property
    def mass(self) -> float:
        return float(power(self.coefficients).sum())

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
        """Σ_{ℓ > 0.9 ℓmax} |ψ_ℓm|² / Σ |ψ_ℓm|²."""
        return spectral_tail(self.coefficients)

    def moments(self, degree: int) -> Coefficients:
        """ρ_ℓm up to ``degree``; ψ² has degree 2ℓmax."""
        return resized(self._rho if degree <= self.lmax else self._all_moments, degree)

    def transport(self, velocity: Velocity | Living) -> HalfDensity:
        if isinstance(velocity, Velocity):
            v = velocity.on(self.grid)
            operator = SkewOperator(self.grid, v)
            radius, rtol = spectral_radius(v, self.lmax), NORM_MARGIN * self.rtol
            return _at(self, exponential(operator, self.coefficients, radius, rtol))
        return _at(self, self._live(velocity))

    def diffuse(self, amount: float, path: BrownianPath, t0: float, t1: float) -> HalfDensity:
        raise InputError(
            "diffusion", amount, "the heat semigroup does not act on √ρ", 'use measure="density" or tokens'
        )

    def is_finite(self) -> bool:
        return bool(np.isfinite(self.coefficients).all())

    def _quadrature(self) -> tuple[Real, Real]:
        weights = self.grid.weights * self.values
        kept = weights > 1e-28 * float(weights.max())
        return self.grid.x[kept], weights[kept] / weights[kept].sum()

    def _live(self, velocity: Living) -> Coefficients:
        def rhs(coefficients: Coefficients) -> Coefficients:
            v = velocity(_at(self, coefficients).source).on(self.grid)
            out = np.zeros_like(coefficients)
            SkewOperator(self.grid, v).add_to(coefficients, out, 1.0)
            return out

        return integrate_living(rhs, self, velocity, lambda e: float(np.sqrt(power(e).sum())))


def _at(measure: HalfDensity, coefficients: Coefficients) -> HalfDensity:
    """The half density of other coefficients; unchecked, as a stage's norm is one only to the order of the scheme."""
    stage = object.__new__(HalfDensity)
    for name, value in (("coefficients", coefficients), ("rtol", measure.rtol)):
        object.__setattr__(stage, name, value)
    return stage
