"""Growth of small perturbations of the uniform law under deterministic attention, in any d.

A perturbation of degree ℓ, ρ = (1 + c Y_ℓ)/|S^{d-1}|, has the potential ∫ e^{β⟨x,y⟩} ρ(dy) = λ_0 + c λ_ℓ Y_ℓ by the
Funk–Hecke formula. USA moves by β⁻¹∇ of it, SA by β⁻¹∇ of its logarithm, and ΔY_ℓ = -ℓ(ℓ+d-2) Y_ℓ; so c grows
exponentially at the rates below.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, hyp0f1, ive

from fpsolve.errors import InputError
from fpsolve.plain.arguments import checked_arguments
from fpsolve.theory.checks import Real, dimensions, elementwise, integers, one_of, reals

KINDS = ("sa", "usa")
"""Softmax attention and attention without its denominator."""

_SAFE = 1e-250
"""Bessel functions below this are too near underflow; the power series is used instead."""


@elementwise
def uniform_growth_rate(
    degree: ArrayLike, beta: ArrayLike, kind: str = "sa", d: ArrayLike = 3, diffusion: ArrayLike = 0.0
) -> Real:
    """Rate at which a perturbation of ``degree`` ℓ of the uniform law on S^{d-1} grows; arguments broadcast.

        SA   ℓ(ℓ+d-2) ( λ_ℓ/(β λ_0) - ν ),   λ_ℓ/λ_0 = I_{d/2-1+ℓ}(β) / I_{d/2-1}(β)
        USA  ℓ(ℓ+d-2) ( λ_ℓ/β - ν ),         λ_ℓ = Γ(d/2) (2/β)^{d/2-1} I_{d/2-1+ℓ}(β)

    for dx = P_x ∫ y e^{β⟨x,y⟩} μ(dy) [/ ∫ e^{β⟨x,y⟩} μ(dy)] dt + √(2ν) P_x ∘ dB, ``diffusion`` ν. On S² the fractions
    are i_ℓ(β)/(β i_0(β)) and i_ℓ(β)/β. At β = 0 the limit, (d-1)/d for ℓ = 1 and 0 for others. USA overflows to ∞ near
    β = 700.
    InputError: ℓ < 0 or not whole, β < 0, ν < 0, d < 2, orders and β both in the thousands (beyond double precision).
    Source: :cite:`meanfield2025`, arXiv:2510.20094 (noise).
    """
    one_of("kind", kind, KINDS)
    ell, b = integers("degree", degree, 0), reals("beta", beta, 0)
    dimension, nu = dimensions(d), reals("diffusion", diffusion, 0)
    pull = multiplier_over_beta(ell, b, dimension, kind)
    return np.asarray(ell * (ell + dimension - 2) * (np.where(ell > 0, pull, 0.0) - nu))


@elementwise
def attention_multiplier(degree: ArrayLike, beta: ArrayLike, d: ArrayLike = 3) -> Real:
    """λ_ℓ = Γ(d/2) (2/β)^{d/2-1} I_{d/2-1+ℓ}(β), Funk–Hecke multipliers of e^{β⟨x,y⟩} on S^{d-1}; arguments broadcast.

    ∫ e^{β⟨x,y⟩} Y_ℓ(y) dy = |S^{d-1}| λ_ℓ Y_ℓ(x); λ_ℓ(0) = δ_ℓ0. The energy (1/2β)∬e^{β⟨x,y⟩} of the density
    (1 + Σ c_ℓ Y_ℓ)/|S^{d-1}|, Y_ℓ orthonormal for the uniform law, is (λ_0 + Σ λ_ℓ c_ℓ²)/(2β).
    Source: :cite:`meanfield2025`.
    """
    ell, b, dimension = integers("degree", degree, 0), reals("beta", beta, 0), dimensions(d)
    with np.errstate(over="ignore"):
        logarithm = _log_coefficient(ell, dimension) + _log_power(ell, b / 2)
        return np.asarray(np.exp(logarithm) * hyp0f1(ell + dimension / 2, b**2 / 4))


def multiplier_over_beta(ell: Real, beta: Real, d: Real, kind: str) -> Real:
    """λ_ℓ/β (USA) or λ_ℓ/(βλ_0) (SA) for ℓ >= 1, checked arrays that broadcast; the limit at β = 0."""
    order = d / 2
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        coefficient = 0.5 * np.exp(_log_coefficient(ell, d) + _log_power(ell - 1, beta / 2))
        series = coefficient * hyp0f1(ell + order, beta**2 / 4)
        if kind == "sa":
            high, low = ive(order - 1 + ell, beta), ive(order - 1, beta)
            direct = (high > _SAFE) & (low > _SAFE) & (beta > 0)
            series = np.where(direct, high / (beta * low), series / hyp0f1(order, beta**2 / 4))
    if np.isnan(series[np.broadcast_to(ell, series.shape) > 0]).any():
        largest = {"beta": float(np.max(beta)), "d": float(np.max(d)), "degree": float(np.max(ell))}
        name = max(largest, key=lambda argument: largest[argument])
        raise InputError(name, largest[name], "Bessel functions of this order leave double precision", f"lower {name}")
    return np.asarray(series)


def _log_coefficient(ell: Real, d: Real) -> Real:
    """log Γ(d/2)/Γ(d/2+ℓ)."""
    return np.asarray(gammaln(d / 2) - gammaln(d / 2 + ell))


def _log_power(exponent: Real, base: Real) -> Real:
    """log base^exponent, with 0⁰ = 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(exponent == 0, 0.0, exponent * np.log(base))


@checked_arguments
def uniform_energy(beta: ArrayLike, d: ArrayLike = 3) -> Real:
    """(1/2β)∬e^{β⟨x,y⟩} of the uniform law, λ_0/(2β), the least of all laws on S^{d-1} :cite:`meanfield2025`; β > 0."""
    b = reals("beta", beta, 0)
    if (b == 0).any():
        raise InputError("beta", beta, "the energy is infinite at β = 0", "pass beta > 0")
    return np.asarray(attention_multiplier(0, b, d) / (2 * b))
