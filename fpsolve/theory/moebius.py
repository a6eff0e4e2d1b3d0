"""Boosts of the sphere: the flows of spatially constant fields P_x w, and the densities that they carry.

In the ball model the flow of P_x w over unit time is x ↦ b ⊕ x, b = tanh(|w|/2) w/|w|, a Möbius map that keeps the
sphere. At β = 0 attention is the mean, all noise is spatially constant, and μ_t stays on the Möbius orbit of μ_0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, hyp2f1, poch

from fpsolve.errors import InputError
from fpsolve.plain.arguments import checked_arguments
from fpsolve.theory.checks import (
    Real,
    dimensions,
    elementwise,
    integers,
    reals,
    same_dimension,
    unit_vectors,
    vectors,
)

_FARTHEST = 150.0
"""Boosts beyond this rapidity take every point but one to the same double."""


@checked_arguments
def boost(x: ArrayLike, w: ArrayLike) -> Real:
    """The flow of ẋ = P_x w over unit time, unit vectors to unit vectors; shapes (..., d), leading axes broadcast.

    With r = |w|, e = w/r, c = ⟨x,e⟩:  (x + (sinh r + (cosh r - 1) c) e) / (cosh r + c sinh r), any d >= 2; accurate
    near the unstable point -e too. InputError for x off the sphere. Source: :cite:`homogenized2026` (β = 0).
    """
    points, field = unit_vectors("x", x), vectors("w", w)
    same_dimension("x", points, "w", field)
    r = np.linalg.norm(field, axis=-1, keepdims=True)
    e = field / np.where(r > 0, r, 1)
    from_pole = points + e
    y = (from_pole**2).sum(-1, keepdims=True) / 2  # 1 + c
    decay = np.exp(-np.minimum(r, _FARTHEST))  # all is multiplied by 2e^{-r}, so that nothing overflows
    moved = 2 * decay * (from_pole - decay * e) + np.expm1(-r) ** 2 * y * e
    return np.asarray(moved / np.linalg.norm(moved, axis=-1, keepdims=True))


@checked_arguments
def boost_parameter(w: ArrayLike) -> Real:
    """b = tanh(|w|/2) w/|w| of the flow of P_x w over unit time, shape (..., d).

    InputError for what is no array of vectors. Source: :cite:`ratcliffe2019` (chapter 4).
    """
    field = vectors("w", w)
    r = np.linalg.norm(field, axis=-1, keepdims=True)
    return np.asarray(field * np.where(r > 0, np.tanh(r / 2) / np.where(r > 0, r, 1), 0.5))


@checked_arguments
def compose(a: ArrayLike, b: ArrayLike) -> Real:
    """a ⊕ b = ((1 + 2⟨a,b⟩ + |b|²) a + (1-|a|²) b) / (1 + 2⟨a,b⟩ + |a|²|b|²), vectors of the unit ball (..., d).

    The image of the point b, of the ball or of the sphere, under the boost of parameter a; so ρ_b
    (:func:`moebius_density`) is carried by that boost to ρ_{a⊕b}. Not commutative: the composition of two boosts is a
    boost times a rotation, which the uniform law does not feel. Leading axes broadcast. InputError outside the ball.
    Source: :cite:`ratcliffe2019` (chapter 4).
    """
    first, second = _ball("a", a, closed=False), _ball("b", b, closed=True)
    same_dimension("a", first, "b", second)
    aa, bb = ((v * v).sum(-1, keepdims=True) for v in (first, second))
    ab = (first * second).sum(-1, keepdims=True)
    return np.asarray(((1 + 2 * ab + bb) * first + (1 - aa) * second) / (1 + 2 * ab + aa * bb))


@checked_arguments
def moebius_density(x: ArrayLike, a: ArrayLike) -> Real:
    """ρ_a(x) = ((1-|a|²)/|x-a|²)^{d-1} / |S^{d-1}|: the uniform law carried by the boost of parameter ``a``, |a| < 1.

    Surface measure on S^{d-1}, d the length of the vectors; shapes (..., d), leading axes broadcast to the result's.
    On S² ((1-|a|²)/|x-a|²)²/4π. InputError for x off the sphere and |a| >= 1. The Jacobian of the boost,
    :cite:`ratcliffe2019` (chapter 4).
    """
    points, centre = unit_vectors("x", x), _ball("a", a, closed=False)
    same_dimension("x", points, "a", centre)
    d, size = points.shape[-1], np.linalg.norm(centre, axis=-1)
    ratio = (1 - size) * (1 + size) / ((points - centre) ** 2).sum(-1)
    area = np.log(2) + d / 2 * np.log(np.pi) - gammaln(d / 2)
    return np.asarray(np.exp((d - 1) * np.log(ratio) - area))


@elementwise
def moebius_moment(degree: ArrayLike, radius: ArrayLike, d: ArrayLike = 3) -> Real:
    """E P_ℓ(⟨x, a/|a|⟩) under ρ_a, ``radius`` r = |a| in [0, 1), P_ℓ(1) = 1 zonal on S^{d-1}; arguments broadcast.

    (d-1)_ℓ/(d/2)_ℓ r^ℓ ₂F₁(ℓ, 1-d/2; ℓ+d/2; r²), a radial eigenfunction of the hyperbolic Laplacian. ℓ = 1 is the
    length of the mean of ρ_a; on the circle r^ℓ. InputError for |a| >= 1, ℓ < 0, d < 2. Derived here
    from the radial Laplacian; for the disk :cite:`helgason2000` (introduction, §4).
    """
    ell, dimension = integers("degree", degree, 0), dimensions(d)
    r = reals("radius", radius, 0, 1)
    if (r == 1).any():
        raise InputError("radius", radius, "must be below 1", "a point mass has every moment 1")
    factor = poch(dimension - 1, ell) / poch(dimension / 2, ell)
    return np.asarray(factor * r**ell * hyp2f1(ell, 1 - dimension / 2, ell + dimension / 2, r**2))


@checked_arguments
def moebius_orbit(start: ArrayLike, increments: ArrayLike, value_std: float = 1.0) -> Real:
    """Parameters a_0 = ``start``, a_1, … of μ_t = ρ_{a_t} at β = 0, shape (steps+1, d), from ``increments`` (steps, d).

    Attention of β = 0 is the mean m of μ, so dW = σ_V|m| dB with B a Brownian motion of R^d, whose increments are
    given: a_{k+1} = b_k ⊕ a_k, b_k the boost of σ_V|m(a_k)| ΔB_k. This is exact for steps that freeze the law of the
    noise, and the SDE itself as they go to zero. The uniform law, a = 0, stays. Source: :cite:`homogenized2026`.
    """
    centre, steps = _ball("start", start, closed=False), vectors("increments", increments)
    if centre.ndim != 1 or steps.ndim != 2:
        raise InputError("increments", increments, "must be of shape (steps, d) for a start of shape (d,)", "reshape")
    same_dimension("start", centre, "increments", steps)
    std = float(reals("value_std", value_std, 0))
    orbit = [centre]
    for increment in steps:
        mean = moebius_moment(1, np.linalg.norm(orbit[-1]), len(centre))
        orbit.append(compose(boost_parameter(std * mean * increment), orbit[-1]))
    return np.array(orbit)


def _ball(name: str, value: ArrayLike, closed: bool) -> Real:
    """Vectors of the unit ball; of the sphere too if ``closed``."""
    array = vectors(name, value)
    size = np.linalg.norm(array, axis=-1)
    if not ((size <= 1 + 1e-9) if closed else (size < 1)).all():
        raise InputError(name, value, "outside the unit ball", f"its length must be {'<=' if closed else '<'} 1")
    return array
