"""Whether a branch repeats itself: a closed loop, or the mirror image of what was passed before.

States are compared by what no rotation and no reflection changes, the parameter and the amplitude of each degree.
Between points the branch is the cubic of their places and tangents, whose error is of fourth order in the step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpsolve.sphere.harmonics import Real
from fpsolve.stationary.points import Point

SAMPLES = 33
"""Places on one segment at which it is kept."""

NEAR = 2e-3
"""A point lies on an earlier segment when it is nearer than this part of the last step."""

RECENT = 2
"""Segments that every point is near to anyway."""

TWICE = 2
"""Consecutive points on earlier segments that make a repetition."""


class Retrace:
    """What a branch has passed."""

    def __init__(self, degrees: NDArray[np.int64]) -> None:
        self._degrees = degrees
        self._segments: list[Real] = []
        self._repeated = 0

    def passed(self, a: Point, b: Point) -> bool:
        """Take the segment from a to b; whether b ends a stretch that was passed before."""
        step = float(np.linalg.norm(b.y - a.y))
        earlier = self._segments[:-RECENT]
        near = any(_distance(self._signature(b.y[None])[0], segment) <= NEAR * step for segment in earlier)
        self._repeated = self._repeated + 1 if near else 0
        self._segments.append(self._signature(_cubic(a, b, step)))
        return self._repeated >= TWICE

    def _signature(self, y: Real) -> Real:
        """(amplitude of each degree, q) of rows of y."""
        powers = [(y[:, :-1][:, self._degrees == ell] ** 2).sum(1) for ell in range(1, self._degrees.max() + 1)]
        return np.column_stack([*np.sqrt(powers), y[:, -1]])


def _cubic(a: Point, b: Point, step: float) -> Real:
    """Places between two points by their tangents."""
    s = np.linspace(0.0, 1.0, SAMPLES)[:, None]
    places = (1 + 2 * s) * (1 - s) ** 2 * a.y + s**2 * (3 - 2 * s) * b.y
    return np.asarray(places + step * (s * (1 - s) ** 2 * a.tangent - s**2 * (1 - s) * b.tangent))


def _distance(z: Real, line: Real) -> float:
    """The distance of a point from a polygon."""
    start, along = line[:-1], np.diff(line, axis=0)
    s = ((z - start) * along).sum(1) / np.maximum((along**2).sum(1), 1e-300)
    return float(np.linalg.norm(start + np.clip(s, 0, 1)[:, None] * along - z, axis=1).min())
