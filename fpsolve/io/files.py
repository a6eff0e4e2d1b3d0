"""Save and load a result; the pair returns every value, coordinate and attribute unchanged, or an error.

A result's file has checksums of its own kind (Fletcher-32 of HDF5's chunks, that of Zstandard in Zarr) and two
attributes beside those of the Dataset: ``fpsolve_format``, and ``fpsolve_sha256`` of all that the file says. Behind the
end of a NetCDF file, where HDF5 does not look, stands the SHA-256 of its bytes: HDF5 may not survive what is damaged,
so it sees none of it. Other programs read all these files as they are, and a bit that is not as it was written is seen.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from fpsolve.errors import InputError, check_number
from fpsolve.io.atomic import write_whole
from fpsolve.io.content import content_digest
from fpsolve.io.output import RESULT_SUFFIXES, check_output, replacing
from fpsolve.observe.result import Result, as_result
from fpsolve.plain import digest
from fpsolve.plain.arguments import checked_arguments
from fpsolve.plain.schema import renamed
from fpsolve.surroundings import user_path

if TYPE_CHECKING:
    from numcodecs import Zstd

FORMAT = 2
"""Of results: 1 had neither checksums nor a number."""

STORE_FORMAT = 2
"""Of the stores of ensembles: 1 named its members in the configuration."""

POINTS, POINTS_FORMAT = "fpsolve_points", 1
"""The attribute of results whose points were written by the ranks that have them, and its value: chunks have checksums,
and the metadata a digest, but nobody has read all of it."""

MARK, DIGEST = "fpsolve_format", "fpsolve_sha256"
"""The attributes of a file that are not its Dataset's, as that above."""

CONSOLIDATED = ".zmetadata"

TRAILER = b"\nfpsolve-sha256 %s\n"
"""What stands behind the end of a NetCDF file, with the SHA-256 of what stands before."""

PIECE = 1 << 24

MAX_BYTES = 1 << 31
"""Results of more bytes are read on request alone."""

CODECS = ("blosc", "zstd", "zlib", "gzip", "crc32", "crc32c", "shuffle", "bytes", "transpose", "vlen-utf8")
"""What stores may be packed with: what fpsolve writes, and the defaults of xarray and zarr. None of them runs code."""


