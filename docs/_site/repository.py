"""Files of the repository that pages link to, as pages of the site: code with numbered lines, folders as lists."""

import inspect
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.nodes import document
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

ROOT = Path(__file__).resolve().parents[2]
SCHEME = "source:"


def on_resolved(app: Sphinx, tree: document, docname: str) -> None:
    """Links ``source:path`` to the page of that path."""
    for node in tree.findall(nodes.reference):
        target = node.get("refuri", "")
        if target.startswith(SCHEME):
            path, mark, anchor = target.removeprefix(SCHEME).partition("#")
            node["refuri"] = app.builder.get_relative_uri(docname, page_of(path)) + mark + anchor


def on_read(app: Sphinx, tree: document) -> None:
    """Remember what this page links to."""
    found = {
        node["refuri"].removeprefix(SCHEME).partition("#")[0]
        for node in tree.findall(nodes.reference)
        if node.get("refuri", "").startswith(SCHEME)
    }
    _linked(app.env)[app.env.docname] = found


def on_purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    _linked(env).pop(docname, None)


def on_merge(app: Sphinx, env: BuildEnvironment, docnames: set[str], other: BuildEnvironment) -> None:
    _linked(env).update({name: paths for name, paths in _linked(other).items() if name in docnames})


def on_collect(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(name, context, template) of the page of every linked file, and of the files in linked folders."""
    paths = {ROOT / path for linked in _linked(app.env).values() for path in linked}
    for folder in [path for path in paths if path.is_dir()]:
        paths.update(listed(folder))
    for path in sorted(paths):
        name = str(path.relative_to(ROOT))
        body = _folder(app, path) if path.is_dir() else _code(path)
        yield page_of(name), {"title": name, "body": f"<h1>{escape(name)}</h1>{body}", "parents": []}, "page.html"


def page_of(path: str) -> str:
    """The site's page of a path of the repository."""
    return f"source/{path.rstrip('/')}"


def listed(folder: Path) -> list[Path]:
    """The files of text in a folder, those of the folders in it left out."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".py", ".sh", ".toml", ".cpp", ".hpp", ".pyi"))


def _code(path: Path) -> str:
    try:
        lexer = get_lexer_for_filename(path.name)
    except ClassNotFound:
        lexer = TextLexer()
    formatter = HtmlFormatter(lineanchors="L", cssclass="highlight")
    return highlight(path.read_text(encoding="utf-8"), lexer, formatter)


def _folder(app: Sphinx, folder: Path) -> str:
    start = page_of(str(folder.relative_to(ROOT)))
    lines = []
    for path in listed(folder):
        link = app.builder.get_relative_uri(start, page_of(str(path.relative_to(ROOT))))
        lines.append(f'<li><a href="{link}">{path.name}</a></li>')
    return f"<ul>{''.join(lines)}</ul>"


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """``source:`` and the place where an object of the API stands."""
    found: Any = sys.modules.get(info["module"])
    for name in info["fullname"].split("."):
        found = getattr(found, name, None)
    try:
        path = Path(inspect.getsourcefile(inspect.unwrap(found)) or "")
        line = inspect.getsourcelines(inspect.unwrap(found))[1]
    except (TypeError, OSError):
        return None
    return f"{SCHEME}{path.relative_to(ROOT)}#L-{line}" if ROOT in path.parents else None


def _linked(env: BuildEnvironment) -> dict[str, set[str]]:
    if not hasattr(env, "linked_files"):
        env.linked_files = {}
    return env.linked_files


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.linkcode")
    app.config.linkcode_resolve = linkcode_resolve
    app.config.myst_url_schemes = {"http": None, "https": None, "source": None}
    app.connect("doctree-read", on_read)
    app.connect("doctree-resolved", on_resolved)
    app.connect("env-purge-doc", on_purge)
    app.connect("env-merge-info", on_merge)
    app.connect("html-collect-pages", on_collect)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
