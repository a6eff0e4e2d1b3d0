"""The wide limit: d → ∞ at fixed head width: G' = skip²G + branch²Σ, Σ a mean over heads and a dual activation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebpts1, chebvander
from scipy.linalg.lapack import dpstrf

from fpsolve.noise.activation import ACTIVATIONS, gaussian_rule
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer import gram
from fpsolve.transformer.network.architecture import Architecture
from fpsolve.transformer.network.exact import State, What, biases
from fpsolve.transformer.network.heads import attention_weights, entropy, normalised_heads, ordered, softmax
from fpsolve.transformer.network.observe import mean_overlap
from fpsolve.transformer.network.parts import Init
from fpsolve.transformer.network.start import Start

CLOSE = 1e-3
"""The tracer's distance to its token, relative to its norm: the Gram matrix is known to round-off, so not closer."""

REPLICAS = 4
"""Independent samples of heads, whose spread is the stated error."""

FEWEST, MOST, TOKENS = 2, 64, 512
"""Heads sampled in each replica and layer: ``FEWEST`` for ``TOKENS`` tokens and more, as many more for fewer tokens as
cost the same, up to ``MOST``."""

SERIES = 1e-11
"""Hermite terms of an activation end where the rest is this small, relatively."""

NODES, NEAR = 12, 1.3
"""Points of interpolation in the deviation of pre-activations, and the ratio up to which they serve."""

ROWS = 32
"""Rows of a matrix that go through a series together: they stay in the processor's cache."""

STRIDE = 2**20
"""Numbers of the members of a run lie apart by this many in the Philox index of a replica's head."""


def sampled_heads(arch: Architecture, n: int) -> int:
    """How many heads each replica samples in a layer."""
    heads = 0 if arch.attention is None else arch.attention.heads
    return min(heads, MOST, max(FEWEST, int(FEWEST * (TOKENS / n) ** 2)))


class WideChain:
    """Iterate for the states after layers 0, 1, …: means over ``REPLICAS`` chains, each with heads of its own."""

    def __init__(self, arch: Architecture, start: Start, seed: int, members: range) -> None:
        self.arch, self.start, self.seed, self.members = arch, start, seed, members
        self.layered = arch.norm.kind == "layer"
        self.n = start.n
        self.places = np.append(np.arange(self.n), self.n - 1)

    def __iter__(self) -> Iterator[State]:
        chains = [[_Replica(self, member, k) for k in range(REPLICAS)] for member in self.members]
        for layer in range(self.arch.depth + 1):
            yield self._state([[one.step(layer) for one in member] for member in chains], chains)

    def _state(self, about: list[list[dict[str, Any]]], chains: list[list[_Replica]]) -> State:
        n = self.n
        every = np.stack([[one.P[:n, :n] + one.Q[:n, :n] for one in member] for member in chains])
        values = {key: np.array([np.mean([one[key] for one in member], 0) for member in about]) for key in about[0][0]}
        if "growth" in values:
            values["close_exponent"] = 0.5 * np.log(values.pop("growth"))
        values["mean_overlap_error"] = mean_overlap(every).std(1, ddof=1) / np.sqrt(REPLICAS)
        projected = np.stack([np.mean([one.P[:n, :n] for one in member], 0) for member in chains])
        return State(every.mean(1), values, projected if self.layered else None)


