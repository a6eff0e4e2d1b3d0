"""μ by weighted circles of latitude about an axis that move along meridians: characteristics in every dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.polynomial.legendre import leggauss

from fpsolve.attention.source import Source
from fpsolve.attention.zonal import AxialPoints
from fpsolve.cached import cached_property
from fpsolve.errors import InputError, check_number
from fpsolve.measures.axial import Axial, axis_and_log_density
from fpsolve.measures.base import Living, Measure
from fpsolve.measures.laws import MASS_TOLERANCE, Law, Tokens, refuse_filter
from fpsolve.noise import BrownianPath
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.gegenbauer import ZonalPoints, log_area, polynomials
from fpsolve.sphere.harmonics import Real
from fpsolve.sphere.nested import LARGEST_OF, STRIDES, extrapolated, interpolatory
from fpsolve.transport.runge_kutta import DORMAND_PRINCE_8, integrate
from fpsolve.transport.velocity import Velocity
from fpsolve.values import as_array, changed, own_arrays

NEGLIGIBLE = 36.0
"""A law fills the angles at which its density in θ is above e^-36 of its peak."""

MESH = 1 << 14
"""Angles at which that is looked for."""

SENSITIVE = 8
"""The error of a displacement is measured by what it changes in the moment of this degree."""


@dataclass(frozen=True, eq=False, repr=False)
class ZonalCloud(Axial):
    """Circles of latitude at angles ``theta`` (n,) from the ``axis`` of R^d, with ``weights`` (n,) of sum one.

    ``log_density``: log ρ over the uniform law at them, carried by d log ρ/ds = -div v, or None. ``rtol``: accuracy of
    one transport. ``nested``: masses of two coarser quadratures by some of the angles, shape (2, n), or None. There is
    no degree to outgrow: angles near a pole are kept to relative accuracy, and attention is a
    sum of positive terms for every β and d. Raises InputError for angles outside [0, π] and bad weights.
    """

    theta: Real
    weights: Real
    axis: Real
    log_density: Real | None = None
    rtol: float = 1e-6
    nested: Real | None = None

    name: ClassVar[str] = "zonal_cloud"

    def __post_init__(self) -> None:
        for name in ("theta", "weights", "axis", "log_density", "nested"):
            as_array(self, name, float)
        check_number("rtol", self.rtol, 1e-14)
        if self.log_density is not None and self.log_density.shape != self.theta.shape:
            remedy = "pass log ρ at the angles, or leave it out"
            raise InputError("log_density", self.log_density.shape, "must be one number an angle", remedy)
        self._settle()
        self._check_axis()

    def _settle(self) -> None:
        """Arrays of its own. Raises InputError where they are no angles and masses."""
        if self.theta.ndim != 1 or not ((self.theta >= 0) & (self.theta <= np.pi)).all():
            problem = "must be angles (n,) from 0 to π"
            raise InputError("theta", np.shape(self.theta), problem, "pass np.arccos(heights)")
        if self.weights.shape != self.theta.shape or not (self.weights >= 0).all():
            raise InputError("weights", self.weights, "weights must be one non-negative number an angle", "check them")
        if not abs(self.mass - 1) < 1e-6:
            raise InputError("weights", self.mass, "the mass is not 1", "divide the weights by their sum")
        own_arrays(self)

    @classmethod
    @checked_arguments
    def from_law(cls, law: Law | Tokens, *, lmax: int, rtol: float, filter: float | None = None) -> ZonalCloud:
        """3/2 ℓmax + 2 Gauss angles, 48 at least, over the part of the meridian that the law fills, a few beyond.

        Those carry next to nothing, but attention multiplies it by up to e^{2β}.
        """
        refuse_filter(filter, cls.name)
        axis, log_density = axis_and_log_density(law)
        d = len(axis)

        def log_angles(theta: Real) -> Real:
            """log of the density in θ."""
            with np.errstate(divide="ignore"):
                slices = (d - 2) * np.log(np.sin(theta)) if d > 2 else 0.0
            return log_density(np.cos(theta)) + slices + log_area(d - 1) - log_area(d)

        mesh = np.linspace(0, np.pi, MESH + 1)[1:-1]
        logs = log_angles(mesh)
        filled = np.flatnonzero(logs > logs.max() - NEGLIGIBLE)
        first, last = max(filled[0] - 1, -1), min(filled[-1] + 1, len(mesh))
        low, high = 0.0 if first < 0 else mesh[first], np.pi if last == len(mesh) else mesh[last]
        n = max(48, 3 * lmax // 2 + 2)
        theta, *shares = _panels([(0.0, low, n // 4), (low, high, n), (high, np.pi, n // 4)])
        weights, *coarser = (share * np.exp(log_angles(theta)) for share in shares)
        mass = float(weights.sum())
        if not abs(mass - 1) < MASS_TOLERANCE:
            problem = f"the mass at {len(theta)} angles is not 1: the law is sharper than these, or not normalised"
            raise InputError("initial", mass, problem, "raise lmax")
        kept = weights > 0
        theta, weights = theta[kept], weights[kept]
        nested = np.stack([one[kept] / one[kept].sum() for one in coarser])
        return cls(theta, weights / weights.sum(), axis, log_density(np.cos(theta)), rtol, nested)

    @classmethod
    def taken_from(cls, measure: Measure) -> ZonalCloud:
        """The quadrature of a zonal density, with its logarithm."""
        given: Any = measure
        theta, masses, log_density = given.quadrature()
        return cls(theta, masses / masses.sum(), given.axis, log_density, given.rtol)

    @cached_property
    def sites(self) -> ZonalPoints:
        return ZonalPoints(self.dimension, self.theta)

    @property
    def masses(self) -> Real:
        return self.weights

    @property
    def points(self) -> Real:
        """(sin θ, cos θ): across the axis, and along it."""
        return self.sites.x

    @property
    def heights(self) -> Real:
        """u = cos θ."""
        return self.sites.u

    def quadrature(self) -> tuple[Real, Real, Real | None]:
        return self.theta, self.weights, self.log_density

    @cached_property
    def source(self) -> Source:
        return AxialPoints(self.dimension, self.theta, self.weights)

    @property
    def mass(self) -> float:
        return float(self.weights.sum())

    @property
    def has_density(self) -> bool:
        return self.log_density is not None

    def density_on(self, grid: Any = None) -> Real | None:
        return None if self.log_density is None or grid is not None else np.exp(self.log_density)

    def without_density(self) -> ZonalCloud:
        return self if self.log_density is None else changed(self, log_density=None)

    @property
    def entropy(self) -> float | None:
        """-∫ ρ log ρ with respect to surface measure, along the characteristics."""
        known = self.log_density
        return None if known is None else self._entropy(-float(np.einsum("n,n->", self.weights, known)))

    @cached_property
    def cloud_error(self) -> float | None:
        """An estimate of the error that the quadrature makes in the moments ℓ ≤ 8, :mod:`~fpsolve.sphere.nested`."""
        if self.nested is None:
            return None
        table = polynomials(self.dimension, LARGEST_OF, np.append(self.heights, 1.0)).T[1:]
        whole, half, quarter = (table[:, :-1] @ one / table[:, -1] for one in (self.weights, *self.nested))
        return extrapolated(float(np.abs(whole - half).max()), float(np.abs(half - quarter).max()))

    def is_finite(self) -> bool:
        return bool(np.isfinite(self._state).all())

    @property
    def _state(self) -> Real:
        return self.theta if self.log_density is None else np.concatenate([self.theta, self.log_density])

    def _at(self, state: Real) -> ZonalCloud:
        n = len(self.theta)
        carried = None if self.log_density is None else state[n:].copy()
        return changed(self, theta=np.clip(state[:n], 0.0, np.pi), log_density=carried)

    def transport(self, velocity: Velocity | Living) -> ZonalCloud:
        frozen = velocity if isinstance(velocity, Velocity) else None
        n, d = len(self.theta), self.dimension

        def rhs(state: Real) -> Real:
            sites = ZonalPoints(d, state[:n])
            source = AxialPoints(d, sites.theta, self.weights)
            v = velocity(source) if frozen is None else frozen  # type: ignore[operator]
            if self.log_density is None:
                return v.on(sites)
            return np.concatenate([v.on(sites), -v.divergence(sites)])

        moved = integrate(rhs, self._state, tableau=DORMAND_PRINCE_8, rtol=self.rtol, norm=self._error_norm)
        return self._at(moved)

    def _error_norm(self, error: Real) -> float:
        """A bound on the error of low moments (and of the entropy): |∇P_ℓ| is √(ℓ(ℓ+d-2)), root mean square."""
        n = len(self.theta)
        size = np.abs(error[:n]) * np.sqrt(SENSITIVE * (SENSITIVE + self.dimension - 2.0))
        if self.log_density is not None:
            size = size + np.abs(error[n:])
        return float(np.einsum("n,n->", self.weights, size))

    def diffuse(self, amount: float, path: BrownianPath, t0: float, t1: float) -> ZonalCloud:
        """Raises InputError: characteristics carry no noise of their own."""
        problem = "a quadrature cloud cannot carry noise of its own"
        raise InputError("diffusion", amount, problem, 'use measure="zonal"')


def _panels(panels: list[tuple[float, float, int]]) -> list[Real]:
    """Gauss nodes over (from, to, count), panels without length left out; weights of all, every second and fourth."""
    parts = []
    for low, high, count in panels:
        if high > low:
            nodes, weights = leggauss(count)
            coarser = np.zeros((len(STRIDES), count))
            for row, stride in zip(coarser, STRIDES, strict=True):
                row[::stride] = interpolatory(nodes[::stride])
            theta = np.clip(low + (high - low) * (nodes + 1) / 2, 0, np.pi)
            parts.append((theta, *((high - low) / 2 * np.vstack([weights, coarser]))))
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
