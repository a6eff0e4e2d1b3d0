r"""Brownian motion of S^{d-1} over a heat time τ, as a monotone map of the length of a Gaussian vector.

The angle Θ that e^{τΔ} covers has X = sin²(Θ/2) a Wright–Fisher diffusion from 0, whose law is a mixture of positive
terms in every d and τ :cite:`jenkins2017` :cite:`mijatovic2020`,

    X ~ Σ_m q_m(τ) Beta(a, a+m),  a = (d-1)/2,

q_m(τ) the law of the number M of lineages: M falls from infinity, m → m-1 at rate λ_m = m(m+d-2), so that

    q_m(τ) = ∏_{k>m} λ_k · L⁻¹[∏_{k≥m} 1/(λ_k+s)](τ),  and E M/(M+d-1) = E cos Θ = e^{-(d-1)τ}.

(The series of Gegenbauer polynomials cancels for small τ, in high d all its digits.) A Gaussian tangent vector of unit
entries has the length R, and R ↦ Θ by P(Θ ≤ θ) = P(R ≤ r) is increasing, smooth, and √(2τ) R (1 - (d-2)τ/6 + O(τ²)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.special import betainc, betaln, binom, gammainc, gammaincc, gammainccinv, gammaincinv, gammaln, loggamma

from fpsolve.cached import lru_cache
from fpsolve.errors import InputError, check_number

Real = NDArray[np.float64]

TINY = 1e-6
"""Below this (d-1)τ two terms in τ are right to 1e-13."""

UNIFORM = 60.0
"""From this (d-1)τ on the angle has its limit law, uniform points: what is left is d e^{-60}."""

FARTHEST = 1e-25
"""Lengths R beyond these quantiles, which no path has, take the ratio Θ : R of the quantile."""

NODES, KNOTS = 96, 4096
"""Chebyshev nodes at which the map is solved for, and knots of a spline: both below the round-off of the sums."""

FAR, NEGLIGIBLE = 14.0, 42.0
"""Lineages are followed so many √m from their mean; e^{-42} is no part of a double."""

BY_GAMMA = 3000.0
"""Below this k + d/2 - 1 products of rates come from log-gamma functions, above from sums that do not cancel."""


@dataclass(frozen=True, eq=False)
class HeatMap:
    """R ↦ log(2 tan²(Θ/2) / R²) of one (d, τ) by a spline between ``first`` and ``last``; take it from ``heat_map``."""

    first: float
    last: float
    spline: CubicSpline

    def __call__(self, length: Real) -> Real:
        """log(2 tan²(Θ/2) / R²) at lengths R ≥ 0 of a tangent vector with unit Gaussian entries."""
        return np.asarray(self.spline(np.clip(length, self.first, self.last)))


def moved(x: Real, tangent: Real, tau: float) -> Real:
    """Points x (n, d) of S^{d-1} moved along ``tangent`` by the angle Θ of heat time τ; rows of length one.

    ``tangent``: Gaussian of unit entries in the tangent spaces, shape (n, d). With T = tan²(Θ/2) and R the length,
    x cos Θ + (tangent/R) sin Θ = ((1-T) x + 2(√T/R) tangent) / (1+T). On the circle Θ = √(2τ) R, not folded to [0, π].
    Raises InputError for a τ that is negative or not finite.
    """
    tau, d = check_number("amount", tau, 0), x.shape[1]
    if tau == 0:
        return x
    square = np.einsum("na,na->n", tangent, tangent)
    if d == 2:
        angle = np.sqrt(2 * tau * square)[:, None]
        turned = np.cos(angle) * x + np.sqrt(2 * tau) * np.sinc(angle / np.pi) * tangent
    else:
        ratio = _ratio(d, tau, np.sqrt(square))
        T = np.minimum(0.5 * square * ratio, 1e300)[:, None]
        turned = (1 - T) / (1 + T) * x + (np.sqrt(2 * ratio)[:, None] / (1 + T)) * tangent
    return turned / np.sqrt(np.einsum("na,na->n", turned, turned))[:, None]


def _ratio(d: int, tau: float, length: Real) -> Real:
    """2 tan²(Θ/2) / R²."""
    if (d - 1) * tau >= TINY:
        return np.exp(heat_map(d, min(tau, UNIFORM / (d - 1)))(length))
    half = np.sqrt(tau / 2) * (1 - (d - 2) * tau / 6)  # Θ/2R
    return 2 * half**2 * (1 + (2 / 3) * (half * length) ** 2)


@lru_cache(maxsize=32)
def heat_map(d: int, tau: float) -> HeatMap:
    """The map of d ≥ 3 and (d-1)τ ≥ ``TINY``, tan²(Θ/2) to 1e-9 of itself: E P_ℓ(cos Θ) = e^{-ℓ(ℓ+d-2)τ} to 1e-11.

    Raises InputError for other d and τ.
    """
    if isinstance(d, bool) or not isinstance(d, int | np.integer) or d < 3:
        raise InputError("d", d, "the map is tabulated for d >= 3", "pass an integer >= 3")
    check_number("tau", tau, TINY / (d - 1))
    a = (d - 1) / 2
    first, last = np.sqrt(2 * gammaincinv(a, FARTHEST)), np.sqrt(2 * gammainccinv(a, FARTHEST))
    nodes = 0.5 * (first + last) + 0.5 * (last - first) * chebyshev.chebpts1(NODES)
    series = chebyshev.Chebyshev.fit(nodes, _solved(a, tau, nodes), NODES - 1, [first, last])
    knots = np.linspace(first, last, KNOTS)
    return HeatMap(float(first), float(last), CubicSpline(knots, series(knots)))


def _solved(a: float, tau: float, lengths: Real) -> Real:
    """log(2T/R²) with P(tan²(Θ/2) ≤ T) = P(R² ≤ lengths²), by Newton's method in log T on the smaller tail's log."""
    m, q = lineages(2 * a - 1, tau)
    half_square = lengths**2 / 2
    lower = gammainc(a, half_square) < 0.5
    target = np.log(np.where(lower, gammainc(a, half_square), gammaincc(a, half_square)))
    log_T = np.log(half_square / (a + float(q @ m)))
    for _ in range(60):
        T = np.exp(log_T)[:, None]
        x, y = T / (1 + T), 1 / (1 + T)
        tail = np.where(lower, (q * betainc(a, a + m, x)).sum(1), (q * betainc(a + m, a, y)).sum(1))
        slope = (q * np.exp(a * np.log(x) + (a + m) * np.log(y) - betaln(a, a + m))).sum(1)
        step = np.where(lower, 1, -1) * (np.log(tail) - target) * tail / slope
        log_T = log_T - np.clip(step, -8, 8)
        if np.abs(step).max() < 1e-8:  # the next one would be of its square
            break
    return log_T - np.log(half_square)


def lineages(n: float, tau: float) -> tuple[Real, Real]:
    """Numbers of lineages m and their weights q_m(τ), n = d-2 > 0; where they are many, a rule of every h-th m.

    The law is then Gaussian enough for the sum over every h-th m, times h, to be the sum over all (h below 0.7 of its
    deviation: e^{-2π²/0.49} = 3e-18).
    """
    if (n + 2) * np.exp(-(n + 1) * tau) < 1:
        return _few(n, tau)
    mean = n / np.expm1(n * tau)
    stride = max(1, int(0.7 * np.sqrt(mean / 3)))
    reach = FAR * np.sqrt(mean + 1) / (1 if stride == 1 else np.sqrt(3))
    first = max(0, int(mean - reach))
    m = np.arange(first, mean + reach + 12, 1 if first == 0 else stride, dtype=float)
    q = np.array([_weight(float(one), n, tau) for one in m]) * (1 if first == 0 else stride)
    return m, q


def _few(n: float, tau: float) -> tuple[Real, Real]:
    """q_m(τ) by its alternating series in e^{-k(k+n)τ}, where even q_0 loses no digit :cite:`jenkins2017`."""
    m = np.arange(40.0)
    k = m[:, None] + np.arange(40.0)
    size = np.log(2 * k + n) + gammaln(m[:, None] + k + n) - gammaln(m[:, None] + n + 1) - k * (k + n) * tau
    size -= gammaln(m + 1)[:, None] + gammaln(k - m[:, None] + 1)
    size[0, 0] = 0.0  # k = 0 is the constant 1
    return m, (np.exp(size) * (-1.0) ** np.arange(40)).sum(1)


def _weight(m: float, n: float, tau: float) -> float:
    """q_m(τ) by Bromwich's integral along Re s = s_0, near the saddle point of its integrand."""
    c = m + n / 2
    distance = _saddle(c, tau)
    b2 = c * c - distance  # s_0 = n²/4 - b², λ_m + s_0 = distance
    shift = n * n / 4 - b2
    spread = np.sqrt(sum(1 / ((c + k) ** 2 - b2) ** 2 for k in range(200)) + 1 / (3 * (c + 200.0) ** 3))
    step = 2 * np.pi / (NEGLIGIBLE / distance + 10 * spread)
    count = int(11 / (spread * step)) + 8
    while True:
        y = step * np.arange(count)
        log_f = -_log_product(1j * y, c, b2)
        if log_f[-1].real < -NEGLIGIBLE:
            break
        count += count // 2
    integrand = np.exp(log_f + 1j * y * tau).real
    normal = _log_product(np.array([0j]), c + 1, b2, n * n / 4)[0].real  # Σ_{k>m} log(λ_k / (λ_k + s_0))
    return float(np.exp(shift * tau - normal) / distance * step / np.pi * (integrand.sum() - 0.5 * integrand[0]))


