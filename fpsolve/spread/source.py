"""The source of a cloud over many ranks: moments added up over all blocks, and where these cancel all its points.

What is asked at a place is asked by every rank at the same place: each call is one, or a few, sums over all ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fpsolve._kernels.softmax import softmax_attention, softmax_second
from fpsolve.attention.direct import PointSource
from fpsolve.attention.source import SMOOTH_TOLERANCE, MomentSource
from fpsolve.cached import cached_property
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.sphere.scattered import HIGHEST_DEGREE, SpherePoints
from fpsolve.spread.share import Share
from fpsolve.transport.velocity import sites_of

TARGETS = 4096
"""Places at which all points are summed in one go."""

Points = Callable[[slice], Real]
"""The places of the points of one block."""


class SpreadPoints(PointSource):
    """Direct sums over the points of all ranks, at places that all ranks ask for together."""

    def __init__(self, share: Share, points: Points, weights: Real, d: int) -> None:
        self.share, self.at, self.weights, self.dimension, self.labels = share, points, weights, d, None

    def evaluate(self, g: Real) -> tuple[Real, Real]:
        log_m, f = self._averages(g, lambda targets, x, w: softmax_attention(targets, x, w))
        return log_m, f

    def second(self, g: Real) -> tuple[Real, ...]:
        return self._averages(g, lambda targets, x, w: softmax_second(targets, x, w))

    def _averages(self, g: Real, of: Callable[[Real, Real, Real], tuple[Real, ...]]) -> tuple[Real, ...]:
        """log M at g and averages by e^{g·y}μ(dy)/M, from those of the blocks."""
        pieces = [np.ascontiguousarray(g[k : k + TARGETS]) for k in range(0, max(len(g), 1), TARGETS)]
        found = [self._averages_at(piece, of) for piece in pieces]
        return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))

    def _averages_at(self, g: Real, of: Callable[[Real, Real, Real], tuple[Real, ...]]) -> tuple[Real, ...]:
        share = self.share
        parts = [of(g, np.ascontiguousarray(self.at(part)), self.weights[part]) for part in share.parts]
        top = share.ranks.largest(np.max([log_m for log_m, *_ in parts], axis=0))
        rows = []
        for log_m, *averages in parts:
            mass = np.exp(log_m - top)
            rows.append(np.concatenate([mass, *(np.einsum("n,n...->n...", mass, one).ravel() for one in averages)]))
        total = share.ranks.summed(np.stack(rows), share.counts)
        mass, rest = total[: len(g)], total[len(g) :]
        averages = []
        for one in parts[0][1:]:
            values, rest = rest[: one.size].reshape(one.shape), rest[one.size :]
            averages.append(values / mass.reshape(-1, *[1] * (one.ndim - 1)))
        return (top + np.log(mass), *averages)


class SpreadSource(MomentSource):
    """Moments of points given block by block, with ``weights`` of this rank's; ``rtol`` as of any moments."""

    def __init__(self, share: Share, points: Points, weights: Real, d: int, rtol: float) -> None:
        def moments(degree: int) -> Coefficients:
            return share.summed(
                lambda part: sites_of(points(part)).moments(weights[part], degree).view(float)  # type: ignore[attr-defined]
            ).view(complex)

        super().__init__(moments, self._refused, SpherePoints.accuracy, geometry=geometry(d), rtol=rtol)
        self._all = SpreadPoints(share, points, weights, d)

    @staticmethod
    def _refused() -> tuple[Real, Real]:
        raise AssertionError("no rank has the points of all")

    @cached_property
    def points(self) -> PointSource:
        return self._all

    def evaluate(self, g: Real) -> tuple[Real, Real]:
        radii = np.sqrt(np.einsum("na,na->n", g, g))
        common = float(radii.mean()) if len(g) else 0.0
        if common > 0 and np.ptp(radii) <= 1e-13 * common:
            return self.F_sphere(common, self.geometry.points(g / common))
        if self.dimension != 3 or not len(g) or self.degree_of_moments(float(radii.max())) > HIGHEST_DEGREE:
            return self._all.evaluate(g)
        return self._evaluate_off_sphere(g, radii)

    def log_M_smooth(self, radius: float, sites: Any, widest: float) -> tuple[Real, Any]:
        """By moments, and by all points where these cancel."""
        at, weighted = sites.points, self._weighted(radius)
        m = at.scalar(weighted)
        bad = self._cancelled(m, weighted, at, SMOOTH_TOLERANCE)
        log_m = np.log(np.where(bad, 1.0, m)) + radius
        if bad.any():
            log_m[bad] = self._all.log_M(radius * at.x[bad])
        return log_m.reshape(sites.shape), sites
