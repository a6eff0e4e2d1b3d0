"""Sources by direct sums over points: every pair, or tiles where pairs are many; safe for every g."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from fpsolve._kernels.softmax import softmax_attention, softmax_second
from fpsolve.attention.proxies import Tiles, level_for, sorted_into_tiles
from fpsolve.cached import cached_property
from fpsolve.sphere.harmonics import Real

DIRECT_PAIRS = 2e7
"""Up to so many pairs of targets and points the direct sum is faster than tiles, or as fast."""


class Source(ABC):
    """Answers F and log M of a measure of mass one on S^{d-1}."""

    dimension: int
    """d."""

    axial = False
    """Whether vectors have two components, across an axis of symmetry and along it."""

    @property
    def points(self) -> PointSource | None:
        """Weighted points that stand for μ wherever g is; None where there are none."""
        return None

    @property
    @abstractmethod
    def mean(self) -> Real:
        """∫ y μ(dy), shape (d,)."""

    @abstractmethod
    def log_M_sphere(self, radius: float, sites: Any) -> Real:
        """log M(radius·x) at the sites x, shape of the sites."""

    @abstractmethod
    def F_sphere(self, radius: float, sites: Any) -> tuple[Real, Real]:
        """(log M, F) at g = radius·x, shapes (...) and (..., d)."""

    @abstractmethod
    def hessian_F_sphere(self, radius: float, sites: Any) -> tuple[Real, Real]:
        """(F, ∇²log M · F) at g = radius·x: half the gradient of |F|² in g; shapes (..., d)."""

    @abstractmethod
    def evaluate(self, g: Real) -> tuple[Real, Real]:
        """(log M, F) at any points g of R^d, shape (n, d)."""

    def F(self, g: Real) -> Real:
        """∇ log M at any points g of R^d, shape (n, d)."""
        return self.evaluate(np.atleast_2d(np.asarray(g, float)))[1]

    def log_M(self, g: Real) -> Real:
        """log M at any points g of R^d, shape (n,)."""
        return self.evaluate(np.atleast_2d(np.asarray(g, float)))[0]


class PointSource(Source):
    """A source that sums over weighted points directly, O(n N), safe for every g and every d."""

    def __init__(self, x: Real, weights: Real, labels: Real | None = None) -> None:
        self.x, self.weights, self.labels = np.ascontiguousarray(x), np.ascontiguousarray(weights), labels
        self.dimension = x.shape[1]

    @property
    def points(self) -> PointSource:
        return self

    @cached_property
    def mean(self) -> Real:
        return np.sum(self.weights[:, None] * self.x, axis=0)

    def evaluate(self, g: Real) -> tuple[Real, Real]:
        return softmax_attention(np.ascontiguousarray(g), self.x, self.weights)

    def log_M_sphere(self, radius: float, sites: Any) -> Real:
        return self.F_sphere(radius, sites)[0]

    def F_sphere(self, radius: float, sites: Any) -> tuple[Real, Real]:
        log_m, f = self.evaluate(radius * sites.x.reshape(-1, self.dimension))
        return log_m.reshape(sites.shape), f.reshape(sites.x.shape)

    def hessian_F_sphere(self, radius: float, sites: Any) -> tuple[Real, Real]:
        f, second = self.second(radius * sites.x.reshape(-1, self.dimension))[1:]
        product = np.einsum("nab,nb->na", second, f) - f * np.einsum("na,na->n", f, f)[:, None]
        return f.reshape(sites.x.shape), product.reshape(sites.x.shape)

    def second(self, g: Real) -> tuple[Real, ...]:
        """(log M, F, ∫ y yᵀ e^{g·y} dμ / M)."""
        return softmax_second(g, self.x, self.weights)


class TiledSource(PointSource):
    """The same on S², by tiles (:mod:`fpsolve.attention.proxies`) where pairs are many; errors below 1e-10."""

    def __init__(self, x: Real, weights: Real) -> None:
        super().__init__(x[weights > 0], weights[weights > 0])
        self._tiles: dict[int, Tiles] = {}

    def evaluate(self, g: Real) -> tuple[Real, Real]:
        if len(g) * len(self.x) <= DIRECT_PAIRS:
            return super().evaluate(g)
        log_m, f = self._tiles_for(g).attention(g)
        return log_m, f

    def second(self, g: Real) -> tuple[Real, ...]:
        if len(g) * len(self.x) <= DIRECT_PAIRS:
            return super().second(g)
        return self._tiles_for(g).attention(g, second=True)

    def _tiles_for(self, g: Real) -> Tiles:
        level = level_for(float(np.sqrt(np.einsum("na,na->n", g, g).max())))
        if level not in self._tiles:
            self._tiles[level] = sorted_into_tiles(self.x, self.weights, level)
        return self._tiles[level]