def _saddle(c: float, tau: float) -> float:
    """About the λ_m + s > 0 at which Σ_{k≥m} 1/(λ_k+s) = τ, c = m + n/2: four terms and an integral, bisected."""
    low, high = np.log(0.5 / tau), np.log(c * c + (4 / tau) ** 2)
    for _ in range(40):
        middle = 0.5 * (low + high)
        b2 = c * c - np.exp(middle)
        total, rest, b = sum(1 / ((c + k) ** 2 - b2) for k in range(4)), c + 3.5, np.sqrt(abs(b2))
        total += (np.arctanh(b / rest) if b2 > 0 else np.arctan2(b, rest)) / max(b, 1e-300)
        low, high = (middle, high) if total > tau else (low, middle)
    return float(np.exp(0.5 * (low + high)))


def _log_product(w: NDArray[np.complex128], c: float, b2: float, base2: float | None = None) -> NDArray[np.complex128]:
    """Σ_{j≥0} log(((c+j)² - b² + w) / ((c+j)² - b²)); with ``base2`` log(((c+j)² - b²) / ((c+j)² - base2)), w = 0."""
    if base2 is not None:
        w, b2 = np.array([base2 - b2 + 0j]), base2
    if c < BY_GAMMA:
        before, after = np.sqrt(complex(b2)), np.sqrt(b2 - w)
        return loggamma(c + before) + loggamma(c - before) - loggamma(c + after) - loggamma(c - after)
    largest = float(np.abs(w).max())
    first = max(c, np.sqrt(4 * largest + abs(b2)), 2 * np.sqrt(abs(b2)))
    direct = int(np.ceil(first - c))
    total = np.zeros(w.shape, complex)
    for j in range(direct):
        total += np.log1p(w / ((c + j) ** 2 - b2))
    at, many = c + direct, np.arange(40)
    for power in range(1, 28):  # Σ_k (c_k² - b²)^{-p} = Σ_j binom(p+j-1, j) b^{2j} ζ(2p+2j, c_K), in units of c_K
        s = 2.0 * (power + many)
        hurwitz = at / (s - 1) + 0.5 + s / (12 * at) - s * (s + 1) * (s + 2) / (720 * at**3)
        total -= (-w / at**2) ** power / power * np.sum(binom(power + many - 1, many) * (b2 / at**2) ** many * hurwitz)
    return total
