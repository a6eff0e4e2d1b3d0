"""The blocks of a cloud's points, which depend on their number alone, and the ranks that hold them.

Whatever is integrated over the cloud is taken block by block; the values of all blocks are then added in their order
(:meth:`fpsolve.ensembles.comm.Ranks.summed`). So no bit depends on the number of ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpsolve.ensembles.comm import Ranks
from fpsolve.errors import InputError
from fpsolve.sphere.scattered import DIRECT_BLOCK

FEW, LARGE, MOST = 1 << 10, 1 << 16, 1 << 16
"""Up to so many blocks they are the smallest, of ``DIRECT_BLOCK`` points; from there on they grow, to ``LARGE`` points;
there are never more than ``MOST``."""

Real = NDArray[np.float64]


def block_size(count: int) -> int:
    """Points of a block of a cloud of so many: a power of two times ``DIRECT_BLOCK``."""
    most, size = min(MOST, max(FEW, -(-count // LARGE))), DIRECT_BLOCK
    while -(-count // size) > most:
        size *= 2
    return size


@dataclass(frozen=True)
class Share:
    """What one rank holds of ``count`` points: the blocks ``owned``, neighbours in their order."""

    ranks: Ranks
    count: int

    @property
    def size(self) -> int:
        """Points of a block; the last may have fewer."""
        return block_size(self.count)

    @property
    def blocks(self) -> int:
        """The number of all blocks."""
        return -(-self.count // self.size)

    def owned_by(self, rank: int) -> range:
        """The blocks of a rank: as many as others have, or one more."""
        blocks, ranks = self.blocks, self.ranks.size
        return range(blocks * rank // ranks, blocks * (rank + 1) // ranks)

    @property
    def owned(self) -> range:
        """The blocks of this rank."""
        return self.owned_by(self.ranks.rank)

    @property
    def counts(self) -> list[int]:
        """The numbers of blocks of all ranks."""
        return [len(self.owned_by(rank)) for rank in range(self.ranks.size)]

    @property
    def points(self) -> slice:
        """The points of this rank."""
        return slice(self.owned.start * self.size, min(self.owned.stop * self.size, self.count))

    @property
    def parts(self) -> list[slice]:
        """The blocks of this rank, as parts of its own points."""
        here = self.points.stop - self.points.start
        return [slice(at, min(at + self.size, here)) for at in range(0, here, self.size)]

    def check(self) -> None:
        """Raise InputError where a rank would have nothing to do."""
        if self.blocks < self.ranks.size:
            problem = f"{self.count} points make {self.blocks} blocks of {self.size}, which is work for no more ranks"
            remedy = f"start {self.blocks}, or one process without mpiexec"
            raise InputError("ranks", self.ranks.size, problem, remedy)

    def summed(self, of: Callable[[slice], Real]) -> Real:
        """Σ over all blocks of ``of(block)``, arrays of one shape, added in the order of blocks."""
        rows = [np.asarray(of(part)) for part in self.parts]
        total = self.ranks.summed(np.stack([row.ravel() for row in rows]), self.counts)
        return total.reshape(rows[0].shape)
