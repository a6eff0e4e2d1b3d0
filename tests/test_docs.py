"""The pages are right: their code runs and prints what they say, tables, links, citations and commands exist."""

import contextlib
import functools
import importlib.util
import io
import linecache
import re
import shlex
import tomllib
import warnings
from pathlib import Path
from unittest.mock import patch

import pytest
import typer

import fpsolve as fp
from fpsolve import config
from fpsolve.cli import app
from fpsolve.config import load_config, parse_config

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = [path for folder in ("fpsolve", "tests", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py")]
BEGINNINGS = [ROOT / "README.md", ROOT / "docs" / "quickstart.md"]
"""What a newcomer runs first."""
HOSTS = {"keepachangelog.com", "semver.org", "doi.org", "arxiv.org"}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def name(path):
    return str(path.relative_to(ROOT))


def blocks(path, *languages):
    """(language, text) of every fenced block in these languages."""
    return [block for block in FENCED.findall(path.read_text(encoding="utf-8")) if block[0] in languages]


def prose(path):
    """The text outside fenced and indented blocks."""
    return re.sub(r"^ {4}.*$", "", FENCED.sub("", path.read_text(encoding="utf-8")), flags=re.M)


def same_output(printed, shown):
    """The same text, each number to one unit of the last digit that is shown."""
    if NUMBER.sub("#", printed) != NUMBER.sub("#", shown):
        return False
    pairs = zip(NUMBER.findall(printed), NUMBER.findall(shown), strict=True)
    return all(abs(float(a) - float(b)) <= 1.001 * unit(b) for a, b in pairs)


def unit(number):
    """One unit of the last digit; an integer is exact."""
    mantissa, _, exponent = number.partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals) if decimals or exponent else 0.0


@pytest.mark.parametrize("path", [p for p in PAGES if blocks(p, "python")], ids=name)
def test_code_runs_and_prints_what_is_shown(path, tmp_path, monkeypatch):
    """Blocks share a namespace; a text block shows what the Python block before it prints.

    In what a newcomer runs first nothing is warned about and no density is negative.
    """
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    printed = ""
    solve, results = fp.solve, []

    @functools.wraps(solve)  # configurations read its signature
    def kept(*given, **named):
        results.append(solve(*given, **named))
        return results[-1]

    monkeypatch.setattr(fp, "solve", kept)
    monkeypatch.setattr(config, "solve", kept)
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        if path in BEGINNINGS:
            warnings.simplefilter("error", UserWarning)
        for table in (fp.MODELS, fp.SCHEMES, fp.initial.LAWS):
            stack.enter_context(patch.dict(table))  # what a page enters goes again
        for n, (language, text) in enumerate(blocks(path, "python", "text")):
            if language == "text":
                assert same_output(printed, text), f"printed:\n{printed}\nshown:\n{text}"
                continue
            with contextlib.redirect_stdout(io.StringIO()) as output:
                place = f"<{name(path)} {n}>"  # known to linecache as a notebook's cells are: observables have a source
                monkeypatch.setitem(linecache.cache, place, (len(text), None, text.splitlines(True), place))
                exec(compile(text, place, "exec"), namespace)
            printed = output.getvalue()
    if path in BEGINNINGS:
        assert results and all(float(ds.min_density.min()) > 0 for ds in results if "min_density" in ds)


def test_the_demo_is_resolved_and_its_density_positive():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        ds = load_config(ROOT / "examples" / "demo.toml").solve()
    assert float(ds.min_density.min()) > 0 and not {name for name in ds.attrs if "unresolved" in name}


def test_comparison_of_outputs_sees_a_wrong_digit():
    assert same_output("rate 0.513, 3e-07 in 4 runs", "rate 0.512, 2e-07 in 4 runs")
    assert not same_output("rate 0.514", "rate 0.512")
    assert not same_output("in 5 runs", "in 4 runs")
    assert not same_output("rate 0.512", "ratio 0.512")


def test_tables_of_the_pages_are_those_of_the_package():
    """When this fails: ``python docs/tables.py``."""
    specification = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    tables = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tables)
    pages = {path: path.read_text(encoding="utf-8") for path in PAGES}
    shown = {found[2]: path for path, text in pages.items() for found in tables.BLOCK.finditer(text)}
    assert set(shown) == set(tables.TABLES) and set(shown.values()) == set(tables.PAGES)
    for path in tables.PAGES:
        assert tables.filled(pages[path]) == pages[path]
    text = pages[ROOT / "docs" / "catalogue.md"]
    for entry in (*fp.MODELS, *fp.SCHEMES, *fp.initial.LAWS):
        assert f"`{entry}" in text


