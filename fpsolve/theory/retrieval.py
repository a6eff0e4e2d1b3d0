"""Lost in the middle: which past tokens a causal prompt on the circle retrieves.

Causal attention with positional decay: θ̇_j = Z_j⁻¹ Σ_{k<j} e^{-λ(j-k)/N} w'(θ_j - θ_k), w = e^{β cos θ}, with
Z_j = Σ_{k<j} e^{-λ(j-k)/N}. Linearised about iid uniform angles, σ = j/N, the mode e^{inθ} obeys a Volterra equation

    ∂_t u(t,σ) = a_n ∫_0^σ k_λ(σ,σ') u(t,σ') dσ',   k_λ = λ e^{-λ(σ-σ')} / (1 - e^{-λσ}),   a_n = n² I_n(β).

In E = e^{λσ} - 1 the operator is the running mean E⁻¹∫_0^E u dE', whose powers have the kernels k_λ Y^{m-1}/(m-1)! with
Y = log(E/E₀); so u(t,·) = u_0 + ∫ g u_0 with the profile g below. Source of all: arXiv:2605.09213.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import i1e, iv, ive

from fpsolve.errors import InputError
from fpsolve.memory import check_memory
from fpsolve.plain.arguments import checked_arguments
from fpsolve.theory.checks import Real, elementwise, integers, reals

MODE_BYTES = 1 << 16
"""So many modes are refused that the sum over them would not end soon."""


@elementwise
def causal_kernel(sigma: ArrayLike, source: ArrayLike, decay: ArrayLike) -> Real:
    """k_λ(σ,σ₀) = λ e^{-λ(σ-σ₀)} / (1 - e^{-λσ}) for σ₀ <= σ, else 0; ∫_0^σ k_λ dσ₀ = 1, and 1/σ at λ = 0.

    ``sigma`` σ in (0, 1], ``source`` σ₀ in [0, 1], ``decay`` λ >= 0; arguments broadcast. Source: arXiv:2605.09213.
    """
    s, s0, lam = _positions(sigma, source, decay)
    return np.where(s0 <= s, np.exp(-lam * (s - s0)) / _length(s, lam), 0.0)


@checked_arguments
def log_distance(sigma: ArrayLike, source: ArrayLike, decay: ArrayLike) -> Real:
    """Y = log((e^{λσ}-1)/(e^{λσ₀}-1)), log(σ/σ₀) at λ = 0; ∞ at σ₀ = 0, negative for σ₀ > σ; arXiv:2605.09213."""
    s, s0, lam = _positions(sigma, source, decay)
    with np.errstate(divide="ignore"):  # e^{λσ} - 1 = e^{λσ}(1 - e^{-λσ})
        return np.asarray(lam * (s - s0) + np.log(_length(s, lam)) - np.log(_length(s0, lam)))


@elementwise
def retrieval_profile(
    t: ArrayLike, source: ArrayLike, strength: ArrayLike, decay: ArrayLike, sigma: ArrayLike = 1.0
) -> Real:
    """g_a(t,σ;σ₀) = k_λ √(at/Y) I₁(2√(atY)): the influence at σ of a perturbation at σ₀, one mode; arguments broadcast.

    ``strength`` a = a_n, see :func:`mode_strength`. It is a t k_λ at σ₀ = σ, 0 for σ₀ > σ (causality) and for t = 0,
    and grows to ∞ as σ₀ → 0 (primacy); ∫_0^σ g dσ₀ = e^{at} - 1. Overflows to ∞ beyond atY ~ 1e5. Assumes iid uniform
    tokens, linear order. InputError: t, a, λ < 0, positions outside [0, 1], σ = 0. Source: arXiv:2605.09213.
    """
    at = reals("t", t, 0) * reals("strength", strength, 0)
    distance, kernel = log_distance(sigma, source, decay), causal_kernel(sigma, source, decay)
    finite = np.where(np.isfinite(distance), np.maximum(distance, 0.0), 0.0)
    z = 2 * np.sqrt(at * finite)
    with np.errstate(over="ignore", invalid="ignore"):
        growth = np.where(z > 0, 2 * i1e(z) * np.exp(z) / np.where(z > 0, z, 1), 1.0)  # I₁(z)/(z/2)
    growth = np.where(np.isposinf(distance) & (at > 0), np.inf, growth)
    return np.asarray(kernel * at * growth)


@elementwise
def mode_strength(n: ArrayLike, beta: ArrayLike) -> Real:
    """a_n = n² I_n(β), the growth rate of the mode e^{inθ} of uniform tokens; arguments broadcast. arXiv:2605.09213."""
    number = integers("n", n, 1)
    return np.asarray(number**2 * iv(number, reals("beta", beta, 0)))


@checked_arguments
def mode_weight(n: ArrayLike, width: ArrayLike) -> Real:
    """ω_n = e^{-π²n²/(2M²)}, the share of mode n in the retrieval of M = ``width`` > 0 classes. arXiv:2605.09213."""
    m = reals("width", width, 0)
    if (m == 0).any():
        raise InputError("width", width, "must be positive", "pass M, for example 8")
    return np.asarray(np.exp(-((np.pi * integers("n", n, 1) / m) ** 2) / 2))


@elementwise
def retrieval(
    t: ArrayLike, source: ArrayLike, beta: ArrayLike, decay: ArrayLike, width: ArrayLike = 8.0, modes: int = 20
) -> Real:
    """Σ_{n=1}^{modes} ω_n g_{a_n}(t,1;σ₀): retrieval at the end of the prompt, up to a factor; arguments broadcast.

    As a function of σ₀ it falls from ∞ at 0 and, for t below :func:`critical_time`, rises again towards 1: the middle
    is lost. Source: arXiv:2605.09213.
    """
    n, (time, start, b, lam, m) = _modes(modes, t=t, source=source, beta=beta, decay=decay, width=width)
    strength = mode_strength(n, b)
    if not np.isfinite(strength).all():
        raise InputError("beta", beta, "the strength of a mode, n² I_n(β), leaves double precision", "pass beta < 700")
    terms = mode_weight(n, m) * retrieval_profile(time, start, strength, lam)
    return np.asarray(terms.sum(-1))


@elementwise
def critical_time(beta: ArrayLike, decay: ArrayLike, width: ArrayLike = 8.0, modes: int = 20) -> Real:
    """t_crit = 2(1-e^{-λ}) Σ ω_n a_n / Σ ω_n a_n², sums over n = 1..``modes``; arguments broadcast.

    The profile at its end has the slope ∂_{σ₀} g_a = k [λ a t - (a t)² k/2], k = k_λ(1,1) = λ/(1-e^{-λ}): the last
    tokens gain over those before them (a U shape) iff t < t_crit. Zero at λ = 0 (no decay, no recency).
    InputError: β <= 0 (no mode grows), λ < 0, M <= 0, modes < 1. Source: arXiv:2605.09213.
    """
    n, (b, lam, m) = _modes(modes, beta=beta, decay=decay, width=width)
    if not (b > 0).all():
        raise InputError("beta", beta, "no mode grows without a positive β", "pass beta > 0")
    weight, scaled = mode_weight(n, m), n**2 * ive(n, b)  # a_n e^{-β}
    fraction = np.exp(-b[..., 0]) * (weight * scaled).sum(-1) / (weight * scaled**2).sum(-1)
    return np.asarray(-2 * np.expm1(-reals("decay", lam, 0)[..., 0]) * fraction)


def _modes(modes: int, **values: ArrayLike) -> tuple[Real, list[Real]]:
    """1..modes along a new last axis, and the arguments with a last axis of length one."""
    last = int(integers("modes", modes, 1))
    check_memory("modes", last, MODE_BYTES)
    return np.arange(1.0, last + 1), [reals(name, value)[..., None] for name, value in values.items()]


def _positions(sigma: ArrayLike, source: ArrayLike, decay: ArrayLike) -> tuple[Real, Real, Real]:
    s = reals("sigma", sigma, 0, 1)
    if (s == 0).any():
        raise InputError("sigma", sigma, "the first token has no past", "pass positions in (0, 1]")
    return s, reals("source", source, 0, 1), reals("decay", decay, 0)


def _length(s: Real, decay: Real) -> Real:
    """(1 - e^{-λσ})/λ, σ at λ = 0."""
    return np.where(decay > 0, -np.expm1(-decay * s) / np.where(decay > 0, decay, 1), s)
