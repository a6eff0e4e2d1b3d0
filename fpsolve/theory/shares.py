"""Shares of attention among equiangular tokens, f = E Σ_k π_ik² and g = E Σ_k π_ik π_jk, for fixed and random A.

For Gaussian A the scores of row i are, up to a constant, s z_k with s = βσ_A√(1-γ) and n independent standard normals
z_k, those of another row s z'_k with E z_k z'_k = γ. From 1/S = ∫ e^{-tS} dt, S = Σ_k e^{s z_k}, and independence

    f = n ∫ t E[e^{2sz - te^{sz}}] (E e^{-te^{sz}})^{n-1} dt,
    g = n ∬ E[e^{sz + s'z' - te^{sz} - t'e^{s'z'}}] (E e^{-te^{sz} - t'e^{s'z'}})^{n-1} dt dt'.

In log t and in the normals all integrands are analytic in a strip of half width π/2 and fall off fast: the trapezoidal
rule of step h errs by e^{-π²/h}. z = √ρ c + √(1-ρ) e, z' = √ρ c + √(1-ρ) e' turns double expectations into sums over c.
For A = W W'ᵀ the same holds given q_i = W'ᵀx_i and q_j, with s = βσ_A|q_i|√(1-γ), s' alike and ρ = cos∠(q_i,q_j).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh_tridiagonal

from fpsolve.cached import lru_cache
from fpsolve.errors import DivergedError, InputError
from fpsolve.theory.checks import Real, dimensions, elementwise, one_of, reals, together, token_numbers

KEY_QUERIES = ("identity", "gaussian", "product")


class _Rule(NamedTuple):
    """The trapezoidal rule: its step where the strip has half width π/2, and where normals are cut off."""

    step: float
    far: float


_FINE = _Rule(0.4, 7.0)
"""Errors of 2e-11 and 3e-12."""

_COARSE = _Rule(0.7, 5.5)
"""Errors of 1e-6 and 4e-8."""

_ORDERS, _TOLERANCE = (3, 5, 8, 12), 5e-5
"""Orders of the Gauss rules for |q_i|, |q_j| and their angle, raised until the shares change by less."""

_CHUNK = 2**20
"""Exponentials held at once."""

_LATTICE = 16
"""The most lattice points in a step of log t that tables are made for."""


@elementwise
def simplex_shares(
    overlap: ArrayLike,
    beta: ArrayLike,
    n: ArrayLike,
    *,
    key_query: str = "identity",
    key_query_std: ArrayLike = 1.0,
    d: ArrayLike | None = None,
) -> tuple[Real, Real]:
    """f = E Σ_k π_ik² and g = E Σ_k π_ik π_jk, i ≠ j, of softmax attention among n equiangular tokens.

    key_query: A = I (``identity``), where a = π_ii, b = π_ij, f = a² + (n-1)b², g = 2ab + (n-2)b²; iid Gaussian entries
    (``gaussian``), to 1e-9; or W W'ᵀ (``product``) in R^d, to 1e-4. ``key_query_std``: deviation of the entries, of the
    factors' for ``product``; ``d`` is needed there alone. Arguments broadcast. Costs grow as (βσ_A)² for Gaussian A,
    milliseconds at βσ_A = 4; a thousand times that for ``product``. InputError: as :func:`equiangular_drift`, for n = ∞
    and for unknown laws; DivergedError where the rule for ``product`` is not that accurate.
    Source: :cite:`homogenized2026`.
    """
    one_of("key_query", key_query, KEY_QUERIES)
    numbers = {"overlap": reals("overlap", overlap, -1, 1), "beta": reals("beta", beta, 0), "n": token_numbers(n)}
    numbers["key_query_std"] = reals("key_query_std", key_query_std, 0)
    if key_query == "identity" and (numbers["key_query_std"] != 1).any():
        raise InputError("key_query_std", key_query_std, "A = I has none", 'leave it out, or use key_query="gaussian"')
    if key_query == "product" and d is None:
        raise InputError("d", d, "the shares of W W'ᵀ depend on the dimension", "pass d=64, for example")
    numbers["d"] = dimensions(2 if d is None else d)
    rho, beta_, number, std, dimension = together(**numbers)
    if not np.isfinite(number).all():
        raise InputError("n", n, "both shares vanish in the mean field", "pass a finite number of tokens")
    least = -1 / (number - 1)
    if (rho < least - 1e-12).any():
        raise InputError("overlap", overlap, "n equiangular tokens need an overlap >= -1/(n-1)", "raise it or lower n")
    rho = np.maximum(rho, least)
    if key_query == "identity":
        weight = np.exp(-beta_ * (1 - rho))
        a = 1 / (1 + (number - 1) * weight)
        b = weight * a
        return np.asarray(a**2 + (number - 1) * b**2), np.asarray(2 * a * b + (number - 2) * b**2)
    scale = beta_ * std ** (1 if key_query == "gaussian" else 2) * np.sqrt(1 - rho)
    if scale.max(initial=0.0) > SHARPEST:
        problem = f"the scores have the deviation {scale.max():.3g}; the quadrature takes room in its square"
        raise InputError("beta", beta, problem, f"keep it below {SHARPEST:g}")
    found = [
        _gaussian(s, gamma, k) if key_query == "gaussian" else _product(s, gamma, k, int(D))
        for s, gamma, k, D in zip(scale.flat, rho.flat, number.flat, dimension.flat, strict=True)
    ]
    f, g = np.array(found).reshape(-1, 2).T
    return f.reshape(rho.shape), g.reshape(rho.shape)


SHARPEST = 300.0
"""The largest deviation of scores, of which quadratures take a gigabyte."""


@lru_cache(maxsize=4096)
def _gaussian(s: float, gamma: float, n: float) -> tuple[float, float]:
    return _own(s, n, _FINE), _cross(s, s, gamma, n, _FINE)


@lru_cache(maxsize=4096)
def _product(scale: float, gamma: float, n: float, d: int) -> tuple[float, float]:
    """Means over q_i and q_j by rules of rising order."""
    last, change = (np.inf, np.inf), np.inf
    for order in _ORDERS:
        weights, first, second, cosine = rule_of_rows(gamma, d, order)
        nodes = zip(first.tolist(), second.tolist(), cosine.tolist(), strict=True)
        cross = [_cross(scale * a, scale * b, rho, n, _COARSE) for a, b, rho in nodes]
        own = {a: _own(scale * a, n, _COARSE) for a in set(first.tolist())}
        shares = float(weights @ [own[a] for a in first.tolist()]), float(weights @ cross)
        change, last = max(abs(shares[0] - last[0]), abs(shares[1] - last[1])), shares
        if change < _TOLERANCE:
            return shares
    remedy = "average over draws of A: at so sharp an attention no rule of moderate order does"
    raise DivergedError("simplex_shares", f"the rule of order {_ORDERS[-1]} is not accurate", change, remedy)


def rule_of_rows(gamma: float, d: int, order: int) -> tuple[Real, Real, Real, Real]:
    """Weights, |q_i|, |q_j| and cos∠(q_i,q_j) of a Gauss rule, order³ nodes each, for normals with E q_i q_jᵀ = γ I_d.

    q_j = γ q_i + √(1-γ²) w, with |q_i|² ~ χ²_d, a normal along q_i and |w_⊥|² ~ χ²_{d-1}.
    """
    square, p = _chi_square(d, order)
    across, p_across = _chi_square(d - 1, order)
    normal, p_normal = np.polynomial.hermite_e.hermegauss(order)
    r = np.sqrt(square)[:, None, None]
    along = gamma * r + np.sqrt(1 - gamma**2) * normal[:, None]
    length = np.sqrt(along**2 + (1 - gamma**2) * across)
    weights = p[:, None, None] * (p_normal / p_normal.sum())[:, None] * p_across
    return weights.ravel(), np.broadcast_to(r, length.shape).ravel(), length.ravel(), (along / length).ravel()


def _own(s: float, n: float, rule: _Rule) -> float:
    """f of scores s z_k."""
    tau, h = _times(s, n, 0.0, rule)
    z, p = _normal(s, rule)
    y = np.exp(np.minimum(tau[:, None] + s * z, 50))
    return float(n * h * np.sum(((y**2 * np.exp(-y)) @ p) * _power(-np.expm1(-y) @ p, n - 1)))


def _cross(s: float, other: float, rho: float, n: float, rule: _Rule) -> float:
    """g of scores s z_k and other·z'_k, E z_k z'_k = rho."""
    root, rest = float(np.sqrt(abs(rho))), float(np.sqrt(max(1 - abs(rho), 0.0)))
    c, p = _normal(max(s, other) * root, rule) if root > 0 else (np.zeros(1), np.ones(1))
    (hit, pulled, h), (hit2, pulled2, h2) = (_given(one, root, rest, c, n, rule) for one in (s, other))
    if rho < 0:
        hit2, pulled2 = hit2[::-1], pulled2[::-1]
    either = (p @ hit)[:, None] + p @ hit2 - (p[:, None] * hit).T @ hit2
    both = (p[:, None] * pulled).T @ pulled2
    return float(n * h * h2 * np.sum(both * _power(either, n - 1)))


def _power(loss: Real, exponent: float) -> Real:
    """(1 - loss)^exponent for losses in [0, 1], up to their round-off."""
    return np.asarray(np.exp(exponent * np.log1p(-np.minimum(loss, 1 - 1e-15))))


def _given(s: float, root: float, rest: float, c: Real, n: float, rule: _Rule) -> tuple[Real, Real, float]:
    """E[1 - e^{-y}] and E[y e^{-y}], y = t e^{s(root·c + rest·e)}, at all c and times, and the step of log t."""
    shift = float(s * root * (c[-1] - c[0]) / max(1, len(c) - 1))
    tau, h = _times(s, n, shift, rule)
    x = tau + s * root * c[:, None]
    values, places = x.ravel(), np.arange(x.size).reshape(x.shape)
    if shift * _LATTICE > rule.step:  # log t + s root c is on a lattice: every value once
        places = np.rint((x - x.min()) / shift).astype(int)
        values = x.min() + shift * np.arange(places.max() + 1)
    e, p = _normal(s * rest, rule)
    hit, pulled = np.empty(values.shape), np.empty(values.shape)
    for part in np.array_split(np.arange(len(values)), 1 + values.size * e.size // _CHUNK):
        y = np.exp(np.minimum(values[part, None] + s * rest * e, 50))
        far = np.exp(-y)
        hit[part], pulled[part] = (1 - far) @ p, (y * far) @ p
    return hit[places], pulled[places], h


def _times(s: float, n: float, shift: float, rule: _Rule) -> tuple[Real, float]:
    """log t and its step, a multiple of ``shift`` unless that is too small."""
    h = shift * max(1, int(rule.step / shift)) if shift * _LATTICE > rule.step else rule.step
    first, last = -s * rule.far - np.log(n) - 24, s * rule.far + 4
    return first + h * np.arange(int((last - first) / h) + 2), h


def _normal(s: float, rule: _Rule) -> tuple[Real, Real]:
    """Nodes and weights of a standard normal that is multiplied by s."""
    h = min(0.5, rule.step / s) if s > 0 else 0.5
    k = int(rule.far / h) + 1
    z = h * np.arange(-k, k + 1)
    p = np.exp(-(z**2) / 2)
    return np.asarray(z, float), p / p.sum()


@lru_cache(maxsize=32)
def _chi_square(degrees: int, order: int) -> tuple[Real, Real]:
    """The Gauss rule of χ² with these degrees of freedom, by the recurrence of Laguerre polynomials."""
    k, alpha = np.arange(order), degrees / 2 - 1
    values, vectors = eigh_tridiagonal(2 * k + 1 + alpha, np.sqrt(k[1:] * (k[1:] + alpha)))
    return np.asarray(2 * values), np.asarray(vectors[0] ** 2)
