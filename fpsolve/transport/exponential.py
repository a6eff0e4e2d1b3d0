"""The flow of a frozen field on coefficients: exp(L) u by Chebyshev polynomials of a nearly skew L.

exp(L) = J_0(R) + 2 Σ_k J_k(R) φ_k(L/R), φ_k(iX) = i^k T_k(X), so φ_0 = u, φ_1 = (L/R)u, φ_{k+1} = 2(L/R)φ_k + φ_{k-1}.
R bounds the spectrum; about R + O(R^{1/3}) applications reach round-off, against 2.2 R for RK4 at its limit of
stability :cite:`talezer1984`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import jv

from fpsolve.cached import lru_cache
from fpsolve.errors import UnresolvedError
from fpsolve.sphere.harmonics import Coefficients, Real

LARGEST_RADIUS = 100.0
"""R of one polynomial; longer flows are split, so that growth by div v stays harmless."""

LONGEST = 1e5
"""R of one step beyond which no answer would come in reasonable time."""

LADDER = 1.02
"""R is rounded up to a power of this, so that weights are met again."""

GROWTH = 1e3
"""A polynomial that grows by more than this says that R was too small, or one polynomial too long."""


class Generator(Protocol):
    """A linear operator L on coefficients."""

    def polynomial(self, u: Coefficients, series: Series) -> Coefficients | None:
        """The sum of a series in L u; None where its polynomials outgrow the bound on the spectrum."""

    def recur(self, u: Coefficients, out: Coefficients, factor: float, weight: float, result: Coefficients) -> float:
        """out += factor · L u, result += weight · out; returns Σ|out|²."""

    def add_to(self, u: Coefficients, out: Coefficients, factor: float) -> None:
        """out += factor · L u."""


@dataclass(frozen=True)
class Series:
    """Σ_k w_k φ_k, φ_0 = u, φ_1 = s L u, φ_{k+1} = 2s L φ_k + φ_{k-1}, s = ``scale``, to ``rtol`` of ‖u‖.

    ``rests``: Σ_{j≥k} |w_j| for every k.
    """

    weights: Real
    rests: Real
    scale: float
    rtol: float

    @property
    def numbers(self) -> tuple[Real, Real, float, float]:
        """All of it, for compiled code."""
        return self.weights, self.rests, self.scale, self.rtol


def polynomial(operator: Generator, u: Coefficients, series: Series) -> Coefficients | None:
    """The sum, term by term; None once a polynomial has grown by ``GROWTH``.

    Where SHTns's own functions can be called, fields on S² have this loop compiled, to the same bits.
    """
    weights, rests, scale = series.weights, series.rests, series.scale
    before, now, result = u.copy(), np.zeros_like(u), weights[0] * u
    norm = float(np.linalg.norm(u))
    size = [norm, np.sqrt(operator.recur(u, now, scale, weights[1], result))]
    for k in range(2, len(weights)):
        if not size[-1] <= GROWTH * norm:
            return None
        if rests[k] * max(norm, *size) <= 0.1 * series.rtol * norm:
            break
        size = [size[-1], np.sqrt(operator.recur(now, before, 2 * scale, weights[k], result))]
        before, now = now, before
    return result


def exponential(operator: Generator, u: Coefficients, radius: float, rtol: float) -> Coefficients:
    """exp(L) u to relative accuracy ``rtol`` in the Euclidean norm; ``radius`` bounds the spectrum of L.

    The bound is checked on the way: if the polynomials grow, it is raised by half and the step is done again in twice
    as many parts.
    """
    if radius == 0:
        return u.copy()
    if not radius < LONGEST:
        raise UnresolvedError(0.0, f"one step moves points {radius:.1g} grid lengths", "take a smaller dt or noise")
    for attempt in range(6):
        parts = 2**attempt * int(np.ceil(radius / LARGEST_RADIUS))
        result: Coefficients | None = u
        for _ in range(parts):
            result = None if result is None else _chebyshev(operator, result, radius / parts, parts, rtol / parts)
        if result is not None:
            return result
        radius *= 1.5
    raise UnresolvedError(0.0, "the transport operator grows without bound", "raise lmax or take a smaller dt")


def _chebyshev(operator: Generator, u: Coefficients, radius: float, parts: int, rtol: float) -> Coefficients | None:
    """exp(L/parts) u, or None when the polynomials outgrow the bound."""
    radius = float(LADDER ** np.ceil(np.log(radius) / np.log(LADDER)))
    return operator.polynomial(u, Series(*_weights(radius), 1 / (parts * radius), rtol))


@lru_cache(maxsize=1024)
def _weights(radius: float) -> tuple[Real, Real]:
    """w = (J_0, 2J_1, 2J_2, …) at ``radius`` down to round-off, and Σ_{j≥k} |w_j| for every k."""
    longest = int(radius + 12 * (1 + radius) ** (1 / 3) + 30)
    weights = 2 * jv(np.arange(longest), radius)
    weights[0] /= 2
    return weights, np.ascontiguousarray(np.cumsum(np.abs(weights)[::-1])[::-1])
