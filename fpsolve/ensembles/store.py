"""The Zarr store of an ensemble: one template, made whole, into which every rank writes its own blocks.

Format 2, as for results: it alone has a stable text type. A chunk is a block of members of one point, so that a chunk
has one writer and files are blocks times variables.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from fpsolve.ensembles.layout import MEMBERS, Layout, checked_blocks
from fpsolve.ensembles.records import Outcome
from fpsolve.ensembles.tasks import MemberBlock
from fpsolve.ensembles.variables import CAUSE_LENGTH, OWN, Variable
from fpsolve.errors import FPSolveError, InputError
from fpsolve.io import replacing
from fpsolve.io.files import STORE_FORMAT, check_format, codec, seal
from fpsolve.observe import versions
from fpsolve.plain import differences

if TYPE_CHECKING:
    import zarr

_DIMENSIONS = "_ARRAY_DIMENSIONS"

ALL_CHUNKS: Any = {"write_empty_chunks": True}
"""Of coordinates zeros are written too, so that a chunk that is missing is known."""

KEPT = "members that were done are kept: mend the cause and give the same command again"


class Store:
    """An open store: blocks are written and read, nothing is resized."""

    def __init__(self, group: zarr.Group, layout: Layout) -> None:
        self.group, self.layout = group, layout
        names = (*layout.variables, "status", "cause")
        self._arrays: dict[str, Any] = {name: group[name] for name in names}

    def write(self, block: MemberBlock, outcomes: Mapping[int, Outcome]) -> None:
        """Write the members of a block. Raises FPSolveError where the system refuses."""
        listed = [outcomes[member] for member in block.members]
        with naming("writing the store"):
            for name in self.layout.variables:
                self._arrays[name][self._region(block)] = np.stack([one.values[name] for one in listed])
            self._arrays["status"][self._region(block)] = np.array([one.status for one in listed], np.int8)
            self._arrays["cause"][self._region(block)] = np.array([one.cause for one in listed], f"<U{CAUSE_LENGTH}")

    def read(self, block: MemberBlock) -> dict[int, Outcome]:
        """The members of a block as the store has them; empty if its chunks cannot be read."""
        try:
            found = {name: np.asarray(array[self._region(block)]) for name, array in self._arrays.items()}
        except Exception:  # codecs have errors of their own; what cannot be read is computed again
            return {}
        status, cause = found.pop("status"), found.pop("cause")
        return {
            member: Outcome({name: found[name][n] for name in found}, int(status[n]), str(cause[n]))
            for n, member in enumerate(block.members)
        }

    def _region(self, block: MemberBlock) -> tuple[Any, ...]:
        start = block.members.start - self.layout.members.start
        return (*block.index, slice(start, start + len(block.members)))


def create(path: Path | None, layout: Layout) -> zarr.Group | None:
    """A store of the full size, all pending: complete at once under its name, or in memory (returned) for None."""
    import zarr  # here and below: slow to import

    if path is None:
        return _template(zarr.create_group(store={}, zarr_format=2), layout)
    with naming("creating the store"), replacing(path) as temporary:
        _template(zarr.create_group(temporary, zarr_format=2), layout)
    return None


def template_files(layout: Layout) -> dict[str, bytes]:
    """The files of a store of which nothing is computed, by name: metadata and coordinates."""
    import zarr

    held: dict[str, Any] = {}
    _template(zarr.create_group(store=zarr.storage.MemoryStore(held), zarr_format=2), layout)
    return {name: one.to_bytes() for name, one in held.items()}


def open_store(path: Path | zarr.Group, layout: Layout) -> Store:
    """The store for reading and writing."""
    return Store(group_at(path, "r+") if isinstance(path, Path) else path, layout)


def group_at(path: Path, mode: Literal["r", "r+"]) -> zarr.Group:
    """The arrays of a store as their own files describe them."""
    import zarr

    return zarr.open_group(path, mode=mode, use_consolidated=False)


def consolidate(group: zarr.Group) -> None:
    """Write the metadata of all arrays and groups inside into one file."""
    import zarr

    zarr.consolidate_metadata(group.store)
    root = getattr(group.store, "root", None)
    if root is not None:  # not in memory
        seal(Path(root))


def _template(group: zarr.Group, layout: Layout) -> zarr.Group:
    group.attrs.put(dict(layout.attrs))
    for name, (dims, values, attrs) in (*layout.coordinates.items(), *layout.constants.items()):
        _fixed(group, name, dims, values, attrs)
    dtypes = {"status": "int8", "cause": f"<U{CAUSE_LENGTH}"}
    own = {name: Variable((), (), OWN[name], dtype) for name, dtype in dtypes.items()}
    for name, variable in {**layout.variables, **own}.items():
        _empty(group, name, variable, layout)
    inner = [name for name, (dims, _, _) in layout.coordinates.items() if dims != (name,)]
    if inner:  # xarray's way to tell that degree(harmonic) is a coordinate
        group.attrs["coordinates"] = " ".join(inner)
    consolidate(group)
    return group


def _fixed(group: zarr.Group, name: str, dims: tuple[str, ...], values: Any, attrs: Mapping[str, Any]) -> None:
    array = np.asarray(values)
    stored = group.create_array(
        name, shape=array.shape, chunks=array.shape, dtype=array.dtype, fill_value=None,
        compressors=codec(),
        attributes={_DIMENSIONS: list(dims), **attrs},
        config=ALL_CHUNKS,
    )  # fmt: skip
    stored[...] = array


def _empty(group: zarr.Group, name: str, variable: Variable, layout: Layout) -> None:
    """Pending members have no chunks: their numbers are NaN, their status 0, their cause empty."""
    inner = (layout.time_chunk(variable), *variable.shape[1:]) if variable.shape else ()
    group.create_array(
        name,
        shape=(*layout.shape, len(layout.members), *variable.shape),
        chunks=(*(1 for _ in layout.shape), layout.block, *inner),
        dtype=variable.dtype,
        compressors=codec(),
        fill_value=np.nan if variable.dtype == "float64" else None,
        attributes={_DIMENSIONS: [*layout.axes, "member", *variable.dims], **variable.attrs},
    )


def check_existing(path: Path, layout: Layout) -> Layout:
    """The layout with the existing store's block; raises InputError listing what differs in the configuration."""
    attrs = read_json(path / ".zattrs")
    if attrs is not None and "fpsolve_ensemble" in attrs:
        check_format("fpsolve_ensemble", attrs["fpsolve_ensemble"], STORE_FORMAT, path, "output")
    if attrs is None and (path / "status").is_dir():
        problem = "its file .zattrs is missing or damaged: nothing tells which configuration it is of"
        raise InputError("output", str(path), problem, "put the file back, or choose another name")
    if attrs is None or "fpsolve_config_sha256" not in attrs:
        raise InputError("output", str(path), "exists and is not an ensemble of fpsolve", "choose another name")
    if attrs["fpsolve_config_sha256"] != layout.digest:
        raise _other(path, attrs, layout)
    return checked_blocks(replace(layout, block=_block_of(path, layout)))


