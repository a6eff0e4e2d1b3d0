r"""The stationary equation of laws about an axis, in every dimension: coefficients c_ℓ of ρ over the uniform law.

With W_ℓ = (λ_ℓ/λ_0)(β|a|) P_ℓ(u), s the sign of a and h = Σ s^ℓ c_ℓ W_ℓ, so that M(βax) = λ_0 h, a head of A = aI and
V = bI moves along the meridian with the speed

    SA  b ∂_θ h / (βa h),    USA  b λ_0 ∂_θ h / (βa),

whose derivatives in c are exact, h being linear. The rest is that of :mod:`fpsolve.stationary.equation`; no rotation is
left, as the axis is fixed.
"""

from __future__ import annotations

import numpy as np

from fpsolve.attention.zonal import waves_at
from fpsolve.errors import InputError
from fpsolve.models.base import Head
from fpsolve.sphere.gegenbauer import ZonalGeometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.stationary.attention_drift import Slope
from fpsolve.stationary.equation import Generator, StationaryEquation


class AxialDrift:
    """v_θ[ρ] of heads that are multiples of the identity, on the nodes of degree ``lmax``."""

    def __init__(self, heads: list[Head], sphere: ZonalGeometry, lmax: int) -> None:
        self._grid, self._d = sphere.grid(lmax), sphere.dimension
        self._heads = heads
        for head in heads:
            for argument, matrix in (("key_query", head.key_query), ("value", head.value)):
                if np.ndim(matrix):
                    problem = "no multiple of I: it breaks the symmetry about an axis"
                    raise InputError(argument, np.shape(matrix), problem, 'pass a number, or measure="density"')

    def linearised(self, rho: Coefficients) -> tuple[Real, Slope]:
        """v_θ on the nodes, and σ ↦ its derivative in the direction σ."""
        speeds, slopes = zip(*(self._head(head, rho) for head in self._heads), strict=True)
        return sum(speeds[1:], speeds[0]), lambda sigma: sum((one(sigma) for one in slopes[1:]), slopes[0](sigma))

    def _head(self, head: Head, c: Coefficients) -> tuple[Real, Slope]:
        lmax, scores = len(c) - 1, float(head.scores)
        strength = head.weight * float(head.value)
        if scores == 0:

            def mean(sigma: Coefficients) -> Real:
                return np.asarray(-strength * self._grid.sine * sigma[1] / np.sqrt(self._d))

            return mean(c), mean
        waves = waves_at(self._grid, lmax, abs(scores))
        signs = np.where(scores < 0, -1.0, 1.0) ** np.arange(lmax + 1)

        def rising(sigma: Coefficients) -> Real:
            return np.einsum("nl,l->n", waves.slope, signs * sigma) * (strength / scores)

        if not head.normalised:
            scale = float(np.exp(waves.log_first - head.log_unit))
            return scale * rising(c), lambda sigma: scale * rising(sigma)
        h = np.einsum("nl,l->n", waves.value, signs * c)
        v = rising(c) / h
        return v, lambda sigma: (rising(sigma) - v * np.einsum("nl,l->n", waves.value, signs * sigma)) / h


class AxialEquation(StationaryEquation):
    """E(u), u = (c_1, …, c_lmax)."""

    is_axial = True

    def coefficients(self, u: Real, mass: float = 1.0) -> Coefficients:
        return np.concatenate([[mass], u])

    def generators(self) -> list[Generator]:
        return []

    def symmetries(self) -> list[Generator]:
        return []
