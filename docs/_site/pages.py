"""The pages of docs/ as the site's text: citations [@key], links into the repository, the table of contents.

The pages read the same in the repository as on the site; what Sphinx needs beyond them is added here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent.parent
ROOT = DOCS.parent
CODE = re.compile(r"(^```.*?^```$|^ {4}.*?$|`[^`\n]+`)", re.M | re.S)
CITATION = re.compile(r"\[((?:@\w+(?:; )?)+)\]")
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
PAGES = {
    ROOT / "README.md": DOCS / "readme.md",
    ROOT / "CHANGELOG.md": DOCS / "changelog.md",
    DOCS / "references.bib": DOCS / "references.md",
    ROOT / "examples" / "gallery": DOCS / "gallery" / "index.rst",
}
"""What the site shows under another name."""


def site_text(text: str, folder: Path, shown_in: Path, keys: set[str]) -> str:
    """The text of a page in ``folder`` as one of the site in the folder ``shown_in``; code stays."""

    def cited(found: re.Match[str]) -> str:
        names = re.findall(r"@(\w+)", found[1])
        return f"{{cite}}`{','.join(names)}`" if keys.issuperset(names) else found[0]

    def linked(found: re.Match[str]) -> str:
        return found[1] + site_link(found[2], folder, shown_in) + found[3]

    parts = CODE.split(text)
    parts[::2] = [CITATION.sub(cited, LINK.sub(linked, part)) for part in parts[::2]]
    return "".join(parts)


def site_link(target: str, folder: Path, shown_in: Path) -> str:
    """A relative link, from pages in ``folder``, on the site: to a page, or ``source:`` and the repository's path."""
    file, mark, anchor = target.partition("#")
    if "://" in target or not file:
        return target
    path = (folder / file).resolve()
    if not path.exists() or ROOT not in (path, *path.parents):
        raise FileNotFoundError(f"{target} in {folder}")
    path = PAGES.get(path, path)
    if DOCS in path.parents and path.suffix in (".md", ".rst", ".png", ".ipynb"):
        return os.path.relpath(path, shown_in) + mark + anchor
    return f"source:{path.relative_to(ROOT)}{mark}{anchor}"


def contents(chapters: dict[str, list[str]]) -> str:
    """The tables of contents, hidden in the text: they make the site's navigation."""
    return "".join(
        "\n:::{toctree}\n:hidden:\n:caption: " + caption + "\n\n" + "\n".join(pages) + "\n:::\n"
        for caption, pages in chapters.items()
    )


def on_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """A page of docs/, as it is read."""
    path = Path(app.env.doc2path(docname))
    if path.suffix != ".md":
        return
    source[0] = site_text(source[0], path.parent, path.parent, _keys())
    if docname == app.config.root_doc:
        source[0] += contents(app.config.site_contents)


def on_include(app: Sphinx, relative: Path, docname: str, content: list[str]) -> None:
    """README and changelog, which pages of the site include."""
    folder = (Path(app.srcdir) / relative).resolve().parent
    content[0] = site_text(content[0], folder, Path(app.env.doc2path(docname)).parent, _keys())


def _keys() -> set[str]:
    return set(re.findall(r"^@\w+\{(\w+),$", (DOCS / "references.bib").read_text(encoding="utf-8"), re.M))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("site_contents", {}, "env")
    app.connect("source-read", on_source)
    app.connect("include-read", on_include)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
