"""Records beside a store: a member counts once its entry is on the disk, a block once its list of digests is.

``OUT.zarr.work/members/`` has one file for each block that is begun and not complete, to which every finished member is
added: a line with its number, length and SHA-256, and its arrays. ``OUT.zarr.work/blocks/`` has one JSON file for each
complete block, renamed into place: the digests of all members. So there are no more files than blocks, and than ranks
at work on them. All name the configuration's digest; what is truncated, altered or of another command is not trusted.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fpsolve.errors import FPSolveError
from fpsolve.io.atomic import clean, sync_folder, write_whole
from fpsolve.plain import digest

PENDING, DONE, FAILED, UNRESOLVED = range(4)
"""What became of a member; of one that is under-resolved, the values until then count."""

HEAD, HEAD_BYTES = re.compile(rb"([0-9]{12}) ([0-9]{12}) ([0-9a-f]{64})\n"), 91
"""Before every entry of a record: member, length and SHA-256 of what follows."""


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


class Damaged(FPSolveError):
    """A record is not whole, or not of this command."""


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
        return self.blocks / f"{block}.json"

    def finished(self) -> set[str]:
        """The blocks that have a record, whole or not."""
        return {path.stem for path in self.blocks.glob("*.json")}

    def write_member(self, block: str, point: int, member: int, outcome: Outcome) -> None:
        """Add a member to the record of its block, on to the disk. Raises FPSolveError where the system refuses."""
        body = encoded(self._about(point, member), outcome)
        head = f"{member:012d} {len(body):012d} {hashlib.sha256(body).hexdigest()}\n".encode()
        _append(self.members_path(block), head + body)

    def read_members(self, block: str, point: int) -> tuple[dict[int, Outcome], list[tuple[str, str]]]:
        """The members in the record of a block, and what of it is not trusted, ``("member 3", why)``.

        What stands behind an entry that was cut short is cut off, so that further members can be added.
        """
        path = self.members_path(block)
        try:
            data = memoryview(path.read_bytes())
        except FileNotFoundError:
            return {}, []
        found, damages, at = {}, [], 0
        while at < len(data):
            head = HEAD.fullmatch(data[at : at + HEAD_BYTES])
            end = at + HEAD_BYTES + (int(head[2]) if head else 0)
            if head is None or end > len(data):
                name = f"member {int(head[1])}" if head else f"the members of block {block} from byte {at} on"
                damages.append((name, "it was truncated or altered"))
                os.truncate(path, at)
                break
            try:
                found[int(head[1])] = self._entry(point, int(head[1]), head[3], data[at + HEAD_BYTES : end])
            except Damaged as error:
                damages.append((f"member {int(head[1])}", str(error)))
            at = end
        return found, damages

    def _entry(self, point: int, member: int, digest: bytes, body: memoryview) -> Outcome:
        if hashlib.sha256(body).hexdigest().encode() != bytes(digest):
            raise Damaged("its digest is wrong, it was truncated or altered")
        about, outcome = decoded(body)
        if about != self._about(point, member):
            raise Damaged("it belongs to another command")
        return outcome

    def _about(self, point: int, member: int) -> dict[str, Any]:
        return {"config": self.config, "point": point, "member": member}

    def write_block(self, block: str, digests: Mapping[int, str]) -> None:
        """Put a block's record into place."""
        listed = {str(member): one for member, one in digests.items()}
        told = {"config": self.config, "block": block, "members": listed}
        whole = {**told, "sha256": digest(told)}
        write_whole(self.block_path(block), json.dumps(whole, indent=0).encode())

    def read_block(self, block: str) -> dict[int, str] | None:
        """The digests of a block's members, None if it has no record. Raises Damaged if it cannot be trusted."""
        try:
            told = json.loads(self.block_path(block).read_bytes())
            stated = told.pop("sha256")
            config, number, members = told["config"], told["block"], told["members"]
            found = {int(member): str(one) for member, one in members.items()}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged("it was truncated or altered") from error
        if digest(told) != stated:
            raise Damaged("its digest is wrong, it was truncated or altered")
        if (config, number) != (self.config, block):
            raise Damaged("it belongs to another command")
        return found

    def forget_members(self, block: str) -> None:
        """Remove the record of the members of a block that has its own."""
        self.members_path(block).unlink(missing_ok=True)


def encoded(about: Mapping[str, Any], outcome: Outcome) -> bytes:
    """A line that tells what follows, status and cause, and the arrays' bytes."""
    arrays = {name: np.asarray(array) for name, array in outcome.values.items()}
    shapes = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
    told = {"about": about, "status": outcome.status, "cause": outcome.cause, "arrays": shapes}
    return json.dumps(told).encode() + b"\n" + b"".join(array.tobytes() for array in arrays.values())


def decoded(body: memoryview) -> tuple[dict[str, Any], Outcome]:
    """What ``encoded`` was given. Raises Damaged where that cannot be."""
    try:
        line, _, raw = bytes(body).partition(b"\n")
        told, values, at = json.loads(line), {}, 0
        for name, dtype, shape in told["arrays"]:
            count = math.prod(shape)
            values[name] = np.frombuffer(raw, dtype, count, at).reshape(shape)
            at += count * values[name].itemsize
        return told["about"], Outcome(values, told["status"], told["cause"])
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"it holds no arrays ({error})") from error


def _append(path: Path, entry: bytes) -> None:
    """Add to a file, on to the disk; of a new one the name too."""
    is_new = not path.exists()
    try:
        with path.open("ab") as file:
            file.write(entry)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(path.parent)
    except OSError as error:
        raise FPSolveError(f"writing {str(path)!r} failed ({error.strerror})") from error