@checked_arguments
def save(ds: xr.Dataset, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Write a result as NetCDF-4 (``.nc``) or Zarr (``.zarr``, format 2), compressed; returns the path.

    The file is written under a temporary name beside ``path``, read again, compared, and renamed, so a failure loses
    nothing that existed. Raises :class:`~fpsolve.errors.InputError` naming ``path`` (see
    :func:`~fpsolve.io.check_output`), a complex variable, or ``ds`` where a variable's attributes say that the file
    means something else (``scale_factor``), :class:`~fpsolve.errors.FPSolveError` if the system fails to write.
    """
    with renamed("output", "path"):
        target = check_output(path, overwrite)
    refuse_complex(ds)
    with replacing(target, overwrite) as temporary:
        write_result(ds, temporary)
    return target


def write_result(ds: xr.Dataset, path: Path) -> None:
    """Write a result under a name that is free, and compare; one variable at a time is in memory."""
    plain = ds.drop_encoding()  # chunks and filters of the file it came from mean nothing in the other format
    plain.attrs = {name: one for name, one in ds.attrs.items() if name not in (MARK, DIGEST)}
    expected = content_digest(plain)
    marked = plain.assign_attrs({MARK: FORMAT, DIGEST: expected})
    try:
        if path.suffix == ".zarr":
            # format 2: the one with a stable text type, which `component` needs
            marked.to_zarr(path, mode="w", zarr_format=2, consolidated=True, encoding=_zarr_encoding(plain))
        else:
            marked.to_netcdf(path, format="NETCDF4", engine="netcdf4", encoding=_netcdf_encoding(plain))
        with open_result(path) as found:
            written = content_digest(_unmarked(found))
        if path.suffix != ".zarr":
            append_digest(path)
    except (TypeError, ValueError) as error:  # what xarray says of what no file holds
        raise InputError("ds", type(ds).__name__, str(error), "keep to numbers, text and arrays of them") from error
    except RuntimeError as error:  # what netCDF makes of all that the system says
        left = shutil.disk_usage(path.parent).free
        raise OSError(f"{error}; the disk has {left / 1e6:.3g} MB left, or a quota is used up") from error
    if written != expected:
        problem = "does not come back from a file as it is"
        raise InputError("ds", _other_variable(plain, path), problem, "look at its attributes: scale_factor, units, …")


def _other_variable(ds: xr.Dataset, path: Path) -> str:
    """The first variable that a file does not give back, or its attributes'."""
    with open_result(path) as found:
        for name in ds.variables:
            if name not in found.variables or content_digest(ds[[name]]) != content_digest(found[[name]]):
                return str(name)
    return "attrs"


def codec() -> Zstd:
    """Zstandard with a checksum, which knows any altered bit and a chunk that was cut short."""
    from numcodecs import Zstd

    return Zstd(level=1, checksum=True)


@checked_arguments
def load(path: str | os.PathLike[str], max_bytes: int | None = MAX_BYTES) -> Result:
    """Read a result written by :func:`save`, whole into memory; the file is closed again.

    What xarray or another program has packed is decoded as xarray does: ``scale_factor``, ``_FillValue``, dates.
    max_bytes: the largest result that is read, unpacked; None for any. A small file may unpack to anything.

    Raises :class:`~fpsolve.errors.InputError` naming ``path`` if it is missing, no file (a pipe, a device), of another
    suffix, unreadable, damaged or changed since fpsolve wrote it, of another format of fpsolve, larger than
    ``max_bytes``, or packed by codecs that fpsolve and xarray do not use for numbers.
    """
    source = _check_source(path)
    engine = "zarr" if source.suffix == ".zarr" else "netcdf4"
    limit = None if max_bytes is None else check_number("max_bytes", max_bytes, 0)
    try:
        check_store(source) if engine == "zarr" else check_file(source)
        with open_result(source) as found:
            if limit is not None and found.nbytes > limit:
                problem = f"holds {found.nbytes / 1e9:.3g} GB, more than max_bytes = {max_bytes}"
                raise InputError("path", str(path), problem, "pass max_bytes=None if you trust the file")
            ds = found.load()
        check_whole(ds, source)
    except InputError:
        raise
    except Exception as error:  # each backend has its own classes of errors
        reason = (str(error) or type(error).__name__).splitlines()[0]
        problem = f"cannot be read as {engine} ({reason})"
        raise InputError("path", str(path), problem, "check that fpsolve wrote this file") from error
    return as_result(_unmarked(ds).drop_encoding())


def append_digest(path: Path) -> None:
    """Put the SHA-256 of a file behind its end."""
    trailer = TRAILER % _sha256(path, path.stat().st_size).encode()
    with path.open("ab") as file:
        file.write(trailer)


def check_file(path: Path) -> None:
    """Raise InputError for a file that is not of the SHA-256 behind its end; one without passes."""
    length, size = len(TRAILER % bytes(64)), path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - length, 0))
        trailer = re.fullmatch(re.escape(TRAILER).replace(b"%s", b"([0-9a-f]{64})"), file.read(length))
    if trailer and trailer[1].decode() != _sha256(path, size - length):
        problem = "is damaged: its bytes are not those of the SHA-256 behind its end"
        raise InputError("path", str(path), problem, "run it again")