def test_citations_and_references_are_the_same():
    bibliography = re.findall(r"^@\w+\{(\w+),$", (ROOT / "docs" / "references.bib").read_text(encoding="utf-8"), re.M)
    assert len(set(bibliography)) == len(bibliography)
    cited = {key for path in SOURCES for key in re.findall(r":cite:`(\w+)`", path.read_text(encoding="utf-8"))}
    for path in PAGES:
        for group in re.findall(r"\[((?:@\w+(?:; )?)+)\]", prose(path)):
            cited |= set(re.findall(r"@(\w+)", group))
        cited |= set(re.findall(r"`([a-z]+(?:19|20)\d\d)`", prose(path)))
    assert cited - {"key"} == set(bibliography)


def test_the_bibliography_is_complete_where_it_must_be():
    text = (ROOT / "docs" / "references.bib").read_text(encoding="utf-8")
    for entry in re.split(r"^(?=@)", text, flags=re.M)[1:]:
        assert entry.count("{") == entry.count("}")
        for field in ("author", "title", "year"):
            assert f"  {field} = " in entry, entry


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_relative_links_resolve(path):
    for target in re.findall(r"\]\(([^)]+)\)", prose(path)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        page = (path.parent / file).resolve() if file else path
        assert page.exists(), target
        assert ROOT in page.parents, target
        if anchor:
            assert anchor in anchors(page), target


def anchors(path):
    """The anchors of a page's headings, as on GitHub."""
    heads = re.findall(r"^#+ (.*)$", prose(path), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", [*PAGES, ROOT / "docs" / "references.bib"], ids=name)
def test_no_foreign_hosts_and_no_paths_of_a_machine(path):
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"https?://([\w.-]+)", text)) <= HOSTS
    assert not re.findall(r"(?<![\w.~/])/(?:home|root|tmp|work|usr|opt|Users)\b", text)


@pytest.mark.parametrize("path", [p for p in PAGES if blocks(p, "sh")], ids=name)
def test_commands_and_options_exist(path):
    program = typer.main.get_command(app)
    for line in "".join(text for _, text in blocks(path, "sh")).splitlines():
        words = shlex.split(line, comments=True)
        if not words or not words[0].endswith("fpsolve"):
            continue
        command = program.commands[words[1]]
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words[2:] if word.startswith("-")} <= options, line
        assert all((ROOT / word).exists() for word in words if word.startswith("examples/")), line


def test_commands_of_the_readme_run_in_turn():
    """What they read is in the repository, or an earlier one has written it; MPI is that of ``make mpi``."""
    written = set()
    for line in "".join(text for _, text in blocks(ROOT / "README.md", "sh")).splitlines():
        words = shlex.split(line, comments=True)
        files = [word for word in words if re.search(r"\.(toml|nc|zarr|png|html)$", word)]
        made = {words[words.index("-o") + 1]} if "-o" in words else set()
        assert all((ROOT / word).exists() for word in files if word not in made | written), line
        assert words[0].startswith(".venv/bin/"), line
        written |= made


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.M))
    for path in PAGES:
        assert set(re.findall(r"(?:`|^ {4})make (\w+)", path.read_text(encoding="utf-8"), re.M)) <= targets


@pytest.mark.parametrize("path", [p for p in PAGES if blocks(p, "toml")], ids=name)
def test_configurations_are_good(path):
    for _, text in blocks(path, "toml"):
        parse_config(tomllib.loads(text))


def test_the_version_that_is_cited():
    assert f"version = {{{fp.__version__}}}" in (ROOT / "README.md").read_text(encoding="utf-8")
