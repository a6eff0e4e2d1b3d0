"""``fpsolve run``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fpsolve.config import load_config
from fpsolve.errors import InputError
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
    target = _saved(ds, target, overwrite)
    typer.echo(summary(ds, target))
    return target


def _saved(ds: xr.Dataset, target: Path, overwrite: bool) -> Path:
    """Save; if the place was taken while the run was computing, save beside it: a finished run is not thrown away."""
    try:
        return save(ds, target, overwrite)
    except InputError as error:
        number = next(n for n in count(1) if not target.with_stem(f"{target.stem}-{n}").exists())
        typer.echo(f"fpsolve: {error}", err=True)
        return save(ds, target.with_stem(f"{target.stem}-{number}"))


def summary(ds: xr.Dataset, target: Path) -> str:
    """What was written, and the last value of each observable of the run."""
    times = ds["time"].values
    lines = [f"wrote {target}: {len(times)} saved times, t = {times[0]:g} to {times[-1]:g}"]
    names = [name for name in ("overlap", "energy", "entropy", "mass", "min_density", "tail") if name in ds]
    lines += [
        f"  {name:<12}{float(ds[name].values[0]): .6g}  ->  {float(ds[name].values[-1]): .6g}"
        for name in names
    ]
    if "unresolved_from" in ds.attrs:
        lines.append(f"  under-resolved from t = {ds.attrs['unresolved_from']:g} on")
    return "\n".join(lines)
