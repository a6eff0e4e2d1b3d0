"""Transport operators on coefficients, the field frozen on the grid: L u = -div(uv) and its skew form for √ρ."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpsolve.sphere import fourier
from fpsolve.sphere.circle import CircleGrid
from fpsolve.sphere.grid import Grid
from fpsolve.sphere.harmonics import Coefficients, Real, laplacian, size
from fpsolve.transport.exponential import Generator

CACHED = 32768
"""Grid points worked at a time: a block of ρ and of both velocities stays in the second-level cache."""


class AdvectionOperator:
    """L u = -div(u v) on S²."""

    def __init__(self, sphere: Grid, v: Real) -> None:
        self._v, self._plan, self._lmax = v, sphere.plan(sphere.lmax), sphere.lmax
        self._factor, self._scaled = 1.0, -laplacian(sphere.lmax)
        self._rho, self._flux = np.empty((2, *sphere.shape))
        rows = max(1, CACHED // sphere.shape[1])
        self._blocks = [slice(start, start + rows) for start in range(0, sphere.shape[0], rows)]
        self._potential, self._unused = np.empty((2, size(sphere.lmax)), complex)

    def add_to(self, u: Coefficients, out: Coefficients, factor: float) -> None:
        """out += factor · L u: one scalar synthesis, one vector analysis."""
        self._plan.SH_to_spat(u, self._rho)
        for rows in self._blocks:  # ρ is read from memory once for both components, the second takes its place
            np.multiply(self._rho[rows], self._v[0, rows], out=self._flux[rows])
            np.multiply(self._rho[rows], self._v[1, rows], out=self._rho[rows])
        self._plan.spat_to_SHsphtor(self._flux, self._rho, self._potential, self._unused)
        if factor != self._factor:  # one factor serves a whole polynomial
            self._factor, self._scaled = factor, -factor * laplacian(self._lmax)
        self._potential *= self._scaled
        out += self._potential


class SkewOperator:
    """L u = -½[v·∇u + div(vu)] on S²; with analysis the adjoint of synthesis, ⟨w, Lu⟩ = -⟨Lw, u⟩ to round-off."""

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


class CircleAdvection:
    """L u = -∂_θ(u v) on S¹."""

    def __init__(self, circle: CircleGrid, v: Real) -> None:
        self._circle, self._v = circle, v[0]
        self._derivative = 1j * fourier.degrees(circle.lmax)

    def add_to(self, u: Coefficients, out: Coefficients, factor: float) -> None:
        """out += factor · L u."""
        flux = self._circle.to_modes(self._circle.to_grid(u) * self._v)
        out -= factor * self._derivative * flux


class CircleSkew:
    """L u = -½[v ∂_θ u + ∂_θ(vu)] on S¹, skew."""

    def __init__(self, circle: CircleGrid, v: Real) -> None:
        self._circle, self._v = circle, v[0]
        self._derivative = 1j * fourier.degrees(circle.lmax)

    def add_to(self, u: Coefficients, out: Coefficients, factor: float) -> None:
        """out += factor · L u."""
        circle = self._circle
        along = circle.to_modes(circle.to_grid(self._derivative * u) * self._v)
        flux = circle.to_modes(circle.to_grid(u) * self._v)
        out -= 0.5 * factor * (along + self._derivative * flux)


def advection(grid: Any, v: Real) -> Generator:
    """L u = -div(u v) on the sphere or the circle."""
    return CircleAdvection(grid, v) if isinstance(grid, CircleGrid) else AdvectionOperator(grid, v)


def skew_advection(grid: Any, v: Real) -> Generator:
    """L u = -½[v·∇u + div(vu)] on the sphere or the circle."""
    return CircleSkew(grid, v) if isinstance(grid, CircleGrid) else SkewOperator(grid, v)
