"""The figure of a file of benchmarks: ``python -m benchmarks.figure FILE.json FIGURE.png``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"


def draw(results: dict[str, Any]) -> Figure:
    """A panel for each of the benchmarks below that the file has."""
    panels = [(name, paint) for name, paint in PANELS.items() if name in results]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(6.2 * columns, 3.4 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, paint) in zip(grid, panels, strict=False):
        paint(axes, results[name]["rows"])
        axes.set_title(name, fontsize=10.5, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    for spare in grid[len(panels) :]:
        spare.set_visible(False)
    return figure


def density_step(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Shares of a step's time inside and outside SHTns, the step's time beside them."""
    names = [f"ℓmax {row['lmax']}" for row in rows]
    outside = [100 * row["outside_shtns"] for row in rows]
    axes.barh(names, [100 - share for share in outside], left=outside, color=BLUE, label="inside SHTns")
    axes.barh(names, outside, color=ORANGE, label="outside")
    for name, row in zip(names, rows, strict=True):
        axes.annotate(f"  {row['step_ms']:.3g} ms", (100, name), va="center", fontsize=9)
    axes.set_xlim(0, 120)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.set_xlabel("% of a density step")
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.6, 1.0))


def spectrum_update(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """A step and its spectrum update by measure."""
    rows = [row for row in rows if row["key_query"] == "gaussian"]
    names = [f"{row['measure']}, β = {row['beta']:g}" for row in rows]
    axes.barh(names, [row["step_ms"] for row in rows], color=BLUE, label="step")
    axes.barh(names, [row["update_ms"] for row in rows], color=ORANGE, label="its spectrum update")
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlabel("ms (Gaussian A)")
    axes.legend(fontsize=8, frameon=False)


def attention_sums(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Attention of N tokens: by moments and directly."""
    n = [row["tokens"] for row in rows]
    axes.loglog(n, [row["direct_s"] for row in rows], "o-", color=ORANGE, label="direct sum, compiled")
    axes.loglog(n, [row["moments_s"] for row in rows], "o-", color=BLUE, label="moments, O(N)")
    axes.set_xlabel("tokens")
    axes.set_ylabel("s")
    axes.legend(fontsize=8, frameon=False)


def token_steps(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Time of a step of N tokens."""
    axes.loglog([row["tokens"] for row in rows], [row["step_s"] for row in rows], "o-", color=BLUE)
    axes.set_xlabel("tokens")
    axes.set_ylabel("step, s")


def peers(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Peer's time over ours."""
    rows = [row for row in rows if "ratio" in row]
    names = [row.get("scheme", row["peer"]) + (f", N = {row['tokens']}" if "tokens" in row else "") for row in rows]
    axes.barh(names, [row["ratio"] for row in rows], color=GREEN)
    axes.axvline(1.0, color="0.5", linewidth=0.8)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlabel("peer's time over ours")


def accuracy_cost(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Processor seconds to an error of the low moments."""
    names = sorted({(row["model"], row["route"]) for row in rows})
    for (model, route), colour in zip(names, (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "0.3"), strict=False):
        mine = [row for row in rows if (row["model"], row["route"]) == (model, route)]
        error, cost = [row["error"] for row in mine], [row["cpu_s"] for row in mine]
        axes.loglog(error, cost, "o-", color=colour, label=f"{route}, {model}")
    axes.invert_xaxis()
    axes.set_xlabel("error of the low moments")
    axes.set_ylabel("processor seconds")
    axes.legend(fontsize=7, frameon=False)


PANELS = {
    "density_step": density_step,
    "spectrum_update": spectrum_update,
    "attention_sums": attention_sums,
    "token_steps": token_steps,
    "dedalus_step": peers,
    "torch_attention": peers,
    "accuracy_cost": accuracy_cost,
}


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text())).savefig(sys.argv[2], dpi=110)
