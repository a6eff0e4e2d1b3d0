r"""What the floor of a density may change in the attention of its own model: one number for a state and a model.

A density is known to a part of its peak: by the accuracy of a step, by truncation, by round-off. Far attention
multiplies what lies below by up to e^{2|g|}, g = βAx: with a floor σ(y), M(g) = ∫ e^{g·y} ρ is uncertain by the part

    ζ(g) = ∫ e^{g·y} σ(y) dy / M(g),

and F = ∇ log M with it, by about min(1, ζ). The estimate is the mean of min(1, ζ) over the law of g: over that of A and
all x for heads of a random law, over x ~ μ for fixed ones. A bound at the worst g alone would be of the order one for
every concentrated law. On a sphere of g on which moments cancel somewhere, and on all beyond it, points answer, as they
do for the spectrum. σ has five parts:

* what a transport leaves behind, smooth and of either sign: ``SHARE`` · rtol of the norm in each low moment, but not
  more than the density has in its emptiest tenth, where nothing else is left of it;
* what the safe route cuts away (:func:`fpsolve.attention.thinning.above_error`), as far as log ρ, continued linearly
  in y from where it is known, says that something was there;
* lobes like the negative ones where the safe route keeps ρ: against e^{g·y} they vanish as a whole, not by parts;
* the last degrees, which stand for those left out, in the sum of moments;
* for a half density ρ = ψ² the same of ψ: 2ψσ + σ², and of the last degrees what their square leaves everywhere.

Against the spectra of quadrature clouds (``fpsolve validate --only attention_floor``) the estimate is within a factor
of 30 of max_ℓ|δC_ℓ|/C_0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

from fpsolve.attention.coarse_sphere import product_sites
from fpsolve.attention.laws import PRODUCT_REACH, KeyQueryLaw
from fpsolve.attention.radial import half_line
from fpsolve.attention.source import ACCURACY, SMOOTH_TOLERANCE, TOLERANCE
from fpsolve.attention.thinning import lost_below
from fpsolve.cached import cached_property, lru_cache
from fpsolve.sphere.geometry import Geometry, geometry
from fpsolve.sphere.harmonics import Coefficients, Real

SHARE = 0.01
"""Error of each low moment after one transport, in ``rtol`` times the norm of the coefficients (measured)."""

HALF = 0.5
"""C_ℓ changes by about this part of the mean of min(1, ζ), in units of C_0 (measured)."""

LOW_MOMENTS = 80
"""So many moments have that error (sixteen on the circle): the field of it is as much larger than one of them."""

ROUND_OFF = 1e-16
"""The least such error."""

EMPTIEST = 0.1
"""The part of the sphere with the least values, in which no more than these can be floor."""

SQUARED = 0.1
"""Of the root mean square of a half density's last degrees this stands everywhere, measured far from the bulk."""

BLOCKS = {2: (128,), 3: (16, 32)}
"""Blocks of a grid that the sums over y run over, in each direction."""

PARTS = 5
"""Of the floor and of what it is compared with."""

FEW = 12
"""Fewer blocks with a known value do not say how log ρ goes on: then all values are asked."""

SITES = {2: (24, 1), 3: (4, 8)}
"""Directions of g."""

RADII, REACH = 12, 6.5
"""Values of |g|; |z| of a Gaussian beyond which they do not matter."""


@dataclass(frozen=True)
class RandomHeads:
    """Heads of an isotropic law of A at β; ``tolerance``: that to which their M is summed by moments."""

    law: KeyQueryLaw
    beta: float
    tolerance: float = SMOOTH_TOLERANCE

    @cached_property
    def radii(self) -> tuple[Real, Real]:
        """Values of |βAx| and their probabilities, each (``RADII``,): means over intervals, which widen."""
        b, weights = half_line(120, self.law.d)
        share = geometry(self.law.d).area * weights
        reach = REACH
        if self.law.kind == "product":
            b, share, reach = np.outer(b, b).ravel(), np.outer(share, share).ravel(), PRODUCT_REACH / 2
        edges = reach * (np.arange(1, RADII) / RADII) ** 1.5
        which = np.searchsorted(edges, b)
        total, moment = (np.bincount(which, value, RADII).astype(float) for value in (share, share * b))
        return self.law.scale(self.beta) * moment / np.maximum(total, 1e-300), total


