"""How many members a block has by default: few files, every rank busy, the cost of writing shared by some members."""

from __future__ import annotations

FEWEST_BLOCKS = 64
"""Blocks of an ensemble of enough members, at four a rank up to 16 ranks."""
SHARED = 8
"""Members that share the writing of a block, where every rank still has four blocks."""
MOST_FILES = 100_000
"""A store has no more by default, even if ranks stay idle for it."""
BLOCK_BYTES = 1 << 26
"""Blocks hold at most this, as a rank keeps one in memory."""
UNEVEN = 1.03
"""The busiest rank may have this many times the members that it would have in blocks of one."""


def default_block(members: int, points: int, ranks: int, member_bytes: int, files: int) -> int:
    """Members of a block of one point; ``files``: those that a block leaves in the store and beside it.

    About max(64, 4·ranks) blocks, fewer where those would have less than eight members or be more than 10⁵ files, more
    where the busiest rank, of whole blocks dealt in turn, would have much more than its share.
    """
    runs, wanted = members * points, FEWEST_BLOCKS
    while wanted < 4 * ranks:
        wanted *= 2
    most = max(_ceil(members, max(1, wanted // points)), min(SHARED, runs // (4 * ranks)), 1)
    busiest = ((block, min(_ceil(points * _ceil(members, block), ranks) * block, runs)) for block in range(most, 0, -1))
    even = next(block for block, load in busiest if load <= UNEVEN * _ceil(runs, ranks))
    fewest = _ceil(members, max(1, MOST_FILES // files // points))
    return max(1, min(max(even, fewest), members, BLOCK_BYTES // max(1, member_bytes)))


def _ceil(one: int, other: int) -> int:
    return -(-one // other)
