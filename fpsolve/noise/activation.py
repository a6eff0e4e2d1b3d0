"""Dual activations: the kernel of a wide random MLP, k(t) = E φ(u)φ(v), (u, v) unit Gaussians of correlation t.

A block Σ_j a_j φ(w_j·x)/√width with iid w_j ~ N(0, I) and centred a_j of unit entries is, for |x| = 1 and large width,
the isotropic field of covariance k(⟨x,y⟩) I. With the normalised Hermite polynomials h_n, φ = Σ a_n h_n and
k(t) = Σ a_n² tⁿ (Mehler), so that k(1) = E φ², k'(1) = E φ'², and k is odd exactly when φ is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.polynomial import hermite_e
from numpy.polynomial.legendre import leggauss
from numpy.polynomial.polynomial import polyder, polyval
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf, expit, gammaln, ndtr

from fpsolve.cached import lru_cache
from fpsolve.errors import InputError, check_number, unknown_name
from fpsolve.plain.arguments import checked_arguments

Real = NDArray[np.float64]
Function = Callable[[Any], Any]
ActivationLike = str | Sequence[float] | Function
"""A name in ``ACTIVATIONS``, the coefficients c_0, c_1, … of a polynomial Σ c_j z^j, or a function of arrays."""

DEGREE = 160
"""Hermite chaoses kept of an activation without a closed form; analytic ones have ended long before."""

REACH = 14.0
"""Gaussian integrals end here: the density is 1e-43."""

RELATIVE_STEP = 1e-5
"""Step of the central difference for φφ'."""


class DualActivation:
    """t ↦ k(t) of an activation, with its derivative and its Hermite weights; take it from :func:`dual_activation`.

    ``hermite``: a_n², shape (N+1,), of sum at most κ. ``remainder``: κ - Σ a_n², which bounds the error of k where
    there is no closed form. ``kappa``: κ = k(1) = E φ².
    """

    def __init__(
        self, function: Function, hermite: Real, kappa: float, closed: tuple[Function, Function] | None
    ) -> None:
        self.function, self.hermite, self.kappa, self._closed = function, hermite, kappa, closed
        self.remainder = max(0.0, kappa - float(hermite.sum()))

    def __call__(self, t: ArrayLike) -> Real:
        """k(t) for |t| ≤ 1, shape of ``t``."""
        values = np.asarray(t, float)
        return np.asarray(polyval(values, self.hermite) if self._closed is None else self._closed[0](values))

    def derivative(self, t: ArrayLike) -> Real:
        """k'(t) for |t| ≤ 1, shape of ``t``."""
        values = np.asarray(t, float)
        return np.asarray(polyval(values, polyder(self.hermite)) if self._closed is None else self._closed[1](values))

    def half_square_slope(self, z: Real) -> Real:
        """φφ'(z), half the slope of φ², by central differences."""
        return (self.function(z + RELATIVE_STEP) ** 2 - self.function(z - RELATIVE_STEP) ** 2) / (4 * RELATIVE_STEP)


def dual_activation(activation: ActivationLike) -> DualActivation:
    """The kernel k(t) = E φ(u)φ(v) of an activation.

    ``relu``: (√(1-t²) + t(π - arccos t))/2π (arc-cosine kernel :cite:`cho2009`); ``erf``: (2/π) arcsin(2t/3)
    :cite:`williams1998`; ``tanh``, ``gelu``, ``sigmoid`` and any function of arrays: Hermite coefficients by
    Gauss–Legendre quadrature on each side of z = 0 (a kink elsewhere costs accuracy); a sequence: the polynomial Σ c_j
    z^j, exactly. Raises InputError for unknown names and for values that are not finite.
    """
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise unknown_name("activation", activation, ACTIVATIONS)
        return _named(activation)
    if callable(activation):
        return _by_quadrature(activation)
    return _polynomial(activation)


def relu(z: Real) -> Real:
    """max(z, 0)."""
    return np.maximum(z, 0.0)


def gelu(z: Real) -> Real:
    """z Φ(z), Φ the normal distribution function."""
    return np.asarray(z * ndtr(z))


def gelu_tanh(z: Real) -> Real:
    """½z(1 + tanh(√(2/π)(z + 0.044715 z³))), GELU as GPT-2 has it :cite:`gelu2016`."""
    return np.asarray(0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z * z * z))))


