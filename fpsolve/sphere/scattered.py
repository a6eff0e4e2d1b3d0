"""Harmonic sums at scattered points of S², bitwise independent of the number of threads.

Up to moderate degrees, and for few points at any degree, they are summed term by term (:mod:`fpsolve._kernels.points`);
else by non-uniform FFT (:mod:`fpsolve.sphere.nonuniform`), whose plans cost about as much as the sums. Moments of many
points go by a grid of their own (:mod:`fpsolve.sphere.gridded`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fpsolve._kernels import points
from fpsolve.cached import cached_property, read_only
from fpsolve.sphere import gridded
from fpsolve.sphere.blocks import BLOCK, in_blocks
from fpsolve.sphere.harmonics import Coefficients, Real, degree_of, size
from fpsolve.sphere.nonuniform import NonuniformSums

DIRECT_DEGREE = {"scalar": 52, "gradient": 48, "jet": 52, "tangent": 40, "moments": 52}
"""Up to these degrees term by term is the faster way at points that move, whatever their number."""

DIRECT_POINTS = 2000
"""Up to so many points it is so at every degree up to HIGHEST_DEGREE."""

GRIDDED, GRIDDED_POINTS = range(24, 385), 1000
"""Moments of these degrees, of so many points or more, are sooner summed by way of a grid."""

HIGHEST_DEGREE = 1000
"""Term by term no degree above this is summed: factors grow as 2^ℓ."""

DIRECT_BLOCK = 4096
"""Points in one block of a sum term by term."""


class Points:
    """Points of S^{d-1}, rows of ``x``; tangent fields at them are arrays ``(n, d)`` of ambient vectors."""

    accuracy = 0.0
    """Error of a harmonic sum at the points relative to its largest value, where there are such sums."""

    def __init__(self, x: Real) -> None:
        self.x = read_only(x.view())
        self.shape = x.shape[:1]

    def from_ambient(self, field: Real) -> Real:
        """P_x u, shape ``(n, d)``."""
        return field - np.einsum("na,na->n", self.x, field)[:, None] * self.x

    def to_ambient(self, tangent: Real) -> Real:
        """The tangent field as ambient vectors: itself."""
        return tangent


class SpherePoints(Points):
    """Points of S² with harmonic synthesis at them and its adjoint."""

    accuracy = 1e-14
    """Error of moments and synthesis relative to the largest value, for the sums of attention at radii up to 100.

    Measured against long double: these 3e-15 to 3e-14; white spectra 1e-15 to 8e-15 up to degree 63, and near the poles
    2e-17 ℓ², which is what a rounded z does to them.
    """

    @cached_property
    def frame(self) -> tuple[Real, Real]:
        """e_θ and e_φ at the points, each ``(n, 3)``; at a pole those of φ = atan2(y, x)."""
        x, y, z = self.x.T
        phi, rho = np.arctan2(y, x), np.hypot(x, y)
        cos_phi, sin_phi = np.cos(phi), np.sin(phi)
        e_theta = np.stack([z * cos_phi, z * sin_phi, -rho], -1)
        return e_theta, np.stack([-sin_phi, cos_phi, np.zeros_like(phi)], -1)

    def scalar(self, coefficients: Coefficients) -> Real:
        """Σ f_ℓm Y_ℓm at the points, shape ``(n,)``."""
        lmax = degree_of(coefficients)
        if not self._directly("scalar", lmax):
            return self._nonuniform.scalar(coefficients)
        return self._summed(points.scalar(lmax, coefficients))

    def gradient(self, coefficients: Coefficients) -> Real:
        """∇f at the points, ambient vectors, shape ``(n, 3)``."""
        lmax = degree_of(coefficients)
        if not self._directly("gradient", lmax):
            return self._nonuniform.tangent(coefficients, None)
        return self._summed(points.gradient(lmax, coefficients))

    def tangent(self, spheroidal: Coefficients, toroidal: Coefficients) -> Real:
        """∇S + ∇T × x at the points, ambient vectors, shape ``(n, 3)``."""
        lmax = degree_of(spheroidal)
        if not self._directly("tangent", lmax):
            return self._nonuniform.tangent(spheroidal, toroidal)
        return self._summed(points.tangent(lmax, spheroidal, toroidal))

    def jet(self, f: Coefficients, g: Coefficients) -> tuple[Real, Real, Real]:
        """f, g of the same degree and ∇f at the points, shapes ``(n,)``, ``(n,)`` and ``(n, 3)``, in one sweep."""
        lmax = degree_of(f)
        if not self._directly("jet", lmax):
            return self._nonuniform.scalar(f), self._nonuniform.scalar(g), self._nonuniform.tangent(f, None)
        values = self._summed(points.jet(lmax, f, g))
        return values[:, 3], values[:, 4], values[:, :3]

    def moments(self, weights: Real, degree: int) -> Coefficients:
        """Σ_i w_i Y*_ℓm(x_i), the moments of a weighted cloud, up to ``degree``."""
        on_grid = degree in GRIDDED and len(self.x) >= GRIDDED_POINTS
        if not on_grid and not self._directly("moments", degree):
            return self._nonuniform.moments(weights, degree)
        weights, total = np.ascontiguousarray(weights, float), np.zeros(size(degree), complex)
        x, of = self._contiguous, gridded.moments if on_grid else points.moments
        for part in in_blocks(lambda p: of(degree, x[p], weights[p]), len(x), BLOCK if on_grid else DIRECT_BLOCK):
            total += part
        return total

    def _directly(self, kind: str, degree: int) -> bool:
        few = len(self.x) <= DIRECT_POINTS and degree <= HIGHEST_DEGREE
        return few or degree <= DIRECT_DEGREE[kind]

    def _summed(self, values: points.PointSum) -> Real:
        """The sum at all points, block by block."""
        x = self._contiguous
        return np.concatenate(in_blocks(lambda part: values(x[part]), len(x), DIRECT_BLOCK) or [values(x)])

    @cached_property
    def _contiguous(self) -> Real:
        return np.ascontiguousarray(self.x, float)

    @cached_property
    def _nonuniform(self) -> NonuniformSums:
        return NonuniformSums(self._contiguous)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.x,)
