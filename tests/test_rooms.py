"""The order of the rooms on the house page holds: imports go down, and stand at the top of files."""

import ast
import re
from collections import Counter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "design" / "house.md").read_text(encoding="utf-8")

LEFT: set[tuple[str, str]] = set()
"""Upward imports that are still there, (importing room, imported room). Nothing is added; what is gone is taken out."""

LEFT_INSIDE = {
    ("transformer", "transformer"),  # methods that make a chain or an architecture by what is built on them
}
"""Imports inside functions that the page does not list, likewise (importing room, room or library)."""


def rooms() -> list[str]:
    """Every room of the page, lowest first."""
    table = PAGE[PAGE.index("## Layout") : PAGE.index("## Where a change belongs")]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| [")]
    return [link.rstrip("/").removesuffix(".py") for row in rows for link in re.findall(r"/fpsolve/([\w./]+)\)", row)]


def room(module: str) -> str:
    """``fpsolve.noise.path`` is in the room ``noise``; the public names are ``__init__``."""
    return [*module.split("."), "__init__"][1]


@pytest.fixture(scope="module")
def edges() -> set[tuple[str, str]]:
    """(importing module, imported module), inside functions too; imports for type checkers alone are left out."""
    graph = grimp.build_graph("fpsolve", exclude_type_checking_imports=True, cache_dir=None)
    return {(one, other) for one in graph.modules for other in graph.find_modules_directly_imported_by(one)}


def inside_functions() -> set[tuple[str, str]]:
    """(importing room, imported room or library), of imports in functions, those of the standard library left out."""
    found = set()
    for path in sorted((ROOT / "fpsolve").rglob("*.py")):
        importer = path.relative_to(ROOT / "fpsolve").parts[0].removesuffix(".py")
        functions = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]
        for node in (inner for function in functions for inner in ast.walk(function)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.module is not None and node.level == 0, f"{path}: relative import"
                names = [node.module]
            command = path.name == "app.py" and importer == "cli"
            for name in names:
                own = name.split(".")[0] == "fpsolve"
                if not (own and command and room(name) == "cli"):
                    found.add((importer, room(name) if own else name.split(".")[0]))
    return found - {(importer, name) for importer, name in found if name in ("json", "importlib")}


def test_the_page_has_every_room_once(edges):
    listed = rooms()
    assert len(listed) == len(set(listed))
    there = {path.name.removesuffix(".py") for path in (ROOT / "fpsolve").iterdir() if path.suffix == ".py"}
    there |= {path.parent.name for path in (ROOT / "fpsolve").glob("*/__init__.py")}
    assert set(listed) == there
    assert {room(one) for one, _ in edges} <= there


def test_imports_go_down(edges):
    """From which it follows that there are no circles between rooms, but for what is left."""
    rank = {name: place for place, name in enumerate(rooms())}
    up = {(room(one), room(other)) for one, other in edges if rank[room(one)] < rank[room(other)]}
    told = sorted((one, other) for one, other in edges if (room(one), room(other)) in up - LEFT)
    assert up - LEFT == set(), told
    assert LEFT - up == set(), "no longer there: take it out of LEFT"


def test_imports_inside_functions_are_those_of_the_page():
    sentence = re.search(r"Imported inside functions, [^:]*: (.*?)\n\n", PAGE, re.DOTALL)[1]
    allowed = {name for name in re.findall(r"`(\w+)`", sentence)}
    assert {"petsc4py", "mpi4py"} <= allowed
    found = {(one, other) for one, other in inside_functions() if other not in allowed}
    assert found - LEFT_INSIDE == set()
    assert LEFT_INSIDE - found == set(), "no longer there: take it out of LEFT_INSIDE"
    unused = allowed - {other for _, other in inside_functions()}
    assert unused == set(), "the page allows what nothing imports"


def test_names_say_whose_they_are():
    """No two classes of one name, and no two files that are called by what every room has."""
    files = sorted((ROOT / "fpsolve").rglob("*.py"))
    nodes = (node for path in files for node in ast.parse(path.read_text()).body)
    count = Counter(node.name for node in nodes if isinstance(node, ast.ClassDef))
    assert {name for name, times in count.items() if times > 1} == set()
    assert len([path for path in files if path.name in ("arguments.py", "table.py")]) == 1  # plain/arguments.py


def test_an_upward_import_is_seen(tmp_path, monkeypatch):
    """The graph has imports inside functions, and not those for type checkers."""
    package = tmp_path / "storeys"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "cellar.py").write_text("def up():\n    from storeys.attic import bell\n    return bell\n")
    (package / "attic.py").write_text(
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import storeys.cellar\nbell = 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    graph = grimp.build_graph("storeys", exclude_type_checking_imports=True, cache_dir=None)
    assert graph.find_modules_directly_imported_by("storeys.cellar") == {"storeys.attic"}
    assert graph.find_modules_directly_imported_by("storeys.attic") == set()
