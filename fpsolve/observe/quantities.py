"""Scalar observables of a measure; what a representation does not have is None."""

from __future__ import annotations

import numpy as np

from fpsolve.attention.bessel import moment_degree, scaled_bessel
from fpsolve.measures.base import Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.density import Density
from fpsolve.measures.half_density import HalfDensity
from fpsolve.sphere.harmonics import Real, power, to_real


def overlap(measure: Measure) -> float:
    """|∫ x dμ|² = ∬ ⟨x,y⟩ dμ dμ."""
    return float((measure.mean**2).sum())


def energy(measure: Measure, beta: float) -> float:
    """(1/2β) ∬ e^{β⟨x,y⟩} dμ dμ; on S² (2π/β) Σ i_ℓ(β) Σ_m |ρ_ℓm|², a sum of positive terms."""
    if isinstance(measure, Cloud) and measure.dimension != 3:
        log_m, _ = measure.source.F_sphere(beta, measure.sites)
        return float(np.sum(measure.weights * np.exp(log_m)) / (2 * beta))
    degree = moment_degree(beta)
    if not isinstance(measure, Cloud):
        degree = min(degree, measure.lmax)  # type: ignore[attr-defined]
    spectrum = power(measure.source.moments(degree)) if hasattr(measure.source, "moments") else _power(measure, degree)
    return float(2 * np.pi / beta * np.exp(beta) * np.sum(scaled_bessel(degree, beta) * spectrum))


def _power(measure: Measure, degree: int) -> Real:
    assert isinstance(measure, Cloud)
    return power(measure.moments(degree))


def entropy(measure: Measure) -> float | None:
    """-∫ ρ log ρ; over the part of the grid where ρ > 0, or along the characteristics of a quadrature cloud."""
    if isinstance(measure, Cloud):
        if measure.log_density is None:
            return None
        return float(-np.sum(measure.weights * measure.log_density))
    assert isinstance(measure, Density | HalfDensity)
    values = np.maximum(measure.values, 1e-300)
    return -measure.grid.integral(values * np.log(values))


def min_density(measure: Measure) -> float | None:
    """The least value of ρ on the grid; negative where the truncation shows."""
    return float(measure.values.min()) if isinstance(measure, Density | HalfDensity) else None


def tail(measure: Measure) -> float | None:
    """Σ_{ℓ > 0.9 ℓmax} |ρ_ℓm|² / Σ |ρ_ℓm|² (of ψ for a half density)."""
    return measure.tail if isinstance(measure, Density | HalfDensity) else None


def real_moments(measure: Measure, degree: int) -> Real | None:
    """∫ of the real orthonormal harmonics up to ``degree``, ℓ-major, m = -ℓ..ℓ; shape ((degree+1)²,)."""
    if isinstance(measure, Density | HalfDensity):
        return to_real(measure.moments(degree))
    if isinstance(measure, Cloud) and measure.dimension == 3:
        return to_real(measure.moments(degree))
    return None
