"""Docstrings as they are written here, plain text with ``code`` and roles, as reStructuredText.

|x|, a*b and β_* are text, not markup; what is indented is a formula and keeps its lines.
"""

import inspect
import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import stringify_signature

MARKUP = re.compile(r"(``.+?``|:[\w:]+:`[^`]+`)", re.S)
BEFORE, AFTER = "\n '\"([{<-/:", "\n '\")]}>-/\\:.,;!?"
"""What inline markup may follow, and what may follow it."""
ELSEWHERE = {f"{place}.{name}": f"xarray.{name}" for place, name in (
    ("xr", "Dataset"), ("xr", "DataArray"), ("xarray.core.dataset", "Dataset"), ("xarray.core.dataarray", "DataArray")
)}  # fmt: skip
"""Short names, and places where the objects of other projects are written."""
SPECIAL = re.compile(r"([\\*|_`])")


def as_rst(lines: list[str]) -> list[str]:
    """The lines of a docstring: markup escaped but for literals and roles, indented paragraphs as literal blocks."""
    out: list[str] = []
    text: list[str] = []
    before_blank = True
    inside = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and (inside or before_blank):
            if not inside:
                out += [*_escaped(text), "::", ""]
                text = []
            inside = True
            out.append(line)
        elif inside and not line.strip():
            out.append(line)
        else:
            inside = False
            text.append(line)
        before_blank = not line.strip()
    return out + _escaped(text)


def _escaped(lines: list[str]) -> list[str]:
    """Lines of text; where markup touches letters, ``member``+1 for example, an escaped space ends it."""
    parts = MARKUP.split("\n".join(lines))
    parts[::2] = [_plain(part) for part in parts[::2]]
    joined = parts[0]
    for markup, after in zip(parts[1::2], parts[2::2], strict=True):
        joined += ("" if joined[-1:] in BEFORE else "\\ ") + markup + ("" if after[:1] in AFTER else "\\ ") + after
    return joined.split("\n")


def _plain(text: str) -> str:
    """Special characters escaped; a star that begins a line makes a list."""
    return re.sub(r"^(\s*)\\\* ", r"\1* ", SPECIAL.sub(r"\\\1", text), flags=re.M)


def on_docstring(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    lines[:] = as_rst(lines)


def on_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: object, signature: str | None, returns: str | None
) -> tuple[str, str] | None:
    """Annotations as they stand in the code: Real and ArrayLike, not what they are short for."""
    if what not in ("function", "method", "class", "exception") or signature is None:
        return None
    try:
        found = inspect.signature(obj)
    except (TypeError, ValueError):
        return None
    parameters = list(found.parameters.values())
    if what == "method" and parameters and parameters[0].name == "self":
        found = found.replace(parameters=parameters[1:])
    if what in ("class", "exception"):
        found = found.replace(return_annotation=inspect.Signature.empty)
    arguments, _, result = stringify_signature(found, unqualified_typehints=True).rpartition(")")
    return arguments + ")", result.removeprefix(" -> ")


def on_missing(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Node) -> nodes.Node | None:
    """A name without its module, or of where an object is written and not shown, if only one can be meant."""
    if node.get("refdomain") != "py":
        return None
    domain = env.domains["py"]
    last = node["reftarget"].rsplit(".", 1)[-1]
    places = {(one.docname, one.node_id) for name, one in domain.objects.items() if name.rsplit(".", 1)[-1] == last}
    if len(places) != 1:
        return None
    [(docname, anchor)] = places
    place = app.builder.get_relative_uri(node["refdoc"], docname) + "#" + anchor
    return nodes.reference("", "", content, internal=True, refuri=place)


def on_read(app: Sphinx, tree: nodes.document) -> None:
    """Names of other projects as these list them."""
    for node in tree.findall(pending_xref):
        node["reftarget"] = ELSEWHERE.get(node["reftarget"], node["reftarget"])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", on_read)
    app.connect("autodoc-process-docstring", on_docstring)
    app.connect("autodoc-process-signature", on_signature)
    app.connect("missing-reference", on_missing, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
