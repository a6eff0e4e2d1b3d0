"""Equiangular tokens, ⟨x_i,x_j⟩ = ρ for i ≠ j: one number instead of n tokens.

Attention with A = V = I keeps n equiangular tokens equiangular in any d that holds them. In the variable
u = log[(ρ + (1-ρ)/n)/(1-ρ)] the two reductions are u̇ = 2/(1 + (e^{β(1-ρ)} - 1)/n) for SA and u̇ = 2e^{βρ} for USA:
bounded, without fixed points, and 1-ρ = 1/(1 + e^u - 1/n) keeps its relative accuracy near synchrony. ``rescaled``
takes the times of USA in units of e^{-β}, u̇ = 2e^{-β(1-ρ)}: those of ``UnnormalisedSelfAttention(rescaled=True)``, for
every β.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from fpsolve.errors import InputError
from fpsolve.plain.arguments import checked_arguments
from fpsolve.theory.checks import Real, dimensions, elementwise, one_of, reals, together, token_numbers
from fpsolve.theory.growth import KINDS

_TOLERANCE = 1e-12
_PANELS, _NODES = 64, 16

Share = float | Callable[[Any], Any]
"""A number or a function of the overlap γ."""


@elementwise
def equiangular_drift(
    overlap: ArrayLike, beta: ArrayLike, n: ArrayLike, kind: str = "sa", rescaled: bool = False
) -> Real:
    """ρ̇ of n equiangular tokens under attention with A = V = I; arguments broadcast, n = ∞ is the mean field.

        SA   2 e^{βρ} (1-ρ) ((n-1)ρ + 1) / (e^β + (n-1) e^{βρ}),     USA  (2/n) e^{βρ} (1-ρ) ((n-1)ρ + 1)

    rescaled: times e^{-β}, for USA. InputError: ρ outside [-1/(n-1), 1], β < 0, n < 2, SA rescaled.
    Source: :cite:`clustering2025`, :cite:`meanfield2025`.
    """
    rho, b, number = _checked(overlap, beta, n, kind, rescaled=rescaled)
    return np.asarray((1 - rho) * (rho + (1 - rho) / number) * _speed(rho, b, number, kind, rescaled))


@elementwise
def equiangular_overlap(
    t: ArrayLike, overlap: ArrayLike, beta: ArrayLike, n: ArrayLike, kind: str = "sa", deficit: bool = False,
    rescaled: bool = False,
) -> Real:  # fmt: skip
    """ρ(t) from ρ(0) = ``overlap``; 1 - ρ(t), accurate near synchrony, for ``deficit``; arguments broadcast, t >= 0.

    The equation of u by an eighth-order Runge–Kutta method at tolerance 1e-12. Raises InputError as
    :func:`equiangular_drift`, and where rates outgrow doubles (USA, β(1-ρ) of some hundreds, times at which the
    tokens have met). rescaled: t in units of e^{-β}, for USA. Source: :cite:`clustering2025`, :cite:`meanfield2025`.
    """
    rho, b, number = _checked(overlap, beta, n, kind, rescaled=rescaled)
    time = reals("t", t, 0)
    values = np.vectorize(_deficit, otypes=[float])(time, rho, b, number, kind, rescaled)
    return np.asarray(values if deficit else 1 - values)


@elementwise
def equiangular_time(
    overlap: ArrayLike, target: ArrayLike, beta: ArrayLike, n: ArrayLike, kind: str = "sa", rescaled: bool = False
) -> Real:
    """Time from ρ(0) = ``overlap`` to ρ = ``target``, ∫ dρ/ρ̇ by Gauss quadrature in u; arguments broadcast.

    Infinite for a target of 1 or a start at -1/(n-1), which stays; InputError for a target below the start. It measures
    metastability: from ρ = 0 tokens need about ½ log n under USA, (1 + e^β/n) times as long under SA. rescaled: in
    units of e^{-β}, for USA. Source: :cite:`meanfield2025`.
    """
    rho, b, number = _checked(overlap, beta, n, kind, rescaled=rescaled)
    goal = _checked(target, beta, n, kind, "target")[0]
    if (goal < rho).any():
        raise InputError("target", target, "below the initial overlap, which only rises", "exchange the two")
    start, end, b, number = np.broadcast_arrays(_potential(rho, number), _potential(goal, number), b, number)
    never = ~(np.isfinite(start) & np.isfinite(end))
    first, last = np.where(never, 0.0, start), np.where(never, 0.0, end)
    u, weights = _composite(first, last)
    inverse = 1 / _speed(1 - _from_potential(u, number[..., None]), b[..., None], number[..., None], kind, rescaled)
    return np.where(never & (start != end), np.inf, (weights * inverse).sum(-1))


@checked_arguments
def synchronisation_rate(beta: ArrayLike, kind: str = "sa") -> Real:
    """Rate at which 1 - ρ decays near ρ = 1: 2 (SA), 2e^β (USA), for any number of tokens; distances have half of it.

    Source: :cite:`clustering2025`.
    """
    b = reals("beta", beta, 0)
    return np.full(b.shape, 2.0) if one_of("kind", kind, KINDS) == "sa" else 2 * np.exp(b)


@elementwise
def simplex_drift(
    overlap: ArrayLike, f: ArrayLike, g: ArrayLike, d: ArrayLike, value_std: ArrayLike | None = None
) -> Real:
    """γ̇ = σ_V²[(d-2+γ²)(γ + (1-γ)g) - (d-1)γ(γ + (1-γ)f)]: mean drift of the overlap γ of simplex data.

    Equiangular tokens under homogenised noise (ε = 1, V with iid centred entries of deviation ``value_std``, 1/√d if
    not given); f = E Σ_k π_ik², g = E Σ_k π_ik π_jk over A. Exact at the initial instant, and along the mean for large
    d, where the overlaps concentrate. Arguments broadcast. InputError: γ outside [-1, 1], f, g outside [0, 1], d < 2.
    Source: :cite:`homogenized2026`.
    """
    gamma, dimension = reals("overlap", overlap, -1, 1), dimensions(d)
    own, shared = reals("f", f, 0, 1), reals("g", g, 0, 1)
    variance = 1 / dimension if value_std is None else reals("value_std", value_std, 0) ** 2
    same, cross = gamma + (1 - gamma) * own, gamma + (1 - gamma) * shared
    return np.asarray(variance * ((dimension - 2 + gamma**2) * cross - (dimension - 1) * gamma * same))


@elementwise
def simplex_overlap(
    t: ArrayLike, overlap: ArrayLike, f: Share, g: Share, d: ArrayLike, value_std: ArrayLike | None = None
) -> Real:
    """γ(t) of :func:`simplex_drift` from γ(0) = ``overlap``; ``f`` and ``g`` numbers or functions of γ.

    ``t``, ``overlap``, ``d`` and ``value_std`` broadcast. The mean path for d → ∞ :cite:`homogenized2026`; Runge–Kutta
    at tolerance 1e-10. Raises InputError as :func:`simplex_drift`, and for t < 0.
    """
    dimension = dimensions(d)
    std = 1 / np.sqrt(dimension) if value_std is None else reals("value_std", value_std, 0)
    numbers = {"t": reals("t", t, 0), "overlap": reals("overlap", overlap, -1, 1), "d": dimension, "value_std": std}
    times, starts, dimension, std = together(**numbers)
    values = np.empty(times.shape)
    groups = np.stack([starts.ravel(), dimension.ravel(), std.ravel()], -1)
    for one in np.unique(groups, axis=0):
        chosen = (groups == one).all(-1).reshape(times.shape)
        values[chosen] = _simplex_path(times[chosen], float(one[0]), f, g, int(one[1]), float(one[2]))
    return values


def _simplex_path(times: Real, start: float, f: Share, g: Share, d: int, value_std: float) -> Real:
    """γ at ``times``, shape (k,)."""

    def rate(_: float, y: Real) -> Real:
        gamma = np.clip(y, -1, 1)
        return simplex_drift(gamma, _share(f, gamma), _share(g, gamma), d, value_std)

    rate(0.0, np.array([start]))  # bad arguments are named even if no time passes
    order = np.unique(times)
    if order.size == 0 or order[-1] == 0:
        return np.full(times.shape, start)
    path = solve_ivp(rate, (0, order[-1]), [start], method="DOP853", t_eval=order, rtol=1e-10, atol=1e-12)
    return np.asarray(path.y[0][np.searchsorted(order, times)])


def _share(value: Share, gamma: Real) -> Any:
    return value(gamma) if callable(value) else value


def _checked(
    overlap: Any, beta: Any, n: Any, kind: str, name: str = "overlap", rescaled: bool = False
) -> tuple[Real, Real, Real]:
    if one_of("kind", kind, KINDS) == "sa" and rescaled:
        raise InputError("rescaled", True, "times of softmax attention have no factor e^{-β}", 'pass kind="usa"')
    rho, number = reals(name, overlap, -1, 1), token_numbers(n)
    least = -1 / (number - 1)
    if (rho < least - 1e-12).any():
        raise InputError(name, overlap, "n equiangular tokens need an overlap >= -1/(n-1)", "raise it or lower n")
    return np.maximum(rho, least), reals("beta", beta, 0), number


def _speed(rho: Real, beta: Real, n: Real, kind: str, rescaled: bool = False) -> Real:
    """u̇."""
    if kind == "usa":
        return np.asarray(2 * np.exp(beta * (rho - rescaled)))
    shrink = np.exp(-beta * (1 - rho))
    return np.asarray(2 * shrink / (shrink + (1 - shrink) / n))


def _potential(rho: Real, n: Real) -> Real:
    """u, -∞ and ∞ at the two fixed points."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.maximum(rho + (1 - rho) / n, 0)) - np.log(1 - rho))


