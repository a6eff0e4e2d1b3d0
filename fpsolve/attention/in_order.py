"""Exact attention of tokens in order: every token over its past, in O(N) on S² and S¹, directly in other d.

Tokens go in blocks. What lies in whole blocks before a block is seen by all of it with one factor e^{-λ(σ_j - σ)}, so
that its moments serve (d = 2, 3), or one call of the pairwise kernel; the pairs of the block itself, and of the blocks
through which the far end of a window runs, are summed one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fpsolve._kernels.softmax import softmax_attention
from fpsolve.attention.bessel import moment_degree, plane_wave, plane_wave_derivative
from fpsolve.attention.past import Past, RunningSum
from fpsolve.sphere.geometry import GEOMETRIES, geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.sphere.scattered import HIGHEST_DEGREE, SpherePoints

BLOCK = 64
"""Tokens in a block, at least, but for the last."""

DIRECT_BELOW = 3000
"""Fewer tokens sum their pairs: by the compiled kernel that is the faster way, at β = 4 up to about 4,000."""

CANCELLED = 1e-5
"""Below this part of the weight seen in moments, e^{-β}M of error 1e-14 is summed over the pairs: F to 1e-9."""

LEAST_BETA = 1e-15
"""β below it is taken for it: F is the mean of the past, to as much."""

CHUNK = 4_000_000
"""Pairs that are summed at once, where moments cancel."""


class Sums(NamedTuple):
    """M = e^s m, ∇M = e^s g and Z, not divided by one another: shapes (n,), (n, d), (n,), and s (n,)."""

    m: Real
    g: Real
    z: Real
    s: Real


@dataclass(frozen=True)
class Sequence:
    """Tokens sorted by position, ``x`` (n, d), with the blocks that they are summed in, ``cuts`` (blocks + 1,)."""

    x: Real
    weights: Real
    at: Real
    cuts: list[int]

    @classmethod
    def of(cls, x: Real, weights: Real, at: Real) -> Sequence:
        """Blocks of whole positions; one of many tokens is a block of its own."""
        starts = np.append(np.flatnonzero(np.diff(at, prepend=-np.inf)), len(at)).tolist()
        cuts = [0]
        for start, end in pairwise(starts):
            if end - start >= BLOCK and start > cuts[-1]:
                cuts.append(start)
            if end - cuts[-1] >= BLOCK or end == len(at):
                cuts.append(end)
        return cls(x, weights, at, cuts)

    def span(self, first: int, last: int) -> slice:
        """The tokens of the blocks from ``first`` to before ``last``."""
        return slice(self.cuts[first], self.cuts[last])


def attention_in_order(x: Real, weights: Real, labels: Real, beta: float, past: Past, normalised: bool) -> Real:
    """F_j = Σ_k k w_k x_k e^{β⟨x_j,x_k⟩} / Σ_k k w_k e^{β⟨x_j,x_k⟩}, k = k(σ_j, σ_k), shape (n, d).

    Without ``normalised`` the denominator is Σ_k k w_k. Zero where a token sees nothing. Errors: 1e-9 of |F| ≤ 1, or
    1e-13 of e^β without the denominator.
    """
    order = np.argsort(labels, kind="stable")
    tokens = Sequence.of(np.ascontiguousarray(x[order]), weights[order], labels[order])
    sums = _sums(tokens, max(beta, LEAST_BETA), past, normalised)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        f = sums.g / sums.m[:, None] if normalised else np.exp(sums.s)[:, None] * sums.g / sums.z[:, None]
    out = np.empty_like(f)
    out[order] = np.where(sums.z[:, None] > 0, f, 0.0)
    return out


def attention_in_order_direct(x: Real, weights: Real, labels: Real, beta: float, past: Past, normalised: bool) -> Real:
    """The same by the sum over all pairs, O(N²): the readable twin."""
    k = past.seen(labels[:, None] - labels[None, :]) * weights
    scores = beta * np.einsum("ja,ka->jk", x, x)
    scale = np.where(k > 0, scores, -np.inf).max(axis=1, initial=-beta, keepdims=True)
    terms = np.where(k > 0, k * np.exp(np.minimum(scores - scale, 0.0)), 0.0)
    below = terms.sum(axis=1) if normalised else k.sum(axis=1) * np.exp(-scale[:, 0])
    seen = k.sum(axis=1) > 0
    return np.where(seen[:, None], np.einsum("jk,ka->ja", terms, x) / np.where(seen, below, 1.0)[:, None], 0.0)


def _sums(tokens: Sequence, beta: float, past: Past, normalised: bool) -> Sums:
    """The sums of every token, in order."""
    (n, d), blocks = tokens.x.shape, len(tokens.cuts) - 1
    degree = moment_degree(beta)
    serves = d in GEOMETRIES and n >= DIRECT_BELOW and degree**2 <= n and degree <= HIGHEST_DEGREE
    core: _Moments | _Pairwise = _Moments(tokens, beta, degree, past) if serves else _Pairwise(tokens, beta, past)
    out = Sums(np.empty(n), np.empty((n, d)), np.empty(n), np.empty(n))
    first, last = tokens.at[tokens.cuts[:-1]], tokens.at[np.array(tokens.cuts[1:]) - 1]
    whole = np.searchsorted(first, last - past.reach, side="right")
    some = np.searchsorted(last, first - past.reach, side="right")
    for b in range(blocks):
        block, start = tokens.span(b, b + 1), min(int(whole[b]), b)
        near = core.near(b, int(min(some[b], start)), start)
        parts = [core.far(b, start), *(_pairs(tokens, block, which, beta, past) for which in near)]
        for total, value in zip(out, _added([part for part in parts if part is not None], block, d), strict=True):
            total[block] = value
    if serves and normalised:
        bad = np.flatnonzero((out.z > 0) & ~(out.m > CANCELLED * out.z))
        for chunk in np.array_split(bad, max(1, len(bad) * n // CHUNK + 1)):
            if len(chunk):
                for total, value in zip(out, _pairs(tokens, chunk, slice(0, n), beta, past), strict=True):
                    total[chunk] = value
    return out


def _added(parts: list[Sums], block: slice, d: int) -> Sums:
    """The sum of sums of different scales."""
    count = block.stop - block.start
    if not parts:
        return Sums(np.zeros(count), np.zeros((count, d)), np.zeros(count), np.zeros(count))
    s = np.max([part.s for part in parts], axis=0)
    factors = [np.exp(part.s - s) for part in parts]
    m = sum(factor * part.m for factor, part in zip(factors, parts, strict=True))
    g = sum(factor[:, None] * part.g for factor, part in zip(factors, parts, strict=True))
    return Sums(np.asarray(m), np.asarray(g), np.asarray(sum(part.z for part in parts)), s)


def _pairs(tokens: Sequence, targets: Any, sources: slice, beta: float, past: Past) -> Sums:
    """Over the pairs of some targets and sources, by log-sum-exp."""
    x, y = tokens.x[targets], tokens.x[sources]
    k = past.seen(tokens.at[targets][:, None] - tokens.at[sources][None, :]) * tokens.weights[sources]
    scores = np.where(k > 0, beta * np.einsum("ja,ka->jk", x, y), -np.inf)
    s = scores.max(axis=1, initial=-1e300)
    terms = k * np.exp(scores - s[:, None])
    return Sums(terms.sum(axis=1), np.einsum("jk,ka->ja", terms, y), k.sum(axis=1), s)


class _Pairwise:
    """The whole blocks before a block, by the compiled kernel: O(N²), any d, safe for every β."""

    def __init__(self, tokens: Sequence, beta: float, past: Past) -> None:
        self.tokens, self.beta, self.past = tokens, beta, past

    def near(self, b: int, some: int, whole: int) -> list[slice]:
        """What is summed pair by pair: the block, and those at the far end of the window."""
        ends = [self.tokens.span(some, whole)] if some < whole else []
        return [*ends, self.tokens.span(b, b + 1)]

    def far(self, b: int, whole: int) -> Sums | None:
        """Blocks from ``whole`` to before ``b``, all of which all of block b sees."""
        if whole == b:
            return None
        tokens, block, seen = self.tokens, self.tokens.span(b, b + 1), self.tokens.span(whole, b)
        at = tokens.at[block]
        weights = tokens.weights[seen] * np.exp(-self.past.decay * (at[0] - tokens.at[seen]))
        z = float(weights.sum())
        if not z > 0:
            return None
        log_m, f = softmax_attention(self.beta * tokens.x[block], tokens.x[seen], weights)
        fading = np.exp(-self.past.decay * (at - at[0]))
        return Sums(fading, fading[:, None] * f, fading * z, log_m)


class _Moments:
    """The same by running sums of moments: O(N), d = 2 or 3. One block of one position sees itself by them, too."""

    def __init__(self, tokens: Sequence, beta: float, degree: int, past: Past) -> None:
        self.tokens, self.beta, self.past, self.degree = tokens, beta, past, degree
        d = tokens.x.shape[1]
        self.geometry = geometry(d)
        self.sites: Any = SpherePoints if d == 3 else _Angles
        waves = (plane_wave(d, degree, beta), plane_wave_derivative(d, degree, beta))
        self.values, self.slopes = (self.geometry.area * self.geometry.by_degree(one, degree) for one in waves)
        self.running = RunningSum(past.decay, past.window is not None)

    def near(self, b: int, some: int, whole: int) -> list[slice]:
        """As above; the block itself only where it has several positions, or few tokens."""
        ends = [self.tokens.span(some, whole)] if some < whole else []
        return ends if self._is_one_position(b) else [*ends, self.tokens.span(b, b + 1)]

    def far(self, b: int, whole: int) -> Sums | None:
        """Blocks before ``b`` from ``whole`` on, by moments, which those of block b are then added to."""
        tokens, block, decay = self.tokens, self.tokens.span(b, b + 1), self.past.decay
        at, sites = tokens.at[block], self.sites(tokens.x[block])
        self.running.drop_before(whole)
        seen: Coefficients | None = self.running.seen_from(float(at[0]))
        own = sites.moments(tokens.weights[block] * np.exp(-decay * (at[-1] - at)), self.degree)
        self.running.add(own, float(at[-1]))
        if self._is_one_position(b) and self.past.own > 0:
            seen = self.past.own * own if seen is None else seen + self.past.own * own
        if seen is None:
            return None
        fading = np.exp(-decay * (at - at[0]))
        m, radial, gradient = sites.jet(self.values * seen, self.slopes * seen)
        g = radial[:, None] * tokens.x[block] + gradient / self.beta
        z = fading * float(seen[0].real / self.geometry.mass_moment)
        return Sums(fading * m, fading[:, None] * g, z, np.full(len(at), self.beta))

    def _is_one_position(self, b: int) -> bool:
        start, end = self.tokens.cuts[b], self.tokens.cuts[b + 1]
        return end - start >= BLOCK and bool(self.tokens.at[start] == self.tokens.at[end - 1])


class _Angles:
    """Points of S¹ with sums over their powers, for blocks too small for a non-uniform FFT."""

    def __init__(self, x: Real) -> None:
        self.x, self.wave = x, x[:, 0] + 1j * x[:, 1]

    def moments(self, weights: Real, degree: int) -> Coefficients:
        """Σ_i w_i Y*_m(x_i)."""
        return np.einsum("i,im->m", weights, self._powers(degree).conj()) / np.sqrt(2 * np.pi)

    def jet(self, f: Coefficients, g: Coefficients) -> tuple[Real, Real, Real]:
        """f, g and ∇f, the last as ambient vectors."""
        powers = self._powers(len(f) - 1)
        twice = np.where(np.arange(len(f)) > 0, 2.0, 1.0) / np.sqrt(2 * np.pi)
        value, other = (np.einsum("im,m->i", powers, twice * one).real for one in (f, g))
        along = np.einsum("im,m->i", powers, 1j * np.arange(len(f)) * twice * f).real
        return value, other, along[:, None] * np.stack([-self.x[:, 1], self.x[:, 0]], -1)

    def _powers(self, degree: int) -> Coefficients:
        powers = np.ones((len(self.x), degree + 1), complex)
        powers[:, 1:] = self.wave[:, None]
        return np.cumprod(powers, axis=1, out=powers)
