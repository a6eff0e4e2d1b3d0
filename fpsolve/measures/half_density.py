"""μ by ψ = √ρ on the sphere or the circle: ∂_s ψ = -½[v·∇ψ + div(vψ)], skew, so that ρ = ψ² ≥ 0 and ‖ψ‖ = 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fpsolve.attention.floor import Floor
from fpsolve.attention.source import MomentSource, Source
from fpsolve.cached import cached_property
from fpsolve.errors import InputError
from fpsolve.measures.base import Living
from fpsolve.measures.density import positive_quadrature
from fpsolve.measures.expansion import Expansion
from fpsolve.measures.laws import Law, Tokens, density_values, refuse_filter
from fpsolve.noise import BrownianPath
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.geometry import Geometry, check_degree, geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.exponential import Generator
from fpsolve.transport.flows import EXPLICIT
from fpsolve.transport.operators import skew_advection, smooth_field, transport_grid
from fpsolve.transport.velocity import Velocity
from fpsolve.values import changed, unsettled

NORM_MARGIN = 1e-3
"""‖ψ‖ is kept to this part of ``rtol`` in each step, at the price of a few applications, so that mass stays one."""


class Square:
    """ρ = ψ² and what is made of it once, for a half density and for its source."""

    def __init__(self, sphere: Geometry, coefficients: Coefficients) -> None:
        self.coefficients, self.lmax = coefficients, sphere.degree_of(coefficients)
        self._here, self._grid = sphere, sphere.grid(self.lmax)

    @cached_property
    def values(self) -> Real:
        """ρ on the grid of ψ's degree."""
        return self.roots**2

    @cached_property
    def roots(self) -> Real:
        """ψ on that grid."""
        return self._grid.to_grid(self.coefficients)

    def moments(self, degree: int) -> Coefficients:
        """ρ_ℓm up to ``degree``."""
        return self._here.resized(self._low if degree <= self.lmax else self._all, degree)

    def quadrature(self) -> tuple[Real, Real]:
        """Points and weights of the grid where ψ is above its error: round-off, and lobes like the negative ones."""
        return positive_quadrature(self._grid, self.roots, 2)

    @cached_property
    def _low(self) -> Coefficients:
        return self._grid.to_modes(self.values)

    @cached_property
    def _all(self) -> Coefficients:
        """Moments up to 2ℓmax, on the grid that holds the square exactly."""
        finer = self._here.grid(2 * self.lmax)
        return finer.to_modes(finer.to_grid(self.coefficients) ** 2)


@dataclass(frozen=True, eq=False, repr=False)
class HalfDensity(Expansion):
    """A half density ψ = Σ ψ_ℓm Y_ℓm on S² (d = 3) or S¹ (d = 2), ρ = ψ², ∫ψ² = 1.

    Positive and norm-conserving; once under-resolved its low moments are worse than those of :class:`Density`.
    ``flow``: what moves it, a name in ``TRANSPORTS``, PETSc's options after it. ``coarsest``: the largest ``rtol`` of
    the transports that made it.
    Raises InputError when the mass is not one to 1e-6, or for idiosyncratic noise.
    """

    coefficients: Coefficients
    rtol: float = 1e-6
    d: int = 3
    flow: str = EXPLICIT
    coarsest: float = 0.0

    name: ClassVar[str] = "half_density"
    normalise: ClassVar[str] = "divide ψ by the root of ∫ψ²"

    @classmethod
    @checked_arguments
    def from_law(cls, law: Law | Tokens, *, lmax: int, rtol: float, filter: float | None = None) -> HalfDensity:
        check_degree("lmax", lmax)
        refuse_filter(filter, cls.name)
        sphere = geometry(law.dimension)
        coefficients = sphere.grid(lmax).to_modes(np.sqrt(density_values(law, sphere.grid(lmax))))
        return cls(coefficients / np.sqrt(sphere.power(coefficients).sum()), rtol, law.dimension)

    @cached_property
    def _square(self) -> Square:
        return Square(self.geometry, self.coefficients)

    @property
    def values(self) -> Real:
        """ρ = ψ² on the grid."""
        return self._square.values

    @cached_property
    def source(self) -> Source:
        square = self._square  # and not self: states are freed at once
        return MomentSource(
            square.moments,
            square.quadrature,
            highest=2 * square.lmax,
            geometry=self.geometry,
            density=lambda: (square.coefficients, 2),
            rtol=self.rtol,
        )

    @cached_property
    def floor(self) -> Floor:
        rtol, roots = self._kept_to(self.coarsest), self._square.roots
        return Floor(self.geometry, self.grid, self.coefficients, roots, rtol, exponent=2)

    @property
    def mass(self) -> float:
        return float(self.geometry.power(self.coefficients).sum())

    def at(self, coefficients: Coefficients) -> HalfDensity:
        """The half density of other coefficients; unchecked, a stage's norm is one only to the order of the scheme."""
        return unsettled(self, coefficients=coefficients)

    def density_at(self, x: Real) -> Real:
        return super().density_at(x) ** 2

    def generator(self, v: Real) -> Generator:
        """L u = -½[v·∇u + div(vu)] for a field on the grid or on its thinner one."""
        return skew_advection(self.grid, v)

    def moments(self, degree: int) -> Coefficients:
        """ρ_ℓm up to ``degree``; ψ² has degree 2ℓmax."""
        return self._square.moments(degree)

    def transport(self, velocity: Velocity | Living) -> HalfDensity:
        if not isinstance(velocity, Velocity):
            return self._moved(self.carried_alive(velocity))
        velocity = smooth_field(self.grid, velocity, self.d, self.rtol)
        v = velocity.on(transport_grid(self.grid, velocity))
        return self._moved(self.carried(self.coefficients, v, self._kept_to(self.rtol)))

    def _kept_to(self, rtol: float) -> float:
        """The accuracy of a frozen flow: implicit steps keep the norm by themselves."""
        return rtol * (NORM_MARGIN if self.flow == EXPLICIT else 1)

    def _moved(self, coefficients: Coefficients) -> HalfDensity:
        """The half density that a transport has made."""
        return changed(self.at(coefficients), coarsest=max(self.rtol, self.coarsest))

    def diffuse(self, amount: float, path: BrownianPath, t0: float, t1: float) -> HalfDensity:
        raise InputError(
            "diffusion", amount, "the heat semigroup does not act on √ρ", 'use measure="density" or tokens'
        )

    def error_norm(self, error: Coefficients) -> float:
        """‖error‖ in L²."""
        return float(np.sqrt(self.geometry.power(error).sum()))