def _from_potential(u: Any, n: Any) -> Any:
    """1 - ρ."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(u) - 1 / n)


def _deficit(t: float, rho: float, beta: float, n: float, kind: str, rescaled: bool) -> float:
    start = float(_potential(np.array(rho), np.array(n)))
    if t == 0 or not np.isfinite(start):
        return 1 - rho

    # in units of its first speed, as the integrator squares its rates
    shift = beta * (rho - rescaled) if kind == "usa" else 0.0

    def rate(_: float, u: Real) -> Real:
        left = _from_potential(u, n)
        if kind == "usa":
            return np.asarray(2 * np.exp(beta * (1 - rho - left)))
        return _speed(1 - left, np.array(beta), np.array(n), kind)

    try:
        with np.errstate(over="raise", invalid="raise"):
            end = t * float(np.exp(shift))
            path = solve_ivp(rate, (0, end), [start], method="DOP853", rtol=_TOLERANCE, atol=_TOLERANCE)
    except FloatingPointError:
        problem = f"at beta = {beta:g} the tokens meet in a part of the time that no double tells from none"
        raise InputError("t", t, problem, "take a time before they meet, a smaller beta, or closer tokens") from None
    return float(_from_potential(path.y[0, -1], n))


def _composite(first: Real, last: Real) -> tuple[Real, Real]:
    """Nodes and weights of a composite Gauss rule from ``first`` to ``last`` along a new last axis."""
    x, w = leggauss(_NODES)
    places = ((np.arange(_PANELS)[:, None] + (x + 1) / 2) / _PANELS).ravel()
    length = (last - first)[..., None]
    return first[..., None] + length * places, length * np.tile(w / (2 * _PANELS), _PANELS)