class _Replica:
    """One chain: P, the Gram matrix of what the norm keeps, and Q, of the components along (1, …, 1)."""

    def __init__(self, chain: WideChain, member: int, number: int) -> None:
        self.chain, self.arch, self.member, self.number = chain, chain.arch, member, number
        self.kept = 1 - chain.layered / chain.arch.d
        self.P, self.Q = self._embedded()
        if chain.start.norm:
            self._normalise()
        self._tracer_off()

    def step(self, layer: int) -> dict[str, Any]:
        """One layer on, layer 0 nothing; what the attention says of itself."""
        if layer == 0:
            return {}
        arch, n = self.arch, self.chain.n
        before, square = self._angle(), float(np.trace(self.P[:n, :n] + self.Q[:n, :n])) / n
        C, sigma, about = self._input(), None, dict[str, Any]()
        if arch.attention is not None:
            sigma, about = self._attention(C, layer)
            sigma = sigma + arch.attention.output_bias.deviation**2
            power = 1.0 if arch.norm.output else float(np.trace(sigma[:n, :n])) / n
            about["noise_time"] = (arch.branch / arch.skip) ** 2 * power / square
            if not arch.parallel or arch.norm.output:
                self._add(sigma)
                C, sigma = C if arch.parallel else self._input(), None
        if arch.mlp is not None:
            hidden = hidden_gram(arch, C) + arch.mlp.down_bias.deviation**2
            sigma = hidden if sigma is None else sigma + hidden
        if sigma is not None:
            self._add(sigma)
        about["growth"] = (self._angle() / before) ** 2
        self._tracer_near()
        return about

    def _input(self) -> Real:
        return scaled(self.P, self.arch.norm.eps) if self.arch.norm.input else self.P + self.Q

    def _add(self, sigma: Real) -> None:
        norm, skip, branch = self.arch.norm, self.arch.skip**2, self.arch.branch**2
        first, along = self.kept * sigma, (1 - self.kept) * sigma
        if norm.output:
            first, along = scaled(first, norm.eps), 0 * along
        self.P, self.Q = skip * self.P + branch * first, skip * self.Q + branch * along
        if norm.sum:
            self._normalise()

    def _normalise(self) -> None:
        self.P, self.Q = scaled(self.P, self.arch.norm.eps), 0 * self.Q

    def _attention(self, C: Real, layer: int) -> tuple[Real, dict[str, Any]]:
        """Σ of the attention: H times the mean of s_O² s_V² d d_h π C πᵀ over sampled heads."""
        arch, n, a = self.arch, self.chain.n, self.arch.attention
        assert a is not None
        X = pivoted_factor(C)
        count = sampled_heads(arch, n)
        offset = self._at(What.TRACER, layer, 0).uniforms(1)[0, 0]
        pi = self._weights(X, C, layer, ((np.arange(count) + offset) * a.heads / count).astype(int))
        m = np.concatenate(list(pi @ X[:n]), -1)  # side by side: one product for the sum over heads
        total = (a.heads / count) * (m @ m.T)
        level = float(np.trace(total[:n, :n])) / (n * a.heads)
        sigma = arch.d * total
        if a.values == "projected":
            sigma = a.head_dim * (arch.deviation("attention.value") ** 2 * sigma + a.heads * a.value_bias.deviation**2)
        sigma *= arch.deviation("attention.output") ** 2
        return sigma, {
            "attention_entropy": float(entropy(pi[:, :n]).mean()),
            "ordered_weights": ordered(pi[:, :n]),
            "noise_level": level,
        }

    def _weights(self, X: Real, C: Real, layer: int, heads: Any) -> Real:
        """The attention weights of these heads, (heads, rows, n)."""
        arch, n, a, places = self.arch, self.chain.n, self.arch.attention, self.chain.places
        assert a is not None
        if a.key_query == "projected":
            q = self._heads(X, "query", What.QUERY, layer, len(heads))
            k = self._heads(X, "key", What.KEY, layer, len(heads))[:, :n]
            if a.qk_norm != "none":
                q, k = self._qk_normed(q, "query", C), self._qk_normed(k, "key", C)
            return attention_weights(arch, layer, q, k, places, heads)
        scores = np.repeat(a.logit_factor(n) * arch.d * C[None, :, :n], len(heads), 0)
        if a.key_query == "dense":
            A = self._at(What.QUERY, layer, 0).normals(len(heads), X.shape[1], X.shape[1])[0]
            scores = a.logit_factor(n) * arch.d * arch.deviation("attention.query") * (X @ A @ X[:n].T)
        return softmax(arch, layer, scores, places, heads)

    def _heads(self, X: Real, name: str, what: What, layer: int, count: int) -> Real:
        """Queries or keys of so many heads, (heads, rows, head_dim)."""
        a = self.arch.attention
        assert a is not None
        bias: Init = getattr(a, f"{name}_bias")
        at = self._at(what, layer, 0)
        out = gram.columns(X, count * a.head_dim, self.arch.deviation(f"attention.{name}"), at, self.arch.d)[0]
        if bias.std:
            out = out + biases(bias, count * a.head_dim, self._at(What.BIAS + what, layer, 0))
        return np.moveaxis(out.reshape(len(X), count, a.head_dim), 1, 0)

    def _qk_normed(self, x: Real, name: str, C: Real) -> Real:
        """Each head's own normalisation, or by the mean square that all heads together have in the limit."""
        a, norm = self.arch.attention, self.arch.norm
        assert a is not None
        if a.qk_norm == "head":
            return normalised_heads(x, norm.kind, norm.eps, (-1,))
        square = self.arch.deviation(f"attention.{name}") ** 2 * self.arch.d * np.diag(C)[: x.shape[1]]
        return np.asarray(x / np.sqrt(square + getattr(a, f"{name}_bias").deviation ** 2 + norm.eps)[:, None])

    def _at(self, what: int, layer: int, index: int) -> gram.Place:
        return gram.Place(self.chain.seed, [self.member], int(what) + 100, layer, self.number * STRIDE + index)

    # --- the start and the tracer -----------------------------------------------------------------------------------

    def _embedded(self) -> tuple[Real, Real]:
        """P and Q of the tokens and, behind them, the last one again."""
        start, d = self.chain.start, self.arch.d
        rows = np.append(np.arange(start.n), start.n - 1)
        sigma = (start.B @ start.B.T)[np.ix_(rows, rows)]
        P, Q = self.kept * sigma, (1 - self.kept) * sigma
        vectors = start.vectors(self.chain.seed, range(self.member, self.member + 1), d)
        if vectors is not None:
            x = vectors[0][rows]
            mean = x.mean(1) if self.chain.layered else 0 * x[:, 0]
            x = x - mean[:, None]
            P, Q = P + x @ x.T / d, Q + np.outer(mean, mean)
        if start.gram is not None:
            G = start.gram[np.ix_(rows, rows)]
            P, Q = P + self.kept * G, Q + (1 - self.kept) * G
        return P, Q

    def _tracer_off(self) -> None:
        """The tracer moved off its token, orthogonally to all."""
        self.P, self.Q = self.P.copy(), self.Q.copy()
        self.P[-1, -1] += CLOSE**2 * (self.P[-2, -2] + self.Q[-2, -2])

    def _tracer_near(self) -> None:
        G = self.P + self.Q
        apart = np.sqrt(max(G[-1, -1] + G[-2, -2] - 2 * G[-1, -2], 1e-300))
        factor = CLOSE * np.sqrt(G[-2, -2]) / apart
        self.P, self.Q = (_moved(part, factor) for part in (self.P, self.Q))

    def _angle(self) -> float:
        G = self.P + self.Q
        a, b, ab = G[-2, -2], G[-1, -1], G[-1, -2]
        return float(np.sqrt(max(2 * (np.sqrt(a * b) - ab) / np.sqrt(a * b), 1e-300)))


