"""The coordinates of a result of laws that are symmetric about an axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

MOMENTS = "∫ P_ℓ(⟨x, axis⟩) dμ, P_ℓ the Gegenbauer polynomials that are orthonormal for the uniform law"

DENSITY = "density with respect to the uniform law, of the height u; NaN where it is below round-off"

QUADRATURE = "weight of a height under the uniform law, Σ w ρ = 1"


def with_axis(ds: xr.Dataset, first: Any) -> xr.Dataset:
    """With degrees, heights and their weights, and the axis: its d components by ``axis_component``."""
    axis = {"long_name": "axis of symmetry, a unit vector of R^d"}
    ds = ds.assign_coords(axis=("axis_component", first.axis.copy(), axis))
    if "moments" in ds:
        ds = ds.assign_coords(degree=("degree", np.arange(ds.sizes["degree"]), {"long_name": "degree ℓ"}))
        ds["moments"].attrs["long_name"] = MOMENTS
    if "density" in ds:
        ds["density"].attrs["long_name"] = DENSITY
    if "u" in ds.dims:
        grid = first.sites
        ds = ds.assign_coords(
            u=("u", grid.u.copy(), {"long_name": "height ⟨x, axis⟩"}),
            quadrature=("u", grid.weights.copy(), {"long_name": QUADRATURE}),
        )
    return ds