def quick_gelu(z: Real) -> Real:
    """z σ(1.702 z), GELU as CLIP has it."""
    return np.asarray(z * expit(1.702 * z))


def silu(z: Real) -> Real:
    """z σ(z), swish :cite:`gelu2016`."""
    return np.asarray(z * expit(z))


def mish(z: Real) -> Real:
    """z tanh(log(1 + e^z))."""
    return np.asarray(z * np.tanh(np.logaddexp(0, z)))


def _relu_kernel(t: Real) -> Real:
    c = np.clip(t, -1, 1)
    return (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) / (2 * np.pi)


def _relu_slope(t: Real) -> Real:
    return (np.pi - np.arccos(np.clip(t, -1, 1))) / (2 * np.pi)


def _relu2_kernel(t: Real) -> Real:
    """E relu²(u) relu²(v), the arc-cosine kernel of degree 2; its slope is 4 E relu(u) relu(v) (Price)."""
    c = np.clip(t, -1, 1)
    return (3 * c * np.sqrt(1 - c**2) + (1 + 2 * c**2) * (np.pi - np.arccos(c))) / (2 * np.pi)


def _erf_kernel(t: Real) -> Real:
    return np.asarray(2 / np.pi * np.arcsin(2 * t / 3))


def _erf_slope(t: Real) -> Real:
    return np.asarray(4 / (np.pi * np.sqrt(9 - 4 * t**2)))


ACTIVATIONS: dict[str, Function] = {
    "relu": relu,
    "tanh": np.tanh,
    "erf": erf,
    "gelu": gelu,
    "sigmoid": expit,
    "gelu_new": gelu_tanh,
    "gelu_fast": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "quick_gelu": quick_gelu,
    "silu": silu,
    "swish": silu,
    "mish": mish,
    "relu2": lambda z: relu(z) ** 2,
    "linear": lambda z: np.asarray(z, float),
}
"""Activations by name; the names of the `transformers` library for what it has, several for one function included."""

_CLOSED = {
    "relu": (_relu_kernel, _relu_slope),
    "erf": (_erf_kernel, _erf_slope),
    "relu2": (_relu2_kernel, lambda t: 4 * _relu_kernel(t)),
}


@lru_cache(maxsize=8)
def _named(name: str) -> DualActivation:
    return _by_quadrature(ACTIVATIONS[name], _CLOSED.get(name))


def _by_quadrature(function: Function, closed: tuple[Function, Function] | None = None) -> DualActivation:
    z, weights, hermite = gaussian_rule()
    values = np.asarray(function(z.copy()), float)
    if values.shape != z.shape or not np.isfinite(values).all():
        raise InputError("activation", function, "does not map arrays to finite arrays of their shape", "vectorise it")
    return DualActivation(function, (hermite @ (weights * values)) ** 2, float(weights @ values**2), closed)


def _polynomial(coefficients: Sequence[float]) -> DualActivation:
    try:
        c = np.asarray(coefficients, float)
    except (TypeError, ValueError):
        c = np.full(1, np.nan)
    if c.ndim != 1 or not len(c) or not np.isfinite(c).all():
        raise InputError("activation", coefficients, "not coefficients c_0, c_1, …", "pass numbers, or a name")
    in_hermite = hermite_e.poly2herme(c)
    weights = in_hermite**2 * np.exp(gammaln(np.arange(len(in_hermite)) + 1))
    return DualActivation(lambda z: polyval(z, c), weights, float(weights.sum()), None)


@lru_cache(maxsize=1)
def gaussian_rule(nodes: int = 500) -> tuple[Real, Real, Real]:
    """Nodes z, weights for N(0, 1) and h_n(z), n ≤ DEGREE: Gauss–Legendre on each side of zero."""
    s, w = leggauss(nodes)
    half = 0.5 * REACH * (s + 1)
    z = np.concatenate([-half[::-1], half])
    weights = 0.5 * REACH * np.concatenate([w[::-1], w]) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    hermite = np.empty((DEGREE + 1, len(z)))
    hermite[0], hermite[1] = 1.0, z
    for n in range(1, DEGREE):
        hermite[n + 1] = (z * hermite[n] - np.sqrt(n) * hermite[n - 1]) / np.sqrt(n + 1)
    return z, weights, hermite