class FixedHead(Protocol):
    """A head of B = βA at the x of μ itself."""

    @property
    def scores(self) -> Real:
        """B, shape () or (d, d)."""

    @property
    def normalised(self) -> bool:
        """Whether it keeps its denominator M."""


Heads = RandomHeads | Sequence[FixedHead]
"""Where a model asks a measure for F and M."""


@dataclass(frozen=True, eq=False)
class Floor:
    """The floor of a density u^p, u a band-limited function of these coefficients with these ``values`` on ``grid``.

    exponent: p. rtol: accuracy of one transport of u.
    """

    geometry: Geometry
    grid: Any
    coefficients: Coefficients
    values: Real
    rtol: float
    exponent: int = 1

    def seen_by(self, heads: Heads) -> float:
        """Half the mean of min(1, ζ(g)) over the g of the heads."""
        if isinstance(heads, RandomHeads):
            return self._seen_by_law(heads)
        return float(np.mean([self._seen_by_head(head) for head in heads]))

    @property
    def is_truncation(self) -> bool:
        """Whether lobes of the last degrees are its largest part: these reach farther than the lobes."""
        return bool(0 < -self.values.min() < self._last_rms)

    def _seen_by_law(self, heads: RandomHeads) -> float:
        radii, shares = heads.radii
        waves = _random_waves(self.geometry.dimension, self.grid.lmax, tuple(radii.tolist()))
        parts = _applied(waves, self._sums).reshape(PARTS, len(radii), -1)
        largest = parts[0].max(axis=1, keepdims=True)
        cancels = (parts[0] < ACCURACY / heads.tolerance * largest).any(axis=1)  # then points answer, from there on
        cancels = np.maximum.accumulate(cancels)[:, None]
        uncertain = self._uncertain(parts, cancels, radii[:, None]).mean(axis=1)
        return HALF * float(np.sum(shares * uncertain))

    def _seen_by_head(self, head: FixedHead) -> float:
        scores = np.array(head.scores, float, order="C")
        waves, radii = _fixed_waves(self.geometry.dimension, self.grid.lmax, scores.tobytes(), scores.shape)
        parts, weights = _applied(waves, self._sums), self._sums[0]
        if not head.normalised:
            weights = weights * parts[0] * np.exp(radii - radii.max())
        uncertain = self._uncertain(parts, parts[0] < ACCURACY / TOLERANCE, radii)
        return HALF * float(np.sum(weights * uncertain) / weights.sum())

    def _uncertain(self, parts: Real, cancels: Any, radii: Real) -> Real:
        """min(1, ζ) from e^{-r} ∫ e^{g·y} (…) of ``_sums``; cancels: where the points that are kept answer."""
        kept, smooth, smooth_kept, lost, lobes = parts
        whole = np.maximum(kept + lost, 1e-300)
        by_points = (smooth_kept + lobes) / np.maximum(kept, 1e-300) + lost / whole
        by_moments = (smooth + self._left_out(radii)) / whole
        return np.minimum(1.0, np.where(cancels, by_points, by_moments))

    @cached_property
    def _sums(self) -> Real:
        """Masses of blocks of the grid, (5, blocks): ρ that is kept, the smooth floor, that of it there, what is lost,
        and lobes like the negative ones where ρ is kept.

        One value of the smooth floor, which has no peaks, stands for its block. The lost is at most what lies at the
        cut. Lobes cancel against e^{g·y} as a whole, and no more where some of them are cut away.
        """
        blocks, u, smooth = self._blocks, self._sample, self._smooth
        above = self.values > self._cut
        kept = blocks.summed(np.where(above, self.values**self.exponent, 0.0))
        lobe = max(0.0, -float(self.values.min()))
        spread = lobe if self.exponent == 1 else lobe * (2 * self.values + lobe)
        lobes = blocks.summed(np.where(above, spread, 0.0))
        shares, lost = blocks.weights, np.zeros(len(u))
        if not above.all():
            shares, (constant, slope) = blocks.summed(above.astype(float)), self._continued
            beyond = constant + np.einsum("na,a->n", self.grid.x[~above], slope)
            field = np.zeros(above.shape)
            field[~above] = np.exp(np.minimum(beyond, self.exponent * np.log(max(self._cut, 1e-300))))
            lost = blocks.summed(field)
        floor = np.full(len(u), smooth)
        if self.exponent == 2:
            floor = smooth * (2 * np.abs(u) + smooth) + 0.5 * min(SQUARED * self._last_rms, self._emptiest) ** 2
        return np.stack([kept, blocks.weights * floor, shares * floor, lost, lobes])

    @property
    def _blocks(self) -> Blocks:
        return _blocks(self.geometry.dimension, self.grid.lmax)

    @cached_property
    def _sample(self) -> Real:
        """u in the middle of the blocks."""
        return self.values[self._blocks.middles].ravel()

    @cached_property
    def _cut(self) -> float:
        """The value of u below which the safe route takes nothing."""
        return lost_below(self.values)

    @cached_property
    def _norm(self) -> float:
        return float(np.sqrt(self._spectrum.sum()))

    @cached_property
    def _spectrum(self) -> Real:
        return self.geometry.power(self.coefficients)

    @cached_property
    def _last(self) -> tuple[int, float, int]:
        """ℓmax, the power of the degrees above 0.9 ℓmax, and how many moments these have."""
        lmax = len(self._spectrum) - 1
        first = int(0.9 * lmax) + 1
        degrees = np.arange(first, lmax + 1)
        orders = 2 * degrees + 1 if self.geometry.dimension == 3 else np.full(len(degrees), 2)
        return lmax, float(self._spectrum[first:].sum()), max(int(orders.sum()), 1)

    @property
    def _last_rms(self) -> float:
        """The root mean square of the last degrees of u over the sphere."""
        return float(np.sqrt(self._last[1] / self.geometry.area))

    @cached_property
    def _emptiest(self) -> float:
        """The root mean square of u in the tenth of the sphere that has the least values."""
        u, weights = self._sample, self._blocks.weights
        order = np.argsort(u)
        within = order[np.cumsum(weights[order]) <= EMPTIEST * weights.sum()]
        u, weights = u[within], weights[within]
        return float(np.sqrt(np.sum(weights * u**2) / max(weights.sum(), 1e-300)))

    @cached_property
    def _smooth(self) -> float:
        """The size of u's floor that transports leave, as a field."""
        moment = max(SHARE * self.rtol, ROUND_OFF) * self._norm
        count = LOW_MOMENTS if self.geometry.dimension == 3 else 16
        return min(moment * float(np.sqrt(count / self.geometry.area)), self._emptiest)

    @cached_property
    def _continued(self) -> tuple[float, Real]:
        """(a, b): log ρ ≈ a + b·y by least squares where u stands well above its floor."""
        x, weights, u = self._blocks.x, self._blocks.weights, self._sample
        if (u > 3 * max(self._cut, self._smooth)).sum() <= FEW:
            x, weights, u = self.grid.x.reshape(-1, x.shape[1]), self._blocks.all_weights, self.values.ravel()
        above = u > 3 * max(self._cut, self._smooth)
        if above.sum() <= x.shape[1] + 1:
            return np.inf, np.zeros(x.shape[1])
        columns = np.column_stack([np.ones(int(above.sum())), x[above]])
        weights, logs = weights[above], self.exponent * np.log(u[above])
        weighted = columns * weights[:, None]
        normal = np.einsum("ni,nj->ij", weighted, columns)
        found = np.linalg.lstsq(normal, np.einsum("ni,n->i", weighted, logs), rcond=None)[0]
        return float(found[0]), found[1:]

    def _left_out(self, radii: Real) -> Real:
        """e^{-r} times what the degrees beyond the last may add to M, all moments as large as the last ones."""
        lmax, power, count = self._last
        steeper = 0.0 if self.exponent == 1 else 0.5 * float(np.linalg.norm(self._continued[1]))
        wave, orders = _wave(self.geometry.dimension, lmax, radii + steeper)
        scale = 1.0 if self.exponent == 1 else 2 * float(np.abs(self.values).max())
        return np.asarray(scale * np.sqrt(self.geometry.area * orders * power / count) * wave)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of a grid with points ``all_x`` and ``all_weights``; ``middles`` picks one value of each."""

    starts: tuple[NDArray[np.int64], ...]
    middles: tuple[NDArray[np.int64], ...]
    all_weights: Real
    shape: tuple[int, ...]
    all_x: Real

    @cached_property
    def x(self) -> Real:
        """Their centres, (blocks, d)."""
        sums = np.stack([self.summed(along) for along in np.moveaxis(self.all_x, -1, 0)], axis=-1)
        return np.asarray(sums / np.sqrt(np.sum(sums**2, axis=-1, keepdims=True)))

    @cached_property
    def weights(self) -> Real:
        """∫ over each block."""
        return self.summed(np.ones(self.shape))

    def summed(self, field: Real) -> Real:
        """∫ f over each block."""
        field = field * self.all_weights.reshape(self.shape)
        for axis, starts in enumerate(self.starts):
            field = np.add.reduceat(field, starts, axis=axis)
        return field.ravel()


@lru_cache(maxsize=16)
def _blocks(d: int, lmax: int) -> Blocks:
    grid = geometry(d).grid(lmax)
    starts, middles = [], []
    for length, count in zip(grid.shape, BLOCKS[d], strict=True):
        edges = np.unique(np.linspace(0, length, min(count, length) + 1).astype(np.int64))
        starts.append(edges[:-1])
        middles.append((edges[:-1] + edges[1:]) // 2)
    blocks = Blocks(
        tuple(starts), np.ix_(*middles), np.broadcast_to(grid.weights, grid.shape).ravel().copy(), grid.shape, grid.x
    )
    return blocks


def _applied(waves: Real, sums: Real) -> Real:
    """Σ_y waves(g, y) sums(y), (``PARTS``, number of g), not by BLAS, whose bits vary with its threads."""
    return np.stack([np.einsum("gy,y->g", waves, one) for one in sums])


@lru_cache(maxsize=8)
def _random_waves(d: int, lmax: int, radii: tuple[float, ...]) -> Real:
    """e^{r(ω·y - 1)} for all radii, directions ω and blocks y, (radii · directions, blocks)."""
    count, longitudes = SITES[d]
    if d == 3:
        sites = product_sites(count, longitudes)[0].reshape(-1, 3)
    else:
        angle = 2 * np.pi * np.arange(count) / count
        sites = np.stack([np.cos(angle), np.sin(angle)], -1)
    along = np.einsum("ia,na->in", sites, _blocks(d, lmax).x) - 1
    return np.exp(np.array(radii)[:, None, None] * along).reshape(-1, along.shape[1])


@lru_cache(maxsize=16)
def _fixed_waves(d: int, lmax: int, scores: bytes, shape: tuple[int, ...]) -> tuple[Real, Real]:
    """e^{g·y - |g|} for g = Bx, all blocks x and y, and |g|."""
    x, matrix = _blocks(d, lmax).x, np.frombuffer(scores).reshape(shape)
    g = matrix * x if matrix.ndim == 0 else np.einsum("ab,nb->na", matrix, x)
    radii = np.linalg.norm(g, axis=1)
    return np.exp(np.einsum("ia,na->in", g, x) - radii[:, None]), radii


def _wave(d: int, degree: int, radii: Real) -> tuple[Real, int]:
    """e^{-r} i_ℓ(r) of one degree ℓ (e^{-r} I_ℓ for d = 2) at many r, and the number of harmonics of that degree."""
    r = np.maximum(radii, 1e-12)
    if d == 2:
        return ive(degree, r), 2
    return np.sqrt(np.pi / (2 * r)) * ive(degree + 0.5, r), 2 * degree + 1
