"""When a run writes its checkpoint, where it goes on from one, and whether that one is its own."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fpsolve.errors import CheckpointWarning, FPSolveError, InputError, check_number
from fpsolve.io.atomic import clean, place_of
from fpsolve.io.checkpoint import BEGIN, Snapshot, is_one, read, split, write
from fpsolve.io.output import check_output
from fpsolve.io.sealed import Damaged, Stranger
from fpsolve.measures import Measure
from fpsolve.observe.record import versions
from fpsolve.plain import differences, to_plain
from fpsolve.surroundings import user_path, warn

SAME_START = 1e-11
"""How far apart two first states of one law may be, relative: another processor builds them to its own round-off."""


class Keeper:
    """The checkpoint of one run, in one file.

    every: seconds between two writings. config, start: the run's configuration and first state, which a checkpoint
    must fit. Raises InputError, naming ``checkpoint``, for a place that cannot be written, a measure that is no
    dataclass, or one with fields that a file cannot hold.
    """

    def __init__(self, path: str | os.PathLike[str], every: float, config: Mapping[str, Any], start: Measure) -> None:
        self.path = _place(path)
        self.every = check_number("checkpoint_every", every, 0)
        if not hasattr(start, "__dataclass_fields__"):
            raise InputError("checkpoint", str(path), f"a {start.name} is no dataclass", "make its class one")
        place = place_of(self.path, "checkpoint")
        clean(place.parent, place.name)
        self.start = start
        self._about = {"config": to_plain(config), "start": fingerprint(start)}
        self._written = time.monotonic()
        self.step: int | None = None
        """The step of the checkpoint that is there, None without one."""

    def resume(self, steps: int) -> Snapshot:
        """Where the run goes on: the checkpoint's snapshot, or the first state where there is no sound one.

        A damaged file is renamed to ``….damaged``, with a CheckpointWarning. Raises InputError with every difference
        for the checkpoint of another run, for one beyond ``steps``, and for a file that is none.
        """
        try:
            snapshot, found = read(self.path, (type(self.start),))
        except FileNotFoundError:
            return Snapshot(0, self.start)
        except Stranger as error:
            raise InputError("checkpoint", str(self.path), str(error), "name another file") from None
        except Damaged as error:
            _warn(f"checkpoint = {str(self.path)!r}: {error}; kept as {set_aside(self.path)!r}, the run begins anew")
            return Snapshot(0, self.start)
        refuse_others(self.path, found, self._about, _same_start(found["start"], self._about["start"]))
        refuse_later(self.path, snapshot.step, steps, self._about["config"]["solve"]["dt"])
        tell_other_versions(self.path, found)
        self.step = snapshot.step
        return snapshot

    def see(self, snapshot: Snapshot, is_last: bool) -> str:
        """Write when it is time to, and the last one; why that could not be done, or nothing.

        Where the system refuses, the checkpoint of before stays, with a CheckpointWarning: no run ends for that.
        """
        if not is_last and time.monotonic() - self._written < self.every:
            return ""
        failed = ""
        try:
            self._refuse_strangers()
            write(self.path, snapshot, self._about)
            self.step = snapshot.step
        except FPSolveError as error:
            failed = str(error)
            _warn(failed)
        self._written = time.monotonic()
        return failed

    def _refuse_strangers(self) -> None:
        """Raise FPSolveError where something else than a checkpoint has come into its place."""
        place = place_of(self.path, "checkpoint")
        if place.is_file():
            with place.open("rb") as file:
                if is_one(file.read(len(BEGIN))):
                    return
        if os.path.lexists(place):
            raise FPSolveError(f"checkpoint = {str(self.path)!r}: is no checkpoint any more; nothing was written")


def refuse_others(path: Path, found: Mapping[str, Any], about: Mapping[str, Any], same_start: bool) -> None:
    """Raise InputError for the checkpoint of another run: of another configuration, ``t_end`` apart, or start."""
    changed = differences(found["config"], about["config"])
    changed.pop("solve.t_end", None)
    different = listed(changed) or ("" if same_start else "the initial state")
    if different:
        problem = f"belongs to another run ({different})"
        raise InputError("checkpoint", str(path), problem, "name another file, or delete this one")


def refuse_later(path: Path, step: int, steps: int, dt: float) -> None:
    """Raise InputError for a checkpoint beyond the run's last step."""
    if step > steps:
        problem = f"it stands at t = {step * dt:g}, beyond t_end"
        raise InputError("checkpoint", str(path), problem, "ask for a later t_end, or name another file")


def tell_other_versions(path: Path, found: Mapping[str, Any]) -> None:
    """Warn of a checkpoint that other versions of the packages wrote."""
    changed = differences(found["versions"], versions())
    if changed:
        problem = f"was written by other versions ({listed(changed)}); the run goes on, but not bit for bit"
        _warn(f"checkpoint = {str(path)!r}: {problem}")


def listed(changed: Mapping[str, tuple[Any, Any]]) -> str:
    return ", ".join(f"{key}: {json.dumps(was)} -> {json.dumps(now)}" for key, (was, now) in changed.items())


def fingerprint(state: Measure) -> dict[str, Any]:
    """Shape, Σ|a| and Σ a_k e^{ik} of each array of a state: tells two laws of one description apart.

    The sum is taken of the real and of the imaginary parts and told by both of its own: signs count.
    """
    arrays, plain = split(state)
    sums = {}
    for name, array in arrays.items():
        flat = np.ravel(array)
        turn = np.exp(1j * np.arange(flat.size))
        waves = [np.sum(flat.real * turn), *([np.sum(flat.imag * turn)] if np.iscomplexobj(flat) else [])]
        parts = [float(part) for wave in waves for part in (wave.real, wave.imag)]
        sums[name] = [list(np.shape(array)), float(np.abs(flat).sum()), *parts]
    return {"arrays": sums, "plain": plain}


def _same_start(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    if old["plain"] != new["plain"] or old["arrays"].keys() != new["arrays"].keys():
        return False
    for name, (shape, size, *waves) in new["arrays"].items():
        was_shape, was_size, *was_waves = old["arrays"][name]
        if was_shape != shape or len(was_waves) != len(waves):
            return False
        if not np.allclose([was_size, *was_waves], [size, *waves], rtol=0, atol=SAME_START * size):
            return False
    return True


def _place(path: str | os.PathLike[str]) -> Path:
    """The path, in a folder that can be written."""
    place = user_path(path, "checkpoint")
    try:
        if place.is_dir():
            raise InputError("checkpoint", str(path), "is a folder", "name a file in it")
        return check_output(place, overwrite=True, suffixes=(place.suffix,))
    except InputError as error:
        raise InputError("checkpoint", error.value, error.problem, error.remedy) from None


def set_aside(path: Path) -> str:
    """Rename a damaged file to the first free ``….damaged``, ``….damaged-2``, …; nothing is lost."""
    path = place_of(path)
    number, aside = 1, path.with_name(f"{path.name}.damaged")
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{number}")
    os.rename(place_of(path), aside)
    return str(aside)


def set_aside_stranger(path: Path) -> str | None:
    """In a folder of the package's own: rename a file that is no checkpoint; its new name, None where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return None if is_one(file.read(len(BEGIN))) else set_aside(path)


def _warn(message: str) -> None:
    warn(message, CheckpointWarning)
