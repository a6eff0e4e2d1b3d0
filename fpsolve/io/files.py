"""Save and load a result; the pair returns every value, coordinate and attribute unchanged."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpsolve.errors import InputError, check_number
from fpsolve.io.output import RESULT_SUFFIXES, check_output, replacing

if TYPE_CHECKING:
    import xarray as xr

    from fpsolve.observe.result import Result

MAX_BYTES = 1 << 31
"""Results of more bytes are read on request alone."""

CODECS = ("blosc", "zstd", "zlib", "gzip", "crc32", "crc32c", "shuffle", "bytes", "transpose", "vlen-utf8")
"""What stores may be packed with: what fpsolve writes, and the defaults of xarray and zarr. None of them runs code."""


def save(ds: xr.Dataset, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Write a result as NetCDF-4 (``.nc``) or Zarr (``.zarr``, format 2); returns the path.

    The file is written under a temporary name beside ``path`` and renamed when complete, so a failure loses
    nothing that existed. Raises :class:`~fpsolve.errors.InputError` naming ``output`` (see
    :func:`~fpsolve.io.check_output`) or a complex variable, :class:`~fpsolve.errors.FPSolveError` if the
    system fails to write.
    """
    target = check_output(path, overwrite)
    refuse_complex(ds)
    plain = ds.drop_encoding()  # chunks and filters of the file it came from mean nothing in the other format
    with replacing(target, overwrite) as temporary:
        if target.suffix == ".zarr":
            # format 2: the one with a stable text type, which `component` needs
            plain.to_zarr(temporary, mode="w", zarr_format=2, consolidated=True, encoding=_no_fill(plain))
        else:
            as_netcdf(plain, temporary)
    return target


def as_netcdf(ds: xr.Dataset, path: Path) -> None:
    """Write NetCDF-4, one variable at a time in memory."""
    plain = ds.drop_encoding()
    plain.to_netcdf(path, format="NETCDF4", engine="netcdf4", encoding=_no_fill(plain))


def load(path: str | os.PathLike[str], max_bytes: int | None = MAX_BYTES) -> Result:
    """Read a result written by :func:`save`, whole into memory; the file is closed again.

    What xarray or another program has packed is decoded as xarray does: ``scale_factor``, ``_FillValue``, dates.
    max_bytes: the largest result that is read, unpacked; None for any. A small file may unpack to anything.

    Raises :class:`~fpsolve.errors.InputError` naming ``path`` if it is missing, no file (a pipe, a device), of another
    suffix or unreadable, larger than ``max_bytes``, or packed by codecs that fpsolve and xarray do not use for numbers.
    """
    import xarray as xr

    from fpsolve.observe.result import as_result

    source = _check_source(path)
    engine: Any = "zarr" if source.suffix == ".zarr" else "netcdf4"
    limit = None if max_bytes is None else check_number("max_bytes", max_bytes, 0)
    try:
        if engine == "zarr":
            check_codecs(source)
        with xr.open_dataset(source, engine=engine) as found:
            if limit is not None and found.nbytes > limit:
                problem = f"holds {found.nbytes / 1e9:.3g} GB, more than max_bytes = {max_bytes}"
                raise InputError("path", str(path), problem, "pass max_bytes=None if you trust the file")
            ds = found.load()
    except InputError:
        raise
    except Exception as error:  # each backend has its own classes of errors
        reason = (str(error) or type(error).__name__).splitlines()[0]
        problem = f"cannot be read as {engine} ({reason})"
        raise InputError("path", str(path), problem, "check that fpsolve wrote this file") from error
    return as_result(_fixed_width_text(ds).drop_encoding())


def _check_source(path: str | os.PathLike[str]) -> Path:
    source = Path(path).expanduser()
    if source.suffix not in RESULT_SUFFIXES:
        known = " or ".join(RESULT_SUFFIXES)
        raise InputError("path", str(path), f"the suffix {source.suffix!r} is not {known}", "name a result of fpsolve")
    if not source.exists():
        raise InputError("path", str(path), "does not exist", "check the name")
    if not (source.is_dir() if source.suffix == ".zarr" else source.is_file()):
        kind = "is no folder" if source.suffix == ".zarr" else "is no file"
        raise InputError("path", str(path), kind, "name a result of fpsolve")
    return source


def check_codecs(store: Path) -> None:
    """Raise InputError for a Zarr store whose metadata name other codecs than ``CODECS``; nothing is decoded."""
    for file in (one for mark in (".zarray", ".zmetadata", "zarr.json") for one in store.rglob(mark)):
        for name in _codecs(json.loads(file.read_bytes())):
            if name.removeprefix("numcodecs.") not in CODECS:
                raise InputError("path", str(store), f"is packed by {name!r}", "write it again with fp.save")


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


def _no_fill(ds: xr.Dataset) -> dict[Any, dict[str, Any]]:
    """Nothing is ever missing in a result, so no variable gets a fill value (CF forbids it on
    coordinates)."""
    return {name: {"_FillValue": None} for name, variable in ds.variables.items() if variable.dtype.kind in "fiu"}


def _fixed_width_text(ds: xr.Dataset) -> xr.Dataset:
    """Text comes back from NetCDF as objects; give it NumPy's fixed-width type again."""
    text = {name: ds[name].astype("U") for name, variable in ds.variables.items() if variable.dtype.kind in "OT"}
    return ds.assign(text) if text else ds
