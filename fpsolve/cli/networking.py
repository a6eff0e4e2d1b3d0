"""``fpsolve network``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer

from fpsolve import plot
from fpsolve.cli.plotting import draw
from fpsolve.cli.running import save_finished
from fpsolve.errors import InputError
from fpsolve.io import FIGURE_SUFFIXES, check_output
from fpsolve.plain.toml import assigned
from fpsolve.transformer import Architecture, Plan, plan, predict
from fpsolve.transformer.network.predict import check_memory
from fpsolve.transformer.network.start import start_of
from fpsolve.transformer.network.what_if import CELLS, entropy_share, phase_map, variations, verdict, what_if

EXACT = 3e11
"""Floating-point operations up to which the exact chain is taken by default."""

ROWS = 13
"""Layers in the printed table, about."""


def network(
    source: str,
    sizes: dict[str, int | None],
    n: int,
    members: int | None,
    seed: int,
    wide: bool | None,
    threshold: float,
    mode: str,
    output: Path | None,
    figure: Path | None,
    overwrite: bool,
    progress: bool | None,
    changes: Sequence[str],
) -> None:
    """Predict, print the table and the verdict, save where asked and draw; every refusal comes before the computing."""
    arch = architecture(source, sizes, changes)
    target = None if output is None else check_output(output, overwrite)
    name = arch.name or Path(source).stem
    if mode == "what-if" and figure is not None:
        raise InputError("figure", str(figure), "--what-if draws none", "leave it out")
    picture = (
        None
        if mode == "what-if"
        else check_output(figure or Path(f"{name}-{mode or 'network'}.png"), overwrite, FIGURE_SUFFIXES)
    )
    check_memory(plan(arch, n, wide=True), n)
    start_of(arch, n, None)
    cases = [(arch, n)] * (CELLS if mode == "map" else 1)
    cases += variations(arch, n).values() if mode == "what-if" else ()
    if wide is None:
        wide = total(cases, wide=False).flops > max(EXACT, total(cases, wide=True).flops)
    if members is None:
        members = 1 if wide or mode else 4
    options: dict[str, Any] = {"members": members, "seed": seed, "wide": wide, "threshold": threshold}
    way = f"{'wide limit' if wide else 'exact chain'}, {members} member{'s' if members > 1 else ''}"
    way += f" in {len(cases)} networks" if mode else ""
    cost = total(cases, members=members, wide=wide)
    typer.echo(f"{name}: {arch.depth} layers, d = {arch.d}, {n} tokens, {way}: {cost}")
    if mode == "what-if":
        ds = what_if(arch, n, **options, progress=progress)
        typer.echo(change_table(ds))
    elif mode == "map":
        ds = phase_map(arch, n, **options, progress=progress)
        typer.echo(map_table(ds))
    else:
        ds = predict(arch, n, **options, progress=progress)
        typer.echo(layer_table(ds))
        typer.echo(f"\n{name} {verdict(ds)}.")
    if target is not None:
        typer.echo(f"wrote {save_finished(ds, target, overwrite)}")
    if picture is not None:
        draw(plot.phases if mode == "map" else plot.layers, ds, picture, overwrite)
        typer.echo(f"wrote {picture}")


def total(cases: Sequence[tuple[Architecture, int]], **options: Any) -> Plan:
    """What all predictions of a command cost together: operations add, memory is that of the largest."""
    every = [plan(arch, n, **options) for arch, n in cases]
    return Plan(sum(one.flops for one in every), max(one.memory for one in every))


def architecture(source: str, sizes: dict[str, int | None], changes: Sequence[str]) -> Architecture:
    """A preset by name, a configuration of `transformers` (.json, a folder) or a TOML file, with sizes and changes."""
    given: dict[str, Any] = {key: value for key, value in sizes.items() if value is not None}
    deep = dict(assigned(text, "key=value", "norm.place=post") for text in changes)
    path = Path(source)
    if path.suffix == ".toml":
        arch = Architecture.from_toml(source, **given)
    elif path.suffix == ".json" or path.is_dir():
        arch = Architecture.from_transformers(source).resized(**given)
    else:
        return Architecture.preset(source, **given | deep)
    return arch.changed(**deep)


def layer_table(ds: Any) -> str:
    """About ``ROWS`` layers: mean overlap, least and largest, mean square, entropy, exponent.

    Behind the mean overlap stands the deviation of members, in the wide limit the standard error by sampled heads.
    """
    last = ds.sizes["layer"] - 1
    step = max(1, -(-last // (ROWS - 1)))
    shown = sorted({0, 1, *range(0, last + 1, step), last})
    several = ds.sizes["member"]
    limit = "mean_overlap_error" in ds
    if limit:
        spread = np.sqrt((ds["mean_overlap_error"] ** 2).mean("member") / several)
    else:
        spread = ds["mean_overlap"].std("member", ddof=1) if several > 1 else None
    what = "overlap ± error " if limit else "overlap ± spread" if several > 1 else "overlap         "
    lines = [f"layer  {what} least  largest  |x|²/d     rank    entropy      exponent"]
    mean = ds.mean("member")
    shares = entropy_share(ds) if "attention_entropy" in ds else None
    for layer in shown:
        at = mean.isel(layer=layer)
        overlap = f"{float(at['mean_overlap']):.4f}" + ("" if spread is None else f" ± {float(spread[layer]):.4f}")
        low, high = (float(at["overlap_quantile"].sel(quantile=q)) for q in (0.0, 1.0))
        entropy = exponent = ""
        if layer and shares is not None:
            entropy = f"{float(at['attention_entropy']):.3f} ({float(shares[layer]):.0%})"
        if layer:
            exponent = f"{float(at['close_exponent']):+.4f}"
        square, rank = float(at["mean_square"]), float(at["effective_rank"])
        lines.append(
            f"{layer:5d}  {overlap:15}  {low:5.2f}  {high:7.2f}  {square:9.3g}  {rank:6.1f}  {entropy:12}  {exponent}"
        )
    return "\n".join(lines)


def change_table(ds: Any) -> str:
    """A line for each change, and the sentence."""
    lines = ["change                          collapse layer  overlap at depth  entropy share"]
    for i, change in enumerate(ds["change"].values):
        layer = float(ds["collapse_layer"][i])
        collapse = "none" if layer == float("inf") else f"{layer:.0f}"
        overlap, share = float(ds["overlap_at_depth"][i]), float(ds["entropy_share"][i])
        lines.append(f"{change:30}  {collapse:>14}  {overlap:16.3f}  {share:13.0%}")
    return "\n".join([*lines, f"\nThe collapse moves most with: {ds.attrs['largest']}."])


def map_table(ds: Any) -> str:
    """Collapse layers on the plane, '-' where there is none, with * where attention is not too sharp either."""
    lines = ["collapse layer (- none, * both failures avoided); columns: query-key scale, rows: residual scale"]
    lines.append("        " + "".join(f"{one:>8g}" for one in ds["logits"].values))
    for b in ds["residual"].values[::-1]:
        row = ds.sel(residual=b)
        cells = zip(row["collapse_layer"].values, row["avoided"].values, strict=True)
        lines.append(
            f"{b:>8g}"
            + "".join(
                f"{'-' if layer == float('inf') else f'{layer:.0f}'}{'*' if good else ''}".rjust(8)
                for layer, good in cells
            )
        )
    return "\n".join(lines)
