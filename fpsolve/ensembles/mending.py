"""What of a store does not depend on its members is a pure function of the layout: it is compared and written again.

That is the metadata and the coordinates; chunks of members have digests of their own. So damage beside the members
costs no member, and a store is extended by the same writing.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from fpsolve.ensembles.layout import Layout
from fpsolve.ensembles.store import consolidate, group_at, read_json, template_files
from fpsolve.io.atomic import clean, write_whole
from fpsolve.io.files import CONSOLIDATED, check_seal, codec

VERSIONS = "fpsolve_versions"
META = (".zgroup", ".zattrs", ".zarray")

ZARRS_PARTIAL = re.compile(r".*\.[0-9a-f]{32}\.partial")
"""The name under which zarr writes a chunk."""


def renew(path: Path, layout: Layout) -> list[str]:
    """Write the files of a store that are not those of the layout's template; their names. For who has the lock.

    What says which members the store has comes last, so that a job that is killed meanwhile leaves a store of the
    members of before. A store that was begun with other versions of packages keeps their list. Raises OSError.
    """
    _clean(path)
    versions = (read_json(path / ".zattrs") or {}).get(VERSIONS)
    if _is_table(versions):
        layout = replace(layout, attrs={**layout.attrs, VERSIONS: versions})
    wanted = template_files(layout)
    del wanted[CONSOLIDATED]  # it has the statistics, too
    old = sorted((name for name, one in wanted.items() if not _same(path / name, one)), key=".zattrs".__eq__)
    for name in old:
        (path / name).parent.mkdir(exist_ok=True)
        write_whole(path / name, wanted[name])
    return [*old, *_renew_consolidated(path)]


def _clean(path: Path) -> None:
    """Remove what a killed job has left half written: metadata in folders of ours, chunks under zarr's own names."""
    for folder in (path, *(one for one in path.iterdir() if one.is_dir())):
        clean(folder)
        for left in folder.glob("*.partial"):
            if folder != path and ZARRS_PARTIAL.fullmatch(left.name) and left.is_file():
                left.unlink()


def _is_table(text: Any) -> bool:
    try:
        return isinstance(json.loads(str(text)), dict)
    except ValueError:
        return False


def _same(file: Path, wanted: bytes) -> bool:
    """Whether a file says the same, perhaps in the bytes of another version of zarr."""
    try:
        found = file.read_bytes()
        decode = json.loads if file.name in META else codec().decode
        return found == wanted or bool(decode(found) == decode(wanted))
    except Exception:  # codecs have errors of their own
        return False


def _renew_consolidated(path: Path) -> list[str]:
    """Bring the consolidated metadata up to date with the files; statistics whose own cannot be read are removed."""
    inner = [one for folder in (path, path / "statistics") if folder.is_dir() for one in folder.iterdir()]
    there = (one / name for one in (path, *inner) if one.is_dir() for name in META if (one / name).is_file())
    files, old = {str(one.relative_to(path)): read_json(one) for one in there}, []
    if None in files.values():
        shutil.rmtree(path / "statistics")  # the rest has been renewed; they are taken again at the end
        files = {name: one for name, one in files.items() if not name.startswith("statistics/")}
        old.append("statistics")
    if _consolidated(path) != files or not _is_sealed(path):
        consolidate(group_at(path, "r+"))
        old.append(CONSOLIDATED)
    return old


def _consolidated(path: Path) -> dict[str, Any]:
    """The metadata as consolidated, without what zarr adds for groups inside."""
    listed = (read_json(path / CONSOLIDATED) or {}).get("metadata")
    found: dict[str, Any] = listed if isinstance(listed, dict) else {}
    groups = {name: {"zarr_format": 2} for name in found if name.rpartition("/")[2] == ".zgroup"}
    return {**found, **groups}


def _is_sealed(path: Path) -> bool:
    try:
        return check_seal(path)
    except ValueError:  # no JSON, or InputError
        return False
