"""Blocks of members and the rank that takes each: dealt beforehand, or one by one as ranks become free.

Rank 0 gives them out. A thread of it answers the other ranks, so that nobody waits while rank 0 computes; where MPI
gives no second thread, every rank works out its own share of the deal.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from fpsolve.ensembles.comm import Ranks, die
from fpsolve.ensembles.layout import Layout

PAUSE = 0.01
"""Seconds between two looks for messages: an answer takes about that long, and a rank asks once a block."""


@dataclass(frozen=True)
class MemberBlock:
    """Members of one point of the sweep that one rank computes and writes; ``number`` counts blocks of the store."""

    number: int
    point: int
    index: tuple[int, ...]
    members: range

    @property
    def name(self) -> str:
        """What its records are called by: the same however many members the store has."""
        return f"{self.point}-{self.members.start}"


def blocks(layout: Layout) -> list[MemberBlock]:
    """Every block of the store, points in their order, members in theirs."""
    starts = range(layout.members.start, layout.members.stop, layout.block)
    found: list[MemberBlock] = []
    for point, index in enumerate(product(*map(range, layout.shape))):
        for start in starts:
            members = range(start, min(start + layout.block, layout.members.stop))
            found.append(MemberBlock(len(found), point, index, members))
    return found


class Deal:
    """Who takes which block: ``static``, dealt in turn beforehand, or ``dynamic``, to whoever asks, in this order.

    Safe in threads.
    """

    def __init__(self, order: Sequence[MemberBlock], size: int, dynamic: bool) -> None:
        self._lock = threading.Lock()
        common = deque(order)
        self._queues = [common if dynamic else deque(order[rank::size]) for rank in range(size)]

    def take(self, rank: int) -> MemberBlock | None:
        """The next block of a rank, None when there is none."""
        with self._lock:
            return self._queues[rank].popleft() if self._queues[rank] else None

    def stop(self) -> None:
        """Nobody gets a further block."""
        with self._lock:
            for queue in self._queues:
                queue.clear()


def ordered(layout: Layout, finished: Iterable[str]) -> list[MemberBlock]:
    """Blocks without a record first, the longest runs before the others; those that are only verified last."""
    known = set(finished)
    return sorted(blocks(layout), key=lambda one: (one.name in known, -layout.steps[one.point], one.number))


class Desk:
    """Where a rank gets blocks and tells what it has done; on rank 0 ``heard`` gets what every rank tells."""

    def __init__(self, ranks: Ranks, deal: Deal, heard: Callable[[int, Any], None]) -> None:
        self.ranks, self.deal, self.heard = ranks, deal, heard
        self._serving = ranks.size > 1 and ranks.threads
        self._remote = self._serving and ranks.rank > 0
        self._thread: threading.Thread | None = None
        if self._serving and ranks.rank == 0:
            self._thread = threading.Thread(target=self._serve, name="desk", daemon=True)
            self._thread.start()

    def take(self) -> MemberBlock | None:
        """The next block of this rank."""
        if not self._remote:
            return self.deal.take(self.ranks.rank)
        self.ranks.send(("take", None), 0)
        block: MemberBlock | None = self.ranks.receive(0)
        return block

    def tell(self, news: Any) -> None:
        """Tell rank 0; without threads only what rank 0 does itself is heard."""
        if self._remote:
            self.ranks.send(("tell", news), 0)
        elif self.ranks.rank == 0:
            self.heard(0, news)

    def stop(self) -> None:
        """Let no rank take a further block."""
        if self._remote:
            self.ranks.send(("stop", None), 0)
        else:
            self.deal.stop()

    def leave(self) -> None:
        """This rank has done all; rank 0 waits until every rank has."""
        if self._remote:
            self.ranks.send(("leave", None), 0)
        elif self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        """The thread on rank 0, until all other ranks have left; if it fails the job ends, as they wait for answers."""
        working = self.ranks.size - 1
        try:
            while working:
                found = self.ranks.poll()
                if found is None:
                    time.sleep(PAUSE)
                    continue
                working -= self._answer(*found)
        except BaseException:
            die(self.ranks, ", answering the other ranks")
            raise

    def _answer(self, rank: int, message: tuple[str, Any]) -> int:
        """Do what a message asks; 1 if its rank leaves."""
        kind, news = message
        if kind == "take":
            self.ranks.send(self.deal.take(rank), rank)
        elif kind == "tell":
            self.heard(rank, news)
        elif kind == "stop":
            self.deal.stop()
        return int(kind == "leave")
