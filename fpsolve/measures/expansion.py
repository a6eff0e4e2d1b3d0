"""What densities of all kinds share: one function u by its coefficients, ∂_s u = L u with L linear in v."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fpsolve.errors import InputError, check_number, unknown_name
from fpsolve.measures.base import Living, Measure
from fpsolve.sphere.geometry import Geometry, geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.sphere.nested import nested_masses
from fpsolve.transport.commutator_free import flow_of_living
from fpsolve.transport.exponential import Generator
from fpsolve.transport.flows import EXPLICIT, TRANSPORTS, flow_of
from fpsolve.transport.operators import spectral_bound
from fpsolve.transport.runge_kutta import for_living, integrate
from fpsolve.transport.velocity import Sites
from fpsolve.values import as_array, own_arrays

LIVING_SHARE = 0.1
"""The part of ``rtol`` to which the frozen flows of a living one are computed."""


ROUND_OFF = 1e-9
"""What coefficients of a real function may be off, of the largest."""


class Expansion(Measure):
    """A measure by the coefficients of one function on S² (d = 3) or S¹ (d = 2).

    A dataclass below has the fields ``coefficients``, ``rtol``, ``d`` and ``flow``. Raises InputError when the mass is
    not one to 1e-6.
    """

    coefficients: Coefficients
    rtol: float
    d: int
    flow: str

    normalise: ClassVar[str]
    """How to make the mass one."""

    def __post_init__(self) -> None:
        self._check_arguments()
        self._settle()

    def _settle(self) -> None:
        """Arrays of its own. Raises InputError unless the mass is one."""
        if not abs(self.mass - 1) < 1e-6:
            raise InputError("coefficients", self.mass, "the mass is not 1", self.normalise)
        own_arrays(self)

    def _check_arguments(self) -> None:
        """Raise InputError for coefficients of no degree, and for numbers and names that say nothing."""
        as_array(self, "coefficients", complex)
        u, sphere = self.coefficients, geometry(self.d)
        if u.ndim != 1 or u.size == 0 or sphere.degrees(sphere.degree_of(u)).size != u.size:
            problem = "not the coefficients (n,) of a degree: n = (lmax+1)(lmax+2)/2 on S², lmax + 1 on S¹"
            raise InputError("coefficients", u.shape, problem, "build it by from_law(law, lmax=63, rtol=1e-6)")
        if not np.isfinite(u).all():
            raise InputError("coefficients", u, "not finite", "check where they come from")
        if np.abs(u[: 1 if self.d == 2 else sphere.degree_of(u) + 1].imag).max() > ROUND_OFF * np.abs(u).max():
            raise InputError("coefficients", u, "those of order 0 are not real", "pass those of a real function")
        check_number("rtol", self.rtol, 1e-14)
        if self.flow.partition(" ")[0] not in TRANSPORTS:
            raise unknown_name("flow", self.flow, TRANSPORTS)

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
        """Truncation degree of the coefficients."""
        return self.geometry.degree_of(self.coefficients)

    @property
    def grid(self) -> Any:
        """The grid of this degree."""
        return self.geometry.grid(self.lmax)

    @property
    @abstractmethod
    def values(self) -> Real:
        """ρ on the grid."""

    @property
    def sites(self) -> Sites:
        """The grid of this degree."""
        return self.grid

    @property
    def masses(self) -> Real:
        """w ρ on the grid."""
        return np.asarray(self.grid.weights * self.values)

    @property
    def has_density(self) -> bool:
        return True

    def density_on(self, grid: Any = None) -> Real:
        return self.values if grid is None or grid.lmax == self.lmax else self.density_at(grid.x)

    @property
    def score(self) -> Real:
        gradient = self.grid.to_ambient(self.grid.gradient(self.moments(self.lmax)))
        inverse = np.where(self.values > 0, 1 / np.maximum(self.values, 1e-300), 0.0)
        return np.asarray(gradient * inverse[..., None])

    def holds(self, degree: int) -> bool:
        return bool(self.grid.holds(degree))

    def refined(self, lmax: int) -> Self:
        return self.at(self.geometry.resized(self.coefficients, lmax))

    @property
    def entropy(self) -> float:
        """-∫ ρ log ρ over the part of the grid where ρ > 0."""
        positive = np.maximum(self.values, 1e-300)
        return -float(self.grid.integral(positive * np.log(positive)))

    @property
    def min_density(self) -> float:
        """The least value of ρ on the grid."""
        return float(self.values.min())

    @property
    def tail(self) -> float:
        """Σ_{ℓ > 0.9 ℓmax} |u_ℓm|² / Σ |u_ℓm|²."""
        return self.geometry.spectral_tail(self.coefficients)

    def is_finite(self) -> bool:
        return bool(np.isfinite(self.coefficients).all())

    def density_at(self, x: Real) -> Real:
        """ρ at any points of the sphere, shapes (..., d) -> (...)."""
        flat = np.ascontiguousarray(x.reshape(-1, self.d))
        return np.asarray(self.geometry.points(flat).scalar(self.coefficients).reshape(x.shape[:-1]))

    def quadrature(self) -> tuple[Real, Real, Real]:
        """Points, their masses and log ρ there: of the grid, where ρ stands above its negative lobes."""
        values, kept = self.values, self._above
        return self.grid.x[kept], (self.grid.weights * values)[kept], np.log(values[kept])

    def nested_quadrature(self) -> Real:
        return nested_masses(self.grid, np.where(self._above, self.values, 0.0))[:, self._above]

    @property
    def _above(self) -> NDArray[np.bool_]:
        """Where ρ stands above its negative lobes."""
        values = self.values
        return np.asarray(values > max(-2 * float(values.min()), 1e-14 * float(values.max())))

    @abstractmethod
    def at(self, coefficients: Coefficients) -> Self:
        """The measure of other coefficients."""

    @abstractmethod
    def generator(self, v: Real) -> Generator:
        """L for a field on the grid or on its thinner one."""

    @abstractmethod
    def error_norm(self, error: Coefficients) -> float:
        """The size of a living flow's error, to compare with ``rtol``."""

    def relative(self, rtol: float) -> float:
        """The error of the coefficients, relative to them in the Euclidean norm, that stands for ``rtol``."""
        return rtol

    def rate(self, u: Coefficients, v: Real) -> Coefficients:
        """∂_s u for a field on the grid."""
        out = np.zeros_like(u)
        self.generator(v).add_to(u, out, 1.0)
        return out

    def carried(self, u: Coefficients, v: Real, rtol: float) -> Coefficients:
        """exp(L) u for a field on the grid or on its thinner one, by the measure's flow."""
        return flow_of(self.flow)(self.generator(v), u, spectral_bound(v, self.lmax), rtol)

    def carried_alive(self, velocity: Living) -> Coefficients:
        """Coefficients after unit time under a living field."""
        return _by_stages(self, velocity) if self.flow == EXPLICIT else _by_frozen_fields(self, velocity)


def _by_stages(measure: Expansion, velocity: Living) -> Coefficients:
    """Runge–Kutta in s with v[μ_s] evaluated in every stage; sub-steps stable by the spectral radius at the start."""
    tableau = for_living(measure.rtol)
    radius = spectral_bound(velocity(measure.source).on(measure.grid), measure.lmax)
    longest = min(1.0, tableau.imaginary_limit / max(radius, 1e-300))

    def rhs(u: Coefficients) -> Coefficients:
        return measure.rate(u, velocity(measure.at(u).source).on(measure.grid))

    return integrate(
        rhs, measure.coefficients, tableau=tableau, rtol=measure.rtol, norm=measure.error_norm, longest=longest
    )


def _by_frozen_fields(measure: Expansion, velocity: Living) -> Coefficients:
    """The measure's own flow of frozen fields, composed without commutators."""

    def field(u: Coefficients) -> Real:
        return velocity(measure.at(u).source).on(measure.grid)

    def move(u: Coefficients, v: Real) -> Coefficients:
        return measure.carried(u, v, LIVING_SHARE * measure.rtol)

    return flow_of_living(measure.coefficients, field, move, measure.relative(measure.rtol))
