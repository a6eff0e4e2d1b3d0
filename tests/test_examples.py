"""Every script of the gallery runs; each asserts what it shows."""

import runpy
from pathlib import Path

import pytest
from matplotlib.figure import Figure

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
GALLERY = sorted((EXAMPLES / "gallery").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_example(script, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", GALLERY, ids=[script.stem for script in GALLERY])
def test_gallery_at_small_size(script, tmp_path, monkeypatch, capsys):
    """It asserts its number, and leaves a figure with labelled axes in a variable, which the site takes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FPSOLVE_GALLERY", raising=False)
    left = runpy.run_path(str(script), run_name="__main__")
    figures = [value for value in left.values() if isinstance(value, Figure)]
    assert capsys.readouterr().out and not list(tmp_path.iterdir())
    assert script.stem.startswith("plot_") and figures
    assert "assert " in script.read_text(encoding="utf-8") and left["FULL"] is False
    for axes in [axes for figure in figures for axes in figure.axes]:
        labels = axes.get_xlabel(), axes.get_ylabel()
        assert any(labels) if axes.get_label() == "<colorbar>" else all(labels)


def test_there_are_examples():
    assert len(SCRIPTS) >= 4 and len(GALLERY) >= 14
