"""Many members of a random transformer at once: batched NumPy for few tokens, the twin of the chain's compiled sums."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fpsolve.errors import UnresolvedError
from fpsolve.measures.cloud import Cloud
from fpsolve.models.weights import BLOCK_WORDS
from fpsolve.observe import OBSERVABLES, versions
from fpsolve.observe.quantities import LARGEST_EXPONENT
from fpsolve.sphere.harmonics import Real

if TYPE_CHECKING:
    from fpsolve.transformer.blocks import Block
    from fpsolve.transformer.chain import RandomTransformer

BLOCK = 2**22
"""Numbers of one kind (weights, attention matrices) held for the members of a block."""


class Batch:
    """Members advanced together: iterate for (layer, x), x (members, n, d).

    drawn: V and A of the heads in every layer. beside: (block, its weights in every layer) of other blocks.
    """

    def __init__(
        self, x: Real, weights: Real, drawn: Iterator[tuple[Real, Real]], step: float, beta: float,
        normalised: bool = True, beside: Sequence[tuple[Block, Iterator[tuple[Real, Real]]]] = (),
    ) -> None:  # fmt: skip
        with np.errstate(divide="ignore"):  # a token of no weight is attended to by none
            self.log_weights = np.log(weights)
        self.x, self.drawn = x, drawn
        self.step, self.beta, self.normalised, self.beside = step, beta, normalised, beside

    def __iter__(self) -> Iterator[tuple[int, Real]]:
        x = self.x
        yield 0, x
        others = [weights for _, weights in self.beside]
        for layer, ((values, key_queries), *rest) in enumerate(zip(self.drawn, *others, strict=False), start=1):
            with np.errstate(over="ignore", invalid="ignore"):  # told by the length of what comes out
                moved = x + self.step * mean_of_heads(values, self.attention(x, key_queries))
                for (block, _), weights in zip(self.beside, rest, strict=True):
                    moved = moved + block.moved(x, self.log_weights, weights)
            x = on_the_sphere(moved, layer)
            yield layer, x

    def attention(self, x: Real, key_queries: Real) -> Real:
        """m_A(x), shape (members, heads, n, d), by softmax over the tokens."""
        return attend(x, key_queries, self.beta, self.log_weights, self.normalised)


def attend(x: Real, key_queries: Real, beta: float, log_weights: Real, normalised: bool) -> Real:
    """m_A(x) of tokens (members, n, d) for A (members or 1, heads, d, d), shape (members, heads, n, d)."""
    tokens = x[:, None]
    exponent = beta * (tokens @ key_queries.swapaxes(-1, -2) @ tokens.swapaxes(-1, -2)) + log_weights
    if not normalised:
        return np.asarray(np.exp(exponent) @ tokens)
    p = np.exp(exponent - exponent.max(-1, keepdims=True))
    return (p @ tokens) / p.sum(-1, keepdims=True)


def on_the_sphere(x: Real, layer: int) -> Real:
    """N(x) for tokens (..., d). Raises UnresolvedError where attention without denominators overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.sqrt(np.einsum("...a,...a", x, x))[..., None]
    if not np.isfinite(length).all():
        remedy = "use a smaller beta or step, or attention with its denominator"
        raise UnresolvedError(float(layer), f"layer {layer} is too large for double precision", remedy)
    return x / length


def mean_of_heads(values: Real, attention: Real) -> Real:
    """(1/H) Σ_h V_h m_h, shape (members, n, d)."""
    if attention.shape[1] == 1:
        values = values.mean(1, keepdims=True)
    elif values.shape[1] == 1:
        attention = attention.mean(1, keepdims=True)
    return np.asarray((attention @ values.swapaxes(-1, -2)).mean(1))


def block_size(n: int, d: int, heads: int) -> int:
    """How many members are held at once."""
    return max(1, BLOCK // (heads * max(BLOCK_WORDS, 2 * d * d, n * max(n, d))))


def member_dataset(
    transformer: RandomTransformer,
    starts: Sequence[Cloud],
    members: range,
    stride: int,
    save_points: bool,
    config: dict[str, Any],
) -> xr.Dataset:
    """Every ``stride`` layers: mean_vector, overlap, energy [, points], dimensions (member, layer, …)."""
    n, d = transformer.n, transformer.d
    size = block_size(n, d, transformer.heads)
    saved = []
    for first in range(0, len(members), size):
        some = members[first : first + size]
        mine = starts if len(starts) == 1 else starts[first : first + size]
        x = np.broadcast_to(np.stack([one.x for one in mine]), (len(some), n, d))
        batch = transformer.batch(x, starts[0].weights, some)
        states = np.stack([state for layer, state in batch if layer % stride == 0], 1)
        saved.append(_observed(states, starts[0].weights, transformer.beta, save_points))
    return _dataset(saved, members, np.arange(0, transformer.depth + 1, stride), config)


def _observed(x: Real, weights: Real, beta: float, save_points: bool) -> dict[str, Real]:
    """Observables of states (members, layers, n, d)."""
    mean = np.einsum("n,mlna->mla", weights, x)
    values = {"mean_vector": mean, "overlap": np.einsum("mla,mla->ml", mean, mean)}
    if beta > 0:
        values["log_energy"] = np.stack([_log_energy(state, weights, beta) for state in x])
        if beta <= LARGEST_EXPONENT:
            values["energy"] = np.exp(values["log_energy"])
    if save_points:
        values["points"] = x
    return values


def _log_energy(x: Real, weights: Real, beta: float) -> Real:
    """log (1/2β) Σ_ij w_i w_j e^{β⟨x_i,x_j⟩} of states (layers, n, d)."""
    pairs = np.exp(beta * (np.einsum("lna,lka->lnk", x, x) - 1))
    return np.asarray(np.log(np.einsum("lnk,n,k->l", pairs, weights, weights) / (2 * beta)) + beta)


def _dataset(saved: list[dict[str, Real]], members: range, layers: Any, config: dict[str, Any]) -> xr.Dataset:
    variables = {}
    for name, values in ((name, np.concatenate([one[name] for one in saved])) for name in saved[0]):
        one = OBSERVABLES[name]
        about = {"long_name": one.long_name, "units": "1"}
        variables[name] = (("member", "layer", *one.dims), values, about)  # type: ignore[misc]
    ds = xr.Dataset(variables, {"member": np.array(members, dtype=np.uint64), "layer": layers})
    return ds.assign_attrs(
        Conventions="CF-1.11",
        title="fpsolve: RandomTransformer, cloud, layers",
        fpsolve_config=json.dumps(config),
        fpsolve_versions=json.dumps(versions()),
    )
