"""Patches of the sphere around a point, with quadrature weights: discs on S², arcs on S¹."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.errors import InputError, check_number
from fpsolve.sphere.harmonics import Real

SMALLEST = 1e-8
"""Positions are doubles on the unit sphere: below this radius their rounding would show."""


@dataclass(frozen=True, eq=False)
class Patch:
    """Points of a patch: ``x`` (n, d), solid angles ``weights`` (n,), the names of its dimensions, its coordinates."""

    x: Real
    weights: Real
    dims: tuple[str, ...]
    coords: dict[str, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """The numbers of points along ``dims``."""
        return tuple(len(self.coords[name][1]) for name in self.dims)


def patch(centre: Real, radius: float, n: int) -> Patch:
    """All points within the angle ``radius`` of ``centre``: n rings of 2n points on S², 2n points on S¹.

    On S² the plane is Lambert's azimuthal equal-area one, at the distance p = 2 sin(θ/2) from its middle, where solid
    angle is p dp dφ. Rings lie at p = p_max w², w Gauss's nodes on [0, 1], so that they crowd towards the middle: peaks
    of a hundredth of the radius are still resolved there. Exact for polynomials of degree ≤ n - 2 in the plane.
    """
    return _disc(centre, radius, n) if len(centre) == 3 else _arc(centre, radius, n)


def unresolved_share(weights: Real, density: Real) -> float:
    """How much of ρ the patch does not resolve: the largest coefficient of its last quarter against the largest of all.

    Legendre polynomials over the rings (the arc), for the integrand, and harmonics of the azimuth, for each ring.
    """
    rings = density.sum(axis=1) if density.ndim == 2 else density
    nodes, gauss = np.polynomial.legendre.leggauss(len(rings))
    integrand = rings * (weights[:, 0] if density.ndim == 2 else weights) / gauss
    spectra = [np.abs(np.polynomial.legendre.legvander(nodes, len(rings) - 1).T @ (gauss * integrand))]
    if density.ndim == 2:
        spectra.append(np.abs(np.fft.rfft(weights * density, axis=1)).sum(axis=0))
    return max(float(one[-(len(one) // 4) :].max() / max(one.max(), 1e-300)) for one in spectra)


def _disc(centre: Real, radius: float, n: int) -> Patch:
    nodes, gauss = np.polynomial.legendre.leggauss(n)
    w, rim = (1 + nodes) / 2, 2 * np.sin(radius / 2)
    p = rim * w**2
    theta = 2 * np.arcsin(p / 2)
    azimuth = 2 * np.pi * np.arange(2 * n) / (2 * n)
    east, north = frame(centre)
    across = np.cos(azimuth)[:, None] * east + np.sin(azimuth)[:, None] * north
    x = np.cos(theta)[:, None, None] * centre + np.sin(theta)[:, None, None] * across
    rings = gauss * rim**2 * w**3 * (2 * np.pi / (2 * n))  # p dp = 2 p_max² w³ dw
    weights = np.broadcast_to(rings[:, None], (n, 2 * n))
    coords = {
        "distance": ("distance", theta, {"long_name": "angle to the centre", "units": "radian"}),
        "azimuth": ("azimuth", azimuth, {"long_name": "direction from east to north", "units": "radian"}),
        "plane_x": (("distance", "azimuth"), np.outer(p, np.cos(azimuth)), {"long_name": "to the east, equal-area"}),
        "plane_y": (("distance", "azimuth"), np.outer(p, np.sin(azimuth)), {"long_name": "to the north, equal-area"}),
    }
    return Patch(x.reshape(-1, 3), weights.ravel(), ("distance", "azimuth"), coords)


def _arc(centre: Real, radius: float, n: int) -> Patch:
    nodes, gauss = np.polynomial.legendre.leggauss(2 * n)
    offset = radius * nodes
    tangent = np.array([-centre[1], centre[0]])
    x = np.cos(offset)[:, None] * centre + np.sin(offset)[:, None] * tangent
    coords = {"offset": ("offset", offset, {"long_name": "angle from the centre", "units": "radian"})}
    return Patch(x, radius * gauss, ("offset",), coords)


def frame(centre: Real) -> tuple[Real, Real]:
    """East and north at a point of S²; at the poles those of the meridian 0."""
    x, y, _ = centre
    lon = np.arctan2(y, x) if np.hypot(x, y) > 1e-12 else 0.0
    east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    return east, np.cross(centre, east)


def checked_centre(centre: ArrayLike, d: int) -> Real:
    """A unit vector of R^d from a vector, or for d = 3 from (lat, lon) in degrees."""
    try:
        given = np.array(centre, float)
    except (TypeError, ValueError):
        given = np.empty(0)
    if d == 3 and given.shape == (2,) and np.isfinite(given).all():
        lat, lon = np.radians(_checked_degrees(given))
        return np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    if given.shape != (d,) or not np.isfinite(given).all() or not np.any(given):
        kinds = 'a vector of R³, (lat, lon) in degrees or "mean"' if d == 3 else 'a vector of R² or "mean"'
        raise InputError("centre", centre, f"must be {kinds}", 'pass centre="mean", for example')
    length = np.linalg.norm(given)  # what has been divided by its length stays, to the bit: a result's own centre
    return given if abs(length - 1) <= 4 * np.finfo(float).eps else np.asarray(given / length)


def _checked_degrees(given: Real) -> Real:
    if abs(given[0]) > 90 or abs(given[1]) > 360:
        remedy = "pass (lat, lon) with lat in [-90, 90] and lon in [-180, 180] or [0, 360]"
        raise InputError("centre", given.tolist(), "not (lat, lon) in degrees", remedy)
    return given


def checked_radius(radius: float) -> float:
    """An angle in [1e-8, π]."""
    return check_number("radius", radius, SMALLEST, np.pi)
