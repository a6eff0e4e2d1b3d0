"""The panels of the figure: each takes axes and the rows that it can draw; aims are dashed lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from benchmarks.common import bound_of

BLUE, ORANGE, GREEN, PURPLE, YELLOW, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "0.45"

Rows = list[dict[str, Any]]
Paint = Callable[[Axes, Rows], None]


def density_step(axes: Axes, rows: Rows) -> None:
    """Shares of a step's time inside and outside SHTns, the step's time beside them."""
    names = [f"{row['model']}, ℓmax {row['lmax']}" if "model" in row else f"ℓmax {row['lmax']}" for row in rows]
    outside = [100 * row["outside_shtns"] for row in rows]
    axes.barh(names, [100 - share for share in outside], left=outside, color=BLUE, label="inside SHTns")
    axes.barh(names, outside, color=ORANGE, label="outside")
    for n, row in enumerate(rows):
        field = f", field {100 * row['making_field']:.0f} %" if "making_field" in row else ""
        axes.annotate(f"  {row['step_ms']:.3g} ms{field}", (100, n), va="center", fontsize=8)
        _mark(axes, bound_of(row.get("aim", "")), n, 100)
    axes.set_xlim(0, 240)
    axes.set_xticks([0, 25, 50, 75, 100])
    _named(axes, "% of a density step")
    axes.legend(fontsize=8, frameon=False, loc="center right")


def _mark(axes: Axes, bound: float | None, at: int, scale: float = 1.0) -> None:
    """An aim as a short line across one bar."""
    if bound is not None:
        label = None if any(line.get_label() == "aim" for line in axes.lines) else "aim"
        axes.plot([scale * bound] * 2, [at - 0.46, at + 0.46], "--", color="black", linewidth=1.4, label=label)


def _named(axes: Axes, quantity: str) -> None:
    """Bars from above, small names."""
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel(quantity)


def exponentials(axes: Axes, rows: Rows) -> None:
    """Time of each way over Chebyshev's."""
    marks = ((GREY, "s"), (ORANGE, "o"), (BLUE, "d"), (GREEN, "^"))
    cases = list(dict.fromkeys((row["lmax"], row["density"], row["error_asked"]) for row in rows))
    ways = [way for way in dict.fromkeys(row["way"] for row in rows) if way != "chebyshev"]
    for way, (colour, marker) in zip(ways, marks, strict=False):
        mine = [row for row in rows if row["way"] == way]
        places = [cases.index((row["lmax"], row["density"], row["error_asked"])) for row in mine]
        axes.plot([row["over_chebyshev"] for row in mine], places, marker, color=colour, label=way)
    axes.axvline(1.0, color=BLUE, linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(cases)), [f"ℓmax {lmax}, {law}, error {error:.0e}" for lmax, law, error in cases])
    axes.set_xlim(right=8 * max(row["over_chebyshev"] for row in rows))  # room for the legend
    _named(axes, "time over Chebyshev's, at equal error")
    axes.legend(fontsize=8, frameon=False, loc="center right")


def affine_flow(axes: Axes, rows: Rows) -> None:
    """Applications of the operator by each way over Chebyshev's; hollow where the tolerance was missed."""
    cases = list(dict.fromkeys((row["lmax"], row["R"], row["rtol"]) for row in rows))
    ways = [way for way in dict.fromkeys(row["way"] for row in rows) if way != "chebyshev"]
    for way, colour in zip(ways, (BLUE, ORANGE, GREEN, PURPLE), strict=False):
        for row in (row for row in rows if row["way"] == way):
            first = "_" if any(line.get_label() == way for line in axes.lines) else ""
            place = row["over_chebyshev"], cases.index((row["lmax"], row["R"], row["rtol"]))
            filled = colour if row["error"] <= row["rtol"] else "white"
            axes.plot(*place, "o", color=colour, markerfacecolor=filled, label=first + way)
    axes.axvline(1.0, color="0.5", linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(cases)), [f"ℓmax {lmax}, R = {r:.3g}, rtol {rtol:.0e}" for lmax, r, rtol in cases])
    _named(axes, "applications over Chebyshev's (hollow: tolerance missed)")
    axes.legend(fontsize=8, frameon=False)


def low_moments(axes: Axes, rows: Rows) -> None:
    """Time to 1e-4 over the log density's; hollow where no degree reached it, a cross where that was not announced."""
    cases = list(dict.fromkeys((row["kappa"], row["model"]) for row in rows))
    measures = dict.fromkeys(row["measure"] for row in rows)
    for measure, colour in zip(measures, (BLUE, ORANGE, GREEN, PURPLE), strict=False):
        for row in (row for row in rows if row["measure"] == measure):
            first = "_" if any(line.get_label() == measure for line in axes.lines) else ""
            place = row["over_log_density"], cases.index((row["kappa"], row["model"]))
            sign = "o" if row["reached"] or row["announced"] else "X"
            axes.plot(*place, sign, color=colour, mfc=colour if row["reached"] else "white", label=first + measure)
    axes.set_xscale("log")
    axes.set_yticks(range(len(cases)), [f"κ = {kappa:g}, {law}" for kappa, law in cases])
    _named(axes, "time over the log density's (hollow: error 1e-4 not reached)")
    axes.legend(fontsize=8, frameon=False, loc="lower right")


