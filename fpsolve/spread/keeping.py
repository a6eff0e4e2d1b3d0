"""The checkpoint of a cloud over many ranks: a folder, in which each rank writes the state of its own points.

``progress`` is one sealed entry with all that every rank knows, and names the files of the states, ``state-SLOT-RANK``,
with the SHA-256 of each. Two slots take turns, so that those of the last ``progress`` are whole at any time. A run may
go on with another number of ranks.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from fpsolve.ensembles.comm import on_first
from fpsolve.ensembles.lock import Lock
from fpsolve.errors import CheckpointWarning, FPSolveError, InputError, check_number
from fpsolve.io.atomic import clean, place_of, write_whole
from fpsolve.io.checkpoint import Snapshot, apart, stacked, under
from fpsolve.io.keeper import SAME_START, refuse_later, refuse_others, set_aside, tell_other_versions
from fpsolve.io.sealed import Damaged, Stranger, only, sealed, unsealed
from fpsolve.observe.record import versions
from fpsolve.plain import to_plain
from fpsolve.sphere.geometry import geometry
from fpsolve.spread.cloud import SpreadCloud
from fpsolve.surroundings import user_path, warn
from fpsolve.values import unsettled

PROGRESS, LOCK, KIND = "progress", "lock", "spread"

KNOWN_BY = 8
"""The degree of the moments by which a first state is told from others."""


class SpreadKeeper:
    """The checkpoint of one run, in a folder; all ranks call its methods together.

    every: seconds between two writings, by the clock of rank 0. config, start: as of :class:`fpsolve.io.keeper.Keeper`.
    Raises InputError for a place that is a file, or a folder of something else, or of another job.
    """

    def __init__(self, path: str | os.PathLike[str], every: float, config: Mapping[str, Any], start: SpreadCloud):
        self.path, self.every = user_path(path, "checkpoint").absolute(), check_number("checkpoint_every", every, 0)
        self.start, self.ranks = start, start.share.ranks
        self._about = {"config": to_plain(config), "start": told_by(start)}
        self._lock = Lock(self.path / LOCK, self.path, "checkpoint")
        on_first(self.ranks, self._prepare)
        self._written, self._slot = time.monotonic(), 0
        self.step: int | None = None

    def _prepare(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            problem = "is a file, perhaps the checkpoint of a run on one process; that of ranks is a folder"
            raise InputError("checkpoint", str(self.path), problem, "name another")
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            problem = f"cannot be made ({error.strerror})"
            raise InputError("checkpoint", str(self.path), problem, "choose another folder") from error
        if any(self.path.iterdir()) and not (self.path / PROGRESS).exists() and not self._is_ours():
            raise InputError("checkpoint", str(self.path), "is a folder of something else", "name another")
        self._lock.take()
        clean(self.path)

    def _is_ours(self) -> bool:
        """Whether all that is in the folder is what a killed run may have left before its first ``progress``."""
        return all(one.name.startswith(("state-", "saved.zarr", LOCK, ".")) for one in self.path.iterdir())

    def resume(self, steps: int) -> Snapshot:
        """Where the run goes on; a damaged checkpoint is set aside, with a CheckpointWarning. Raises InputError."""
        found = on_first(self.ranks, lambda: self._progress(steps))
        if found is None:
            return Snapshot(0, self.start)
        state: Any = found if isinstance(found, str) else self._state(found[0])
        problems = [one for one in self.ranks.gather(state if isinstance(state, str) else "") if one]
        if problems:
            aside = on_first(self.ranks, self._set_aside)
            text = f"{problems[0]}; kept as {aside!r}, the run begins anew"
            warn(f"checkpoint = {str(self.path)!r}: {text}", CheckpointWarning)
            return Snapshot(0, self.start)
        meta, arrays = found
        self.step, self._slot = meta["step"], meta["slot"]
        times = arrays["times"].tolist()
        records = apart(under("record.", arrays), meta["records"], len(times))
        return Snapshot(meta["step"], state, times, records, meta["notes"])

    def _progress(self, steps: int) -> Any:
        """(meta, arrays) of the last progress, why it is damaged, or None where there is none."""
        try:
            content = memoryview((self.path / PROGRESS).read_bytes())
            meta, arrays = unsealed(content, only(content, KIND))
        except FileNotFoundError:
            return None
        except Stranger as error:
            raise InputError("checkpoint", str(self.path), str(error), "name another folder") from None
        except Damaged as error:
            return str(error)
        was, now = meta["start"], self._about["start"]
        same = len(was) == len(now) and np.allclose(was, now, rtol=0, atol=SAME_START)
        refuse_others(self.path, meta, self._about, bool(same))
        refuse_later(self.path, meta["step"], steps, self._about["config"]["solve"]["dt"])
        tell_other_versions(self.path, meta)
        return meta, arrays

    def _state(self, meta: Mapping[str, Any]) -> SpreadCloud | str:
        """The state of this rank's points, or why it cannot be had."""
        here, columns = self.start.share.points, self.start.state_of(slice(0, 1)).shape[1]
        x = np.empty_like(self.start.x)
        carried = None if self.start.log_density is None else np.empty(len(x))
        for name, first, stop, digest in meta["files"]:
            low, high = max(first, here.start), min(stop, here.stop)
            if low >= high:
                continue
            try:
                content = np.fromfile(self.path / name)
            except OSError as error:
                return f"its file {name} cannot be read ({error.strerror})"
            if len(content) != (stop - first) * columns or hashlib.sha256(content.data).hexdigest() != digest:
                return f"its file {name} was truncated or altered"
            points, rest = np.split(content, [(stop - first) * x.shape[1]])
            own = slice(low - here.start, high - here.start)
            x[own] = points.reshape(-1, x.shape[1])[low - first : high - first]
            if carried is not None:
                carried[own] = rest[low - first : high - first]
        return unsettled(self.start, x=x, log_density=carried)

    def close(self) -> None:
        """Let the next job in."""
        self._lock.release()

    def see(self, snapshot: Snapshot, is_last: bool) -> str:
        """Write when it is time to, and the last one; why that could not be done, or nothing."""
        if not self.ranks.share(is_last or time.monotonic() - self._written >= self.every):
            return ""
        slot = 1 - self._slot
        files = self.ranks.gather(self._written_state(slot, snapshot.state))
        failed = next((one for one in files if isinstance(one, str)), "")
        failed = failed or on_first(self.ranks, lambda: self._write_progress(slot, snapshot, files))
        if failed:
            warn(failed, CheckpointWarning)
        else:
            self._slot, self.step = slot, snapshot.step
        self._written = time.monotonic()
        return failed

    def _written_state(self, slot: int, state: Any) -> tuple[str, int, int, str] | str:
        """The file of this rank, its points and its digest; or why it could not be written."""
        here, name = state.share.points, f"state-{slot}-{self.ranks.rank}"
        parts = [np.ascontiguousarray(one) for one in (state.x, state.log_density) if one is not None]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part.data)
        try:
            write_whole(self.path / name, *(part.data.cast("B") for part in parts))
            os.sync()  # of the saved points, too
        except FPSolveError as error:
            return str(error)
        return name, here.start, here.stop, digest.hexdigest()

    def _write_progress(self, slot: int, snapshot: Snapshot, files: Any) -> str:
        """By rank 0: why it could not be written, or nothing."""
        arrays, which = stacked(snapshot.records)
        meta = {**self._about, "step": snapshot.step, "slot": slot, "files": files, "records": which,
                "notes": snapshot.notes, "versions": versions()}  # fmt: skip
        named = {f"record.{name}": value for name, value in arrays.items()}
        try:
            write_whole(self.path / PROGRESS, *sealed(KIND, "", meta, {"times": np.array(snapshot.times), **named}))
        except FPSolveError as error:
            return str(error)
        listed = {name for name, *_ in files}
        for left in self.path.glob("state-*"):  # of another number of ranks
            if left.name.startswith(f"state-{slot}-") and left.name not in listed:
                left.unlink()
        return ""

    def _set_aside(self) -> str:
        """By rank 0: the folder renamed to the first free ``….damaged``, a new one in its place."""
        aside = set_aside(self.path)
        place_of(self.path).mkdir()
        self._lock.release()
        self._lock.take()
        return aside


def told_by(start: SpreadCloud) -> list[float]:
    """The number of points and the first moments of a state."""
    sphere = geometry(start.dimension)
    return [float(start.share.count), *sphere.to_real(start.moments(KNOWN_BY)).tolist()]