def _moved(G: Real, factor: float) -> Real:
    """The last token y replaced by x + factor (y - x), x the one before it."""
    T = np.eye(len(G))
    T[-1, -1], T[-1, -2] = factor, 1 - factor
    G = G.copy()
    G[-1, :] = T[-1, -1] * G[-1, :] + T[-1, -2] * G[-2, :]
    G[:, -1] = T[-1, -1] * G[:, -1] + T[-1, -2] * G[:, -2]
    return G


def pivoted_factor(C: Real) -> Real:
    """X of C = X Xᵀ, (n, rank), by a pivoted Cholesky factorisation: a sixth of the work of eigenvectors."""
    L, pivots, rank, _ = dpstrf(C, lower=1)
    X = np.empty((len(C), rank))
    X[pivots - 1] = np.tril(L)[:, :rank]
    return X


def scaled(G: Real, eps: float) -> Real:
    """C_ij = G_ij/√((G_ii + eps)(G_jj + eps))."""
    size = np.sqrt(np.diag(G) + eps)
    return np.asarray(G / np.outer(size, size))


def hidden_gram(arch: Architecture, C: Real) -> Real:
    """Σ = s₂² m E a aᵀ of an MLP of infinite width m, at s₂² m fixed: its dual activation at the tokens' own variances.

    Pre-activations have covariance s₁²d C (a bias adds its variance); gated:
    E φ(g_i)φ(g_j) times the covariance of u.
    """
    mlp = arch.mlp
    assert mlp is not None
    up = arch.deviation("mlp.up") ** 2 * arch.d * C + mlp.up_bias.deviation**2
    if mlp.gated:
        found = up * dual(mlp.activation, arch.deviation("mlp.gate") ** 2 * arch.d * C + mlp.gate_bias.deviation**2)
    else:
        found = dual(mlp.activation, up)
    return arch.deviation("mlp.down") ** 2 * mlp.width * found