@checked_arguments
def dissipation_rate(kernel: Function, d: int, beta: float = 0.0, power: float = 1.0) -> float:
    """The largest c with L V ≤ -c V, V(q) = ((e^β - e^{βq})/β)^power, L the generator of two tokens' overlap.

    Isotropic noise k moves the overlap with drift b = (d-2+q²)k(q) - (d-1)κq and variance s = 2(1-q²)(κ - q k(q)),
    κ = k(1) :cite:`homogenized2026`; hence c = inf_q -(b V' + ½ s V'')/V, by a mesh of 2001 angles and the end q = 1,

        power·[(d-1-2·power) κ - (d-3+2·power) k'(1)].

    Noise alone, of a law without μ, moves μ⊗μ as it moves two tokens, so E ∬V(⟨x,y⟩)μ_t(dx)μ_t(dy) decays at
    least as e^{-ε²ct}: for power 1 the interaction energy (e^β - ∬e^{β⟨x,y⟩})/β, at β = 0 the mean of ½|x-y|².
    Negative where there is no such decay. Powers between 0 and 1 weigh rare large distances less: as power → 0,
    c/power tends to a bound on the decay of E log V, and at q = 1 to minus twice the distance exponent. Raises
    InputError for bad numbers.
    """
    if not 2 <= d < 1 << 53:
        raise InputError("d", d, "the dimension must be an integer >= 2", "pass d=3 for the sphere S²")
    check_number("beta", beta, 0)
    if not 0 < power <= 1:
        raise InputError("power", power, "outside (0, 1]", "pass power=1 for the interaction energy")
    q = np.cos(np.linspace(0.01, np.pi, 2001))
    k, kappa = np.asarray(kernel(q.copy()), float), float(np.ravel(kernel(np.ones(1)))[0])
    drift = (d - 2 + q**2) * k - (d - 1) * kappa * q
    variance = 2 * (1 - q**2) * (kappa - q * k)
    slope, curvature = _log_slopes(q, beta, power)
    at_one = power * ((d - 1 - 2 * power) * kappa - (d - 3 + 2 * power) * _end_slope(kernel))
    return float(min(at_one, (-drift * slope - 0.5 * variance * curvature).min()))


@checked_arguments
def is_coercive(kernel: Function, d: int, beta: float = 0.0, power: float = 1.0) -> bool:
    """Whether noise of kernel k dissipates the interaction energy in the mean exponentially: ``dissipation_rate`` > 0.

    At the ends of [-1, 1] that asks for

    * (d-1-2·power) κ > (d-3+2·power) k'(1): for power 1, k'(1)/κ < (d-3)/(d-1). As k'(1) - κ = Σ (n-1) a_n², that takes
      d ≥ 4 and a mean, (E φ)² = a_0² > Σ_{n>1} (n-1) a_n². The sigmoid has it; ReLU (k'(1) = κ), GELU and all centred
      activations have not: their tokens still synchronise where the distance exponent ½[(d-3)k'(1) - (d-1)κ] is
      negative, which is the condition as power → 0, but rare large distances carry the mean;
    * k(-1) > -κ: φ is not odd. Odd ones (tanh, erf) keep antipodal pairs.

    On S² and for power → 0 these suffice: L log(1-q) = -(κ + k(q)). Derived here from the overlap's generator, for
    noise alone; :cite:`scalinglimits2026` asks for noise that is coercive enough against the attention drift.
    """
    return dissipation_rate(kernel, d, beta, power) > 1e-9 * float(np.ravel(kernel(np.ones(1)))[0])


def _log_slopes(q: Real, beta: float, power: float) -> tuple[Real, Real]:
    """V'/V and V''/V of V = E^p, E = (e^β - e^{βq})/β, everything divided by e^{βq}."""
    rest = 1 - q if beta == 0 else np.expm1(beta * (1 - q)) / beta
    first = -1 / rest
    return power * first, power * beta * first + power * (power - 1) * first**2


def _end_slope(kernel: Function) -> float:
    """k'(1), exactly where the kernel offers it, otherwise by a one-sided difference."""
    derivative = getattr(kernel, "derivative", None)
    if derivative is not None:
        return float(np.ravel(derivative(np.ones(1)))[0])
    h = 1e-6
    ends = np.ravel(kernel(np.array([1.0, 1 - h, 1 - 2 * h])))
    return float((3 * ends[0] - 4 * ends[1] + ends[2]) / (2 * h))
