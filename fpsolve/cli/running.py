"""``fpsolve run``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fpsolve.config import load_config
from fpsolve.io import check_output, save

if TYPE_CHECKING:
    import xarray as xr


def run_config(
    config: Path, output: Path | None, overwrite: bool, progress: bool | None, changes: Sequence[str]
) -> Path:
    """Solve and save; every refusal comes before the computing."""
    described = load_config(config, changes)
    target = check_output(output or described.output or Path(config.stem + ".nc"), overwrite)
    options: dict[str, Any] = {} if progress is None else {"progress": progress}
    ds = described.solve(**options)
    save(ds, target, overwrite)
    typer.echo(summary(ds, target))
    return target


def summary(ds: xr.Dataset, target: Path) -> str:
    """What was written, and the last value of each observable of the run."""
    times = ds["time"].values
    lines = [f"wrote {target}: {len(times)} saved times, t = {times[0]:g} to {times[-1]:g}"]
    names = [name for name in ("overlap", "energy", "entropy", "mass", "min_density", "tail") if name in ds]
    lines += [
        f"  {name:<12}{float(ds[name].values[0]): .6g}  ->  {float(ds[name].values[-1]): .6g}"
        for name in names
    ]
    return "\n".join(lines)