def dual(name: str, covariance: Real) -> Real:
    """E φ(u_i)φ(u_j), u Gaussian of this covariance: Σ_n a_n(σ_i) a_n(σ_j) t_ijⁿ.

    a_n(σ) are the Hermite coefficients of φ(σz). In closed form for powers of ReLU :cite:`cho2009`. Rows go in blocks,
    as the series has up to 160 terms.
    """
    sigma = np.sqrt(np.maximum(np.diag(covariance), 0))
    size = np.maximum(np.outer(sigma, sigma), 1e-300)
    t = np.clip(covariance / size, -1, 1)
    if name in _POWERS:
        return _POWERS[name](t, size)
    a = _coefficients(name, sigma)
    square = (a * a).cumsum(0)
    last = int(np.argmax((square >= (1 - SERIES) * square[-1]).all(1))) + 1
    found = np.empty_like(t)
    for first in range(0, len(t), ROWS):
        rows, columns = slice(first, first + ROWS), slice(first, None)
        part, x = np.zeros_like(t[rows, columns]), t[rows, columns].copy()
        term = np.empty_like(part)
        for one in a[:last][::-1]:
            part *= x
            part += np.multiply(one[rows, None], one[columns], out=term)
        found[rows, columns], found[columns, rows] = part, part.T
    return found


def _coefficients(name: str, sigma: Real) -> Real:
    """a_n(σ_i), (N+1, tokens), by the quadrature of :mod:`fpsolve.noise.activation`.

    Many deviations within a factor of ``NEAR``: by interpolation between ``NODES`` Chebyshev points, to round-off.
    """
    z, weights, hermite = gaussian_rule()
    low, high = sigma.min(), sigma.max()
    near = len(sigma) > NODES and 0 < high < NEAR * low
    places = 0.5 * (low + high) - 0.5 * (high - low) * chebpts1(NODES) if near else np.unique(sigma)
    a = (hermite * weights) @ ACTIVATIONS[name](z[:, None] * places)
    if not near:
        return np.asarray(a[:, np.searchsorted(places, sigma)])
    x = (2 * sigma - low - high) / max(high - low, 1e-300)
    to_series = np.linalg.inv(chebvander(-chebpts1(NODES), NODES - 1))
    return np.asarray(a @ to_series.T @ chebvander(x, NODES - 1).T)


def _relu(t: Real, size: Real) -> Real:
    return np.asarray(size * (np.sqrt(1 - t**2) + t * (np.pi - np.arccos(t))) / (2 * np.pi))


def _relu2(t: Real, size: Real) -> Real:
    angle = np.arccos(t)
    return np.asarray(size**2 * (3 * np.sin(angle) * t + (np.pi - angle) * (1 + 2 * t**2)) / (2 * np.pi))


_POWERS = {"relu": _relu, "relu2": _relu2, "linear": lambda t, size: t * size}
