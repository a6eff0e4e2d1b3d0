"""What the site makes of the pages, without Sphinx: links, citations, contents, inventories, files for a release."""

import importlib.util
import json
import pkgutil
import re
import runpy
import tomllib
import zlib
from pathlib import Path

import pytest

import fpsolve as fp

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
specification = importlib.util.spec_from_file_location("pages", DOCS / "_site" / "pages.py")
pages = importlib.util.module_from_spec(specification)
specification.loader.exec_module(pages)
WRITTEN = [*sorted(DOCS.glob("*.md")), *sorted((DOCS / "design").glob("*.md"))]


def shown(text, folder=DOCS, keys=("a2020", "b2020")):
    return pages.site_text(text, folder, DOCS, set(keys))


def test_citations_of_known_keys():
    assert shown("so [@a2020; @b2020].") == "so {cite}`a2020,b2020`."
    assert shown("so [@c2020].") == "so [@c2020]."


def test_code_stays():
    code = "```python\nf[@a2020](x.py)\n```"
    assert shown(code) == code and shown("`[@a2020]`") == "`[@a2020]`" and shown("    [@a2020]") == "    [@a2020]"


@pytest.mark.parametrize(
    ("target", "link"),
    [
        ("noise.md#a", "noise.md#a"),
        ("../README.md#citing", "readme.md#citing"),
        ("../fpsolve/course.py", "source:fpsolve/course.py"),
        ("../examples/", "source:examples"),
        ("references.bib", "references.md"),
        ("../examples/gallery/", "gallery/index.rst"),
        ("api/index.rst", "api/index.rst"),
        ("#models", "#models"),
        ("https://doi.org/10", "https://doi.org/10"),
    ],
)
def test_links(target, link):
    assert shown(f"[x]({target})") == f"[x]({link})"


def test_links_of_the_readme_are_those_of_the_site():
    assert shown("[x](docs/noise.md) ![y](docs/images/demo.png)", ROOT) == "[x](noise.md) ![y](images/demo.png)"


def test_a_dead_link_is_an_error():
    with pytest.raises(FileNotFoundError, match=r"nothing\.md"):
        shown("[x](nothing.md)")


def test_every_page_is_in_the_contents_once():
    contents = runpy.run_path(str(DOCS / "conf.py"))["site_contents"]
    listed = [re.sub(r".*<(.*)>", r"\1", page) for chapter in contents.values() for page in chapter]
    written = {str(path.relative_to(DOCS).with_suffix("")) for path in WRITTEN} - {"index"}
    assert len(set(listed)) == len(listed) and set(listed) == written | {"tutorial", "gallery/index", "api/index"}


def linked_from(page):
    """Files and folders that the text of a page links to."""
    targets = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    return {(page.parent / target).resolve() for target in targets if "://" not in target}


def test_first_pages_lead_to_all_others():
    first = {DOCS / "tutorial.ipynb", ROOT / "examples" / "gallery", DOCS / "catalogue.md", DOCS / "result.md"}
    assert first - linked_from(ROOT / "README.md") == set()
    included = {DOCS / name for name in ("index.md", "readme.md", "changelog.md", "references.md")}
    others = first | {DOCS / "api" / "index.rst"} | set(WRITTEN) - included
    assert others - linked_from(DOCS / "index.md") == set()


def test_the_api_names_what_there_is():
    """Modules and functions that the API's pages ask for exist; all that ``fp`` gives is on one of them."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((DOCS / "api").glob("*.rst")))
    asked = set(re.findall(r"^\.\. auto(?:module|function):: (\S+)", text, re.M))
    shown = set()
    for name in asked:
        room, _, last = name.rpartition(".")
        found = getattr(fp, last) if room == "fpsolve" and hasattr(fp, last) else pkgutil.resolve_name(name)
        shown.add(id(found))
        if f"automodule:: {name}\n" in text:
            shown |= {id(getattr(found, one)) for one in getattr(found, "__all__", vars(found))}
    missing = [name for name in fp.__all__ if id(getattr(fp, name)) not in shown]
    assert missing == [], missing
    assert all(f"fpsolve.schemes.{name}.{name}" in asked for name in fp.SCHEMES)


@pytest.mark.parametrize("path", sorted((DOCS / "inventories").glob("*.inv")), ids=lambda path: path.stem)
def test_inventories_are_small_and_readable(path):
    content = path.read_bytes()
    assert content.startswith(b"# Sphinx inventory version 2\n") and len(content) < 20_000
    assert zlib.decompress(content.split(b"\n", 4)[4]).decode().strip()


def test_the_citation_is_that_of_the_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"\nversion: {project['version']}\n" in text and f"\nlicense: {project['license']}\n" in text
    assert "docs/catalogue.md" in text and (ROOT / "fpsolve" / "py.typed").exists()


def test_the_notebook_leaves_nothing_in_the_repository():
    """What a build leaves in docs/ would be refused by the next one, as files exist already."""
    assert runpy.run_path(str(DOCS / "conf.py"))["nb_execution_in_temp"] is True
    cells = json.loads((DOCS / "tutorial.ipynb").read_text(encoding="utf-8"))["cells"]
    written = re.findall(r"\"([\w.-]+\.(?:nc|html|zarr|png))\"", "".join("".join(cell["source"]) for cell in cells))
    assert written and not any((DOCS / name).exists() for name in written)


def test_the_workflow_calls_the_commands_of_the_readme():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert {"make demo", "make test"} <= set(re.findall(r"run: (.*)", text))
