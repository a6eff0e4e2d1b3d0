r"""Multipliers of e^{r⟨x,y⟩} on S^{d-1} for every d ≥ 1, scaled so that neither large d nor large r overflows.

    ∫ e^{r⟨x,y⟩} Y_ℓ(y) dy = |S^{d-1}| λ_ℓ Y_ℓ(x),    λ_ℓ(r) = Γ(d/2) (2/r)^{d/2-1} I_{d/2-1+ℓ}(r)        (Funk–Hecke)

Γ and I overflow and underflow long before λ_ℓ/λ_0 and log λ_0 do, so that these two are computed without them. The
ratios a_ν = I_{ν+1}(r)/I_ν(r) follow from Perron's continued fraction a_ν = r/(2(ν+1) + r a_{ν+1}), taken backwards
from an order at which Amos' bounds start it, a map that contracts by a_ν² a step :cite:`amos1974`; λ_{ℓ+1}/λ_ℓ =
a_{d/2-1+ℓ}. Orders are raised by λ^{(ν)}_0 = (1 + r a_{ν+1}/(2(ν+1))) λ^{(ν+1)}_0 until Debye's uniform expansion holds
:cite:`dlmf` (10.41.3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial import Polynomial
from numpy.polynomial.chebyshev import chebvander

from fpsolve.cached import lru_cache
from fpsolve.sphere.harmonics import Real

FORGOTTEN = 40.0
"""Backward recursion goes on until the error of its start has shrunk by e^-40."""

UNIFORM_FROM, TERMS = 30.0, 12
"""Order from which Debye's expansion is taken, and its terms: those left out are below 1e-17."""

TABLE = 16
"""Coefficients on an interval of a table."""

TOGETHER = 8
"""Factors of λ_0 that are multiplied before their logarithm is taken."""


def ratios(d: int, highest: int, r: float) -> Real:
    """λ_{ℓ+1}(r)/λ_ℓ(r), ℓ = 0..highest, shape (highest+1,)."""
    return np.array(_backward(d / 2 - 1, np.array(float(r)), highest + 1))


def log_multiplier(d: int, r: Real) -> tuple[Real, Real]:
    """(log λ_0(r), λ_1(r)/λ_0(r)) for r ≥ 0, each of its shape."""
    order, r = d / 2 - 1, np.asarray(r, float)
    raised = max(0, int(np.ceil(UNIFORM_FROM - order)))
    a = _backward(order, r, raised + 1)
    total = _uniform(order + raised, r)
    for first in range(0, raised, TOGETHER):
        product = np.ones_like(r)
        for k in range(first, min(first + TOGETHER, raised)):
            product *= 1 + r * a[k + 1] / (2 * (order + k + 1))
        total += np.log(product)
    return total, a[0]


class Table:
    """:func:`log_multiplier` on [0, ``largest``] by polynomials on intervals, to round-off, a tenth of its cost.

    log λ_0 is analytic within the first zero of J_ν, ν = d/2-1, at least max(π/2, ν), of the real axis; intervals are a
    third of that, so that Chebyshev coefficients fall by 12 from one to the next.
    """

    def __init__(self, d: int, largest: float) -> None:
        self._width = max(np.pi / 2, d / 2 - 1) / 3
        count = int(largest / self._width) + 1
        nodes = np.cos(np.pi * (np.arange(TABLE) + 0.5) / TABLE)
        centres = (np.arange(count) + 0.5) * self._width
        values = log_multiplier(d, np.abs(centres[:, None] + self._width / 2 * nodes))
        analysis = chebvander(nodes, TABLE - 1) * (2 / TABLE)
        analysis[:, 0] /= 2
        self._log, self._ratio = (np.einsum("cn,nk->kc", one, analysis) for one in values)

    def __call__(self, r: Real) -> tuple[Real, Real]:
        """(log λ_0(r), λ_1(r)/λ_0(r))."""
        place = np.minimum((r / self._width).astype(np.int64), self._log.shape[1] - 1)
        s = 2 * (r / self._width - place) - 1
        return _clenshaw(self._log, place, s), _clenshaw(self._ratio, place, s)


def _clenshaw(coefficients: Real, place: Any, s: Real) -> Real:
    """Σ c_k T_k(s), c_k the columns at ``place``."""
    twice, now, before = 2 * s, np.take(coefficients[-1], place), np.zeros_like(s)
    for k in range(TABLE - 2, 0, -1):
        now, before = twice * now - before + np.take(coefficients[k], place), now
    return np.asarray(s * now - before + np.take(coefficients[0], place))


@lru_cache(maxsize=256)
def table(d: int, largest: float) -> Table:
    """The shared table."""
    return Table(d, largest)


def _backward(order: float, r: Real, count: int) -> list[Real]:
    """a_order, a_{order+1}, …, ``count`` of them."""
    top = order + count + _steps(order + count, float(r.max(initial=0.0)))
    a = r / (top + 0.5 + np.sqrt((top + 1.5) ** 2 + r * r))
    kept: list[Real] = []
    for k in range(round(top - order) - 1, -1, -1):
        a = r / (2 * (order + k + 1) + r * a)
        if k < count:
            kept.append(a)
    return kept[::-1]


def _steps(order: float, r: float) -> int:
    """Steps after which the error of a start is forgotten: a_ν ≤ r/(ν + √(ν² + r²)) for ν ≥ ½."""
    if r == 0:
        return 1
    steps, gained = 0, 0.0
    while gained < FORGOTTEN:
        steps += 1
        gained += 2 * float(np.arcsinh(max(order + steps, 0.0) / r))
    return steps


def _uniform(order: float, r: Real) -> Real:
    """log λ_0 = log Γ(ν+1)(2/r)^ν I_ν(r), ν = ``order``, by Debye's expansion."""
    root = np.sqrt(1 + (r / order) ** 2)
    s, t = (r / order) ** 2 / (1 + root), 1 / root
    series = np.zeros_like(r)
    for polynomial in reversed(_debye()):
        value = np.zeros_like(r)
        for coefficient in reversed(polynomial):
            value = value * t * t + coefficient
        series = (series + value) * t / order
    stirling = sum(c / order ** (2 * k + 1) for k, c in enumerate((1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)))
    return np.asarray(order * (s - np.log1p(s / 2)) - 0.5 * np.log(root) + np.log1p(series) + stirling)


@lru_cache(maxsize=1)
def _debye() -> tuple[tuple[float, ...], ...]:
    """u_k(t)/t^k, k = 1..TERMS, as coefficients in t²: u_{k+1} = ½t²(1-t²)u_k' + ⅛∫(1-5t²)u_k."""
    u, found = Polynomial([1.0]), []
    for k in range(1, TERMS + 1):
        u = Polynomial([0, 0, 0.5, 0, -0.5]) * u.deriv() + (Polynomial([0.125, 0, -0.625]) * u).integ()
        found.append(tuple(u.coef[k::2].tolist()))
    return tuple(found)