def _sha256(path: Path, size: int) -> str:
    """SHA-256 of the first bytes of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, PIECE))):
            found.update(piece)
            size -= len(piece)
    return found.hexdigest()


def open_result(path: Path) -> xr.Dataset:
    """What is at a path, its numbers not yet read."""
    engine: Any = "zarr" if path.suffix == ".zarr" else "netcdf4"
    return _fixed_width_text(xr.open_dataset(path, engine=engine))


def _unmarked(ds: xr.Dataset) -> xr.Dataset:
    plain = ds.copy()
    plain.attrs = {name: one for name, one in ds.attrs.items() if name not in (MARK, DIGEST, POINTS)}
    return plain


def check_whole(ds: xr.Dataset, path: Path) -> None:
    """Raise InputError for a result that is not what its digest says, or is of another format; others pass."""
    if MARK not in ds.attrs and DIGEST not in ds.attrs:
        if POINTS in ds.attrs:
            check_format(POINTS, ds.attrs[POINTS], POINTS_FORMAT, path)
        elif "fpsolve_ensemble" in ds.attrs:
            check_format("fpsolve_ensemble", ds.attrs["fpsolve_ensemble"], STORE_FORMAT, path)
        elif "fpsolve_config" in ds.attrs:
            check_format(MARK, None, FORMAT, path)
        return
    check_format(MARK, ds.attrs.get(MARK), FORMAT, path)
    if ds.attrs.get(DIGEST) != content_digest(_unmarked(ds)):
        problem = f"is damaged, or was changed since fpsolve wrote it: it is not that of its {DIGEST}"
        raise InputError("path", str(path), problem, "run it again; xarray.open_dataset shows what is there")


def check_format(name: str, found: Any, known: int, path: Path, argument: str = "path") -> None:
    """Raise InputError naming the format where it is not the one that is read."""
    if found is None or int(found) != known:
        which = "has no number: an older fpsolve or another program wrote it" if found is None else f"is {found}"
        problem = f"its format ({name}) {which}; this version of fpsolve reads {known}"
        raise InputError(argument, str(path), problem, "run it again; xarray.open_dataset shows what is there")


def _check_source(path: str | os.PathLike[str]) -> Path:
    source = user_path(path, "path")
    if source.suffix not in RESULT_SUFFIXES:
        known = " or ".join(RESULT_SUFFIXES)
        raise InputError("path", str(path), f"the suffix {source.suffix!r} is not {known}", "name a result of fpsolve")
    if not source.exists():
        raise InputError("path", str(path), "does not exist", "check the name")
    if not (source.is_dir() if source.suffix == ".zarr" else source.is_file()):
        kind = "is no folder" if source.suffix == ".zarr" else "is no file"
        raise InputError("path", str(path), kind, "name a result of fpsolve")
    return source


def check_store(store: Path) -> None:
    """Raise InputError for a Zarr store whose metadata are damaged or name other codecs than ``CODECS``.

    Nothing is decoded.
    """
    check_seal(store)
    for file in (one for mark in (".zarray", ".zmetadata", "zarr.json") for one in store.rglob(mark)):
        for name in _codecs(json.loads(file.read_bytes())):
            if name.removeprefix("numcodecs.") not in CODECS:
                raise InputError("path", str(store), f"is packed by {name!r}", "write it again with fp.save")


def seal(store: Path) -> None:
    """Add to the consolidated metadata of a store, which are what is read of it, their digest."""
    file = store / CONSOLIDATED
    table = json.loads(file.read_bytes())
    write_whole(file, json.dumps({**table, DIGEST: digest(table["metadata"])}, indent=4).encode())


def check_seal(store: Path) -> bool:
    """Whether consolidated metadata have a digest. Raises InputError where it is not theirs."""
    file = store / CONSOLIDATED
    table = json.loads(file.read_bytes()) if file.is_file() else {}
    if DIGEST in table and table[DIGEST] != digest(table.get("metadata")):
        problem = f"is damaged: its {CONSOLIDATED} is not that of its digest"
        raise InputError("path", str(store), problem, "give the command that made it again, which mends it")
    return DIGEST in table


def _codecs(meta: Any) -> Iterator[str]:
    """The names of codecs in metadata of either format of Zarr, attributes left out."""
    if isinstance(meta, list):
        for one in meta:
            yield from _codecs(one)
    if isinstance(meta, dict):
        listed = [meta.get("compressor"), *(meta.get("filters") or []), *(meta.get("codecs") or [])]
        yield from (str(one.get("id", one.get("name"))) for one in listed if isinstance(one, dict))
        for key, one in meta.items():
            if key != "attributes" and not key.endswith(".zattrs"):
                yield from _codecs(one)


def refuse_complex(ds: xr.Dataset) -> None:
    """Raise InputError naming the first complex variable."""
    for name, variable in ds.variables.items():
        if variable.dtype.kind == "c":
            remedy = "store real and imaginary parts, or real harmonics"
            raise InputError(str(name), str(variable.dtype), "complex numbers have no place in NetCDF", remedy)


def _netcdf_encoding(ds: xr.Dataset) -> dict[Any, dict[str, Any]]:
    """Nothing is ever missing in a result, so no variable gets a fill value (CF forbids it on coordinates).

    Text is stored as characters: strings of other lengths lie where HDF5 has no checksums.
    """
    checked = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}
    found: dict[Any, dict[str, Any]] = {}
    for name, one in ds.variables.items():
        kind = one.dtype.kind
        found[name] = (checked if one.size and one.ndim else {}) | ({"_FillValue": None} if kind in "fiu" else {})
        found[name] |= {"dtype": "S1"} if kind in "UOT" else {}
    return found


def _zarr_encoding(ds: xr.Dataset) -> dict[Any, dict[str, Any]]:
    checked = {"compressors": codec()}
    kinds = {name: one.dtype.kind for name, one in ds.variables.items()}
    return {name: checked | ({"_FillValue": None} if kind in "fiu" else {}) for name, kind in kinds.items()}


def _fixed_width_text(ds: xr.Dataset) -> xr.Dataset:
    """Text comes back from NetCDF as objects; give it NumPy's fixed-width type again."""
    text = {name: ds[name].astype("U") for name, variable in ds.variables.items() if variable.dtype.kind in "OT"}
    return ds.assign(text) if text else ds
