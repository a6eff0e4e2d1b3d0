r"""The drift of deterministic attention as a function of the coefficients of ρ, and its exact derivative.

With M_ρ(g) = ∫e^{g·y}ρ and G_ρ(g) = ∫y e^{g·y}ρ = ∇M, both linear in ρ, a head moves along V G(βAx), or V G/M with its
denominator, so that in the direction σ

    D[G] σ = G_σ,    D[G/M] σ = (G_σ - (G/M) M_σ) / M.

Coefficients of y σ(y) follow exactly from those of σ, so one linear map, the plane wave's, serves M and every
component of G. No fallback is needed where sums cancel: with ν > 0 stationary densities are smooth and positive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fpsolve.attention.bessel import moment_degree, plane_wave
from fpsolve.errors import InputError
from fpsolve.models.base import Head, Model, apply_matrix, spectral_norm
from fpsolve.sphere.geometry import Geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.stationary.real_basis import from_real

LARGEST_DENSE = 39
"""Degree up to which the kernel of a matrix A is kept as a matrix; β|A| = 20 needs it."""

Slope = Callable[[Coefficients], Real]
"""σ ↦ the derivative of a field in the direction σ."""


class PlaneWave:
    """σ ↦ the coefficients in x of e^{-r}∫e^{⟨Bx,y⟩}σ(y)dy, r = |B|: diagonal for a number, otherwise a matrix."""

    def __init__(self, sphere: Geometry, scores: Real, lmax: int) -> None:
        self.radius = spectral_norm(scores)
        self._here, self._full = sphere, max(1, moment_degree(self.radius))
        self._degree = min(lmax + 1, self._full)
        if scores.ndim == 0:
            waves = plane_wave(sphere.dimension, self._degree, self.radius)
            waves = waves * np.where(scores < 0, -1.0, 1.0) ** np.arange(self._degree + 1)
            self._factors, self._matrix = sphere.area * sphere.by_degree(waves, self._degree), None
        else:
            _check_matrix(self.radius, self._full, lmax, sphere.grid(lmax).holds(self._full))
            self._matrix = _dense_kernel(sphere, scores, self._full, self._degree)

    def __call__(self, coefficients: Coefficients) -> Coefficients:
        low = self._here.resized(coefficients, self._degree)
        if self._matrix is None:
            return self._factors * low
        return from_real(self._matrix @ self._here.to_real(low), self._here.dimension, self._full)


def _check_matrix(radius: float, degree: int, lmax: int, fits: bool) -> None:
    """Raise InputError where a matrix A makes the kernel too large, or too fine for the density's grid."""
    if not fits:
        raise InputError("lmax", lmax, f"β|A| = {radius:.3g} needs a grid that holds degree {degree}", "raise lmax")
    if degree > LARGEST_DENSE:
        raise InputError("beta", radius, "β|A| is too large for a matrix A", "pass β|A| <= 20, or a number for A")


def _dense_kernel(sphere: Geometry, scores: Real, rows: int, columns: int) -> Real:
    """∬Y_ℓm(x) e^{⟨Bx,y⟩-|B|} Y_ℓ'm'(y) in the real basis, degrees ≤ rows and ≤ columns, by Gauss quadrature."""
    radius = float(np.linalg.norm(scores, 2))
    grid = sphere.grid(rows)
    y = grid.x.reshape(-1, sphere.dimension)

    def analysed(values: Real, degree: int) -> Real:
        return sphere.to_real(grid.to_modes(values.reshape(grid.shape), degree))

    in_y = np.array([analysed(np.exp(y @ (scores @ x) - radius), columns) for x in y])
    return np.array([analysed(column, rows) for column in in_y.T]).T


class AttentionDrift:
    """v[ρ] = P_x Σ_h w_h V_h (G or G/M)(βA_h x), and the ``outer`` drifts of models, on the grid of degree ``lmax``."""

    def __init__(self, heads: list[Head], sphere: Geometry, lmax: int, outer: Sequence[Model] = ()) -> None:
        self._geometry, self._grid = sphere, sphere.grid(lmax)
        self._outer: Real = sum((one.outer_field(self._grid.x) for one in outer), np.zeros(self._grid.x.shape))
        self._heads = [(head, PlaneWave(sphere, head.scores, lmax)) for head in heads]

    def linearised(self, rho: Coefficients) -> tuple[Real, Slope]:
        """v[ρ] on the grid, shape (d - 1, *grid.shape), and σ ↦ Dv[ρ]σ."""
        parts = [self._head(head, wave, rho) for head, wave in self._heads]

        def slope(sigma: Coefficients) -> Real:
            return self._grid.from_ambient(sum((one(sigma) for _, one in parts), np.zeros_like(self._outer)))

        return self._grid.from_ambient(sum((field for field, _ in parts), self._outer)), slope

    def _head(self, head: Head, wave: PlaneWave, rho: Coefficients) -> tuple[Real, Slope]:
        def output(vectors: Real) -> Real:
            return apply_matrix(head.weight * head.value, vectors)

        if not head.normalised:
            scale = np.exp(wave.radius - head.log_unit)
            return output(scale * self._G(wave, rho)), lambda sigma: output(scale * self._G(wave, sigma))
        m = self._M(wave, rho)[..., None]
        f = self._G(wave, rho) / m
        return output(f), lambda sigma: output((self._G(wave, sigma) - f * self._M(wave, sigma)[..., None]) / m)

    def _M(self, wave: PlaneWave, sigma: Coefficients) -> Real:
        """e^{-r}M on the grid."""
        return self._grid.to_grid(wave(sigma))

    def _G(self, wave: PlaneWave, sigma: Coefficients) -> Real:
        """e^{-r}∫y e^{⟨Bx,y⟩}σ(y)dy on the grid, ambient vectors."""
        return np.stack([self._grid.to_grid(wave(row)) for row in self._geometry.times_coordinates(sigma)], -1)
