"""What a notebook shows: tables of models, laws and measures, names escaped; bars that suit it; types for checkers."""

import json
import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

import fpsolve as fp
from fpsolve.surroundings import shows_progress
from tests.command import python
from tests.public.calls import LAWS, MODELS

DOCS = Path(__file__).resolve().parent.parent / "docs"


def rows(html):
    return dict(re.findall(r"<tr><th>(.*?)</th><td>(.*?)</td></tr>", html))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_models_have_a_row_for_every_parameter(name):
    model = getattr(fp.models, name)(**MODELS[name])
    html = model._repr_html_()
    assert f"<caption>{name}</caption>" in html and len(html) < 5000
    assert set(MODELS[name]) <= set(rows(html))
    if "beta" in MODELS[name]:
        assert float(rows(html)["beta"]) == MODELS[name]["beta"]


@pytest.mark.parametrize("name", sorted(set(LAWS) - {"function"}))
def test_laws(name):
    html = getattr(fp.initial, name)(**LAWS[name])._repr_html_()
    assert f"<caption>{name}</caption>" in html and set(LAWS[name]) <= set(rows(html)) and len(html) < 20000


def test_measures_show_arrays_by_their_shape():
    density = fp.Density.from_law(fp.initial.uniform(), lmax=8, rtol=1e-6)
    assert "<caption>Density</caption>" in density._repr_html_() and "array(shape=(45,))" in density._repr_html_()


def test_names_are_text():
    @dataclass(frozen=True)
    class Evil(fp.Model):
        name: str = "<img src=x>"

    assert "<img" not in Evil()._repr_html_() and "&lt;img" in Evil()._repr_html_()

    class Bare(fp.Model):
        pass

    assert "<caption>Bare</caption>" in Bare()._repr_html_()


def test_bars_are_shown_in_notebooks(monkeypatch):
    """IPython's shell in a kernel has this name; a shell on a pipe and plain Python show none."""
    shells = {"ZMQInteractiveShell": True, "TerminalInteractiveShell": False}
    for name, shown in shells.items():
        shell = type(name, (), {})()
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert shows_progress() is shown
    monkeypatch.delitem(sys.modules, "IPython")
    assert shows_progress() is False


def test_the_tutorial(tmp_path, monkeypatch):
    """Every cell in turn, and what its text says of the numbers; ``make docs`` runs it in a kernel of Jupyter."""
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((DOCS / "tutorial.ipynb").read_text("utf-8"))
    names: dict[str, object] = {}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 10 and not any(cell["outputs"] for cell in cells)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for cell in cells:
            exec(compile("".join(cell["source"]), "tutorial.ipynb", "exec"), names)
    assert (tmp_path / "run.html").stat().st_size > 1e5


def test_bars_are_those_of_the_surroundings():
    package = Path(fp.__file__).parent
    used = {path.name for path in package.rglob("*.py") if "from tqdm" in path.read_text("utf-8")}
    assert used == {"surroundings.py"} and (package / "py.typed").exists()
    assert "from tqdm.auto import tqdm" in (package / "surroundings.py").read_text("utf-8")


def test_a_notebook_without_widgets_begins_without_a_warning():
    """A kernel as tqdm knows it, in which ipywidgets is missing: bars are text there, and nobody is told at once."""
    kernel = "SimpleNamespace(config={'IPKernelApp': {}})"
    lines = (
        "import sys; from types import SimpleNamespace",
        f"sys.modules['IPython'] = SimpleNamespace(get_ipython=lambda: {kernel})",
        "sys.modules |= {'ipykernel.zmqshell': None, 'ipywidgets': None}",
        "import fpsolve.solving; print(fpsolve.solving.tqdm.__module__)",
    )
    done = python("-c", "\n".join(lines))
    assert (done.stdout.strip(), done.stderr) == ("tqdm.asyncio", "")
