"""Thresholds of the noisy transformer: where the uniform law loses stability, and how the transition looks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from fpsolve.errors import InputError
from fpsolve.plain.arguments import checked_arguments
from fpsolve.theory.checks import Real, dimensions, elementwise, integers, one_of, reals
from fpsolve.theory.growth import KINDS, multiplier_over_beta

_LARGEST = 1e12


@elementwise
def critical_diffusion(beta: ArrayLike, d: ArrayLike = 3, kind: str = "usa", degree: ArrayLike = 1) -> Real:
    """ν below which a perturbation of ``degree`` ℓ of the uniform law grows; arguments broadcast.

        USA  Γ(d/2) (2/β)^{d/2-1} I_{d/2-1+ℓ}(β) / β,    SA  I_{d/2-1+ℓ}(β) / (β I_{d/2-1}(β))

    It falls with ℓ, so that the uniform law is linearly stable iff ν > that of ℓ = 1 (S²: i_1(β)/β and i_1/(β i_0); 1/d
    at β = 0). arXiv:2606.05140 states it as K_# = 1/(2ν), the coupling at noise ½Δ. InputError: ℓ < 1, β < 0, d < 2.
    Source: arXiv:2510.20094, arXiv:2606.05140.
    """
    one_of("kind", kind, KINDS)
    ell = integers("degree", degree, 1)
    return multiplier_over_beta(ell, reals("beta", beta, 0), dimensions(d), kind)


@elementwise
def critical_beta(diffusion: ArrayLike, d: ArrayLike = 3, kind: str = "usa", degree: ArrayLike = 1) -> Real:
    """β at which :func:`critical_diffusion` equals ν; arguments broadcast.

    USA: the uniform law is unstable in this degree for β above it, 0 where it is for all β > 0 (ν <= 1/d at ℓ = 1).
    SA, ℓ = 1 only: unstable for β BELOW it; 0 for ν >= 1/d, where it is stable for all β, ∞ for ν = 0. SA in higher
    degrees has two thresholds or none and is refused. Source: arXiv:2510.20094, arXiv:2606.05140.
    """
    one_of("kind", kind, KINDS)
    ell = integers("degree", degree, 1)
    if kind == "sa" and (ell > 1).any():
        raise InputError("degree", degree, "with kind='sa' only degree 1 has one threshold", "pass degree=1")
    arrays = reals("diffusion", diffusion, 0), dimensions(d), ell
    return np.asarray(np.vectorize(_threshold, otypes=[float])(*arrays, kind), float)


@checked_arguments
def transition_beta(d: ArrayLike = 3) -> Real:
    """β_* with I_{d/2+1}(β_*)/I_{d/2}(β_*) = 1/d, shape of ``d``.

    USA with noise: for β <= β_* the uniform law is the only minimiser of the free energy until it loses linear
    stability (continuous transition), for β > β_* another one wins before (discontinuous). Source: arXiv:2606.05140.
    """
    return np.asarray(np.vectorize(_transition, otypes=[float])(dimensions(d)), float)


@checked_arguments
def transition_is_continuous(beta: ArrayLike, d: ArrayLike = 3) -> NDArray[np.bool_]:
    """β <= β_*(d), as an array of truth values; see :func:`transition_beta`. Source: arXiv:2606.05140."""
    return np.asarray(reals("beta", beta, 0) <= transition_beta(d))


@elementwise
def low_temperature_bound(beta: ArrayLike, t: ArrayLike, growth: ArrayLike, decay: ArrayLike) -> Real:
    """√(log(β+1)/β) e^{Ct} + e^{-ct}: W₂ from the law projected to the top eigenspace, up to a factor, t >= 0.

    ``growth`` C and ``decay`` c are constants of the matrices and the initial law, which the theorem does not name;
    arguments broadcast. Least at t = log((c/C) √(β/log(β+1)))/(C+c), of order (log β/β)^{c/(2(C+c))}: a transient that
    lasts to t ~ log β. Raises InputError for β <= 0 and negative times or rates. Source: :cite:`lowtemperature2026`.
    """
    b, time = reals("beta", beta, 0), reals("t", t, 0)
    if (b == 0).any():
        raise InputError("beta", beta, "must be positive", "the bound is for β → ∞")
    rise, fall = reals("growth", growth, 0), reals("decay", decay, 0)
    return np.asarray(np.sqrt(np.log1p(b) / b) * np.exp(rise * time) + np.exp(-fall * time))


def _threshold(nu: float, d: float, ell: float, kind: str) -> float:
    def excess(beta: float) -> float:
        """Rises with β in both kinds."""
        level = float(multiplier_over_beta(np.array(ell), np.array(beta), np.array(d), kind))
        return level - nu if kind == "usa" else nu - level

    if kind == "sa" and nu == 0:
        return np.inf
    if excess(0.0) >= 0:
        return 0.0
    return _root(excess, 1.0)


def _transition(d: float) -> float:
    def excess(beta: float) -> float:
        # the ratio of degree 1 in d + 2 dimensions; β_* is about (d+2)/d
        return beta * float(multiplier_over_beta(np.array(1.0), np.array(beta), np.array(d + 2), "sa")) - 1 / d

    return _root(excess, 1.0)


def _root(f: Callable[[float], float], guess: float) -> float:
    """The root of a rising function that is negative near zero."""
    high = guess
    while f(high) < 0:
        if high > _LARGEST:
            return np.inf
        high *= 2
    low = high / 2
    while f(low) > 0:
        low /= 2
    return float(brentq(f, low, high, xtol=1e-15 * high, rtol=1e-14))
