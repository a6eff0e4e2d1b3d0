"""Records beside a store: a member counts once its record, a block once its list of digests, is renamed into place.

``OUT.zarr.work/members/`` has one file for each finished member of a block that is not complete: a line with the
SHA-256 of the rest and an ``.npz``. ``OUT.zarr.work/blocks/`` has one JSON file for each complete block: the digests of
all members. All name the configuration's digest; what is truncated, altered or of another command is not trusted.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fpsolve.ensemble.layout import canonical
from fpsolve.errors import FPSolveError
from fpsolve.io.atomic import write_whole

PENDING, DONE, FAILED = 0, 1, 2


@dataclass(frozen=True)
class Outcome:
    """One member: the values of its variables as the store holds them, its status and, if it failed, why."""

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

    @property
    def members(self) -> Path:
        return self.work / "members"

    @property
    def blocks(self) -> Path:
        return self.work / "blocks"

    def member_path(self, point: int, member: int) -> Path:
        return self.members / f"{point}-{member}.npz"

    def block_path(self, block: int) -> Path:
        return self.blocks / f"{block}.json"

    def finished(self) -> set[int]:
        """The blocks that have a record, whole or not."""
        return {int(path.stem) for path in self.blocks.glob("*.json") if path.stem.isdigit()}

    def write_member(self, point: int, member: int, outcome: Outcome) -> None:
        """Put a member's record into place."""
        about = {"config": self.config, "point": point, "member": member}
        meta = json.dumps({**about, "status": outcome.status, "cause": outcome.cause}).encode()
        payload = io.BytesIO()
        arrays = {f"value.{name}": array for name, array in outcome.values.items()}
        np.savez(payload, allow_pickle=False, meta=np.frombuffer(meta, np.uint8), **arrays)
        body = payload.getbuffer()
        write_whole(self.member_path(point, member), f"{hashlib.sha256(body).hexdigest()}\n".encode(), body)

    def read_member(self, point: int, member: int) -> Outcome | None:
        """A member's record, None if there is none. Raises Damaged if it is not whole or of another command."""
        try:
            digest, _, body = self.member_path(point, member).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        if hashlib.sha256(body).hexdigest().encode() != digest:
            raise Damaged("its digest is wrong, it was truncated or altered")
        try:
            with np.load(io.BytesIO(body), allow_pickle=False) as archive:
                meta = json.loads(archive["meta"].tobytes())
                values = {name[6:]: archive[name] for name in archive.files if name.startswith("value.")}
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise Damaged(f"it holds no arrays ({error})") from error
        if (meta["config"], meta["point"], meta["member"]) != (self.config, point, member):
            raise Damaged("it belongs to another command")
        return Outcome(values, meta["status"], meta["cause"])

    def write_block(self, block: int, digests: Mapping[int, str]) -> None:
        """Put a block's record into place."""
        listed = {str(member): digest for member, digest in digests.items()}
        told = {"config": self.config, "block": block, "members": listed}
        whole = {**told, "sha256": hashlib.sha256(canonical(told)).hexdigest()}
        write_whole(self.block_path(block), json.dumps(whole, indent=0).encode())

    def read_block(self, block: int) -> dict[int, str] | None:
        """The digests of a block's members, None if it has no record. Raises Damaged as ``read_member`` does."""
        try:
            told = json.loads(self.block_path(block).read_bytes())
            digest = told.pop("sha256")
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, AttributeError) as error:
            raise Damaged("it was truncated or altered") from error
        if hashlib.sha256(canonical(told)).hexdigest() != digest:
            raise Damaged("its digest is wrong, it was truncated or altered")
        if told["config"] != self.config or told["block"] != block:
            raise Damaged("it belongs to another command")
        return {int(member): one for member, one in told["members"].items()}

    def forget_members(self, point: int, members: Sequence[int]) -> None:
        """Remove the records of members whose block has its own."""
        for member in members:
            self.member_path(point, member).unlink(missing_ok=True)
