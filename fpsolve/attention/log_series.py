r"""ρ = e^φ with a band-limited φ: how fine a grid integrates e^{g·y + φ(y)}, and its masses there, none left out.

Continued to complex angles, |e^φ| grows by Re φ(θ + iη) - φ(θ) ≤ Σ_ℓ a_ℓ (cosh ℓη - 1), where a_ℓ bounds the part of
degree ℓ; e^{g·y} adds |g| (cosh η - 1). So the harmonics of e^{g·y + φ} of degree L are below
exp(Σ a_ℓ (cosh ℓη - 1) + |g| (cosh η - 1) - Lη) of its peak for every η > 0, and a Gauss grid that is exact to the
degree at which this meets a tolerance integrates it about to that tolerance, relative to M(g) itself, wherever the peak
lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import ducc0
import numpy as np

from fpsolve.attention.coarse_sphere import product_sites, rings
from fpsolve.cached import cached_property
from fpsolve.sphere.geometry import Geometry
from fpsolve.sphere.harmonics import Coefficients, Real, resized

WIDTHS = np.geomspace(1e-3, 4.0, 60)
"""η tried."""

LOST = 1e-14
"""Degrees of φ that change it by less than this are left out of sums over points."""

DEEPEST = 600.0
"""Points with log ρ so far below the peak are no number beside it; e^{g·y} would have to be as large."""

FINEST = 4095
"""The highest degree for which a quadrature is made."""


@dataclass(frozen=True, eq=False)
class LogSeries:
    """φ = log ρ by its ``coefficients`` on S² or S¹."""

    coefficients: Coefficients
    geometry: Geometry

    @cached_property
    def amplitudes(self) -> Real:
        """a_ℓ ≥ max |φ_ℓ|, ℓ = 0..ℓmax: √((2ℓ+1) Σ_m|φ_ℓm|² / 4π), on the circle √(Σ_m|φ_m|² / π)."""
        spectrum = self.geometry.power(self.coefficients)
        orders = 2 * np.arange(len(spectrum)) + 1 if self.geometry.dimension == 3 else 2
        return np.sqrt(orders * spectrum / self.geometry.area)

    @cached_property
    def _growth(self) -> Real:
        """Σ a_ℓ (cosh ℓη - 1) for every width."""
        stretched = np.minimum(np.outer(WIDTHS, np.arange(len(self.amplitudes))), 300.0)
        return np.einsum("l,nl->n", self.amplitudes, np.cosh(stretched) - 1)

    def degree(self, radius: float, tolerance: float) -> int:
        """The degree to which a grid is to be exact for ∫ e^{g·y + φ(y)} dy, |g| ≤ ``radius``."""
        bound = (self._growth + radius * (np.cosh(WIDTHS) - 1) - np.log(tolerance)) / WIDTHS
        return int(min(np.ceil(bound.min()), FINEST))

    def masses(self, shape: tuple[int, int]) -> Real:
        """ρ times the quadrature weights of a Gauss grid (latitudes, longitudes) of S²; of any sum."""
        beyond = np.cumsum(self.amplitudes[::-1])[::-1]
        known = max(1, int(np.sum(beyond > LOST)) - 1)
        alm = np.ascontiguousarray(resized(self.coefficients, known))[None]
        phi = ducc0.sht.synthesis(alm=alm, lmax=known, spin=0, nthreads=1, **rings(*shape))[0].reshape(shape)
        return exponential(phi) * product_sites(*shape)[1]

    def quadrature(self, radius: float, tolerance: float) -> tuple[Real, Real]:
        """Points (n, 3) of S² and positive weights that serve |g| ≤ ``radius``."""
        total = self.degree(radius, tolerance)
        shape = total // 2 + 1, total + 1 + (total + 1) % 2
        return with_mass(product_sites(*shape)[0], self.masses(shape))


def exponential(phi: Real) -> Real:
    """e^φ; zero more than ``DEEPEST`` below its peak, where numbers end. Infinite where φ is too large."""
    with np.errstate(over="ignore"):
        return np.where(phi >= phi.max() - DEEPEST, np.exp(phi), 0.0)


def with_mass(x: Real, masses: Real) -> tuple[Real, Real]:
    """The points of positive mass, in rows, and their masses."""
    kept = masses > 0
    return np.ascontiguousarray(x[kept]), masses[kept]