def spectrum_update(axes: Axes, rows: Rows) -> None:
    """A step and its spectrum update by measure."""
    names = [f"{row['key_query']}, {row['measure']}" for row in rows]
    axes.barh(names, [row["step_ms"] for row in rows], color=BLUE, label="step")
    axes.barh(names, [row["update_ms"] for row in rows], color=ORANGE, label="its spectrum update")
    axes.set_xscale("log")
    _named(axes, "ms")
    axes.tick_params(axis="y", labelsize=6.5)
    axes.legend(fontsize=8, frameon=False, loc="upper right")


def attention_sums(axes: Axes, rows: Rows) -> None:
    """Attention of N tokens: by moments and directly; a hollow mark is extrapolated."""
    n = [row["tokens"] for row in rows]
    axes.loglog(n, [row["moments_s"] for row in rows], "o-", color=BLUE, label="moments, O(N)")
    axes.loglog(n, [row["direct_s"] for row in rows], "-", color=ORANGE, label="direct sum, compiled")
    for row in rows:
        filled = row.get("direct_known", "measured") == "measured"
        axes.plot(row["tokens"], row["direct_s"], "o", color=ORANGE, mfc=ORANGE if filled else "white")
    aimed = [row["tokens"] for row in rows if bound_of(row.get("aim", "")) is not None]
    if aimed:
        axes.axvline(min(aimed), color="black", linestyle="--", linewidth=1.2, label="aim: moments win from here on")
    axes.set_xlabel("tokens (hollow: extrapolated)")
    axes.set_ylabel("s")
    axes.legend(fontsize=8, frameon=False)


def token_steps(axes: Axes, rows: Rows) -> None:
    """Time of a token's step; the aim is a bound on its growth from one size to the next."""
    rows = [row for row in rows if row.get("key_query") != "gaussian"]
    n, each = [row["tokens"] for row in rows], [row["us_per_token"] for row in rows]
    axes.semilogx(n, each, "o-", color=BLUE, label="measured")
    bounds = [bound_of(row.get("aim", "")) for row in rows[1:]]
    for k, bound in enumerate(bounds):
        if bound is not None:
            ends = [n[k], n[k + 1]], [bound * each[k]] * 2
            axes.plot(*ends, "--", color="black", linewidth=1.2, label=None if k else "aim: at most so much next")
    axes.set_ylim(0, 1.5 * max(each))
    axes.set_xlabel("tokens")
    axes.set_ylabel("µs a token and step")
    axes.legend(fontsize=8, frameon=False)


def setup_time(axes: Axes, rows: Rows) -> None:
    """Seconds of every part and of the sums."""
    names = [f"{row['what']}: {row['model']}" if row.get("model") else row["what"] for row in rows]
    colours = [GREEN if row.get("aim") else BLUE for row in rows]
    axes.barh(names, [row["seconds"] for row in rows], color=colours)
    for n, row in enumerate(rows):
        axes.annotate(f" {row['seconds']:.2g}", (row["seconds"], n), va="center", fontsize=8)
        _mark(axes, bound_of(row.get("aim", "")), n)
    _named(axes, "s")


def peers(axes: Axes, rows: Rows) -> None:
    """Peer's time over ours."""
    names = [
        f"N = {row['tokens']}" + (f", d = {row['d']}, {row['way']}" if "way" in row else "")
        if "tokens" in row
        else f"{row['scheme']} / {row.get('transport', '')}"
        for row in rows
    ]
    axes.barh(names, [row["ratio"] for row in rows], color=GREEN)
    for n, row in enumerate(rows):
        axes.annotate(f" {row['ratio']:.3g}", (row["ratio"], n), va="center", fontsize=8)
        _mark(axes, bound_of(row.get("aim", "")), n)
    axes.axvline(1.0, color="0.5", linewidth=0.8)
    _named(axes, f"time of {rows[0]['peer']} over ours")


def long_run(axes: Axes, rows: Rows) -> None:
    """Late steps over early ones, the growth of memory beside them."""
    axes.barh([row["run"] for row in rows], [row["ratio"] for row in rows], color=BLUE)
    for n, row in enumerate(rows):
        grown = row["growth_kB"]
        told = "" if isinstance(grown, str) or grown != grown else f", {grown:.3g} kB more"
        axes.annotate(f"  {row['ratio']:.3g}{told}", (0, n), va="center", fontsize=8, color="white", weight="bold")
        _mark(axes, bound_of(row.get("aim", "")), n)
    _named(axes, "cost late over early, of many over few")


