"""μ by the Gegenbauer coefficients of a density that is symmetric about an axis, in every dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fpsolve.attention.source import Source
from fpsolve.attention.zonal import AxialFloor, AxialMoments
from fpsolve.cached import cached_property
from fpsolve.errors import InputError, UnresolvedError, check_number
from fpsolve.measures.axial import Axial, axis_and_log_density
from fpsolve.measures.base import Living
from fpsolve.measures.laws import MASS_TOLERANCE, Law, Tokens, last_axis, refuse_filter
from fpsolve.noise import BrownianPath
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.gegenbauer import (
    ZonalGeometry,
    ZonalGrid,
    ZonalPoints,
    checked_dimension,
    laplacian,
    polynomials,
    zonal_grid,
)
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.runge_kutta import DORMAND_PRINCE_8, integrate
from fpsolve.transport.velocity import Velocity
from fpsolve.values import as_array, changed, own_arrays

LOW_DEGREE = 8
"""Tolerances are on the moments up to this degree."""

FINER, FINEST = 1e-3, 1e-13
"""A flow in one dimension costs little: it is taken to this part of ``rtol``, down to the second."""

MOST_STEPS = 20_000
"""Sub-steps of one step after which a flow is given up."""

KNOWN = 1e-14
"""√w ρ below this part of the norm of ρ is round-off."""

CARRIED = 1e-12
"""Nodes with a smaller part of the mass are not looked at for negative values."""

LOST = 1e-12
"""A norm of ρ that is the reciprocal of this leaves nothing of the mean."""


@dataclass(frozen=True, eq=False, repr=False)
class ZonalDensity(Axial):
    """ρ = Σ c_ℓ P_ℓ(u), u = ⟨x, axis⟩, with respect to the uniform law on S^{d-1}: c_0 = 1, every d from 2 to 10,000.

    coefficients: c, shape (lmax+1,). axis: unit vector (d,). rtol: accuracy of one transport. coarsest: the largest
    part of the norm that a transport left unknown. P_ℓ and 1/w grow with d beyond all bounds away from the equator:
    what is well known is √w ρ, to round-off of the norm √Σc_ℓ²; that norm is √(∫ρ²) and grows as a law leaves the
    equator of a high-dimensional sphere. Where it is beyond 1e9 the mean is lost in round-off, and ``tail`` says so; a
    :class:`ZonalCloud` has no such limit. Raises InputError when c_0 is not one.
    """

    coefficients: Real
    axis: Real
    rtol: float = 1e-6
    coarsest: float = 0.0

    name: ClassVar[str] = "zonal"

    def __post_init__(self) -> None:
        for name in ("coefficients", "axis"):
            as_array(self, name, float)
        check_number("rtol", self.rtol, 1e-14)
        c = self.coefficients
        if c.ndim != 1 or len(c) < 2 or not np.isfinite(c).all():
            remedy = "pass [1.0, 0.1], for example"
            raise InputError("coefficients", np.shape(c), "must be finite numbers (lmax+1,)", remedy)
        self._settle()
        self._check_axis()

    def _settle(self) -> None:
        """Arrays of its own. Raises InputError unless the mass is one."""
        if not abs(self.mass - 1) < 1e-6:
            raise InputError("coefficients", self.mass, "the mass is not 1", "divide the density by its integral")
        own_arrays(self)

    @classmethod
    @checked_arguments
    def from_law(cls, law: Law | Tokens, *, lmax: int, rtol: float, filter: float | None = None) -> ZonalDensity:
        refuse_filter(filter, cls.name)
        axis, log_density = axis_and_log_density(law)
        grid = zonal_grid(len(axis), lmax)
        coefficients = grid.to_modes(np.exp(log_density(grid.u)))
        mass = float(coefficients[0])
        if not abs(mass - 1) < MASS_TOLERANCE:
            problem = f"the mass on the nodes of lmax={lmax} in d = {len(axis)} is not 1: the law is sharper than these"
            raise InputError("initial", mass, problem, 'raise lmax, or use measure="zonal_cloud"')
        return cls(coefficients / mass, axis, rtol)

    @classmethod
    def of(cls, coefficients: Any, d: int, rtol: float = 1e-6) -> ZonalDensity:
        """That of these coefficients about the last axis of R^d."""
        return cls(np.asarray(coefficients, float), last_axis(checked_dimension(d)), rtol)

    @property
    def lmax(self) -> int:
        """Truncation degree."""
        return len(self.coefficients) - 1

    @property
    def geometry(self) -> ZonalGeometry:
        """Functions of the height."""
        return ZonalGeometry(self.dimension)

    @property
    def grid(self) -> ZonalGrid:
        """The nodes of this degree."""
        return zonal_grid(self.dimension, self.lmax)

    @property
    def sites(self) -> ZonalPoints:
        return self.grid

    @cached_property
    def scaled(self) -> Real:
        """√w ρ on the nodes."""
        return self.grid.scaled(self.coefficients)

    @property
    def values(self) -> Real:
        """ρ on the nodes, over the uniform law; zero where nothing but round-off is known of it."""
        known = np.abs(self.scaled) > KNOWN * self.norm
        return np.where(known, self.scaled / self.grid.root, 0.0)

    @property
    def norm(self) -> float:
        """√∫ρ² over the uniform law."""
        return float(np.sqrt(np.einsum("l,l->", self.coefficients, self.coefficients)))

    @property
    def masses(self) -> Real:
        """w ρ on the nodes."""
        return np.asarray(self.grid.root * self.scaled)

    @cached_property
    def source(self) -> Source:
        return AxialMoments(self.dimension, self.coefficients)

    @cached_property
    def floor(self) -> Any:
        return AxialFloor(self.source, self.grid, self.masses, self.coarsest)  # type: ignore[arg-type]

    @property
    def _accuracy(self) -> float:
        """To which a flow is taken."""
        return max(FINER * self.rtol, min(self.rtol, FINEST))

    @property
    def mass(self) -> float:
        return float(self.coefficients[0])

    def axial_moments(self, degree: int) -> Real:
        return self.geometry.resized(self.coefficients, degree)

    @property
    def has_density(self) -> bool:
        return True

    def density_on(self, grid: Any = None) -> Real:
        """ρ over the uniform law; NaN where √w ρ is round-off."""
        grid = self.grid if grid is None else grid
        scaled = self.scaled if grid is self.grid else grid.root * self._at_heights(grid.u)
        return np.where(np.abs(scaled) > KNOWN * self.norm, scaled / grid.root, np.nan)

    def density_at(self, u: Real) -> Real:
        """ρ over the uniform law at heights u = ⟨x, axis⟩."""
        return self._at_heights(np.asarray(u, float))

    def _at_heights(self, u: Real) -> Real:
        return np.einsum("...l,l->...", polynomials(self.dimension, self.lmax, u), self.coefficients)

    @property
    def score(self) -> Real:
        values = self.values
        inverse = np.where(values > 0, 1 / np.maximum(values, 1e-300), 0.0)
        return self.grid.to_ambient(self.grid.gradient(self.coefficients) * inverse)

    def holds(self, degree: int) -> bool:
        return self.grid.holds(degree)

    def refined(self, lmax: int) -> ZonalDensity:
        return self.at(self.geometry.resized(self.coefficients, lmax))

    @property
    def entropy(self) -> float:
        """-∫ ρ log ρ with respect to surface measure, over ρ > 0."""
        positive = np.maximum(self.values, 1e-300)
        return self._entropy(-float(np.einsum("n,n->", np.maximum(self.masses, 0.0), np.log(positive))))

    @property
    def min_density(self) -> float:
        """The least value of ρ on the nodes with more than 1e-12 of the greatest mass, of μ or of the uniform law."""
        masses, weights = np.abs(self.masses), self.grid.weights
        seen = (masses > CARRIED * masses.max()) | (weights > CARRIED * weights.max())
        return float(self.values[seen].min())

    @property
    def tail(self) -> float:
        """(∫|Σ_{ℓ > 0.9 ℓmax} c_ℓ P_ℓ|)² over the uniform law, and (1e-12 |c|)², what round-off does to the mean.

        Masses, not power over power: where a part of μ far from the equator has nearly all of ∫ρ², its last degrees may
        be a small part of that and still more than the whole density of the rest.
        """
        c, first = self.coefficients, int(0.9 * self.lmax) + 1
        last = np.einsum("nl,l->n", self.grid.basis[:, first:], c[first:])
        return float(np.einsum("n,n->", self.grid.root, np.abs(last))) ** 2 + (LOST * self.norm) ** 2

    def is_finite(self) -> bool:
        return bool(np.isfinite(self.coefficients).all())

    def quadrature(self) -> tuple[Real, Real, Real]:
        """Angles from the axis, their masses and log ρ there, where √w ρ stands above its negative lobes."""
        scaled = self.scaled
        kept = scaled > max(-2 * float(scaled.min()), KNOWN * float(scaled.max()))
        grid = self.grid
        return grid.theta[kept], self.masses[kept], np.log(scaled[kept]) - np.log(grid.root[kept])

    def at(self, coefficients: Real) -> ZonalDensity:
        """The density of other coefficients."""
        return changed(self, coefficients=coefficients)

    def transport(self, velocity: Velocity | Living) -> ZonalDensity:
        """By Runge–Kutta of order 8 on dc_ℓ/ds = ∫ ρ v·∇P_ℓ over the uniform law."""
        grid = self.grid
        frozen = velocity.on(grid) if isinstance(velocity, Velocity) else None

        def rhs(c: Real) -> Real:
            v = velocity(AxialMoments(self.dimension, c)).on(grid) if frozen is None else frozen  # type: ignore[operator]
            rate = -grid.div_scaled(v * grid.scaled(c))
            rate[0] = 0.0
            return rate

        for accuracy in (self._accuracy, self.rtol):  # the second where lobes do not let the first be met
            how = {"tableau": DORMAND_PRINCE_8, "rtol": accuracy, "norm": self.error_norm, "most": MOST_STEPS}
            try:
                moved = integrate(rhs, self.coefficients, **how)  # type: ignore[arg-type]
            except UnresolvedError as error:
                problem = error
            else:
                return changed(self, coefficients=moved, coarsest=max(self.coarsest, accuracy))
        if self.tail <= self.refine_from:
            raise problem
        remedy = 'raise lmax, or use measure="zonal_cloud"'
        raise UnresolvedError(problem.time, f"the density is under-resolved: {problem.problem}", remedy) from problem

    def error_norm(self, error: Real) -> float:
        """The largest error of a low moment, in parts of it where it exceeds one; of all in parts of their norm."""
        whole = float(np.sqrt(np.einsum("l,l->", error, error))) / self.norm
        low = np.abs(error / np.maximum(1.0, np.abs(self.coefficients)))[: LOW_DEGREE + 1]
        return max(whole, float(low.max()))

    def diffuse(self, amount: float, path: BrownianPath, t0: float, t1: float) -> ZonalDensity:
        return self.at(self.coefficients * np.exp(amount * laplacian(self.dimension, self.lmax)))
