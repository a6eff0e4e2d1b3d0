"""The points of a cloud, of which each rank makes its own: tokens drawn block by block, or a share of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fpsolve.errors import InputError
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.initial import Initial, check_count, samples, with_recipe
from fpsolve.measures.laws import Law, Prompt, Tokens
from fpsolve.memory import check_memory
from fpsolve.noise import BrownianPath
from fpsolve.sphere.harmonics import Real
from fpsolve.spread.cloud import SpreadCloud, of_rows, spread
from fpsolve.spread.share import Share

TOKEN_BYTES = 256
"""Memory that a token takes while it is moved, the stages of a living field included."""


@dataclass(frozen=True)
class DrawnTokens:
    """n iid tokens of a law, to be drawn by path (seed, member): what ``fp.initial.samples`` gives, not yet made."""

    law: Law
    n: int
    seed: int
    member: int = 0

    @property
    def dimension(self) -> int:
        """d."""
        return self.law.dimension

    def rows(self, start: int, stop: int) -> Real:
        """The tokens of these numbers."""
        path: Any = PartOfPath(BrownianPath(self.seed, self.member), range(start, stop), self.n)
        x: Real = self.law.draw(stop - start, path)
        x /= np.sqrt(np.einsum("na,na->n", x, x))[:, None]
        return x


class PartOfPath:
    """A path for the draws of n tokens, of which ``those`` are asked for."""

    def __init__(self, path: BrownianPath, those: range, n: int) -> None:
        self._path, self._those, self._n = path, those, n

    def initial_uniforms(self, count: int) -> Real:
        """Those of the tokens, once or several times over: n of all tokens follow n others."""
        starts = [times * self._n + self._those.start for times in range(count // len(self._those))]
        return np.concatenate([self._path.initial_uniforms(len(self._those), first) for first in starts])

    def initial_normals(self, count: int) -> Real:
        """Those of the tokens, d to each."""
        return self._path.initial_normals(count, count // len(self._those) * self._those.start)


def drawn_later(law: Law | Prompt, n: int, seed: int, member: int = 0) -> Any:
    """``fp.initial.samples``, whose tokens each rank draws for itself."""
    if isinstance(law, Prompt):
        return samples(law, n, seed, member)
    check_count(n)
    law.draw(1, BrownianPath(seed, member))  # refuses laws that are not sampled
    return DrawnTokens(law, n, seed, member)


drawn_later.__name__ = samples.__name__
drawn_later = with_recipe(drawn_later)


def points_of(initial: Initial | DrawnTokens, lmax: int, rtol: float) -> Cloud | int:
    """The whole cloud of an initial law, or how many tokens are to be drawn."""
    if isinstance(initial, DrawnTokens):
        return initial.n
    if isinstance(initial, Law | Tokens):
        return Cloud.from_law(initial, lmax=lmax, rtol=rtol)
    name = type(initial).__name__
    problem = "a law of positions, or a measure, is not split over ranks"
    raise InputError("initial", name, problem, "start from a law or from tokens, or run it without mpiexec")


def built(initial: Initial | DrawnTokens, whole: Cloud | int, rtol: float, share: Share) -> SpreadCloud:
    """This rank's share. Raises InputError where it does not fit into memory."""
    if isinstance(whole, Cloud):
        return spread(whole, share)
    assert isinstance(initial, DrawnTokens)
    here = share.points
    count = here.stop - here.start
    check_memory("n", count, TOKEN_BYTES)
    x, weights = np.empty((count, initial.dimension)), np.full(count, 1 / initial.n)
    for part in share.parts:
        x[part] = initial.rows(here.start + part.start, here.start + part.stop)
    return of_rows(x, weights, None, rtol, True, share)
