"""The density of a cloud run on a patch of any size around any point."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from fpsolve.errors import InputError, UnderResolvedWarning, check_integer, check_number
from fpsolve.measures.initial import Initial
from fpsolve.models.base import Model
from fpsolve.plain.annotations import Name
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.harmonics import Real
from fpsolve.surroundings import warn
from fpsolve.zooming.backward import backward
from fpsolve.zooming.patch import Patch, checked_centre, checked_radius, patch, unresolved_share
from fpsolve.zooming.replay import flow_of
from fpsolve.zooming.solution import at_time, configuration, saved, single_run
from fpsolve.zooming.start import start_of

WEAKEST_MEAN = 1e-6
"""A shorter mean vector points nowhere."""


MOST_RINGS = 4096
"""Rings of a patch, of which each has twice as many points."""

COARSE = 1e-2
"""A patch whose last coefficients are larger than this part of the largest does not resolve its density."""


@checked_arguments
def zoom(
    solution: xr.Dataset,
    centre: ArrayLike | Name,
    radius: float,
    *,
    time: float | None = None,
    n: int = 48,
    rtol: float = 1e-8,
    model: Model | None = None,
    initial: Initial | None = None,
) -> xr.Dataset:
    """ρ(x, t) = ρ_0(χ(x)) det Dχ(x) on a patch, χ the flow of the run from t back to 0.

    solution: a result of ``solve`` with a quadrature cloud on S² or S¹, or one that was handed over to a cloud; or one
    member, at one point of a sweep, of an ensemble; also loaded from a file. With ``save_flow=True`` it holds the
    fields of its steps, otherwise its run is done again from the configuration that it carries, and its moments must
    be those saved. centre: a vector, (lat, lon) in degrees, or ``"mean"``. radius: an angle, 1e-8 to π. time: a
    multiple of dt (the end by default). n: the patch is n rings of 2n points (S²), or 2n points (S¹). rtol: accuracy
    of one flow back. model, initial: as given to ``solve``, where the result cannot say them in full; for a cloud
    that was given, the law or the density that it was made of.

    Returns density [1/sr], log_density and weights (solid angles) over (distance, azimuth), or (offset); the attribute
    ``mass`` is their sum Σ weights·density. Warns (UnderResolvedWarning) when the patch is too coarse for the density
    in it, so that the mass is not to be trusted; every value still is. Raises InputError for tokens and densities, for
    several runs in one Dataset, for a run that is not the one done again, and for schemes whose step is not made of
    flows (``euler_maruyama``, ``geodesic_euler``). Where fields live, under ``rk4`` and in the second flow of
    ``ninomiya``, the attribute ``interpolation_error`` estimates what is missed.
    """
    solution = single_run(solution)
    config = configuration(solution)
    radius, n = checked_radius(radius), _checked_count(n)
    check_number("rtol", rtol, 1e-13, 1e-2)
    law, start = start_of(solution, config, initial)
    end = _checked_time(time, config["solve"])
    middle = _centre(solution, centre, end, law.dimension)
    flow = flow_of(solution, start, model)
    grid = patch(middle, radius, n)
    origin, log_jacobian = backward(flow, grid.x, round(end / flow.dt), rtol)
    with np.errstate(divide="ignore"):
        log_density = np.log(law.density(origin)) + log_jacobian
    about = {"time": end, "centre": middle.tolist(), "radius": radius, "interpolation_error": flow.interpolation_error}
    return _dataset(grid, log_density, about, config)


def _dataset(grid: Patch, log_density: Real, about: dict[str, Any], config: dict[str, Any]) -> xr.Dataset:
    density, unit = np.exp(log_density), "sr-1" if grid.x.shape[1] == 3 else "rad-1"
    names = {
        "density": (density, "density with respect to surface measure", unit),
        "log_density": (log_density, "logarithm of the density", "1"),
        "weights": (grid.weights, "quadrature weights, their sum is the solid angle", unit.removesuffix("-1")),
    }
    data = {
        name: (grid.dims, values.reshape(grid.shape), {"long_name": text, "units": units})
        for name, (values, text, units) in names.items()
    }
    share = unresolved_share(data["weights"][1], data["density"][1])
    if share > COARSE:
        problem = f"the patch is too coarse for the density in it (share {share:.1g}): its mass is not to be trusted"
        warn(f"{problem}; take a smaller radius or a greater n", UnderResolvedWarning)
    about |= {"unresolved_share": share, "mass": float(grid.weights @ density), "Conventions": "CF-1.11"}
    title = f"fpsolve: zoom of {config['model']['name']}"
    return xr.Dataset(data, grid.coords, {"title": title, **about})


def _checked_count(n: int) -> int:
    check_integer("n", n, 8, MOST_RINGS)
    return int(n)


def _checked_time(time: float | None, solve: dict[str, Any]) -> float:
    """A time within the run that is a whole number of steps."""
    end, dt = float(solve["t_end"]), float(solve["dt"])
    if time is None:
        return end
    time = check_number("time", time, 0, end * (1 + 1e-12))
    if abs(round(time / dt) * dt - time) > 1e-9 * end:
        raise InputError("time", time, f"not a multiple of dt = {dt:g}", f"pass time={round(time / dt) * dt:.12g}")
    return time


def _centre(solution: xr.Dataset, centre: ArrayLike | Name, time: float, d: int) -> Real:
    if not isinstance(centre, str):
        return checked_centre(centre, d)
    if centre != "mean":
        raise InputError("centre", centre, "not a place", 'pass a vector, (lat, lon) or "mean"')
    times, means = saved(solution, "mean_vector")
    if not len(times):
        raise InputError("centre", centre, "this result holds no mean_vector", "pass a vector or (lat, lon)")
    at = at_time(times, time)
    if at is None:
        nearest = times[np.argmin(np.abs(times - time))]
        raise InputError("time", time, "the mean was not saved then", f"pass time={nearest:.12g}, or a centre")
    mean = means[at, :d]  # a sweep of d fills the rest with NaN
    if np.linalg.norm(mean) < WEAKEST_MEAN:
        raise InputError("centre", centre, "the mean vanishes at this time", "pass a vector or (lat, lon)")
    return checked_centre(mean, d)
