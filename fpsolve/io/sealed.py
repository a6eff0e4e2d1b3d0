"""Sealed entries, of which checkpoints, members' records and blocks' records are made.

An entry is the line ``fpsolve WHAT FORMAT LENGTH SHA-256``, WHAT its kind and perhaps a label (``member:3``), and so
many bytes of that SHA-256: an ``.npz`` of arrays and, as JSON, all that is no array. A file holds one or several.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpsolve.errors import FPSolveError

FORMAT = 3
"""Raised when an entry of the new layout would mislead those who read the old one; 3 is the first of all kinds."""

HEAD = re.compile(rb"fpsolve ([a-z]+)(?::([0-9-]+))? (\d+) (\d+) ([0-9a-f]{64})\n")
LONGEST_HEAD = 160
OTHER_FORMAT = re.compile(rb"fpsolve [a-z]+ (\d+)\s")


class Damaged(FPSolveError):
    """What stands there is no whole entry, or not of this run; the message is a clause about it.

    label: that of the entry, where it can be read.
    """

    def __init__(self, problem: str, label: str = "") -> None:
        self.label = label
        super().__init__(problem)


class Stranger(Damaged):
    """What stands there is none at all, or one of another format; nothing is to be done to it."""


@dataclass(frozen=True)
class Entry:
    """Where an entry stands: its label, the place of its body and of what comes behind."""

    label: str
    start: int
    end: int
    digest: str


def sealed(kind: str, label: str, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> tuple[bytes, memoryview]:
    """The line and the body of an entry of plain data and arrays."""
    payload = io.BytesIO()
    np.savez(payload, **{"": np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays})
    body = payload.getbuffer()
    what = f"{kind}:{label}" if label else kind
    return f"fpsolve {what} {FORMAT} {len(body)} {hashlib.sha256(body).hexdigest()}\n".encode(), body


def located(content: memoryview, kind: str, at: int = 0) -> Entry:
    """The entry of this kind that begins at a byte. Raises Damaged where none does, or it was cut short."""
    begin = bytes(content[at : at + LONGEST_HEAD])
    head = HEAD.match(begin)
    other = OTHER_FORMAT.match(begin)
    number = int(head[3]) if head else int(other[1]) if other else FORMAT
    if number != FORMAT:
        raise Stranger(f"its format is {number}, this version of fpsolve reads {FORMAT}")
    if head is None or head[1].decode() != kind:
        raise Damaged(f"it does not begin like a {kind}")
    start, label = at + head.end(), (head[2] or b"").decode()
    end = start + int(head[4])
    if end > len(content):
        raise Damaged("it was truncated or altered", label)
    return Entry(label, start, end, head[5].decode())


def only(content: memoryview, kind: str) -> Entry:
    """The entry that is all there is. Raises Damaged."""
    entry = located(content, kind)
    if entry.end != len(content):
        raise Damaged("it was altered: something stands behind its end")
    return entry


def unsealed(content: memoryview, entry: Entry) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plain data and the arrays of an entry. Raises Damaged for a body that is not of its digest."""
    body = content[entry.start : entry.end]
    if hashlib.sha256(body).hexdigest() != entry.digest:
        raise Damaged("it was truncated or altered, its SHA-256 is wrong")
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as archive:
            arrays = dict(archive)
        return json.loads(arrays.pop("").tobytes()), arrays
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise Damaged(f"it holds no arrays ({error})") from error
