"""Observables of any measure: functions of its mean, moments and points."""

from __future__ import annotations

import numpy as np

from fpsolve.attention.bessel import moment_degree, plane_wave
from fpsolve.measures.base import Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import Real

LARGEST_EXPONENT = 700.0
"""e^β beyond this is no double; the energy is then absent."""


def overlap(measure: Measure) -> float:
    """|∫ x dμ|² = ∬ ⟨x,y⟩ dμ dμ."""
    return float((measure.mean**2).sum())


def energy(measure: Measure, beta: float) -> float | None:
    """(1/2β) ∬ e^{β⟨x,y⟩} dμ dμ; on S² (2π/β) Σ i_ℓ(β) Σ_m |ρ_ℓm|² (S¹: (π/β) Σ I_m |ρ_m|²), all terms positive."""
    if beta > LARGEST_EXPONENT:
        return None
    degree = moment_degree(beta)
    moments = measure.moments(degree)
    if moments is not None:
        here = geometry(measure.dimension)
        terms = plane_wave(measure.dimension, degree, beta) * here.power(moments)
        return float(here.area / (2 * beta) * np.exp(beta) * np.sum(terms))
    if not isinstance(measure, Cloud):
        return None
    log_m, _ = measure.source.F_sphere(beta, measure.sites)
    return float(np.sum(measure.weights * np.exp(log_m)) / (2 * beta))


def real_moments(measure: Measure, degree: int) -> Real | None:
    """∫ of the real orthonormal harmonics up to ``degree``, ℓ-major, m = -ℓ..ℓ; shape ((degree+1)²,)."""
    moments = measure.moments(degree)
    return None if moments is None else geometry(measure.dimension).to_real(moments)
