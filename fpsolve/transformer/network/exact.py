"""The exact chain: the Gram matrix of the residual stream of a Gaussian network, layer by layer, without a d×d matrix.

State: a factor X of the stream over √d, in as many coordinates as tokens (:mod:`fpsolve.transformer.gram`), for layer
normalisation of its part orthogonal to (1, …, 1), in d - 1 dimensions, with the component along it beside. Behind the n
tokens stands a tracer: close to one of them, attended to by none, it goes through the same weights, so that the growth
of its distance is the exponent of close tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy.special import gammaincinv

from fpsolve.noise.activation import ACTIVATIONS
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer import gram
from fpsolve.transformer.network.architecture import Architecture
from fpsolve.transformer.network.heads import attention_weights, entropy, normalised_heads, ordered, softmax, visible
from fpsolve.transformer.network.parts import Init
from fpsolve.transformer.network.start import Start

CLOSE = 1e-6
"""The tracer's distance, relative to its token's norm."""

NUMBERS = 2**23
"""Attention weights are held for no more than this many at once."""

WIDTH = 8192
"""Hidden units of an MLP drawn together."""


class What(IntEnum):
    """Philox streams of what is drawn."""

    EMBEDDING = 200
    SPLIT = 201
    TRACER = 202
    QUERY = 203
    KEY = 204
    VALUE = 205
    UP = 206
    GATE = 207
    ATTENTION = 208
    MLP = 209
    BIAS = 220


@dataclass(frozen=True)
class Stream:
    """x/√d: its factor X (members, rows, r), and under layer normalisation its mean over components (members, rows)."""

    X: Real
    mean: Real | None

    @property
    def whole(self) -> Real:
        """A factor of the whole Gram matrix."""
        return self.X if self.mean is None else np.concatenate([self.X, self.mean[..., None]], -1)


@dataclass(frozen=True)
class State:
    """After a layer: the Gram matrices (members, n, n) and what the layer says of itself, each (members,)."""

    gram: Real
    about: dict[str, Real]
    projected: Real | None = None


class ExactChain:
    """Iterate for the states after layers 0, 1, …, of these members."""

    def __init__(self, arch: Architecture, start: Start, seed: int, members: range) -> None:
        self.arch, self.start, self.seed, self.members = arch, start, seed, members
        self.layered = arch.norm.kind == "layer"
        self.dimensions = arch.d - self.layered
        self.n = start.n
        self.places = np.append(np.arange(self.n), self.n - 1)
        self.twins = None if start.twins is None else np.append(start.twins, start.n)

    def __iter__(self) -> Iterator[State]:
        stream = self._displaced(self._embedded())
        yield self._state(stream, {})
        for layer in range(1, self.arch.depth + 1):
            before = self._angle(stream)
            stream, about = self._block(stream, layer)
            about["close_exponent"] = np.log(np.maximum(self._angle(stream), 1e-300) / before)
            stream = self._tracer_near(stream)
            yield self._state(stream, about)

    def _at(self, what: int, layer: int = 0, index: int = 0) -> gram.Place:
        return gram.Place(self.seed, self.members, int(what), layer, index)

    def _state(self, stream: Stream, about: dict[str, Real]) -> State:
        whole = gram.gram(stream.whole[:, : self.n])
        return State(whole, about, gram.gram(stream.X[:, : self.n]) if self.layered else None)

    # --- one layer --------------------------------------------------------------------------------------------------

    def _block(self, stream: Stream, layer: int) -> tuple[Stream, dict[str, Real]]:
        """Attention, then the MLP, or both at once; what the attention says of itself."""
        attention, mlp, about = self.arch.attention, self.arch.mlp, dict[str, Real]()
        C = self._input(stream)
        B = None
        if attention is not None:
            B, about = self._attention(C, layer)
            power = 1.0 if self.arch.norm.output else (B[:, : self.n] ** 2).sum(-1).mean(-1)
            square = (stream.whole[:, : self.n] ** 2).sum(-1).mean(-1)
            about["noise_time"] = (self.arch.branch / self.arch.skip) ** 2 * power / square
            B = self._with_bias(B, attention.output_bias)
            if not self.arch.parallel or self.arch.norm.output:
                stream, B = self._added(stream, B, self._at(What.ATTENTION, layer)), None
                C = C if self.arch.parallel else self._input(stream)
        if mlp is not None:
            M = self._with_bias(self._mlp(C, layer), mlp.down_bias)
            B = M if B is None else np.concatenate([B, M], -1)
        if B is not None:
            stream = self._added(stream, B, self._at(What.MLP, layer))
        return stream, about

    def _input(self, stream: Stream) -> Real:
        """What a block reads, a factor."""
        return gram.normalised(stream.X, self.arch.norm.eps) if self.arch.norm.input else stream.whole

    def _added(self, stream: Stream, B: Real, at: gram.Place) -> Stream:
        """skip·x + branch·N, N of covariance BBᵀ between tokens, normalised where the architecture says so."""
        norm, d = self.arch.norm, self.arch.d
        stream, N = self._drawn(stream, B, at)
        first, mean = N.X, N.mean
        if norm.output:
            first, mean = gram.normalised(first, norm.eps), None if mean is None else np.zeros_like(mean)
        X = gram.add(self.arch.skip * stream.X, self.arch.branch * first)
        if mean is not None and stream.mean is not None:
            mean = self.arch.skip * stream.mean + self.arch.branch * mean
        if self.twins is not None:
            X, mean = X[:, self.twins], None if mean is None else mean[:, self.twins]
        assert X.shape[-1] <= d
        return self._normed(Stream(X, mean)) if norm.sum else Stream(X, mean)

    def _drawn(self, stream: Stream, B: Real, at: gram.Place) -> tuple[Stream, Stream]:
        """The noise of covariance BBᵀ between tokens in the stream's coordinates."""
        d, B = self.arch.d, gram.compress(B)
        N = gram.noise(B, stream.X.shape[-1], self.dimensions, at, d)
        if not self.layered:
            return stream, Stream(N, None)
        beside = gram.Place(at.seed, at.members, at.what, at.layer, 1)
        return stream, Stream(N, (B @ beside.normals(B.shape[-1], 1))[..., 0] / np.sqrt(d))

    def _normed(self, stream: Stream) -> Stream:
        mean = None if stream.mean is None else np.zeros_like(stream.mean)
        return Stream(gram.normalised(stream.X, self.arch.norm.eps), mean)

    def _with_bias(self, B: Real, bias: Init) -> Real:
        """A column for a bias shared by the tokens, by its variance."""
        if bias.std == 0:
            return B
        return np.concatenate([B, np.full((*B.shape[:-1], 1), bias.deviation)], -1)

    def _columns(self, C: Real, k: int, key: str, what: What, layer: int, index: int = 0) -> Real:
        """W c + b of k outputs, the bias Gaussian or uniform, one for all tokens; (members, rows, k)."""
        part, name = key.split(".")
        bias: Init = getattr(getattr(self.arch, part), f"{name}_bias")
        out = gram.columns(C, k, self.arch.deviation(key), self._at(what, layer, index), self.arch.d)
        return out if bias.std == 0 else out + biases(bias, k, self._at(What.BIAS + what, layer, index))[:, None]

    # --- attention --------------------------------------------------------------------------------------------------

    def _attention(self, C: Real, layer: int) -> tuple[Real, dict[str, Real]]:
        """B of the attention's output, Σ = BBᵀ; mean entropy of the weights, and E|m|² of attention's output m."""
        a, n = self.arch.attention, self.n
        assert a is not None
        draw = self._scores(C, layer)
        values = None
        if a.values == "projected":
            values = _split_heads(
                self._columns(C[:, :n], a.groups * a.head_dim, "attention.value", What.VALUE, layer), a.groups
            )
        step = max(1, NUMBERS // (len(self.members) * C.shape[1] * n))
        outputs, entropies, largest = [], [], []
        for first in range(0, a.heads, step):
            heads = np.arange(first, min(first + step, a.heads))
            pi = draw(heads)
            mine = C[:, None, :n] if values is None else values[:, heads * a.groups // a.heads]
            outputs.append(pi @ mine)
            entropies.append(entropy(pi[..., :n, :]).sum(1).mean(-1))
            largest.append(len(heads) * ordered(pi[..., :n, :]))
        o = np.concatenate(outputs, 1)
        about = {"attention_entropy": np.sum(entropies, 0) / a.heads, "ordered_weights": np.sum(largest, 0) / a.heads}
        scale = np.sqrt(self.arch.d)
        if values is not None:
            scale = self.arch.deviation("attention.value") * np.sqrt(self.arch.d)
            if scale > 0 and a.value_bias.std == 0:
                about["noise_level"] = (o[:, :, :n] ** 2).sum(-1).mean((1, 2)) / (scale**2 * a.head_dim)
            scale = 1.0
        else:
            about["noise_level"] = (o[:, :, :n] ** 2).sum(-1).mean((1, 2))
        o = np.moveaxis(o, 1, 2).reshape(*C.shape[:2], -1)
        return self.arch.deviation("attention.output") * scale * o, about

    def _scores(self, C: Real, layer: int):  # type: ignore[no-untyped-def]
        """A function from heads to their attention weights (members, heads, rows, n)."""
        arch, a, n = self.arch, self.arch.attention, self.n
        assert a is not None
        if a.key_query == "projected":
            q = _split_heads(self._columns(C, a.heads * a.head_dim, "attention.query", What.QUERY, layer), a.heads)
            k = _split_heads(self._columns(C[:, :n], a.groups * a.head_dim, "attention.key", What.KEY, layer), a.groups)
            if a.qk_norm != "none":
                axes = (-1,) if a.qk_norm == "head" else (-3, -1)
                q, k = (normalised_heads(one, arch.norm.kind, arch.norm.eps, axes) for one in (q, k))
            return lambda heads: attention_weights(
                arch, layer, q[:, heads], k[:, heads * a.groups // a.heads], self.places, heads
            )
        keys, per = C[:, None, :n].swapaxes(-1, -2), a.logit_factor(n) * arch.d

        def dense(heads: Real) -> Real:
            if a.key_query == "identity":
                shape = (len(C), len(heads), C.shape[1], n)
                return softmax(
                    arch, layer, np.broadcast_to(per * (C[:, None] @ keys), shape).copy(), self.places, heads
                )
            r = C.shape[-1]
            A = np.stack([self._at(What.QUERY, layer, int(h)).normals(r, r) for h in heads], 1)
            return softmax(
                arch, layer, per * arch.deviation("attention.query") * (C[:, None] @ A @ keys), self.places, heads
            )

        return dense

    # --- the MLP ----------------------------------------------------------------------------------------------------

    def _mlp(self, C: Real, layer: int) -> Real:
        """B of the MLP's output, compressed as hidden units are drawn."""
        mlp = self.arch.mlp
        assert mlp is not None
        phi, B = ACTIVATIONS[mlp.activation], None
        for index, first in enumerate(range(0, mlp.width, WIDTH)):
            k = min(WIDTH, mlp.width - first)
            hidden = self._columns(C, k, "mlp.up", What.UP, layer, index)
            a = phi(self._columns(C, k, "mlp.gate", What.GATE, layer, index)) * hidden if mlp.gated else phi(hidden)
            B = gram.compress(a if B is None else np.concatenate([B, a], -1))
        assert B is not None
        return self.arch.deviation("mlp.down") * B

    # --- the start and the tracer -----------------------------------------------------------------------------------

    def _embedded(self) -> Stream:
        """The tokens and, behind them, the last one again."""
        start, count = self.start, len(self.members)
        B = np.vstack([start.B, start.B[-1:]])
        vectors = start.vectors(self.seed, self.members, self.arch.d)
        if start.gram is not None:
            stream = self._split_gram(gram.factor(start.gram, self.arch.d))
        elif vectors is not None:
            vectors = np.concatenate([vectors, vectors[:, -1:]], 1) / np.sqrt(self.arch.d)
            stream = Stream(gram.compress(vectors), None)
            if self.layered:
                X, along = _split(vectors, np.full(self.arch.d, 1 / np.sqrt(self.arch.d)))
                stream = Stream(gram.compress(X[..., 1:]), along)
        else:
            empty = np.zeros((1, len(B), 1))  # one coordinate, in which all are zero
            stream = Stream(empty, empty.sum(-1) if self.layered else None)
        if B.size:
            stream, N = self._drawn(stream, B, self._at(What.EMBEDDING))
            mean = None if stream.mean is None or N.mean is None else stream.mean + N.mean
            stream = Stream(gram.add(stream.X, N.X), mean)
        X = np.broadcast_to(stream.X, (count, *stream.X.shape[1:]))
        mean = None if stream.mean is None else np.broadcast_to(stream.mean, X.shape[:2])
        if self.twins is not None:
            X, mean = X[:, self.twins], None if mean is None else mean[:, self.twins]
        return self._normed(Stream(X, mean)) if start.norm else Stream(X, mean)

    def _split_gram(self, X: Real) -> Stream:
        """Tokens of a given Gram matrix in general position: (1, …, 1)/√d is a random direction to them."""
        X = np.concatenate([X, X[-1:]])[None]
        if not self.layered:
            return Stream(X, None)
        r, rest = X.shape[-1], self.arch.d - X.shape[-1]
        g = self._at(What.SPLIT).normals(r)
        tail = 2 * gammaincinv(rest / 2, self._at(What.SPLIT, index=1).uniforms(1)[:, 0]) if rest else 0.0
        z = g / np.sqrt((g * g).sum(-1) + tail)[:, None]
        X, along = _split(X, z)
        return Stream(X[..., 1:] if rest == 0 else X, along)

    def _displaced(self, stream: Stream) -> Stream:
        """The tracer moved off its token in a random direction of R^d."""
        X, mean = stream.X, stream.mean
        r, rest = X.shape[-1], self.dimensions - X.shape[-1]
        normals = self._at(What.TRACER).normals(r + 1)
        step = CLOSE * np.sqrt((stream.whole[:, -1] ** 2).sum(-1) / self.arch.d)[:, None]
        moved = np.concatenate([X, np.zeros((*X.shape[:2], 1))], -1) if rest else X.copy()
        moved[:, -1, :r] += step * normals[:, :r]
        if rest:
            moved[:, -1, r] = step[:, 0] * np.sqrt(
                2 * gammaincinv(rest / 2, self._at(What.TRACER, index=1).uniforms(1)[:, 0])
            )
        if mean is not None:
            mean = mean.copy()
            mean[:, -1] += step[:, 0] * normals[:, r]
        return Stream(gram.compress(moved), mean)

    def _tracer_near(self, stream: Stream) -> Stream:
        """The tracer brought back to the distance CLOSE along the line to its token."""
        whole = stream.whole
        apart = np.sqrt(((whole[:, -1] - whole[:, -2]) ** 2).sum(-1))
        factor = CLOSE * np.sqrt((whole[:, -2] ** 2).sum(-1)) / np.maximum(apart, 1e-300)
        X = stream.X.copy()
        X[:, -1] = X[:, -2] + factor[:, None] * (X[:, -1] - X[:, -2])
        mean = stream.mean
        if mean is not None:
            mean = mean.copy()
            mean[:, -1] = mean[:, -2] + factor * (mean[:, -1] - mean[:, -2])
        return Stream(X, mean)

    def _angle(self, stream: Stream) -> Real:
        """The tracer's angle to its token, (members,)."""
        pair = gram.normalised(stream.whole[:, -2:])
        return np.sqrt(((pair[:, 1] - pair[:, 0]) ** 2).sum(-1))


def biases(bias: Init, k: int, at: gram.Place) -> Real:
    """k entries of a bias, (members, k)."""
    if bias.law == "uniform":
        return bias.deviation * np.sqrt(3) * (2 * at.uniforms(k) - 1)
    return bias.deviation * at.normals(k)


def ceiling(arch: Architecture, layer: int, n: int) -> float:
    """The largest mean entropy of attention, of even weights: the mean over tokens of log of what each sees."""
    return float(np.log(visible(arch, layer, np.arange(n), n).sum(1)).mean())


def _split_heads(x: Real, heads: int) -> Real:
    """(members, rows, heads·dh) as (members, heads, rows, dh)."""
    return np.moveaxis(x.reshape(*x.shape[:2], heads, -1), 2, 1)


def _split(X: Real, z: Real) -> tuple[Real, Real]:
    """The part of the rows of X (…, n, r) orthogonal to a unit vector, z (…, r) its coordinates in their frame.

    Returns its factor, of which the first column vanishes where |z| = 1, and the component along the vector.
    """
    size = np.sqrt((z * z).sum(-1, keepdims=True))
    w = z / size
    w = w + np.where(w[..., :1] >= 0, 1.0, -1.0) * np.eye(z.shape[-1])[0]  # Householder: z/|z| to -+ the first axis
    w = w / np.sqrt((w * w).sum(-1, keepdims=True))
    turned = X - 2 * (X @ w[..., :, None]) * w[..., None, :]
    turned[..., 0] *= np.sqrt(np.maximum(1 - size**2, 0))
    return turned, (X @ z[..., :, None])[..., 0]
