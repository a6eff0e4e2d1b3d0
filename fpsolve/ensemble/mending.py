"""What of a store does not depend on its members is a pure function of the layout: it is compared and written again.

That is the metadata and the coordinates; chunks of members have digests of their own.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fpsolve.ensemble.layout import Layout
from fpsolve.ensemble.store import ALL_CHUNKS, consolidate, create, group_at, read_json
from fpsolve.io.atomic import clean, write_whole
from fpsolve.io.files import CONSOLIDATED, check_seal

if TYPE_CHECKING:
    import zarr

VERSIONS = "fpsolve_versions"
META = (".zgroup", ".zattrs", ".zarray")

ZARRS_PARTIAL = re.compile(r"\.[0-9a-f]{32}")
"""Before ``.partial`` in the name under which zarr writes a chunk."""


def mend(path: Path, layout: Layout) -> list[str]:
    """Write again what differs from the template of the layout; says what. For the job that has the lock.

    Raises OSError where the system refuses.
    """
    _clean(path)
    template = create(None, layout)
    assert template is not None
    expected = dict(_metadata(template))
    told = [_again(path, name, one) for name, one in expected.items() if not _same(name, read_json(path / name), one)]
    for name in (*layout.coordinates, *layout.constants):
        if not _equal(path, name, template):
            _fill(path, name, template)
            told.append(f"{name} was damaged: its values are written again")
    return [*told, *_consolidate(path)]


def extend(path: Path, layout: Layout) -> None:
    """Make room for further members in a store that is otherwise that of the layout; their numbers come last.

    A job that is killed meanwhile leaves a store of the members of before, which :func:`mend` knows.
    """
    template = create(None, layout)
    assert template is not None
    expected = dict(_metadata(template))
    about = expected.pop(".zattrs")
    for name, one in expected.items():
        if not _same(name, read_json(path / name), one):
            write_whole(path / name, json.dumps(one, indent=2).encode())
    _fill(path, "member", template)
    about = {**about, VERSIONS: (read_json(path / ".zattrs") or {}).get(VERSIONS, about[VERSIONS])}
    write_whole(path / ".zattrs", json.dumps(about, indent=2).encode())
    consolidate(group_at(path, "r+"))


def _fill(path: Path, name: str, template: zarr.Group) -> None:
    """Write the values of a coordinate."""
    array: Any = group_at(path, "r+")[name]
    array.with_config(ALL_CHUNKS)[...] = np.asarray(template[name][...])  # type: ignore[index]


def _clean(path: Path) -> None:
    """Remove what a killed job has left half written: metadata in folders of ours, chunks under zarr's own names."""
    clean(path)
    for folder in (one for one in path.iterdir() if one.is_dir()):
        clean(folder)
        for left in folder.glob("*.partial"):
            if ZARRS_PARTIAL.fullmatch(left.suffixes[-2] if len(left.suffixes) > 1 else "") and left.is_file():
                left.unlink()


def _metadata(template: zarr.Group) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """``(path, content)`` of every file of metadata that a store has, statistics left out."""
    held: Mapping[str, Any] = template.store._store_dict  # type: ignore[attr-defined]
    for name, value in held.items():
        if name.rpartition("/")[2] in META:
            yield name, json.loads(value.to_bytes())


def _same(name: str, found: Mapping[str, Any] | None, one: Mapping[str, Any]) -> bool:
    """Whether metadata are those of the template; a store that was begun with other versions of packages keeps them."""
    if found is None:
        return False
    if name == ".zattrs" and _is_table(found.get(VERSIONS)):
        one = {**one, VERSIONS: found[VERSIONS]}
    return json.dumps(found, sort_keys=True) == json.dumps(one, sort_keys=True)


def _is_table(text: Any) -> bool:
    try:
        return isinstance(json.loads(str(text)), dict)
    except ValueError:
        return False


def _again(path: Path, name: str, one: Mapping[str, Any]) -> str:
    missing = not (path / name).exists()
    (path / name).parent.mkdir(exist_ok=True)
    write_whole(path / name, json.dumps(one, indent=2).encode())
    return f"{name} was {'missing' if missing else 'damaged'}: written again"


def _equal(path: Path, name: str, template: zarr.Group) -> bool:
    """Whether a coordinate has the template's values; a chunk that is missing reads as fill values, so look for it."""
    wanted = np.asarray(template[name][...])  # type: ignore[index]
    chunk = path / name / (".".join("0" * wanted.ndim) or "0")
    if wanted.size and not chunk.is_file():
        return False
    try:
        found = np.asarray(group_at(path, "r")[name][...])  # type: ignore[index]
    except Exception:  # codecs have errors of their own
        return False
    return bool(np.array_equal(found, wanted, equal_nan=wanted.dtype.kind == "f"))


def _consolidate(path: Path) -> list[str]:
    """Bring the consolidated metadata up to date with the files; statistics whose own cannot be read are removed."""
    told = []
    files = {str(one.relative_to(path)): read_json(one) for one in _files(path)}
    if any(one is None for one in files.values()):
        shutil.rmtree(path / "statistics")  # the rest has been mended; they are taken again at the end
        files = {name: one for name, one in files.items() if not name.startswith("statistics/")}
        told.append("the metadata of the statistics were damaged: they are taken again")
    if _consolidated(path) != files or not _sealed(path):
        consolidate(group_at(path, "r+"))
        told.append(f"{CONSOLIDATED} was not that of the store: written again")
    return told


def _sealed(path: Path) -> bool:
    try:
        return check_seal(path)
    except ValueError:  # no JSON, or InputError
        return False


def _consolidated(path: Path) -> dict[str, Any]:
    """The metadata as consolidated, without what zarr adds for groups inside."""
    listed = (read_json(path / CONSOLIDATED) or {}).get("metadata")
    found: dict[str, Any] = listed if isinstance(listed, dict) else {}
    groups = {name: {"zarr_format": 2} for name in found if name.rpartition("/")[2] == ".zgroup"}
    return {**found, **groups}


def _files(path: Path) -> list[Path]:
    """The files of metadata in a store and in its statistics."""
    inner = [one for folder in (path, path / "statistics") if folder.is_dir() for one in folder.iterdir()]
    return [one / name for one in (path, *inner) if one.is_dir() for name in META if (one / name).is_file()]
