r"""Moment sums at points g of varying length r = |g|: M(g) = 4π Σ i_ℓ(r) ρ_ℓm Y_ℓm(g/r), every point with its own i_ℓ.

A fixed key-query matrix A ≠ I takes g = βAx off the sphere. Points go by blocks of like radii, each summed up to the
degree that its largest radius needs (:mod:`fpsolve._kernels.solid`). The twin is the direct sum over points.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fpsolve._kernels.solid import solid_sums
from fpsolve.sphere.blocks import in_blocks
from fpsolve.sphere.harmonics import Coefficients, Real, degree_of, power, resized

BLOCK = 1024
"""Points in one block."""

SAMPLED = 16
"""One point in so many is tried for cancellation before all are summed."""

SECONDS_A_PAIR = 1.4e-9
"""Cost of one pair of the direct sum."""

SECONDS_A_TERM, SECONDS_A_CALL = 6e-10, 1.5e-4
"""Cost of a coefficient at a point, the moments' with it, and of a call (measured; ratios matter, not the machine)."""


def seconds(count: int, degree: int) -> float:
    """What sums at so many points cost at most, for the choice between this and the direct sum."""
    return SECONDS_A_CALL + SECONDS_A_TERM * count * (degree + 1) * (degree + 2) / 2


def sums(g: Real, radii: Real, rho: Coefficients, degree: Callable[[float], int]) -> tuple[Real, Real, Real]:
    """e^{-r} M, e^{-r} ∇M, and a bound on e^{-r} M over the sphere of each point; shapes (n,), (n, 3) and (n,).

    The bound is Σ_ℓ 4π e^{-r} i_ℓ(r) √((2ℓ+1) Σ_m|ρ_ℓm|² / 4π). ``degree(r)``: where the series at r may end;
    ``rho``: the moments up to that of the largest radius.
    """
    order = np.argsort(radii, kind="stable")
    x, r = _directions(g[order], radii[order]), radii[order]
    weighted = 4 * np.pi * rho
    bounds = np.sqrt((2 * np.arange(degree_of(rho) + 1) + 1) * power(weighted) / (4 * np.pi))

    def block(part: slice) -> tuple[Real, Real, Real]:
        lmax = min(max(1, degree(float(r[part][-1]))), degree_of(rho))
        return solid_sums(lmax, resized(weighted, lmax), bounds[: lmax + 1], x[part], r[part])

    m, gradient, bound = (np.concatenate(parts) for parts in zip(*in_blocks(block, len(g), BLOCK), strict=True))
    back = np.argsort(order)
    return m[back], gradient[back], bound[back]


def _directions(g: Real, radii: Real) -> Real:
    """g/|g|, and some unit vector where g = 0; shape (n, 3)."""
    unit = g / np.where(radii > 0, radii, 1.0)[:, None]
    unit[radii == 0] = [0.0, 0.0, 1.0]
    return np.ascontiguousarray(unit)
