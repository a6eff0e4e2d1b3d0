"""What has a number for every point: arrays of one Zarr store, a chunk for each block, written by its rank."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fpsolve.ensembles.comm import together
from fpsolve.ensembles.store import group_at
from fpsolve.errors import FPSolveError
from fpsolve.io.files import codec
from fpsolve.observe.observables import OBSERVABLES
from fpsolve.spread.cloud import SpreadCloud
from fpsolve.spread.share import Share


@dataclass(frozen=True)
class PointStore:
    """The points (time, point, component) [and density (time, point)] at so many saved times, and the weights (point).

    path: the store. kept: ``points``, ``density``, or both. All ranks write at the same time, each its own chunks.
    """

    path: Path
    share: Share
    times: int
    d: int
    kept: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays of the store."""
        return (*self.kept, *(("weights",) if "points" in self.kept else ()))

    def shape(self, name: str) -> tuple[int, ...]:
        """That of an array."""
        own = (self.share.count, *((self.d,) if name == "points" else ()))
        return own if name == "weights" else (self.times, *own)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, not compressed."""
        return 8 * sum(int(np.prod(self.shape(name))) for name in self.names)

    def create(self, first: SpreadCloud, fresh: bool) -> None:
        """Arrays without values, by one rank; not ``fresh``: those that are there go on, for as many times."""
        import zarr

        group = zarr.open_group(self.path, mode="w" if fresh else "a", zarr_format=2)
        for name in self.names:
            if not fresh:
                there: Any = group[name]
                there.resize(self.shape(name))
                continue
            shape = self.shape(name)
            inner = (min(self.share.size, self.share.count), *((self.d,) if name == "points" else ()))
            about = OBSERVABLES[name]
            units = about.units(first) if callable(about.units) else about.units
            dims = {"points": ("time", "point", "component"), "density": ("time", "point"), "weights": ("point",)}[name]
            group.create_array(
                name, shape=shape, chunks=inner if name == "weights" else (1, *inner), dtype="float64",
                compressors=codec(), fill_value=np.nan,
                attributes={"_ARRAY_DIMENSIONS": list(dims), "long_name": about.long_name, "units": units},
            )  # fmt: skip

    def write(self, k: int, cloud: SpreadCloud) -> None:
        """The blocks of this rank at saved time k. Raises FPSolveError where the system refuses."""
        values = {"points": cloud.x, "density": None if cloud.log_density is None else np.exp(cloud.log_density)}
        with _refusals():
            for name in self.kept:
                self._array(name)[k, self.share.points] = values[name]
            if k == 0 and "weights" in self.names:
                self._array("weights")[self.share.points] = cloud.weights

    def copy(self, other: PointStore) -> None:
        """The blocks of this rank from another store, time by time."""
        with _refusals():
            for name in self.names:
                for k in range(self.times) if name != "weights" else (slice(None),):
                    at = (k, self.share.points) if name != "weights" else self.share.points
                    self._array(name)[at] = other._array(name)[at]

    def _array(self, name: str) -> Any:
        return group_at(self.path, "r+")[name]


class SavedPoints:
    """An observer that writes the points of every ``stride``-th state, from saved time ``begun`` on."""

    def __init__(self, store: PointStore, stride: int, begun: int) -> None:
        self._store, self._stride, self._next = store, stride, begun

    def see(self, t: float, instant: Any) -> None:
        """Write a state that is to be saved, and is not yet."""
        if instant.step == self._stride * self._next:
            together(self._store.share.ranks, lambda: self._store.write(self._next, instant.state))
            self._next += 1


@contextmanager
def _refusals() -> Iterator[None]:
    """The system's refusals as an error on purpose."""
    try:
        yield
    except OSError as error:
        raise FPSolveError(f"writing the points failed ({error.strerror or error})") from error
