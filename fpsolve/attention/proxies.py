r"""Attention sums of many points of S² at many targets, accurate relative to M(g) wherever g points.

Two steps make the direct sum cheap without the global cancellation of a moment series:

* **Proxies.** The sphere is cut into cubed-sphere tiles of angular half-width at most ``REACH`` / |g|. Inside one
  e^{g·y} varies by a bounded factor, so it is interpolated at NODES² Chebyshev points of the tile, and a full tile
  is replaced by those points with the weights W_j = Σ_i w_i L_j(y_i). They have either sign, but what cancels in
  M = M₊ - M₋ is a bounded factor within each tile: the error stays relative to the tile's own part of M.
* **Pruning.** Targets are taken in cubes of g-space. By convexity a tile of mass p and centroid c has
  p e^{g·c} ≤ M_tile(g) ≤ p e^{g·c + |g|ρ}, ρ its radius; tiles whose upper bound is negligible are left out.

The twin is the direct sum, `fpsolve._kernels.softmax`. Sums run in a fixed order on one thread or in the kernel, so
the bits do not depend on the number of threads (no BLAS here: it is not so).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpsolve._kernels.softmax import softmax_attention, softmax_second
from fpsolve.cached import cached_property, lru_cache

Real = NDArray[np.float64]
Index = NDArray[np.int64]

REACH = 4.0
"""The largest |g| times the half-width of a tile for which the proxies stand in: errors below 1e-10 with NODES."""

NODES = 20
"""Chebyshev points of a tile in each direction."""

LEVELS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Tiles along an edge of the cube (a whole face is too curved); beyond the last, points are only pruned."""

NEGLIGIBLE = 25.0
"""Tiles are left out when together they are below e^{-25} = 1e-11 of M."""

SIDE = 10.0
"""Edge of a cube of targets in g-space: smaller prunes more, in more calls of the kernel."""

CACHED = 1024
"""Points whose polynomials are held at once."""

PRUNE_FROM = 1e9
"""Fewer pairs of targets and points are summed without pruning, in one call of the kernel."""


def level_for(radius: float) -> int:
    """The coarsest level whose tiles have half-width ≤ REACH / radius, or the finest."""
    return next((k for k in LEVELS if radius * np.pi / (4 * k) <= REACH), LEVELS[-1])


@dataclass(frozen=True, eq=False)
class Tiles:
    """Points ``x`` (N, 3) of S², ``weights`` (N,) > 0, sorted into 6·level² tiles by `sorted_into_tiles`."""

    x: Real
    weights: Real
    level: int
    tile: Index
    """Number of each point's tile, rising, shape (N,)."""
    local: Real
    """Coordinates in the tile, in [-1, 1], shape (N, 2)."""
    nodes: int = NODES
    """Chebyshev points of a tile in each direction."""

    @cached_property
    def starts(self) -> Index:
        """Where each occupied tile begins."""
        return np.flatnonzero(np.append(True, np.diff(self.tile) > 0))

    @cached_property
    def _bounds(self) -> tuple[Real, Real, Real]:
        """log mass, centroid and radius of every occupied tile, shapes (T,), (T, 3), (T,)."""
        mass = np.add.reduceat(self.weights, self.starts)
        centroid = np.add.reduceat(self.weights[:, None] * self.x, self.starts) / mass[:, None]
        counts = np.diff(np.append(self.starts, len(self.x)))
        off = self.x - np.repeat(centroid, counts, axis=0)
        radius = np.sqrt(np.maximum.reduceat(np.einsum("na,na->n", off, off), self.starts))
        return np.log(mass), centroid, radius

    @cached_property
    def proxies(self) -> tuple[Real, Real, Index]:
        """Points (J, 3), weights of either sign (J,), ranks of their tiles (J,); thin tiles keep their points."""
        parts = []
        ends = np.append(self.starts[1:], len(self.x))
        for rank, (start, end) in enumerate(zip(self.starts, ends, strict=True)):
            x, w = self.x[start:end], self.weights[start:end]
            if len(w) > self.nodes**2:
                x = _tile_nodes(int(self.tile[start]), self.level, self.nodes)
                w = _node_weights(self.local[start:end], w, self.nodes)
            parts.append((x, w, np.full(len(w), rank)))
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))  # type: ignore[return-value]

    def attention(self, g: Real, second: bool = False) -> tuple[Real, ...]:
        """(log M, F) at g (n, 3), with the second moment (n, 3, 3) where asked, as `softmax_second`."""
        n = len(g)
        out = (np.empty(n), np.empty((n, 3)), *([np.empty((n, 3, 3))] if second else []))
        radius = float(np.sqrt(np.einsum("na,na->n", g, g)).max(initial=0.0))
        if radius * np.pi / (4 * self.level) <= REACH:
            x, w, rank = self.proxies
        else:
            x, w, rank = self.x, self.weights, np.cumsum(np.append(0, np.diff(self.tile) > 0))
        groups = self._groups(g, radius) if n * len(w) > PRUNE_FROM else [(slice(None), np.array(True))]
        for targets, keep in groups:
            chosen = keep[rank] if keep.ndim else slice(None)
            for whole, part in zip(out, _signed(g[targets], x[chosen], w[chosen], second), strict=True):
                whole[targets] = part
        return out

    def _groups(self, g: Real, radius: float) -> Iterator[tuple[Index, NDArray[np.bool_]]]:
        """Targets in one cube of g-space, and the tiles that matter to any g of the cube."""
        side = max(SIDE, radius / 12)
        log_mass, centroid, tile_radius = self._bounds
        cubes = np.floor(g / side).astype(np.int64)
        order = np.lexsort(cubes.T)
        ends = np.flatnonzero(np.append(np.any(np.diff(cubes[order], axis=0), axis=1), True)) + 1
        for targets in np.split(order, ends[:-1]):
            centre = (cubes[targets[0]] + 0.5) * side
            spread = side * np.sqrt(3) / 2
            middle = log_mass + np.einsum("sa,a->s", centroid, centre)
            upper = middle + np.sqrt(centre @ centre) * tile_radius + spread
            yield targets, upper > middle.max() - spread - NEGLIGIBLE - np.log(len(log_mass))


