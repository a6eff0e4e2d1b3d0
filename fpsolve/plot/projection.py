"""Two projections of the sphere to the plane, with their inverses; latitudes and longitudes in degrees.

Pictures are made backwards: every pixel asks for its point on the sphere, so a map has no seam and no holes
at the poles, and one grid of pixels serves every field. Formulas: Snyder, Map Projections, USGS
Professional Paper 1395 (1987), pages 145 (orthographic) and 249 (Mollweide).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.patches import Ellipse

Real = NDArray[np.float64]


class Projection(Protocol):
    """A map of (part of) the sphere onto the ellipse |x| ≤ ``width``, |y| ≤ ``height`` of the plane."""

    @property
    def width(self) -> float: ...

    @property
    def height(self) -> float: ...

    def forward(self, lat: Real, lon: Real) -> tuple[Real, Real]:
        """Plane coordinates (x, y); NaN for points out of sight."""
        ...

    def inverse(self, x: Real, y: Real) -> tuple[Real, Real]:
        """(lat, lon) seen at (x, y); NaN outside the ellipse."""
        ...


@dataclass(frozen=True)
class Mollweide:
    """The whole sphere on an ellipse, equal areas: x = (2√2/π)(λ-λ₀) cos θ, y = √2 sin θ, 2θ + sin 2θ = π
    sin φ."""

    lon0: float = 0.0
    width: float = 2 * np.sqrt(2.0)
    height: float = np.sqrt(2.0)

    def forward(self, lat: Real, lon: Real) -> tuple[Real, Real]:
        theta = _mollweide_angle(np.radians(lat))
        east = (np.asarray(lon) - self.lon0 + 180) % 360 - 180
        return self.width * east / 180 * np.cos(theta), self.height * np.sin(theta)

    def inverse(self, x: Real, y: Real) -> tuple[Real, Real]:
        inside = (x / self.width) ** 2 + (y / self.height) ** 2 <= 1
        theta = np.arcsin(np.where(inside, y / self.height, 0.0))
        lat = np.degrees(np.arcsin(np.clip((2 * theta + np.sin(2 * theta)) / np.pi, -1, 1)))
        cosine = np.cos(theta)
        east = 180 * np.divide(x, self.width * cosine, out=np.zeros_like(x), where=inside & (cosine > 1e-9))
        return np.where(inside, lat, np.nan), np.where(inside, (self.lon0 + east) % 360, np.nan)


@dataclass(frozen=True)
class Orthographic:
    """The hemisphere around (``lat0``, ``lon0``) as seen from far away, on the unit disc, north up."""

    lat0: float = 0.0
    lon0: float = 0.0
    width: float = 1.0
    height: float = 1.0

    def forward(self, lat: Real, lon: Real) -> tuple[Real, Real]:
        towards, east, north = self._frame() @ unit_vectors(lat, lon)
        seen = towards >= 0
        return np.where(seen, east, np.nan), np.where(seen, north, np.nan)

    def inverse(self, x: Real, y: Real) -> tuple[Real, Real]:
        squared = x**2 + y**2
        towards = np.sqrt(np.maximum(1 - squared, 0))
        point = np.tensordot(self._frame().T, np.stack([towards, x, y]), 1)
        lat, lon = angles(point)
        return np.where(squared <= 1, lat, np.nan), np.where(squared <= 1, lon, np.nan)

    def _frame(self) -> Real:
        """Rows: towards the viewer, east, north."""
        lat, lon = np.radians(self.lat0), np.radians(self.lon0)
        towards = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
        east = [-np.sin(lon), np.cos(lon), 0.0]
        return np.array([towards, east, np.cross(towards, east)])


def unit_vectors(lat: Real, lon: Real) -> Real:
    """Points of the sphere, shape (3, ...)."""
    lat, lon = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def angles(vectors: Real) -> tuple[Real, Real]:
    """Latitude and longitude in [0, 360) of non-zero vectors, shape (3, ...)."""
    x, y, z = vectors
    return np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x)) % 360


def pixels(projection: Projection, across: int) -> tuple[Real, Real]:
    """(lat, lon) at the centres of square pixels over the bounding box, ``across`` of them along x; row 0
    is south."""
    ratio = projection.height / projection.width
    x = projection.width * _centres(across)
    y = projection.height * _centres(max(1, round(across * ratio)))
    return projection.inverse(*np.meshgrid(x, y))


def outline(projection: Projection, **style: Any) -> Ellipse:
    """The edge of the map, to draw and to clip by."""
    from matplotlib.patches import Ellipse

    return Ellipse((0, 0), 2 * projection.width, 2 * projection.height, **style)


def _centres(count: int) -> Real:
    return (2 * np.arange(count) + 1) / count - 1


def _mollweide_angle(lat: Real) -> Real:
    """θ with 2θ + sin 2θ = π sin φ: Newton in θ from θ = φ, which loses its speed at the poles; twenty
    steps."""
    lat = np.asarray(lat, float)
    target = np.pi * np.sin(lat)
    theta = lat.copy()
    for _ in range(20):
        slope = 2 + 2 * np.cos(2 * theta)
        step = np.divide(2 * theta + np.sin(2 * theta) - target, slope, out=np.zeros_like(theta), where=slope > 1e-12)
        theta -= step
    return np.clip(theta, -np.pi / 2, np.pi / 2)
