"""What a result has to show on the sphere: a density on the grid, one rebuilt from moments, or points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import sph_harm_y

from fpsolve.errors import InputError
from fpsolve.observe.member_run import one_member

if TYPE_CHECKING:
    import xarray as xr

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Field:
    """A density on S² at one saved time, per steradian: values on ``lat`` (ascending) × ``lon`` (degrees).

    ``lat`` includes both poles and ``lon`` one full turn with its end repeated, so that :meth:`at` only
    interpolates. ``source`` says where it comes from if that is not the saved density itself.
    """

    values: Real
    lat: Real
    lon: Real
    time: float
    source: str = ""

    def at(self, lat: Real, lon: Real) -> Real:
        """Bilinear interpolation; NaN where (lat, lon) is NaN."""
        row, up = _cells(self.lat, lat)
        east = self.lon[0] + (np.nan_to_num(lon) - self.lon[0]) % 360
        column, right = _cells(self.lon, np.where(np.isnan(lon), np.nan, east))
        value = self.values
        south = value[row, column] * (1 - right) + value[row, column + 1] * right
        north = value[row + 1, column] * (1 - right) + value[row + 1, column + 1] * right
        return np.asarray(south * (1 - up) + north * up)


def one_run(ds: xr.Dataset) -> xr.Dataset:
    """The run itself, without dimensions of length one that an ensemble gave it.

    Raises :class:`~fpsolve.errors.InputError` naming ``ds`` if it holds several runs, or no times.
    """
    if "time" not in ds.dims:
        raise InputError("ds", sorted(map(str, ds.sizes)), "has no times of a run", "give a result of fpsolve.solve")
    ds = one_member(ds, "ds")
    if "status" not in ds and "member" not in ds.dims:
        return ds
    known = {"time", "component", "harmonic", "head", "lat", "lon", "angle", "point"}
    known |= {"u", "degree", "axis_component"}
    ds = ds.squeeze([name for name, size in ds.sizes.items() if size == 1 and name not in known])
    several = {str(name): size for name, size in ds.sizes.items() if name in ("member", *_swept(ds))}
    if several:
        remedy = "choose one, ds.isel(member=0) for example, or draw all by fp.plot.ensemble(ds)"
        raise InputError("ds", several, "holds several runs", remedy)
    return ds


def _swept(ds: xr.Dataset) -> list[str]:
    return [str(name) for name in ds["status"].dims] if "status" in ds else []


def saved_index(ds: xr.Dataset, time: float | None) -> int:
    """Position of the saved time nearest to ``time``; the last one for None.

    Raises :class:`~fpsolve.errors.InputError` naming ``time`` if it lies outside the run.
    """
    times = ds["time"].values
    if time is None:
        return len(times) - 1
    slack = 1e-9 * max(abs(times[0]), abs(times[-1]))
    if not times[0] - slack <= time <= times[-1] + slack:
        problem = f"the result runs from {times[0]:g} to {times[-1]:g}"
        raise InputError("time", time, problem, "choose a time within it")
    return int(np.argmin(np.abs(times - time)))


def field(ds: xr.Dataset, index: int) -> Field:
    """The density at a saved time: the saved map, or else, as after a hand-over to a cloud, the sum of the moments.

    Raises :class:`~fpsolve.errors.InputError` naming ``density`` if the result has neither, or is not on S².
    """
    time = float(ds["time"].values[index])
    if "axis_component" in ds.dims:
        problem, remedy = "maps show densities on S²", "draw an overview, or fp.plot.zonal_profile"
        raise InputError("density", "a law about an axis", problem, remedy)
    if ds.sizes.get("component", 3) != 3:
        problem, remedy = "maps and animations show S² alone", "draw an overview, or the observables"
        raise InputError("density", f"d = {ds.sizes['component']}", problem, remedy)
    if "density" in ds and "lat" in ds["density"].dims:
        density = ds["density"].isel(time=index).transpose("lat", "lon").values
        if not np.isnan(density).all():
            return _closed(density, ds["lat"].values, ds["lon"].values, time, "")
    if "moments" in ds:
        return _from_moments(ds, index, time)
    remedy = "solve with save_density=True or moments_lmax > 0"
    raise InputError("density", sorted(map(str, ds.data_vars)), "the result has no density and no moments", remedy)


def mean_direction(ds: xr.Dataset, index: int) -> tuple[float, float]:
    """(lat, lon) of the mean vector, in degrees; (20, 0) if there is none to speak of."""
    if "mean_vector" in ds:
        mean = by_component(ds["mean_vector"].isel(time=index)).values
        if mean.shape == (3,) and np.linalg.norm(mean) > 1e-3:
            lat, lon = (
                np.degrees(np.arctan2(mean[2], np.hypot(mean[0], mean[1]))),
                np.arctan2(mean[1], mean[0]),
            )
            return float(lat), float(np.degrees(lon) % 360)
    return 20.0, 0.0


def by_component(vectors: xr.DataArray) -> xr.DataArray:
    """Vectors with their components last, in the order of their names."""
    named = vectors.sortby("component") if "component" in vectors.coords else vectors
    return named.transpose(..., "component")


def _cells(edges: Real, position: Real) -> tuple[NDArray[np.intp], Real]:
    """Index of the interval of ``edges`` that holds each position, and the fraction of the way through it."""
    cell = np.clip(np.searchsorted(edges, position, side="right") - 1, 0, len(edges) - 2)
    return cell, (position - edges[cell]) / (edges[cell + 1] - edges[cell])


def _closed(values: Real, lat: Real, lon: Real, time: float, source: str) -> Field:
    """Sort, repeat the first meridian a turn later and give the poles the mean of their nearest circle."""
    values = values[np.ix_(np.argsort(lat), np.argsort(lon))]
    lat, lon = np.sort(lat), np.sort(lon)
    values, lon = np.column_stack([values, values[:, 0]]), np.append(lon, lon[0] + 360)
    if lat[0] > -90:
        values, lat = (
            np.vstack([np.full_like(values[0], values[0, :-1].mean()), values]),
            np.append(-90.0, lat),
        )
    if lat[-1] < 90:
        values, lat = (
            np.vstack([values, np.full_like(values[0], values[-1, :-1].mean())]),
            np.append(lat, 90.0),
        )
    return Field(values, lat, lon, time, source)


def _from_moments(ds: xr.Dataset, index: int, time: float) -> Field:
    degree, order = ds["degree"].values, ds["order"].values
    lat, lon = np.linspace(-90, 90, 91), np.arange(0.0, 360.0, 2.0)
    moments = ds["moments"].isel(time=index).values
    values = np.zeros((len(lat), len(lon)))
    for one, ell, m in zip(moments, degree, order, strict=True):
        values += one * real_harmonic(int(ell), int(m), lat[:, None], lon[None, :])
    return _closed(values, lat, lon, time, f"from moments ℓ ≤ {int(degree.max())}")


def real_harmonic(ell: int, m: int, lat: Real, lon: Real) -> Real:
    """The real orthonormal harmonic: √2 Re Y_ℓm (m > 0), Y_ℓ0, √2 Im Y_ℓ|m| (m < 0); see
    ``sphere.harmonics``."""
    y = sph_harm_y(ell, abs(m), np.radians(90 - np.asarray(lat)), np.radians(lon))
    if m == 0:
        return np.asarray(y.real)
    return np.asarray(np.sqrt(2.0) * (y.real if m > 0 else y.imag))
