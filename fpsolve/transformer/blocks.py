"""Blocks that act in the layers of a random transformer beside its heads, on the same tokens: x ← N(x + Σ_k u_k(x)).

A block has its own law, step and streams; it is one more term of the limit, :class:`fpsolve.models.Sum`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fpsolve.attention.source import Source
from fpsolve.errors import InputError
from fpsolve.measures.cloud import Cloud
from fpsolve.models.base import Model, checked_number
from fpsolve.models.drawn_heads import checked_count
from fpsolve.models.synchronisation import SynchronisationByNoise
from fpsolve.noise import ISOTROPIC, _philox
from fpsolve.noise._philox import Address, Purpose
from fpsolve.noise.activation import ActivationLike, dual_activation
from fpsolve.noise.path import TERM_BITS
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer.limits import limit
from fpsolve.transformer.members import attend, mean_of_heads
from fpsolve.transformer.weights import HeadLaw, matrices_of
from fpsolve.values import Named

NEURONS = 105
"""The Philox stream of the weights of MLPs."""

GROUP = 2**20
"""Heads are worked together as long as they have no more targets than this."""

Weights = tuple[Real, Real]


class Block(metaclass=Named):
    """What moves the tokens of a layer by u(x), its weights a pure function of (seed, member, layer, place)."""

    @abstractmethod
    def drawn(self, place: int, seed: int, members: range, depth: int, d: int) -> Iterator[Weights]:
        """The weights of every layer for the members, of the block in this place; 0 are the heads of the chain."""

    @abstractmethod
    def moved(self, x: Real, log_weights: Real, weights: Weights) -> Real:
        """u at tokens x (members, n, d) of these log weights (n,)."""

    def on(self, cloud: Cloud, weights: Weights) -> Real:
        """u at the tokens of a cloud, (n, d), for weights of one member."""
        with np.errstate(divide="ignore"):
            return self.moved(cloud.x[None], np.log(cloud.weights), weights)[0]

    @abstractmethod
    def limit(self, regime: str, d: int, heads: int, step: float) -> Model | None:
        """Its term of the limit of a chain of these heads and step, ``ballistic`` or ``diffusive``; None for none."""


@dataclass(frozen=True)
class HeadBlock(Block):
    """More heads of another law in the same layer, u = (η/H) Σ_h V_h m_{A_h}(x).

    law: of a head, a :class:`HeadLaw`. heads: H. step: η. Raises InputError for bad values.
    """

    law: HeadLaw
    heads: int
    step: float

    def __post_init__(self) -> None:
        if not isinstance(self.law, HeadLaw):
            raise InputError("law", self.law, "not the law of a head", "pass fp.transformer.HeadLaw(beta=4.0)")
        checked_count("heads", self.heads)
        checked_number("step", self.step, positive=True)

    def drawn(self, place: int, seed: int, members: range, depth: int, d: int) -> Iterator[Weights]:
        return matrices_of(self.law, seed, members, self.heads, depth, d, place)

    def moved(self, x: Real, log_weights: Real, weights: Weights) -> Real:
        values, key_queries = weights
        attention = attend(x, key_queries, self.law.beta, log_weights, self.law.normalised)
        return self.step * mean_of_heads(values, attention)

    def on(self, cloud: Cloud, weights: Weights) -> Real:
        values, key_queries = (one[0] for one in weights)
        return self.step * heads_on(cloud, self.law, values, key_queries)

    def limit(self, regime: str, d: int, heads: int, step: float) -> Model | None:
        term = limit(self.law, regime, d, self.step)
        if regime == "diffusive":
            return term.changed(noise=self.step / step * float(np.sqrt(heads / self.heads)))
        return term.changed(value=np.multiply(term.value, self.step / step))  # type: ignore[attr-defined]


@dataclass(frozen=True)
class MlpBlock(Block):
    """A random MLP in the same layer, u = η width^{-1/2} Σ_j a_j φ(⟨w_j, x⟩), a_j and w_j standard normal vectors.

    width: neurons. step: η. activation: φ as in :class:`SynchronisationByNoise`, whose noise is its diffusive limit for
    every width. Raises InputError for bad values.
    """

    width: int
    step: float
    activation: ActivationLike = "relu"

    def __post_init__(self) -> None:
        checked_count("width", self.width)
        checked_number("step", self.step, positive=True)
        if not isinstance(self.activation, str) and not callable(self.activation):
            object.__setattr__(self, "activation", tuple(np.ravel(np.asarray(self.activation)).tolist()))
        dual_activation(self.activation)

    def drawn(self, place: int, seed: int, members: range, depth: int, d: int) -> Iterator[Weights]:
        stream, count = NEURONS + (place << TERM_BITS), 2 * self.width * d
        for layer in range(depth):
            rows = [_philox.normals(Address(seed, m, stream, Purpose.NORMAL, 0, layer), count) for m in members]
            first, second = np.stack(rows).reshape(len(members), 2, self.width, d).swapaxes(0, 1)
            yield first, second

    def moved(self, x: Real, log_weights: Real, weights: Weights) -> Real:
        first, second = weights
        hidden = dual_activation(self.activation).function(np.einsum("mna,mka->mnk", x, first))
        return self.step / np.sqrt(self.width) * np.einsum("mnk,mka->mna", hidden, second)

    def limit(self, regime: str, d: int, heads: int, step: float) -> Model | None:
        if regime == "ballistic":
            return None  # of mean zero
        strength = self.step / step * float(np.sqrt(heads))
        draws = None if d in ISOTROPIC else self.width
        return SynchronisationByNoise(0.0, self.activation, value=0.0, noise=strength, draws=draws)


def heads_on(cloud: Cloud, law: HeadLaw, values: Real, key_queries: Real) -> Real:
    """(1/H) Σ_h V_h m_{A_h}(x_i) of one member, by the compiled sums of the cloud, shape (n, d)."""
    n, d = cloud.x.shape
    group = max(1, GROUP // n)
    total, heads = np.zeros_like(cloud.x), max(len(values), len(key_queries))
    for start in range(0, len(key_queries), group):
        A = key_queries[start : start + group]
        logits = law.beta * np.einsum("hab,nb->hna", A, cloud.x).reshape(-1, d)
        attention = _seen(cloud.source, logits, law.normalised).reshape(len(A), n, d)
        if len(key_queries) == 1:
            return np.einsum("ab,nb->na", values.mean(0), attention[0])
        V = values if len(values) == 1 else values[start : start + group]
        total += np.einsum("hab,hnb->na", np.broadcast_to(V, A.shape), attention)
    return total / heads


def _seen(source: Source, g: Real, normalised: bool) -> Real:
    """F, or M F, at rows of g."""
    if normalised:
        return source.F(g)
    log_m, f = source.evaluate(g)
    return np.exp(log_m)[:, None] * f