def members_of(path: Path, wanted: range) -> range:
    """The members that a store has, of which the ones asked for are no fewer. Raises InputError where they are."""
    bounds = str((read_json(path / ".zattrs") or {}).get(MEMBERS)).split(":")
    if len(bounds) != 2 or not all(one.isdigit() for one in bounds):
        raise InputError("output", str(path), f"its attribute {MEMBERS} is damaged", "choose another name")
    had = range(int(bounds[0]), int(bounds[1]))
    if wanted.start != had.start or wanted.stop < had.stop:
        remedy = f"pass {had.start}:{max(wanted.stop, had.stop)} (range({had.start}, …)), or choose another output"
        raise InputError("members", f"{wanted.start}:{wanted.stop}", f"the store has {had.start}:{had.stop}", remedy)
    return had


def _other(path: Path, attrs: Mapping[str, Any], layout: Layout) -> InputError:
    """The refusal of a store of another configuration, with the differences."""
    try:
        stored = json.loads(str(attrs["fpsolve_config"]))
        listed = differences(stored, layout.config)
    except (KeyError, ValueError):
        problem = "holds an ensemble of another configuration, or its attribute fpsolve_config is damaged"
        return InputError("output", str(path), problem, "choose another name")
    if len(listed) > 1:
        listed.pop("initial_state", None)  # the others tell why
    remedy = "choose another name"
    if not listed:
        return InputError("output", str(path), "its attribute fpsolve_config_sha256 is damaged", remedy)
    problem = "; ".join(f"{key} was {_cut(was)}, now {_cut(now)}" for key, (was, now) in listed.items())
    return InputError("output", str(path), f"holds an ensemble of another configuration: {problem}", remedy)


def _cut(value: Any, limit: int = 200) -> str:
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]}…"


def _block_of(path: Path, layout: Layout) -> int:
    """Members of a block of a store, as most of its arrays tell. Raises InputError where none does."""
    at, votes = len(layout.shape), Counter[int]()
    for name in (*layout.variables, "status", "cause"):
        chunks = (read_json(path / name / ".zarray") or {}).get("chunks")
        if isinstance(chunks, list) and len(chunks) > at and isinstance(chunks[at], int) and chunks[at] > 0:
            votes[chunks[at]] += 1
    if not votes:
        raise InputError("output", str(path), "none of its files .zarray can be read", "choose another name")
    return votes.most_common(1)[0][0]


def read_json(path: Path) -> dict[str, Any] | None:
    """The table in a file; None if there is none."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def other_versions(path: Path) -> dict[str, tuple[Any, Any]]:
    """Versions of packages that differ between the store and this process."""
    attrs = read_json(path / ".zattrs") or {}
    return differences(json.loads(str(attrs["fpsolve_versions"])), versions())


def write_statistics(path: Path, found: xr.Dataset) -> None:
    """Put the statistics into their group, unless it holds these bits already."""
    try:
        if opened(path, "statistics").load().identical(found):
            return
    except Exception:  # of xarray's, zarr's and the codecs' many: none yet, or half of them
        shutil.rmtree(path / "statistics", ignore_errors=True)
    kinds = {name: {"_FillValue": None} for name, one in found.variables.items() if one.dtype.kind in "fiu"}
    found.drop_encoding().to_zarr(path, group="statistics", mode="w", zarr_format=2, consolidated=True, encoding=kinds)
    consolidate(group_at(path, "r+"))


@contextmanager
def naming(what: str) -> Iterator[None]:
    """The system's refusals as an error that says what is kept."""
    try:
        yield
    except OSError as error:
        raise FPSolveError(f"{what} failed ({error.strerror or error}); {KEPT}") from error


def opened(path: Path | zarr.Group, group: str | None = None) -> xr.Dataset:
    """The ensemble, or a group of it, as xarray gives it: values are read when they are used."""
    store: Any = path if isinstance(path, Path) else path.store
    found: xr.Dataset = xr.open_zarr(store, group=group, chunks=None, decode_times=False)
    return found if isinstance(path, Path) else found.load()
