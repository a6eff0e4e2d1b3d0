"""Exponents of two tokens: which of q = 1 (aligned) and q = -1 (antipodal) attracts, and how fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.typing import ArrayLike, NDArray

from fpsolve.errors import InputError
from fpsolve.plain.arguments import checked_arguments
from fpsolve.theory.checks import Real, dimensions, reals

Kernel = Callable[[Any], Any] | tuple[ArrayLike, ArrayLike]
"""k on [-1, 1] (an attribute ``derivative``, a function, is used if there is one), or the pair (k'(1), κ)."""

_DEGREE = 11
_LENGTHS = 2.0 ** -np.arange(7)


@checked_arguments
def distance_exponent(kernel: Kernel, d: ArrayLike, noise: ArrayLike = 1.0) -> Real:
    """λ = ½ε²[(d-3) k'(1) - (d-1) κ], κ = k(1): two close tokens part as |x-y| ~ e^{λt} almost surely.

    For isotropic common noise E[W(x)W(y)ᵀ] = k(⟨x,y⟩) I on S^{d-1}; linear in the distance, so local at q = 1. In d = 3
    it is -κ whatever the kernel is. ``kernel``: a function, differentiated numerically in the angle (to 1e-8; a kernel
    with (1-t)^{3/2}, as of ReLU, included) unless it has an attribute ``derivative``; or the numbers (k'(1), κ), arrays
    that broadcast with ``d`` and ``noise`` ε. Raises InputError for κ < 0, d < 2. Source: :cite:`homogenized2026`.
    """
    slope, kappa = slope_and_value(kernel)
    dimension = dimensions(d)
    return np.asarray(0.5 * reals("noise", noise) ** 2 * ((dimension - 3) * slope - (dimension - 1) * kappa))


@checked_arguments
def antipodal_exponent(beta: ArrayLike, d: ArrayLike) -> Real:
    """(d-1) sech²β - 2: the almost sure growth rate of 1+q at q = -1, two tokens under value noise with A = I.

    In units of ε²σ_V²; the distance of x from -y has half of it. Antipodal pairs attract iff it is negative, that is
    cosh 2β > d-2, and so always on S² (β > 0). Source: :cite:`deepstochastic2026`.
    """
    b = reals("beta", beta, 0)
    return np.asarray((dimensions(d) - 1) * sech(b) ** 2 - 2)


@checked_arguments
def antipodal_attracts(beta: ArrayLike, d: ArrayLike) -> NDArray[np.bool_]:
    """cosh 2β > d-2, as an array of truth values; see :func:`antipodal_exponent` :cite:`deepstochastic2026`."""
    return np.asarray((dimensions(d) - 2) * sech(2 * reals("beta", beta, 0)) < 1)


@checked_arguments
def aligned_attracts(kernel: Kernel, d: ArrayLike) -> NDArray[np.bool_]:
    """λ < 0, that is d <= 3 or k'(1)/κ < (d-1)/(d-3): whether two close tokens meet, as an array of truth values.

    A statement about close pairs under the law that the kernel belongs to, not about collapse: tokens that meet from
    afar change the law and the kernel with it (:func:`fpsolve.scaling` follows them). ``kernel`` as in
    :func:`distance_exponent`; raises InputError for κ <= 0, where there is no noise to compare with.
    Source: :cite:`homogenized2026`.
    """
    slope, kappa = slope_and_value(kernel)
    if (kappa <= 0).any():
        raise InputError("kernel", kernel, "k(1) must be positive", "pass a kernel with noise")
    return np.asarray(distance_exponent((slope, kappa), d) < 0)


@checked_arguments
def critical_slope(d: ArrayLike) -> Real:
    """(d-1)/(d-3), the ratio k'(1)/κ at which aligned tokens cease to attract; infinite for d <= 3.

    Source: :cite:`homogenized2026`.
    """
    dimension = dimensions(d)
    excess = np.maximum(dimension - 3, 0)
    return np.where(excess > 0, (dimension - 1) / np.where(excess > 0, excess, 1), np.inf)


def slope_and_value(kernel: Kernel) -> tuple[Real, Real]:
    """(k'(1), κ) as arrays."""
    if callable(kernel):
        kappa = _at(kernel, np.ones(1))[0]
        derivative = getattr(kernel, "derivative", None)
        slope = _at(derivative, np.ones(1))[0] if callable(derivative) else _slope(kernel, kappa)
    else:
        slope, kappa = _pair(kernel)
    return reals("kernel", slope), reals("kernel", kappa, 0)


def near_zero(f: Callable[[Real], Real]) -> Chebyshev:
    """A polynomial that continues ``f``, smooth on (0, 1] but not computable at 0, to 0.

    Interpolants on shorter and shorter intervals; of two in turn that agree best at 0 the shorter.
    """
    fits = [Chebyshev.interpolate(f, _DEGREE, domain=[0, length]) for length in _LENGTHS]
    values = np.array([fit(0.0) for fit in fits])
    return fits[1 + int(np.argmin(np.abs(np.diff(values))))]


def sech(z: Real) -> Real:
    """1/cosh z for z >= 0 without overflow."""
    return np.asarray(2 * np.exp(-z) / (1 + np.exp(-2 * z)))


def _slope(kernel: Callable[[Any], Any], kappa: float) -> float:
    """k'(1) = lim (κ - k(cos θ)) / (1 - cos θ), θ → 0."""

    def quotient(theta: Real) -> Real:
        t = np.cos(theta)
        return (kappa - _at(kernel, t)) / (1 - t)

    return float(near_zero(quotient)(0.0))


def _at(f: Callable[[Any], Any], t: Real) -> Real:
    return np.asarray(f(t), float) * np.ones_like(t)


def _pair(kernel: Any) -> tuple[Any, Any]:
    try:
        slope, kappa = kernel
    except (TypeError, ValueError):
        remedy = "pass a function of t = ⟨x,y⟩ or the numbers (k'(1), k(1))"
        raise InputError("kernel", kernel, "neither a function nor a pair of numbers", remedy) from None
    return slope, kappa
