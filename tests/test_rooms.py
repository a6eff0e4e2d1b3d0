"""The order of rooms that the house page states: no file imports what stands below its room, nor does a function."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
OPTIONAL = {"petsc"}
"""Rooms behind an optional dependency, which tables of schemes and transports import when they are asked for."""


def order():
    """The place of every room, by its name."""
    page = (ROOT / "docs/design/house.md").read_text(encoding="utf-8")
    layout = page.split("## Layout")[1].split("`tests/` mirrors")[0]
    rows = [line.split("|")[1] for line in layout.splitlines() if line.startswith("| [")]
    names = [re.findall(r"\.\./\.\./fpsolve/([\w/]+?)(?:\.py|/)?\)", row) for row in rows]
    return {name.strip("/"): place for place, found in enumerate(names) for name in found}


def imports(path):
    """The rooms of the package that a file names, at its top or inside."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        if module == "fpsolve":
            yield from (one.name for one in node.names)
        elif module.startswith("fpsolve."):
            yield module.split(".")[1]


def test_no_room_imports_upwards():
    place, files = order(), sorted((ROOT / "fpsolve").glob("*/**/*.py")) + sorted((ROOT / "fpsolve").glob("[a-z]*.py"))
    rooms = {path: path.relative_to(ROOT / "fpsolve").parts[0].removesuffix(".py") for path in files}
    assert set(rooms.values()) == set(place), "the page names every room"
    wrong = [
        f"{path.relative_to(ROOT)} imports {other}"
        for path, room in rooms.items()
        for other in imports(path)
        if place.get(other, -1) > place[room] and other not in OPTIONAL
    ]
    assert not wrong, wrong
