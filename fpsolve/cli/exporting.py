"""``fpsolve export``: an ensemble's store, a group of it or a part, as one NetCDF file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from fpsolve.errors import InputError, unknown_name
from fpsolve.io import check_output, replacing
from fpsolve.io.files import check_store, check_whole, open_result, refuse_complex, write_result


def export_store(
    store: Path,
    output: Path | None = None,
    group: str | None = None,
    parts: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Write a Zarr store of fpsolve as NetCDF-4; returns the path, by default STORE.nc or STORE-GROUP.nc here.

    group: ``statistics`` of an ensemble. parts: ``dimension=index`` or ``dimension=start:stop[:step]`` by position.
    One variable at a time is in memory; the file has the checksums of a result. Raises InputError for an existing
    output, a store that is none, unknown groups and dimensions, positions that do not exist, and complex variables.
    """
    named = f"{store.stem}.nc" if group is None else f"{store.stem}-{group}.nc"
    target = check_output(output or Path(named), overwrite, (".nc",))
    ds = _opened(store, group)
    ds = ds.isel(dict(_part(text, ds) for text in parts))
    refuse_complex(ds)
    with replacing(target, overwrite) as temporary:
        write_result(ds, temporary)
    return target


def _opened(store: Path, group: str | None) -> xr.Dataset:
    """The store's Dataset, its values not yet read."""
    if not store.exists():
        raise InputError("store", str(store), "does not exist", "check the name")
    check_store(store)
    groups = _groups(store)
    if group is not None and group not in groups:
        raise unknown_name("group", group, groups) if groups else _no_groups(group)
    try:
        with open_result(store) as whole:
            check_whole(whole, store)
        ds: xr.Dataset = xr.open_zarr(store, group=group, chunks=None, decode_times=False, mask_and_scale=False)
    except InputError:
        raise
    except Exception as error:  # zarr and its codecs have classes of their own
        problem = f"cannot be read as Zarr ({(str(error) or type(error).__name__).splitlines()[0]})"
        raise InputError("store", str(store), problem, "name a .zarr of fpsolve") from error
    for variable in ds.variables.values():
        variable.attrs.pop("_FillValue", None)  # NaN, which needs no telling
    return ds


def _no_groups(group: str) -> InputError:
    return InputError("group", group, "the store has no groups yet", "finish the ensemble, or leave --group out")


def _groups(store: Path) -> list[str]:
    import zarr

    try:
        return sorted(zarr.open_group(store, mode="r").group_keys())
    except Exception:  # told by what opens it next
        return []


def _part(text: str, ds: xr.Dataset) -> tuple[str, Any]:
    """``member=0:10`` as the dimension and what to take of it."""
    name, equals, chosen = (piece.strip() for piece in text.partition("="))
    remedy = "write for example member=0:10 or time=-1"
    if not equals:
        raise InputError("isel", text, "is not of the form dimension=positions", remedy)
    if name not in ds.dims:
        raise unknown_name("isel", name, map(str, ds.dims))
    try:
        numbers = [int(piece) if piece.strip() else None for piece in chosen.split(":")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3 or (len(numbers) == 1 and numbers[0] is None) or numbers[2:] == [0]:
        raise InputError("isel", text, "is neither a position nor a range", remedy)
    size = ds.sizes[name]
    taken = slice(*numbers) if len(numbers) > 1 else numbers[0]
    if isinstance(taken, int) and not -size <= taken < size:
        raise InputError("isel", text, f"{name} has {size} positions", remedy)
    if isinstance(taken, slice) and not range(size)[taken]:
        raise InputError("isel", text, f"takes none of the {size} positions of {name}", remedy)
    return name, taken
