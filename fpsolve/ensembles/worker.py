"""What one rank does with a block: verify what is kept, compute what is missing, write, record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fpsolve.ensembles.member import BAD, Runner
from fpsolve.ensembles.records import DONE, Outcome, Records
from fpsolve.ensembles.store import KEPT, Store
from fpsolve.ensembles.tasks import MemberBlock
from fpsolve.errors import FPSolveError
from fpsolve.io.sealed import Damaged

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class News:
    """What a rank tells of a member: whether it was computed now, failed or under-resolved, seconds, last overlap."""

    point: int
    member: int
    computed: bool
    failed: bool
    seconds: float
    overlap: float


@contextmanager
def telling_what_is_kept() -> Iterator[None]:
    """A record that cannot be written says what is not lost."""
    try:
        yield
    except FPSolveError as error:
        reason = error.__cause__.strerror if isinstance(error.__cause__, OSError) else error
        raise FPSolveError(f"writing a record failed ({reason}); {KEPT}") from error


class MemberFailed(FPSolveError):
    """A member failed and the ensemble was to stop at the first one."""


class Worker:
    """Works through blocks; ``records`` is None for an ensemble in memory."""

    def __init__(
        self, store: Store, records: Records | None, runner: Runner, tell: Callable[[News], None], fail_fast: bool
    ) -> None:
        self.store, self.records, self.runner, self.tell, self.fail_fast = store, records, runner, tell, fail_fast
        self.at = ""
        """Where the work stands, for messages."""

    def work(self, block: MemberBlock) -> None:
        """Leave the block complete: its members in the store and, on disk, its record."""
        self.at = f", block {block.number}"
        kept, whole = self._kept(block)
        for member in kept:
            self._check(block, member, kept[member])
            self._told(block, member, kept[member], 0.0, False)
        if whole:
            return
        started = time.perf_counter()
        outcomes = {member: kept.get(member) or self._compute(block, member) for member in block.members}
        self.at = f", writing block {block.number}"
        self.store.write(block, outcomes)
        if self.records is not None:
            with telling_what_is_kept():
                self.records.write_block(block.name, {member: one.digest for member, one in outcomes.items()})
            self.records.forget_members(block.name)
        spent = time.perf_counter() - started
        log.info("block %d%s: %d members in %.2f s", block.number, self.runner.where(block.index), len(outcomes), spent)

    def _compute(self, block: MemberBlock, member: int) -> Outcome:
        self.at = f", member {member}{self.runner.where(block.index)}"
        started = time.perf_counter()
        outcome = self.runner.run(block.index, block.point, member)
        if self.records is not None:
            with telling_what_is_kept():
                self.records.write_member(block.name, block.point, member, outcome)
            self.runner.forget(block.point, member)
        self._check(block, member, outcome)
        self._told(block, member, outcome, time.perf_counter() - started, True)
        return outcome

    def _check(self, block: MemberBlock, member: int, outcome: Outcome) -> None:
        """Raise MemberFailed for a bad member where the first one is to end the ensemble."""
        if self.fail_fast and outcome.status != DONE:
            raise MemberFailed(f"member {member}{self.runner.where(block.index)} failed: {outcome.cause}")

    def _told(self, block: MemberBlock, member: int, outcome: Outcome, seconds: float, computed: bool) -> None:
        overlap: Any = outcome.values.get("overlap")
        bad = outcome.status != DONE
        last = float("nan") if overlap is None or bad else float(overlap.ravel()[-1])
        self.tell(News(block.point, member, computed, bad, seconds, last))

    def _kept(self, block: MemberBlock) -> tuple[dict[int, Outcome], bool]:
        """Members of a block that need no computing, and whether the block as a whole needs nothing."""
        if self.records is None:
            return {}, False
        try:
            digests = self.records.read_block(block.name)
        except Damaged as error:
            log.warning("the record of block %d is not trusted: %s", block.number, error)
            digests = None
        if digests is None:
            return self._recorded(block), False
        stored = self.store.read(block)
        sound = {m: one for m, one in stored.items() if digests.get(m) == one.digest}
        for member in block.members:
            if member in digests and member not in sound:
                where = self.runner.where(block.index)
                log.warning("member %d%s is not in the store as it was written: computed again", member, where)
        return {**self._recorded(block), **sound}, len(sound) == len(block.members)

    def _recorded(self, block: MemberBlock) -> dict[int, Outcome]:
        """Members of a block that is not complete, from its record."""
        assert self.records is not None
        found, damages = self.records.read_members(block.name, block.point)
        for what, why in damages:
            log.warning("the record of %s%s is not trusted: %s", what, self.runner.where(block.index), why)
        return {member: one for member, one in found.items() if member in block.members}


__all__ = ["BAD", "MemberFailed", "News", "Worker"]