def sorted_into_tiles(x: Real, weights: Real, level: int, nodes: int = NODES) -> Tiles:
    """Sort points of S² into tiles: the face of the cube, then equal angles arctan(x_b/x_a) on it."""
    tile, local = tiles_of(x, level)
    order = np.argsort(tile.astype(np.uint16) if 6 * level**2 < 2**16 else tile, kind="stable")  # the short by radix
    return Tiles(x[order], weights[order], level, tile[order], local[order], nodes)


def tiles_of(x: Real, level: int) -> tuple[Index, Real]:
    """The tile of each point, shape (n,), and its coordinates there in [-1, 1], (n, 2)."""
    axis = np.argmax(np.abs(x), axis=1)
    rows = np.arange(len(x))
    top = x[rows, axis]
    angles = np.stack([np.arctan(x[rows, (axis + shift) % 3] / np.abs(top)) for shift in (1, 2)], -1)
    scaled = (angles / (np.pi / 2) + 0.5) * level
    cell = np.clip(scaled.astype(np.int64), 0, level - 1)
    tile = ((2 * axis + (top < 0)) * level + cell[:, 0]) * level + cell[:, 1]
    return tile, 2 * (scaled - cell) - 1


def _tile_nodes(tile: int, level: int, count: int = NODES) -> Real:
    """The Chebyshev points of a tile on the sphere, shape (count², 3)."""
    face, cell = divmod(tile, level * level)
    angle = [((i + (1 + _chebyshev(count)) / 2) / level - 0.5) * np.pi / 2 for i in divmod(cell, level)]
    first, second = np.meshgrid(np.tan(angle[0]), np.tan(angle[1]), indexing="ij")
    x = np.empty((count**2, 3))
    x[:, face // 2] = -1.0 if face % 2 else 1.0
    x[:, (face // 2 + 1) % 3], x[:, (face // 2 + 2) % 3] = first.ravel(), second.ravel()
    return x / np.sqrt(np.einsum("na,na->n", x, x))[:, None]


def _node_weights(local: Real, weights: Real, count: int = NODES) -> Real:
    """W_jk = Σ_i w_i L_j(s_i) L_k(t_i) by Chebyshev moments of the points, L_j = Σ_m (2-δ_m0)/q T_m(s_j) T_m."""
    moments = np.zeros((count, count))
    for start in range(0, len(weights), CACHED):
        part = slice(start, start + CACHED)
        s, t = _polynomials(local[part, 0], count), _polynomials(local[part, 1], count)
        moments += np.einsum("an,bn->ab", s * weights[part], t)
    lagrange = _polynomials(_chebyshev(count), count).T * (np.where(np.arange(count) == 0, 1.0, 2.0) / count)
    return np.einsum("ja,kb,ab->jk", lagrange, lagrange, moments).ravel()


def _polynomials(s: Real, count: int) -> Real:
    """T_m(s), m < count, shape (count, n)."""
    rows = np.empty((count, len(s)))
    rows[0], rows[1] = 1.0, s
    for m in range(2, count):
        rows[m] = 2 * s * rows[m - 1] - rows[m - 2]
    return rows


def _signed(g: Real, x: Real, w: Real, second: bool) -> tuple[Real, ...]:
    """The sums with weights of either sign: M = M₊ - M₋, and barycentres by M F = M₊F₊ - M₋F₋."""
    sums = softmax_second if second else softmax_attention
    plus, minus = w > 0, w < 0
    log_m, *means = sums(g, x[plus], w[plus])
    if not minus.any():
        return (log_m, *means)
    log_minus, *means_minus = sums(g, x[minus], -w[minus])
    q = np.exp(log_minus - log_m)
    pairs = zip(means, means_minus, strict=True)
    shaped = [(above, below, q.reshape(-1, *[1] * (above.ndim - 1))) for above, below in pairs]
    return (log_m + np.log1p(-q), *((above - r * below) / (1 - r) for above, below, r in shaped))


def log_of_signed_sum(g: Real, x: Real, w: Real) -> Real:
    """log Σ_j w_j e^{g·x_j} with weights of either sign whose sums do not cancel, g (n, 3), shape (n,)."""
    return _signed(g, x, w, False)[0]


@lru_cache(maxsize=8)
def _chebyshev(count: int) -> Real:
    """The Chebyshev points of the first kind, shape (count,)."""
    return np.asarray(np.cos((2 * np.arange(count) + 1) * np.pi / (2 * count)))
