"""μ by ψ = √ρ on the sphere or the circle: ∂_s ψ = -½[v·∇ψ + div(vψ)], skew, so that ρ = ψ² ≥ 0 and ‖ψ‖ = 1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fpsolve.attention.source import MomentSource, Source
from fpsolve.errors import InputError
from fpsolve.measures.base import Living, Measure
from fpsolve.measures.density import grid_entropy, integrate_living, live_by_frozen_fields
from fpsolve.measures.initial import Law, Tokens, density_values, refuse_filter
from fpsolve.noise import BrownianPath
from fpsolve.sphere.geometry import Geometry, geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.exponential import Generator
from fpsolve.transport.flows import EXPLICIT, flow_of
from fpsolve.transport.operators import skew_advection, spectral_bound, transport_grid
from fpsolve.transport.velocity import Velocity

NORM_MARGIN = 1e-3
"""‖ψ‖ is kept to this part of ``rtol`` in each step, at the price of a few applications, so that mass stays one."""


@dataclass(frozen=True, eq=False)
class HalfDensity(Measure):
    """A half density ψ = Σ ψ_ℓm Y_ℓm on S² (d = 3) or S¹ (d = 2), ρ = ψ², ∫ψ² = 1.

    Positive and norm-conserving; once under-resolved its low moments are worse than those of :class:`Density`.
    ``flow``: what moves it, a name in ``TRANSPORTS``, PETSc's options after it.
    Raises InputError when the mass is not one to 1e-6, or for idiosyncratic noise.
    """

    coefficients: Coefficients
    rtol: float = 1e-6
    d: int = 3
    flow: str = EXPLICIT

    name: ClassVar[str] = "half_density"

    def __post_init__(self) -> None:
        if not abs(self.mass - 1) < 1e-6:
            raise InputError("coefficients", self.mass, "the mass is not 1", "divide ψ by the root of ∫ψ²")

    @classmethod
    def from_law(cls, law: Law | Tokens, *, lmax: int, rtol: float, filter: float | None = None) -> HalfDensity:
        refuse_filter(filter, cls.name)
        here = geometry(law.dimension)
        coefficients = here.grid(lmax).to_modes(np.sqrt(density_values(law, here.grid(lmax))))
        return cls(coefficients / np.sqrt(here.power(coefficients).sum()), rtol, law.dimension)

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
        """Truncation degree of ψ; ρ has twice that."""
        return self.geometry.degree_of(self.coefficients)

    @property
    def grid(self) -> Any:
        """The grid of this degree."""
        return self.geometry.grid(self.lmax)

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
        finer = self.geometry.grid(2 * self.lmax)
        return finer.to_modes(finer.to_grid(self.coefficients) ** 2)

    @cached_property
    def source(self) -> Source:
        return MomentSource(
            self.moments,
            self._quadrature,
            highest=2 * self.lmax,
            geometry=self.geometry,
            density=lambda: (self.coefficients, 2),
        )

    @property
    def mass(self) -> float:
        return float(self.geometry.power(self.coefficients).sum())

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
        return self.geometry.spectral_tail(self.coefficients)

    def at(self, coefficients: Coefficients) -> HalfDensity:
        """The half density of other coefficients; unchecked, a stage's norm is one only to the order of the scheme."""
        stage = object.__new__(HalfDensity)
        for name, value in (("coefficients", coefficients), ("rtol", self.rtol), ("d", self.d), ("flow", self.flow)):
            object.__setattr__(stage, name, value)
        return stage

    def carried(self, u: Coefficients, v: Real, rtol: float) -> Coefficients:
        """exp(L) u for a field on the grid or on its thinner one, by the measure's flow."""
        return flow_of(self.flow)(self.generator(v), u, spectral_bound(v, self.lmax), rtol)

    def generator(self, v: Real) -> Generator:
        """L u = -½[v·∇u + div(vu)] for a field on the grid or on its thinner one."""
        return skew_advection(self.grid, v)

    def moments(self, degree: int) -> Coefficients:
        """ρ_ℓm up to ``degree``; ψ² has degree 2ℓmax."""
        return self.geometry.resized(self._rho if degree <= self.lmax else self._all_moments, degree)

    def transport(self, velocity: Velocity | Living) -> HalfDensity:
        explicit = self.flow == EXPLICIT
        if not isinstance(velocity, Velocity):
            return self.at(self._live(velocity) if explicit else live_by_frozen_fields(self, velocity))
        v = velocity.on(transport_grid(self.grid, velocity))
        rtol = NORM_MARGIN * self.rtol if explicit else self.rtol  # implicit steps keep the norm by themselves
        return self.at(self.carried(self.coefficients, v, rtol))

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
            v = velocity(self.at(coefficients).source).on(self.grid)
            out = np.zeros_like(coefficients)
            skew_advection(self.grid, v).add_to(coefficients, out, 1.0)
            return out

        return integrate_living(rhs, self, velocity, lambda e: float(np.sqrt(self.geometry.power(e).sum())))
