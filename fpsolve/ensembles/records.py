"""Records beside a store: a member counts once its entry is on the disk, a block once its list of digests is.

``OUT.zarr.work/members/`` has one file for each block that is begun and not complete, to which every finished member is
added as a sealed entry. ``OUT.zarr.work/blocks/`` has one for each complete block, renamed into place: the digests of
all members. So there are no more files than blocks, and than ranks at work on them. All name the configuration's
digest; what is truncated, altered or of another command is not trusted.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fpsolve.errors import FPSolveError
from fpsolve.io.atomic import clean, sync_folder, write_whole
from fpsolve.io.sealed import Damaged, located, only, sealed, unsealed

PENDING, DONE, FAILED, UNRESOLVED = range(4)
"""What became of a member; of one that is under-resolved, the values until then count."""

@dataclass(frozen=True)
class Outcome:
    """One member: the values of its variables as the store holds them, its status and, if it is bad, why."""

    values: Mapping[str, Any]
    status: int
    cause: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of names, shapes and bytes of the values, the status and the cause."""
        found = hashlib.sha256(f"{self.status} {self.cause}".encode())
        for name in sorted(self.values):
            array = np.ascontiguousarray(self.values[name])
            found.update(f"|{name} {array.dtype.str} {array.shape}|".encode())
            found.update(array.tobytes())
        return found.hexdigest()


@dataclass(frozen=True)
class Records:
    """The records in the folder ``work`` of a command whose configuration has this digest."""

    work: Path
    config: str

    def prepare(self) -> None:
        """Create the folders."""
        for folder in (self.members, self.blocks):
            folder.mkdir(parents=True, exist_ok=True)
            clean(folder)

    @property
    def members(self) -> Path:
        return self.work / "members"

    @property
    def blocks(self) -> Path:
        return self.work / "blocks"

    def members_path(self, block: str) -> Path:
        return self.members / f"{block}.records"

    def block_path(self, block: str) -> Path:
        return self.blocks / f"{block}.record"

    def finished(self) -> set[str]:
        """The blocks that have a record, whole or not."""
        return {path.stem for path in self.blocks.glob("*.record")}

    def write_member(self, block: str, point: int, member: int, outcome: Outcome) -> None:
        """Add a member to the record of its block, on to the disk. Raises FPSolveError where the system refuses."""
        meta = {**self._about(point, member), "status": outcome.status, "cause": outcome.cause}
        _append(self.members_path(block), *sealed("member", str(member), meta, outcome.values))

    def read_members(self, block: str, point: int) -> tuple[dict[int, Outcome], list[tuple[str, str]]]:
        """The members in the record of a block, and what of it is not trusted, ``("member 3", why)``.

        What stands behind an entry that was cut short is cut off, so that further members can be added.
        """
        path = self.members_path(block)
        try:
            data = memoryview(path.read_bytes())
        except FileNotFoundError:
            return {}, []
        found: dict[int, Outcome] = {}
        damages, at = [], 0
        while at < len(data):
            try:
                entry = located(data, "member", at)
            except Damaged as error:
                name = f"member {error.label}" if error.label else f"the members of block {block} from byte {at} on"
                damages.append((name, str(error)))
                os.truncate(path, at)
                break
            try:
                found[int(entry.label)] = self._outcome(point, int(entry.label), *unsealed(data, entry))
            except Damaged as error:
                damages.append((f"member {entry.label}", str(error)))
            at = entry.end
        return found, damages

    def _outcome(self, point: int, member: int, meta: dict[str, Any], arrays: dict[str, Any]) -> Outcome:
        try:
            outcome = Outcome(arrays, meta.pop("status"), meta.pop("cause"))
        except KeyError as error:
            raise Damaged(f"it has no {error}") from error
        if meta != self._about(point, member):
            raise Damaged("it belongs to another command")
        return outcome

    def _about(self, point: int, member: int) -> dict[str, Any]:
        return {"config": self.config, "point": point, "member": member}

    def write_block(self, block: str, digests: Mapping[int, str]) -> None:
        """Put a block's record into place."""
        statement = {"config": self.config, "members": {str(member): one for member, one in digests.items()}}
        write_whole(self.block_path(block), *sealed("block", block, statement, {}))

    def read_block(self, block: str) -> dict[int, str] | None:
        """The digests of a block's members, None if it has no record. Raises Damaged if it cannot be trusted."""
        try:
            content = memoryview(self.block_path(block).read_bytes())
        except FileNotFoundError:
            return None
        entry = only(content, "block")
        statement, _ = unsealed(content, entry)
        if (statement.get("config"), entry.label) != (self.config, block):
            raise Damaged("it belongs to another command")
        return {int(member): str(one) for member, one in statement["members"].items()}

    def forget_members(self, block: str) -> None:
        """Remove the record of the members of a block that has its own."""
        self.members_path(block).unlink(missing_ok=True)


def _append(path: Path, *parts: bytes | memoryview) -> None:
    """Add an entry to a file, on to the disk; of a new one the name too."""
    is_new = not path.exists()
    try:
        with path.open("ab") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(path.parent)
    except OSError as error:
        raise FPSolveError(f"writing {str(path)!r} failed ({error.strerror})") from error
