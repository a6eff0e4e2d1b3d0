"""μ by φ = log ρ on the sphere or the circle: ∂_s φ = -v·∇φ - div v, so that ρ = e^φ > 0 and knows its own tail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fpsolve.attention.log_series import LogSeries, exponential, with_mass
from fpsolve.attention.source import MomentSource, Source
from fpsolve.cached import cached_property
from fpsolve.errors import InputError, UnresolvedError
from fpsolve.measures.base import Living
from fpsolve.measures.expansion import Expansion
from fpsolve.measures.laws import Law, Tokens, density_values, refuse_filter
from fpsolve.noise import BrownianPath
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.geometry import LARGEST_DEGREE, Geometry, check_degree, geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.sphere.nested import nested_masses
from fpsolve.transport.exponential import Generator
from fpsolve.transport.flows import EXPLICIT, flow_of
from fpsolve.transport.operators import log_advection, smooth_field, spectral_bound, transport_grid
from fpsolve.transport.runge_kutta import for_living, integrate
from fpsolve.transport.velocity import Velocity
from fpsolve.values import own_arrays, unsettled

FLOWS = ("chebyshev", "krylov")
"""What moves φ: implicit steps are made for linear operators."""

FLAT = 1e-6
"""A φ that varies by less than this, root mean square, counts as flat: its high degrees change nothing."""

EXACT = 1e-13
"""Quadratures of e^φ are exact to this."""

FINER = 2
"""The mass is taken on grids of up to so many times the degree of φ."""

FARTHEST = 300.0
"""The largest |g| for which the points of a circle serve."""

MASS_LIMIT, MASS_SHARE = 1e-7, 0.1
"""A mass that is off by more than the first, and than this part of ``rtol``, is unresolved."""


class ExponentiatedSeries:
    """ρ = e^φ and what is made of it once, for a log density and for its source."""

    def __init__(self, sphere: Geometry, coefficients: Coefficients) -> None:
        self.coefficients, self.lmax, self._here = coefficients, sphere.degree_of(coefficients), sphere
        self.series = LogSeries(coefficients, sphere)

    @cached_property
    def needed(self) -> int:
        """The degree to which a grid is to be exact for the mass, at most that of a grid of degree FINER ℓmax + 1."""
        return min(self.series.degree(0.0, EXACT), 3 * (FINER * self.lmax + 1))

    def on_grid(self, degree: int = 0) -> tuple[Any, Real]:
        """The coarsest grid, of degree ℓmax, 2ℓmax+1, …, that is exact for e^φ times harmonics of ``degree``; φ on it.

        Raises UnresolvedError where φ is no logarithm of a density any more.
        """
        held = self.lmax
        while 3 * held < self.needed + degree or not self._here.grid(held).holds(degree):
            if 2 * held + 1 > LARGEST_DEGREE:
                break
            held = 2 * held + 1
        if held not in self._values:
            phi = self._here.grid(held).to_grid(self.coefficients)
            if not phi.max() < 700:
                raise UnresolvedError(0.0, f"log ρ reaches {phi.max():.3g}", "raise lmax, or take a smaller dt")
            self._values[held] = phi
        return self._here.grid(held), self._values[held]

    @cached_property
    def _values(self) -> dict[int, Real]:
        """φ on the grids of these degrees."""
        return {}

    @cached_property
    def mass(self) -> float:
        """∫ e^φ."""
        grid, phi = self.on_grid()
        return grid.integral(exponential(phi))

    def moments(self, degree: int) -> Coefficients:
        """ρ_ℓm up to ``degree``."""
        grid, phi = self.on_grid(degree)
        return grid.to_modes(exponential(phi), degree)

    def quadrature(self) -> tuple[Real, Real]:
        """Points and masses: of S² those that the mass is taken from, of S¹ those that serve |g| ≤ ``FARTHEST``."""
        if self._here.dimension == 3:
            grid, phi = self.on_grid()
        else:
            grid, phi = self.on_grid(self.series.degree(FARTHEST, EXACT) - self.needed)
        return with_mass(grid.x, grid.weights * exponential(phi))


def mass_limit(rtol: float) -> float:
    """The largest |∫ρ - 1| of a resolved log density of accuracy ``rtol``."""
    return max(MASS_LIMIT, MASS_SHARE * rtol)


@dataclass(frozen=True, eq=False, repr=False)
class LogDensity(Expansion):
    """φ = log ρ = Σ φ_ℓm Y_ℓm on S² (d = 3) or S¹ (d = 2), ∫e^φ = 1.

    Its relative accuracy is the same everywhere, so that it carries attention to places where ρ is next to nothing. The
    log-density of a :class:`Cloud`, ``Cloud.log_density``, is something else: numbers at points that follow the flow.
    ``flow``: what moves it, ``chebyshev`` or ``krylov``. Nothing keeps the mass at one: ``mass_defect`` tells what
    truncation and quadrature have done to it, and it is never divided out.
    Raises InputError for another flow, and when the mass is not one to 1e-6 though φ and the quadrature are resolved.
    """

    coefficients: Coefficients
    rtol: float = 1e-6
    d: int = 3
    flow: str = EXPLICIT

    name: ClassVar[str] = "log_density"
    normalise: ClassVar[str] = "subtract log ∫e^φ from φ"
    in_place: ClassVar[bool] = True
    tail_limit: ClassVar[float] = 1e-6
    refine_from: ClassVar[float] = 1e-9
    """While these and ``MASS_LIMIT`` hold, moments ℓ ≤ 8 are right to about 1e-5 (tested for several degrees)."""

    def _check_arguments(self) -> None:
        super()._check_arguments()
        if self.flow.partition(" ")[0] not in FLOWS:
            remedy = 'use transport="chebyshev", or measure="density"'
            raise InputError("transport", self.flow, f"a {self.name} moves by {' or '.join(FLOWS)}", remedy)

    def _settle(self) -> None:
        own_arrays(self)
        capped = self._exponential.series.degree(0.0, EXACT) > self._exponential.needed
        if not capped and self.tail <= self.tail_limit:
            super()._settle()

    @classmethod
    @checked_arguments
    def from_law(cls, law: Law | Tokens, *, lmax: int, rtol: float, filter: float | None = None) -> LogDensity:
        check_degree("lmax", lmax)
        refuse_filter(filter, cls.name)
        sphere = geometry(law.dimension)
        grid = sphere.grid(lmax)
        if isinstance(law, Tokens) or not law.is_normalised:
            values = density_values(law, grid)
            with np.errstate(divide="ignore"):
                phi = np.log(values)
        else:
            phi = law.log_density(grid.x)
        if not np.isfinite(phi).all():
            problem = "the density vanishes at places, where it has no logarithm"
            raise InputError("initial", float(phi.min()), problem, 'use measure="half_density" or "cloud"')
        return cls(grid.to_modes(phi), rtol, law.dimension)

    @cached_property
    def _exponential(self) -> ExponentiatedSeries:
        return ExponentiatedSeries(self.geometry, self.coefficients)

    @property
    def values(self) -> Real:
        """ρ = e^φ on the grid."""
        return np.exp(self.grid.to_grid(self.coefficients))

    @cached_property
    def source(self) -> Source:
        known = self._exponential  # and not self: states are freed at once
        return MomentSource(
            known.moments,
            known.quadrature,
            highest=known.needed,
            geometry=self.geometry,
            density=lambda: known.series,
            rtol=self.rtol,
        )

    @property
    def mass(self) -> float:
        return self._exponential.mass

    @property
    def mass_defect(self) -> float:
        """∫e^φ - 1."""
        return self.mass - 1

    @property
    def mass_limit(self) -> float:
        return mass_limit(self.rtol)

    @property
    def entropy(self) -> float:
        """-∫ ρ log ρ."""
        grid, phi = self._exponential.on_grid()
        return -float(grid.integral(exponential(phi) * phi))

    @property
    def tail(self) -> float:
        """Σ_{ℓ > 0.9 ℓmax} |φ_ℓm|² / Σ_{ℓ > 0} |φ_ℓm|², the denominator at least that of a φ that is ``FLAT``."""
        spectrum = self.geometry.power(self.coefficients)
        least = FLAT**2 * self.geometry.area
        return float(spectrum[int(0.9 * self.lmax) + 1 :].sum() / max(spectrum[1:].sum(), least))

    def is_finite(self) -> bool:
        return bool(np.isfinite(self.coefficients).all()) and bool(np.isfinite(self.mass))

    def at(self, coefficients: Coefficients) -> LogDensity:
        """The log density of other coefficients; unchecked, as truncation moves the mass."""
        return unsettled(self, coefficients=coefficients)

    def density_at(self, x: Real) -> Real:
        return np.exp(super().density_at(x))

    def quadrature(self) -> tuple[Real, Real, Real]:
        grid, phi = self._exponential.on_grid()
        kept = grid.weights * exponential(phi) > 0
        return grid.x[kept], (grid.weights * np.exp(phi))[kept], phi[kept]

    def nested_quadrature(self) -> Real:
        grid, phi = self._exponential.on_grid()
        kept = grid.weights * exponential(phi) > 0
        return nested_masses(grid, np.exp(phi))[:, kept]

    def logarithm_on(self, lmax: int) -> tuple[Any, Real]:
        """The grid of a degree, and φ on it."""
        grid = self.geometry.grid(lmax)
        return grid, grid.to_grid(self.coefficients)

    def moments(self, degree: int) -> Coefficients:
        """ρ_ℓm up to ``degree``."""
        return self.source.moments(degree)  # type: ignore[attr-defined]

    def generator(self, v: Real) -> Generator:
        """L (φ, a) = (-v·∇φ - a div v, 0) for a field on the grid or on its thinner one."""
        return log_advection(self.grid, v)

    def rate(self, u: Coefficients, v: Real) -> Coefficients:
        return _without_constant(super().rate(_with_constant(u), v))

    def carried(self, u: Coefficients, v: Real, rtol: float) -> Coefficients:
        """exp(L)(u, 1), to ``rtol`` everywhere on the sphere."""
        radius, relative = spectral_bound(v, self.lmax), self.relative(rtol)
        return _without_constant(flow_of(self.flow)(self.generator(v), _with_constant(u), radius, relative))

    def transport(self, velocity: Velocity | Living) -> LogDensity:
        if not isinstance(velocity, Velocity):
            return self.at(self.carried_alive(velocity))
        velocity = smooth_field(self.grid, velocity, self.d, self.rtol)
        return self.at(self.carried(self.coefficients, velocity.on(transport_grid(self.grid, velocity)), self.rtol))

    def diffuse(self, amount: float, path: BrownianPath, t0: float, t1: float) -> LogDensity:
        """∂_s φ = τ(Δφ + |∇φ|²), τ = ``amount``, over unit time, by Runge–Kutta to ``rtol`` everywhere.

        The logarithm of the heat semigroup of ρ would not keep the tail; this does.
        """
        if amount == 0:
            return self
        laplacian, grid, tableau = self.geometry.laplacian(self.lmax), self.grid, for_living(self.rtol)

        def rhs(u: Coefficients) -> Coefficients:
            slopes = (grid.gradient(u) ** 2).sum(axis=0)
            return amount * (laplacian * u + grid.to_modes(slopes))

        longest = min(1.0, tableau.real_limit / (amount * self.lmax * (self.lmax + 1)))
        u, norm = self.coefficients, self.error_norm
        return self.at(integrate(rhs, u, tableau=tableau, rtol=self.rtol, norm=norm, longest=longest))

    def error_norm(self, error: Coefficients) -> float:
        """max |δφ| on the grid: the relative error of ρ, and so of M(g) for every g."""
        return float(np.abs(self.grid.to_grid(error)).max())

    def relative(self, rtol: float) -> float:
        """That which changes φ by at most ``rtol`` anywhere: |f| ≤ √(2n/|S^{d-1}|) ‖f‖ for n harmonics."""
        count = len(self.geometry.real_degrees_orders(self.lmax)[0])
        norm = np.sqrt(np.einsum("n,n->", self.coefficients.view(float), self.coefficients.view(float)) + 1)
        return max(rtol * float(np.sqrt(self.geometry.area / (2 * count)) / norm), 1e-15)


def _with_constant(u: Coefficients) -> Coefficients:
    return np.append(u, 1.0 + 0j)


def _without_constant(u: Coefficients) -> Coefficients:
    return np.ascontiguousarray(u[:-1])
