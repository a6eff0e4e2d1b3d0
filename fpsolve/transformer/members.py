"""Many members of a random transformer at once: batched NumPy for few tokens, the twin of the chain's compiled sums."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fpsolve.measures.cloud import Cloud
from fpsolve.models.weights import BLOCK_WORDS
from fpsolve.observe import OBSERVABLES, versions
from fpsolve.observe.quantities import LARGEST_EXPONENT
from fpsolve.sphere.harmonics import Real

if TYPE_CHECKING:
    from fpsolve.transformer.chain import RandomTransformer

BLOCK = 2**22
"""Numbers of one kind (weights, attention matrices) held for the members of a block."""


class Batch:
    """Members advanced together: iterate for (layer, x), x (members, n, d)."""

    def __init__(self, x: Real, weights: Real, drawn: Iterator[tuple[Real, Real]], step: float, beta: float) -> None:
        with np.errstate(divide="ignore"):  # a token of no weight is attended to by none
            self.log_weights = np.log(weights)
        self.x, self.drawn = x, drawn
        self.step, self.beta = step, beta

    def __iter__(self) -> Iterator[tuple[int, Real]]:
        x = self.x
        yield 0, x
        for layer, (values, key_queries) in enumerate(self.drawn, start=1):
            x = x + self.step * mean_of_heads(values, self.attention(x, key_queries))
            x /= np.sqrt(np.einsum("mna,mna->mn", x, x))[..., None]
            yield layer, x

    def attention(self, x: Real, key_queries: Real) -> Real:
        """m_A(x), shape (members, heads, n, d), by softmax over the tokens."""
        tokens = x[:, None]
        exponent = self.beta * (tokens @ key_queries.swapaxes(-1, -2) @ tokens.swapaxes(-1, -2)) + self.log_weights
        p = np.exp(exponent - exponent.max(-1, keepdims=True))
        return (p @ tokens) / p.sum(-1, keepdims=True)


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
