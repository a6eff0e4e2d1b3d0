"""What rank 0 says while an ensemble runs: a bar on a terminal, plain lines elsewhere, and the log."""

from __future__ import annotations

import logging
import math
import time

from fpsolve.ensembles.worker import News
from fpsolve.surroundings import shows_progress, tell, tqdm

EVERY = 10.0
"""Seconds between two lines."""

log = logging.getLogger(__name__)


class Watch:
    """Counts members; rates and times count only those that are computed now. Live means are for the eye alone."""

    def __init__(self, members: int, progress: bool | None) -> None:
        self.members, self.done, self.failed, self.computed = members, 0, 0, 0
        self._started = self._said = time.monotonic()
        terminal = shows_progress()
        self._lines = not terminal and progress is not False
        self._bar = tqdm(total=members, disable=not terminal or progress is False, unit="member", desc="fpsolve")
        self._sum = self._squares = 0.0

    def hear(self, rank: int, news: News) -> None:
        """A member of some rank is done."""
        self.done += 1
        self.failed += news.failed
        self.computed += news.computed
        if math.isfinite(news.overlap):
            self._sum += news.overlap
            self._squares += news.overlap**2
        self._bar.update()
        now = time.monotonic()
        if now - self._said >= EVERY:
            self._said = now
            self._say(self.line())

    def line(self) -> str:
        """``12 of 64 members, 1 failed, 3.1 members/s, 17 s left; live mean of the last overlap 0.31 ± 0.02``."""
        spent = max(time.monotonic() - self._started, 1e-9)
        rate = self.computed / spent
        text = f"{self.done} of {self.members} members" + (f", {self.failed} failed" if self.failed else "")
        if rate:
            text += f", {rate:.3g} members/s, {duration((self.members - self.done) / rate)} left"
        good = self.done - self.failed
        if good > 1 and self._squares:
            mean = self._sum / good
            error = math.sqrt(max(self._squares / good - mean**2, 0.0) / (good - 1))
            text += f"; live mean of the last overlap {mean:.4g} ± {error:.2g}"
        return text

    def close(self) -> None:
        """The last line."""
        self._bar.close()
        spent = time.monotonic() - self._started
        kept = self.done - self.computed
        text = f"{self.done} of {self.members} members, {self.failed} failed, {kept} kept from before"
        log.info("%s, %s", text, duration(spent))
        if self._lines and spent >= EVERY:
            tell(f"fpsolve: {text}, {duration(spent)}")

    def _say(self, line: str) -> None:
        log.info("%s", line)
        if self._lines:
            tell(f"fpsolve: {line}")


def duration(seconds: float) -> str:
    """``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
