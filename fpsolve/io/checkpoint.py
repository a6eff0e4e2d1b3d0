"""Checkpoints of one run: everything that its next step needs, one sealed entry, put into place as a whole.

It holds the state's fields, the saved records and all that is no array.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from fpsolve.errors import InputError
from fpsolve.io.atomic import place_of, write_whole
from fpsolve.io.sealed import Damaged, Stranger, only, sealed, unsealed
from fpsolve.measures import MEASURES, Measure
from fpsolve.observe.record import versions
from fpsolve.sphere.harmonics import Coefficients

BEGIN = b"fpsolve checkpoint "

ALTERED = 3
"""So many of these bytes may be others in a damaged checkpoint."""


@dataclass
class Snapshot:
    """A run at a step: its state, the times and records saved so far, and what else its result will hold.

    notes: ``Resolution``'s attributes. fields: potentials of the steps' fields, for ``save_flow``. behind: (step,
    cloud) of the cloud that is to take over and still catches up with the run.
    """

    step: int
    state: Measure
    times: list[float] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    fields: list[tuple[Coefficients, Coefficients]] = field(default_factory=list)
    behind: tuple[int, Measure] | None = None

    @property
    def points_moved(self) -> int:
        """The steps that have been made with points."""
        if self.behind is not None:
            return self.behind[0]
        return 0 if self.state.points is None else self.step


def write(path: Path, snapshot: Snapshot, about: Mapping[str, Any]) -> None:
    """Write a snapshot and what it is ``about``, in place of what stood at ``path``.

    Raises FPSolveError where the system refuses, InputError for a measure with fields that are neither arrays nor
    plain data.
    """
    arrays, plain = split(snapshot.state)
    behind, behind_arrays = _behind(snapshot)
    saved, which = stacked(snapshot.records)
    meta = {
        **about,
        "step": snapshot.step,
        "measure": type(snapshot.state).__name__,
        "fields": plain,
        "records": which,
        "notes": snapshot.notes,
        "behind": behind,
        "sizes": [len(pair[0]) for pair in snapshot.fields],
        "versions": versions(),
    }
    named = {f"state.{name}": value for name, value in arrays.items()}
    named |= {f"behind.{name}": value for name, value in behind_arrays.items()}
    named |= {f"record.{name}": value for name, value in saved.items()}
    named["potentials"] = np.hstack(snapshot.fields) if snapshot.fields else np.zeros((2, 0), complex)
    write_whole(path, *sealed("checkpoint", "", meta, {"times": np.array(snapshot.times), **named}))


def read(path: Path, classes: Sequence[type[Measure]] = ()) -> tuple[Snapshot, dict[str, Any]]:
    """The snapshot in a file and its meta-data: what it is about, step and ``versions``.

    classes: measures beside those of the table. Raises Damaged for a checkpoint that is not whole, Stranger
    for what is none of this version, InputError for a file that cannot be read at all, FileNotFoundError.
    """
    content = _content(path)
    meta, arrays = unsealed(content, only(content, "checkpoint"))
    known = {cls.__name__: cls for cls in (*MEASURES.values(), *classes)}
    try:
        state = _joined(known[meta["measure"]], {**meta["fields"], **under("state.", arrays)})
        at = meta["behind"]
        cloud = at and (at["step"], _joined(known[at["measure"]], {**at["fields"], **under("behind.", arrays)}))
        times = arrays["times"].tolist()
        records = apart(under("record.", arrays), meta["records"], len(times))
        pieces = np.split(arrays["potentials"], np.cumsum(meta["sizes"][:-1]), axis=1) if meta["sizes"] else []
        return Snapshot(meta["step"], state, times, records, meta["notes"], [tuple(p) for p in pieces], cloud), meta
    except (KeyError, ValueError, IndexError) as error:
        raise Damaged(f"it is no checkpoint that this version of fpsolve reads ({error!r})") from error


def _content(path: Path) -> memoryview:
    """The bytes of a file that is a checkpoint, or what is left of one."""
    place_of(path, "checkpoint")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError("checkpoint", str(path), f"cannot be read ({error.strerror})", "check the file") from error
    if not is_one(content):
        raise Stranger("is no checkpoint, and stays as it is")
    return memoryview(content)


def is_one(content: bytes) -> bool:
    """Whether these are the first bytes of a checkpoint, or of what is left of one: cut short, zeros, a few altered."""
    start = content[: len(BEGIN)]
    altered = sum(one != other for one, other in zip(start, BEGIN, strict=False))
    return altered <= ALTERED or not start.strip(b"\0")


def _behind(snapshot: Snapshot) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The cloud that catches up: its step and plain data, and its arrays."""
    if snapshot.behind is None:
        return None, {}
    step, cloud = snapshot.behind
    arrays, plain = split(cloud)
    return {"step": step, "measure": type(cloud).__name__, "fields": plain}, arrays


def split(state: Measure) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a measure: arrays, NumPy's scalars among them, and plain data. Raises InputError for others."""
    values = {one.name: getattr(state, one.name) for one in fields(state)}  # type: ignore[arg-type]
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray | np.generic)}
    plain = {name: value for name, value in values.items() if name not in arrays}
    for name, value in plain.items():
        if not isinstance(value, str | int | float | type(None)):
            problem = f"the field {name!r} of a {state.name} is not an array, a number or text"
            raise InputError("checkpoint", value, problem, "make it one, or run without a checkpoint")
    return arrays, plain


def _joined(cls: type[Measure], values: Mapping[str, Any]) -> Measure:
    """A measure from its fields; unchecked, as a run's mass may leave one by more than a law's may."""
    state = object.__new__(cls)
    for one in fields(cls):  # type: ignore[arg-type]
        value = values[one.name]
        scalar = isinstance(value, np.ndarray) and value.ndim == 0
        object.__setattr__(state, one.name, value[()] if scalar else value)
    return state


def stacked(records: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """One array for each observable, and the numbers of the records that have it."""
    names = dict.fromkeys(name for record in records for name in record)
    which = {name: [n for n, record in enumerate(records) if name in record] for name in names}
    return {name: np.stack([records[n][name] for n in which[name]]) for name in names}, which


def apart(stacked: Mapping[str, Any], which: Mapping[str, list[int]], count: int) -> list[dict[str, Any]]:
    """The records that ``stacked`` put together."""
    records: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, numbers in which.items():
        for n, value in zip(numbers, stacked[name], strict=True):
            records[n][name] = value
    return records


def under(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
