"""Whether, and at which layer, the tokens of a random transformer collapse: predicted by running their dynamics.

With weights that :func:`fpsolve.transformer.gram.is_chain` knows the overlaps run alone, as a Gram chain; with all
others the random transformer itself runs. Both have the law of the layers: the only error is that of sampling.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import betaincinv

from fpsolve.errors import InputError
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer.gram import AttentionChain, compress, is_chain
from fpsolve.transformer.members import Batch, block_size
from fpsolve.transformer.weights import HeadLaw, matrices_of

MITIGATED_BELOW = 0.05
"""Collapse is mitigated where its probability is below this."""

QUARTILES = (0.25, 0.75)

FLOPS, NORMALS, SCORES, CALL = 4e9, 2e7, 2e7, 3e-4
"""What one core does in a second, roughly: products, normals, entries of a softmax; and seconds a member and layer."""


@dataclass(frozen=True, eq=False)
class Collapse:
    """Members of a random transformer followed to their collapse: the mean overlap of distinct tokens over a threshold.

    overlaps (members, depth+1): the mean of ⟨x_i, x_j⟩ over distinct tokens, by weight, layer 0 the start. route:
    ``chain``, or ``layers`` where the random transformer itself was run. Medians and quartiles are the least layers by
    which at least that share of ALL members has collapsed, infinite where fewer have: a member that does not collapse
    within the depth counts as later than the depth, and in ``uncollapsed``.
    """

    threshold: float
    diffusive_step: float
    overlaps: Real
    route: Literal["chain", "layers"]

    @property
    def first_layers(self) -> Real:
        """The first layer after which the mean overlap is over the threshold, (members,); infinite where none is."""
        over = self.overlaps > self.threshold
        return np.where(over.any(1), np.argmax(over, 1), np.inf)

    @property
    def members(self) -> int:
        """How many members were run."""
        return len(self.overlaps)

    @property
    def uncollapsed(self) -> int:
        """How many of them do not collapse within the depth."""
        return int(np.isinf(self.first_layers).sum())

    @property
    def layers(self) -> float:
        """The median layer of the collapse."""
        return self.layers_at(0.5)

    @property
    def layers_quartiles(self) -> tuple[float, float]:
        """The quartiles of that layer."""
        return self.layers_at(QUARTILES[0]), self.layers_at(QUARTILES[1])

    @property
    def time(self) -> float:
        """The median in diffusive time, η²/H times the layer."""
        return self.layers * self.diffusive_step

    @property
    def time_quartiles(self) -> tuple[float, float]:
        """The quartiles in diffusive time."""
        low, high = self.layers_quartiles
        return low * self.diffusive_step, high * self.diffusive_step

    @property
    def overlap_at_depth(self) -> float:
        """The median over members of the mean overlap after the last layer."""
        return float(np.median(self.overlaps[:, -1]))

    @property
    def overlap_quartiles(self) -> tuple[float, float]:
        """The quartiles of that overlap."""
        low, high = np.quantile(self.overlaps[:, -1], QUARTILES)
        return float(low), float(high)

    @property
    def probability(self) -> float:
        """The share of members that collapse within the depth."""
        return 1 - self.uncollapsed / self.members

    @property
    def probability_interval(self) -> tuple[float, float]:
        """The Clopper–Pearson interval of the probability, level 95 %."""
        k, n = self.members - self.uncollapsed, self.members
        low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, 0.025))
        return low, 1.0 if k == n else float(betaincinv(k + 1, n - k, 0.975))

    @property
    def mitigated(self) -> bool:
        """Whether the probability is below ``MITIGATED_BELOW`` = 5 %."""
        return self.probability < MITIGATED_BELOW

    def layers_at(self, share: float) -> float:
        """The least layer by which at least this share of the members has collapsed, infinite where fewer have."""
        return float(np.quantile(self.first_layers, share, method="inverted_cdf"))


def follow(
    starts: Real, weights: Real, law: HeadLaw, heads: int, step: float, depth: int, seed: int, threshold: float
) -> Collapse:
    """Run members 0, 1, … from ``starts`` (members, n, d), tokens of ``weights`` (n,), through ``depth`` layers."""
    total, n, d = starts.shape
    exact = is_chain(law, d)
    size = block_size(n, min(n, d), 1) if exact else block_size(n, d, heads)
    overlaps = np.empty((total, depth + 1))
    for first in range(0, total, size):
        block = range(first, min(first + size, total))
        x = starts[first : first + size]
        for layer, state in _states(exact, x, weights, law, heads, step, depth, seed, block):
            overlaps[first : first + size, layer] = mean_overlap(state, weights)
            if layer == depth:
                break
    return Collapse(threshold, step**2 / heads, overlaps, "chain" if exact else "layers")


def _states(
    exact: bool, x: Real, weights: Real, law: HeadLaw, heads: int, step: float, depth: int, seed: int, block: range
) -> Iterator[tuple[int, Real]]:
    if exact:
        return iter(AttentionChain(compress(x), weights, law, x.shape[-1], heads, step, seed, block))
    drawn = matrices_of(law, seed, block, heads, depth, x.shape[-1])
    return iter(Batch(x, weights, drawn, step, law.beta, law.normalised))


def mean_overlap(x: Real, weights: Real) -> Real:
    """Σ_{i≠j} w_i w_j ⟨x_i, x_j⟩ / Σ_{i≠j} w_i w_j, the mean over distinct tokens by weight, shape (members,).

    x (members, n, r): tokens or a factor of their Gram matrix.
    """
    mean = np.einsum("n,mna->ma", weights, x)
    own = np.einsum("n,mna,mna->m", weights**2, x, x)
    return np.asarray((np.einsum("ma,ma->m", mean, mean) - own) / (1 - np.sum(weights**2)))


def seconds(n: int, d: int, heads: int, depth: int, law: HeadLaw) -> float:
    """About how long one member takes on one core."""
    r, different = min(n, d), heads if law.key_query_law().is_random else 1
    product = type(law.key_query_law()).__name__ == "Product"
    if is_chain(law, d):
        columns = min(different * r, 4 * n)
        normals = different * r * r * (1.5 if product else 1) + columns * (r + min(n, d - r))
        flops = different * (2 * n * r * r + 4 * n * n * r) + 2 * n * columns * min(d, 2 * n) + 4 * n * n * columns
    else:
        normals = different * d * d * (2 if product else 1) + heads * d * d
        flops = (different + heads) * 2 * n * d * d + different * 4 * n * n * d + product * different * 2 * d**3
    return depth * (flops / FLOPS + normals / NORMALS + different * n * n / SCORES + CALL)


def check_budget(cost: float, members: int, budget: float) -> None:
    """Raise InputError where ``members`` of this cost, in seconds, take longer than the budget."""
    if members * cost <= budget:
        return
    fits = int(budget / cost)
    problem = f"would take about {members * cost / 60:.0f} minutes on one core, beyond budget = {budget:g} seconds"
    fewer = f"members={fits}, " if fits >= 4 else ""
    remedy = f"pass {fewer}fewer layers or tokens, a larger budget, or members=0 for the rest alone"
    raise InputError("members", members, problem, remedy)
