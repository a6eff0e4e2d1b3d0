"""An observer that keeps the records of the states that are to be saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fpsolve.course import Instant
from fpsolve.observe.own import check_record
from fpsolve.observe.record import Recorder


class SavedStates:
    """The times and records of every ``stride``-th state; those of a checkpoint to begin with."""

    def __init__(
        self, recorder: Recorder, stride: int, times: Sequence[float] = (), records: Sequence[dict[str, Any]] = ()
    ) -> None:
        self.recorder, self.stride, self.times, self.records = recorder, stride, list(times), list(records)

    def see(self, t: float, instant: Instant) -> None:
        """Keep the record of a state that is to be saved, and is not yet. Raises InputError for a changed shape."""
        if instant.step == self.stride * len(self.times):
            record = self.recorder(instant.state)
            check_record(record, self.records, self.recorder.own, instant.state)
            self.times.append(t)
            self.records.append(record)
