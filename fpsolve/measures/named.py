"""Arrays with named dimensions, as xarray has them, in the order that laws expect: read by name and coordinate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial.legendre import leggauss

from fpsolve.errors import InputError
from fpsolve.sphere.harmonics import Real

NEAR = 1e-6
"""Degrees by which a coordinate may miss its place."""

ORDERS = (("lat", "lon"), ("angle",), ("point", "component"))
"""The dimensions of a density on S², of one on S¹, and of tokens."""


def is_named(value: Any) -> bool:
    """Whether an array has names for its dimensions."""
    return hasattr(value, "dims") and hasattr(value, "coords") and hasattr(value, "transpose")


def in_order(argument: str, value: Any) -> Any:
    """The numbers of a named array: latitudes from the north, longitudes and angles from 0, points by component.

    Dimensions without coordinates keep their order. Raises InputError for other dimensions, and for coordinates that
    are not those of a grid (Gauss latitudes, equal angles from 0).
    """
    dims = tuple(map(str, value.dims))
    if (len(dims) < 2 and dims != ("angle",)) or all(name.startswith("dim_") for name in dims):
        return np.asarray(value)
    order = next((names for names in ORDERS if set(names) == set(dims)), None)
    if order is None:
        remedy = "select one time, value.isel(time=-1), and keep lat and lon, or angle, or point and component"
        raise InputError(argument, dims, f"not the dimensions of a law ({' or '.join(map(', '.join, ORDERS))})", remedy)
    value = value.transpose(*order)
    for name in order:
        if name in value.coords:
            value = value.isel({name: _places(argument, name, np.asarray(value.coords[name]))})
    return np.asarray(value)


def _places(argument: str, name: str, given: Any) -> Any:
    """Where the entries stand that come first, second, …"""
    if name == "component":
        return sorted(range(len(given)), key=lambda n: (len(str(given[n])), str(given[n])))
    if name == "point":
        return np.arange(len(given))
    n = len(given)
    given = given.astype(float)
    if name == "lat":
        wanted, places = np.rad2deg(np.arcsin(leggauss(n)[0][::-1])), np.argsort(-given)
    else:
        turned = np.mod(given + NEAR, 360) - NEAR
        wanted, places, given = 360.0 * np.arange(n) / n, np.argsort(turned), turned
    _check(argument, name, given[places], wanted)
    return places


def _check(argument: str, name: str, given: Real, wanted: Real) -> None:
    if not np.abs(given - wanted).max() < NEAR:
        worst = int(np.nanargmax(np.abs(given - wanted))) if np.isfinite(given).all() else 0
        kind = "Gauss latitudes in degrees" if name == "lat" else "equally spaced degrees from 0"
        problem = f"{name} has {given[worst]:.9g} where the grid of {len(wanted)} has {wanted[worst]:.9g}"
        raise InputError(argument, name, problem, f"interpolate the density to {kind}")
