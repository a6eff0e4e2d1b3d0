"""The ends of an overlap diffusion dq = b dt + √s dB in rapidity w = artanh q: what its coefficients tend to there.

With h = (1-q²) 2b/s and τ = 2(1-q²)²/s the generator is τ⁻¹(∂_w² + (h + 2 tanh w) ∂_w). Near q = ±1 both are lost in
cancellation, and are continued by polynomials in the angle to the end. An end where τ > 0 is never reached (natural);
one where τ → 0 lies at a finite distance in time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from fpsolve.errors import InputError
from fpsolve.theory.checks import Real
from fpsolve.theory.exponents import near_zero

NEAR = 0.01
"""Angle to an end below which h and τ are continued by a polynomial."""

Continuation = Callable[[Real], Real]


class Diffusion(Protocol):
    """``drift`` b and ``variance`` s, functions of the overlap."""

    @property
    def drift(self) -> Callable[[Any], Any]: ...

    @property
    def variance(self) -> Callable[[Any], Any]: ...


class End(NamedTuple):
    """An end of [-1, 1]: S' ~ (distance)^{-``exponent``}; ``kind`` is attracting, repelling or crossed."""

    exponent: float
    kind: str


def has_noise_inside(diffusion: Diffusion) -> bool:
    """Whether the variance is positive inside (-1, 1)."""
    return bool((diffusion.variance(np.linspace(-0.95, 0.95, 39)) * np.ones(39) > 0).all())


def check_noise(diffusion: Diffusion) -> None:
    """Raise InputError unless the variance is positive inside (-1, 1)."""
    if not has_noise_inside(diffusion):
        raise InputError("diffusion", diffusion, "the variance must be positive inside (-1, 1)", "pass one with noise")


def slope(diffusion: Diffusion, q: Real) -> Real:
    """h = (1-q²) 2b/s."""
    return np.asarray((1 - q) * (1 + q) * 2 * diffusion.drift(q) / diffusion.variance(q))


def duration(diffusion: Diffusion, q: Real) -> Real:
    """τ = 2(1-q²)²/s."""
    return np.asarray(2 * ((1 - q) * (1 + q)) ** 2 / (diffusion.variance(q) * np.ones_like(q)))


def continuations(
    diffusion: Diffusion, function: Callable[[Diffusion, Real], Real] = slope
) -> tuple[Continuation, Continuation]:
    """h, or another ``function`` of the overlap, near q = -1 and q = +1 as functions of the angle to the end."""
    lower = near_zero(lambda angle: function(diffusion, -np.cos(angle)))
    return lower, near_zero(lambda angle: function(diffusion, np.cos(angle)))


def in_rapidity(
    diffusion: Diffusion, function: Callable[[Diffusion, Real], Real] = slope
) -> Callable[[Real], Real]:
    """h, or another ``function`` of the overlap, as a function of w, continued to the ends."""
    lower, upper = continuations(diffusion, function)

    def value(w: Real) -> Real:
        angle = 2 * np.arctan(np.exp(-np.abs(w)))  # to the nearer end
        inside = function(diffusion, np.sign(w) * np.cos(np.maximum(angle, NEAR)))
        return np.where(angle >= NEAR, inside, np.where(w > 0, upper(angle), lower(angle)))

    return value


def moving_ends(diffusion: Diffusion) -> tuple[bool, bool]:
    """Whether the drift leads away from q = -1, from q = +1; where not, tokens there stay."""
    drifts = diffusion.drift(np.array([-1.0, 1.0])) * np.ones(2)
    moving = np.abs(drifts) > 1e-9 * np.abs(diffusion.drift(np.linspace(-1, 1, 9))).max()
    return bool(moving[0]), bool(moving[1])


def ends(diffusion: Diffusion) -> tuple[End, End]:
    """The ends q = -1 and q = +1, of exponents p± = ∓h(±1)/2."""
    zero = np.array(0.0)
    lower, upper = continuations(diffusion)
    exponents = float(lower(zero)) / 2, -float(upper(zero)) / 2
    kinds = [_kind(p, moving) for p, moving in zip(exponents, moving_ends(diffusion), strict=True)]
    return End(exponents[0], kinds[0]), End(exponents[1], kinds[1])


def _kind(exponent: float, moving: bool) -> str:
    if exponent >= 1 - 1e-8:
        return "repelling"
    return "crossed" if moving else "attracting"
