"""The density on the circle against the angle, saved or the sum of its moments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fpsolve.errors import InputError
from fpsolve.plot.palette import time_label

if TYPE_CHECKING:
    import xarray as xr

Real = NDArray[np.float64]

_ANGLES = 361
"""Angles at which moments are summed."""


def on_circle(ds: xr.Dataset) -> bool:
    """Whether the result lives on S¹."""
    return ds.sizes.get("component") == 2


def profiles(ds: xr.Dataset) -> tuple[Real, Real, str]:
    """Angles in degrees from 0 to 360 inclusive, densities (time, angle), and what they come from if not ρ itself.

    Where ρ is not saved, as after a hand-over to a cloud, the moments are summed.

    Raises :class:`~fpsolve.errors.InputError` naming ``density`` for a result with neither density nor moments.
    """
    saved = "density" in ds and "angle" in ds["density"].dims
    values = ds["density"].transpose("time", "angle").values if saved else np.full((ds.sizes["time"], 1), np.nan)
    blank = np.isnan(values).all(axis=1)
    angle = np.append(ds["angle"].values, 360.0) if saved else np.linspace(0.0, 360.0, _ANGLES)
    if not blank.any():
        return angle, np.column_stack([values, values[:, 0]]), ""
    if "moments" not in ds:
        remedy = "solve with save_density=True or moments_lmax > 0"
        names = sorted(map(str, ds.data_vars))
        raise InputError("density", names, "the result has no density and no moments", remedy)
    harmonics = _real_harmonics(ds["order"].values, np.radians(angle))
    summed = np.einsum("th,ha->ta", ds["moments"].transpose("time", "harmonic").values, harmonics)
    source = f"from moments m ≤ {int(ds['degree'].max())}"
    if blank.all():
        return angle, summed, source
    since = time_label(float(ds["time"].values[blank][0]))
    return angle, np.where(blank[:, None], summed, np.column_stack([values, values[:, 0]])), f"{source} from {since} on"


def _real_harmonics(orders: NDArray[np.int64], theta: Real) -> Real:
    """1/√(2π), cos(mθ)/√π (m > 0), sin(|m|θ)/√π (m < 0): the real basis of ``moments``; shape (harmonic, angle)."""
    rows = [
        np.full_like(theta, 1 / np.sqrt(2 * np.pi))
        if m == 0
        else (np.cos(m * theta) if m > 0 else np.sin(-m * theta)) / np.sqrt(np.pi)
        for m in orders
    ]
    return np.stack(rows)
