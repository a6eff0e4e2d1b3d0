"""Observables of any measure: functions of its mean, moments and points."""

from __future__ import annotations

import numpy as np

from fpsolve.attention.bessel import moment_degree, plane_wave
from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import Real

LARGEST_EXPONENT = 700.0
"""e^β beyond this is no double; the energy is then absent."""


def overlap(measure: Measure) -> float:
    """|∫ x dμ|² = ∬ ⟨x,y⟩ dμ dμ."""
    return float((measure.mean**2).sum())


def position_overlap(measure: Measure) -> Real | None:
    """⟨∫x dμ_s, ∫x dμ⟩ of every position s, (P,); None where there are no positions."""
    means = measure.position_means
    return None if means is None else np.einsum("pa,a->p", means, measure.mean)


def energy(measure: Measure, beta: float) -> float | None:
    """(1/2β) ∬ e^{β⟨x,y⟩} dμ dμ; on S² (2π/β) Σ i_ℓ(β) Σ_m |ρ_ℓm|² (S¹: (π/β) Σ I_m |ρ_m|²), all terms positive."""
    scaled = None if beta > LARGEST_EXPONENT else scaled_energy(measure, beta)
    return None if scaled is None else scaled[0] * float(np.exp(scaled[1]))


def log_energy(measure: Measure, beta: float) -> float | None:
    """log of the energy, for every β > 0."""
    scaled = scaled_energy(measure, beta)
    return None if scaled is None else float(np.log(scaled[0])) + scaled[1]


def scaled_energy(measure: Measure, beta: float) -> tuple[float, float] | None:
    """(E e^{-s}, s) of the energy E, s about its logarithm or β, so that both are doubles for every β > 0."""
    degree = moment_degree(beta)
    moments = measure.moments(degree)
    if moments is not None:
        sphere = geometry(measure.dimension)
        terms = plane_wave(measure.dimension, degree, beta) * sphere.power(moments)
        return float(sphere.area / (2 * beta) * np.sum(terms)), beta
    log_m, _ = measure.source.F_sphere(beta, measure.sites)
    return scaled_sum(measure.masses / (2 * beta), log_m)


def scaled_sum(weights: Real, logarithms: Real) -> tuple[float, float]:
    """(Σ w e^{l - s}, s), s the largest l."""
    scale = float(logarithms.max())
    return float(np.sum(weights * np.exp(logarithms - scale))), scale


def mean_potential(measure: Measure, model: Model) -> float | None:
    """∫ U dμ, U the potential of a model; None where it has none."""
    if not any(term.is_outer for term in model.terms):
        return None  # and the measure is not asked where it lies
    values = model.potential(measure.sites.x)
    return None if values is None else float(np.sum(measure.masses * values))


def real_moments(measure: Measure, degree: int) -> Real | None:
    """∫ of the real orthonormal harmonics up to ``degree``, ℓ-major, m = -ℓ..ℓ; shape ((degree+1)²,)."""
    moments = measure.moments(degree)
    return None if moments is None else geometry(measure.dimension).to_real(moments)
