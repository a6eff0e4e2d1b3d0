"""The figure of a file of benchmarks: ``python -m benchmarks.figure FILE.json FIGURE.png``."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import fill
from typing import Any

from matplotlib.figure import Figure

from benchmarks.panels import CURVES, PANELS, WIDE, Paint, Rows, drawable

COLUMNS = 2


def draw(results: dict[str, Any]) -> Figure:
    """A panel for each benchmark of the file that has something to draw; wide ones take a whole row."""
    panels = [(name, paint, drawable(name, results[name]["rows"])) for name, paint in PANELS.items() if name in results]
    panels = [panel for panel in panels if panel[2]]
    if not panels:
        return _nothing()
    lines = _lines(panels)
    heights = [max(_height(name, rows) for name, _, rows in line) for line in lines]
    figure = Figure(figsize=(13, sum(heights)), layout="constrained")
    figure.suptitle("Dashed lines are aims.", fontsize=9, x=0.99, ha="right")
    grid = figure.add_gridspec(len(lines), COLUMNS, height_ratios=heights)
    for n, line in enumerate(lines):
        for column, (name, paint, rows) in enumerate(line):
            axes = figure.add_subplot(grid[n, :] if len(line) == 1 and name in WIDE else grid[n, column])
            paint(axes, rows)
            what = results[name].get("what", "").rstrip(".")
            axes.set_title(fill(f"{what} ({name})".strip(), 150 if name in WIDE else 58), fontsize=9, loc="left")
            axes.spines[["top", "right"]].set_visible(False)
    return figure


def _lines(panels: list[tuple[str, Paint, Rows]]) -> list[list[tuple[str, Paint, Rows]]]:
    """The panels, two to a line, then the wide ones."""
    narrow = [panel for panel in panels if panel[0] not in WIDE]
    return [narrow[n : n + COLUMNS] for n in range(0, len(narrow), COLUMNS)] + [[p] for p in panels if p[0] in WIDE]


def _height(name: str, rows: Rows) -> float:
    """Inches: more for more rows, but for curves."""
    if name in CURVES:
        return 3.6
    return max(1.2, 0.75 + 0.24 * len(rows)) if name in WIDE else max(3.2, 1.0 + 0.2 * len(rows))


def _nothing() -> Figure:
    figure = Figure(figsize=(6, 1))
    figure.text(0.5, 0.5, "no benchmark of this file has rows to draw", ha="center", va="center")
    return figure


if __name__ == "__main__":
    from benchmarks.results import check_figure, read, write_figure
    from fpsolve.errors import FPSolveError

    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        check_figure(Path(sys.argv[2]))
        write_figure(Path(sys.argv[2]), read(Path(sys.argv[1])))
    except FPSolveError as error:
        print(f"benchmarks.figure: {error}", file=sys.stderr)
        sys.exit(2)
