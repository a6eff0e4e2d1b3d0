r"""The stationary equation on real coefficients, its exact linearisation, and the symmetries it has.

-div(ρ v[ρ]) + νΔρ = 0 reads Δ(νρ - S[ρv]) = 0, S the spheroidal potential of the flux, ρv = ∇S + ∇T × x. With the
mass, ρ_00, held fixed and u the other coefficients the equation solved is

    E(u) = u - S[ρ v[ρ]] / ν = 0.

This is the residual ∂_tρ under the preconditioner (νΔ)^{-1}: its Jacobian is the identity minus a compact operator,
so that Krylov methods need few iterations whatever the degree, and |E| is the error of u in units of ρ.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from fpsolve.petsc.newton_numpy import Action
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.stationary.real_basis import from_real, rotation_generators

Generator: TypeAlias = Any  # sparse.csr_array, for which there are no types
"""A rotation's generator on the unknowns."""

INVARIANT = 1e-9
"""A rotation is a symmetry of the equation when it commutes with it to this part of the generator's size."""


class StationaryEquation:
    """E(u) of this module for one drift and one ν > 0; u of shape (number of real coefficients - 1,)."""

    is_axial = False
    """Whether it is that of laws about an axis."""

    def __init__(self, drift: Any, sphere: Any, lmax: int, diffusion: float) -> None:
        self.geometry, self.lmax, self.diffusion = sphere, lmax, diffusion
        self.drift, self._grid = drift, sphere.grid(lmax)
        degrees, _ = sphere.real_degrees_orders(lmax)
        self.degrees = degrees[1:]
        self.laplacian: Real = -self.degrees * (self.degrees + sphere.dimension - 2.0)

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return len(self.degrees)

    def coefficients(self, u: Real, mass: float = 1.0) -> Coefficients:
        """Stored coefficients of the density whose real ones are (mass, u)."""
        values = np.concatenate([[mass * self.geometry.mass_moment], u])
        return from_real(values, self.geometry.dimension, self.lmax)

    def unknowns(self, coefficients: Coefficients) -> Real:
        """u of a density's coefficients."""
        return self.geometry.to_real(coefficients)[1:]

    def residual(self, u: Real) -> Real:
        """E(u)."""
        return self.linearised(u)[0]

    def rate(self, u: Real) -> Real:
        """∂_tρ = νΔE(u)."""
        return self.diffusion * self.laplacian * self.residual(u)

    def linearised(self, u: Real) -> tuple[Real, Action]:
        """E(u) and the action of its exact derivative, w ↦ w - S[σ v + ρ Dv σ]/ν, σ the density of u-part w."""
        rho = self.coefficients(u)
        on_grid = self._grid.to_grid(rho)
        v, slope = self.drift.linearised(rho)

        def action(w: Real) -> Real:
            sigma = self.coefficients(w, mass=0.0)
            return w - self._potential(self._grid.to_grid(sigma) * v + on_grid * slope(sigma)) / self.diffusion

        return u - self._potential(on_grid * v) / self.diffusion, action

    def _potential(self, flux: Real) -> Real:
        """S of a flux, real coefficients without the constant."""
        return self.unknowns(self._grid.tangent_modes(flux)[0])

    def generators(self) -> list[Generator]:
        """Generators of the rotations, on u."""
        return [x[1:, 1:] for x in rotation_generators(self.geometry.dimension, self.lmax)]

    def symmetries(self) -> list[Generator]:
        """A basis of the generators X = Σ c_a X_a that commute with E, DE(u) X u = X E(u), found at a generic u.

        All three for isotropic weights on S², fewer for matrices: about the axis that they share, or none.
        """
        u = _generic(self)
        value, action = self.linearised(u)
        generators = self.generators()
        defects = np.stack([action(x @ u) - x @ value for x in generators], -1)
        scale = max(float(np.linalg.norm(x @ u)) for x in generators)
        _, singular, rows = np.linalg.svd(defects, full_matrices=False)
        commuting = rows[singular <= INVARIANT * scale]
        return [sum(c * x for c, x in zip(row, generators, strict=True)) for row in commuting]


def _generic(equation: StationaryEquation) -> Real:
    """A smooth positive density without symmetry: decaying coefficients from a fixed seed."""
    noise = np.random.default_rng(1).standard_normal(equation.size)
    low = np.where(equation.degrees <= 4, 0.03 * noise * 0.5**equation.degrees, 0.0)
    return np.asarray(low)