def accuracy_cost(axes: Axes, rows: Rows) -> None:
    """Processor seconds to an error of the low moments; the aim, below the tokens' cost, as short lines."""
    names = sorted({(row["model"], row["route"]) for row in rows})
    colours = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, "0.3")
    for (model, route), colour in zip(names, colours, strict=False):
        mine = [row for row in rows if (row["model"], row["route"]) == (model, route)]
        error, cost = [row["error"] for row in mine], [row["cpu_s"] for row in mine]
        axes.loglog(error, cost, "o-", color=colour, label=f"{route}, {model}")
    for row in rows:
        bound = bound_of(row.get("aim", ""))
        if bound is not None:
            goal = row["cpu_s"] * row["tokens_over_it"] / bound
            axes.plot([0.6 * row["error"], 1.6 * row["error"]], [goal] * 2, "--", color="black", linewidth=1.2)
    axes.invert_xaxis()
    axes.set_xlabel("error of the low moments")
    axes.set_ylabel("processor seconds")
    axes.legend(fontsize=7, frameon=False)


def implicit_transport(axes: Axes, rows: Rows) -> None:
    """Applications of L against the error that they reach."""
    ways = dict.fromkeys(row["transport"] for row in rows)
    for (measure, marker), size in zip((("density", "o"), ("half_density", "s")), (40, 22), strict=True):
        for way, colour in zip(ways, (BLUE, ORANGE, GREEN, PURPLE), strict=False):
            mine = [row for row in rows if (row["transport"], row["measure"]) == (way, measure)]
            places = [row["error"] for row in mine], [row["applications"] for row in mine]
            axes.scatter(*places, s=size, c=colour, marker=marker, label=f"{way}, {measure}" if mine else None)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.invert_xaxis()
    axes.set_xlabel("error reached")
    axes.set_ylabel("applications of L")
    axes.legend(fontsize=7, frameon=False)


def orders(axes: Axes, rows: Rows) -> None:
    """Orders with their intervals at 99 %, and those of the theory."""
    places = range(len(rows))
    sizes = [row["order"] for row in rows], [row["half-width"] for row in rows]
    axes.errorbar(sizes[0], places, xerr=sizes[1], fmt="o", color=BLUE, capsize=3, label="measured")
    axes.plot([row["theory"] for row in rows], places, "|", color="black", markersize=14, label="theory")
    axes.set_yticks(places, [f"{row['kind']}: {row['problem']}" for row in rows])
    _named(axes, "order")
    axes.tick_params(axis="y", labelsize=6.5)
    axes.legend(fontsize=8, frameon=False, loc="upper right")


def listed(axes: Axes, rows: Rows) -> None:
    """The rows as they are, where a plot would say less."""
    head = list(rows[0])
    cells = [[_short(row.get(key, "")) for key in head] for row in rows]
    widths = [max(len(str(cell)) for cell in column) + 2 for column in zip(head, *cells, strict=True)]
    shares = [width / sum(widths) for width in widths]
    made = axes.table(cells, colLabels=head, colWidths=shares, cellLoc="left", edges="horizontal", bbox=Bbox.unit())
    made.auto_set_font_size(False)
    made.set_fontsize(8)
    axes.axis("off")


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


PANELS: dict[str, Paint] = {
    "density_step": density_step,
    "exponentials": exponentials,
    "affine_flow": affine_flow,
    "low_moments": low_moments,
    "attention_sums": attention_sums,
    "token_steps": token_steps,
    "dedalus_step": peers,
    "torch_attention": peers,
    "causal_tokens": token_steps,
    "network_layer": peers,
    "setup_time": setup_time,
    "long_run": long_run,
    "accuracy_cost": accuracy_cost,
    "spectrum_update": spectrum_update,
    "implicit_transport": implicit_transport,
    "orders": orders,
    "ensemble_steps": listed,
    "cloud_steps": listed,
    "ensemble_scaling": listed,
    "cloud_ranks": listed,
    "ensemble_exact": listed,
    "ensemble_bias": listed,
}

NEEDED: dict[str, Sequence[str]] = {
    "density_step": ("outside_shtns", "step_ms"),
    "exponentials": ("over_chebyshev",),
    "affine_flow": ("over_chebyshev", "error"),
    "low_moments": ("over_log_density",),
    "attention_sums": ("moments_s", "direct_s"),
    "token_steps": ("us_per_token",),
    "dedalus_step": ("ratio",),
    "torch_attention": ("ratio",),
    "causal_tokens": ("us_per_token",),
    "network_layer": ("ratio",),
    "setup_time": ("seconds",),
    "long_run": ("ratio",),
    "accuracy_cost": ("cpu_s",),
    "spectrum_update": ("step_ms", "update_ms"),
    "implicit_transport": ("applications", "error"),
    "orders": ("order", "half-width"),
}
"""The numbers without which a row is not drawn: that of a peer that is not installed."""

CURVES = frozenset(
    {
        "affine_flow",
        "low_moments",
        "attention_sums",
        "token_steps",
        "causal_tokens",
        "accuracy_cost",
        "implicit_transport",
    }
)
"""Panels of curves and points, whose height does not go with their rows."""

WIDE = frozenset(name for name, paint in PANELS.items() if paint is listed)
"""Panels that take a whole row."""


def drawable(name: str, rows: Rows) -> Rows:
    """The rows that have the numbers which their panel needs."""
    return [row for row in rows if all(isinstance(row.get(key), int | float) for key in NEEDED.get(name, ()))]
