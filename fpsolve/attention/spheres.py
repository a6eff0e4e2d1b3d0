"""The spheres |g| = r on which log M of a measure is sampled for spectra of the noise, and its modes by moments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fpsolve._kernels import _fields
from fpsolve.attention.source import SMOOTH_TOLERANCE, MomentSource, wave_factors_by_degree
from fpsolve.cached import lru_cache
from fpsolve.sphere._shtns import BOUND, address
from fpsolve.sphere.circle import CircleGrid
from fpsolve.sphere.grid import Grid
from fpsolve.sphere.harmonics import size

Real = NDArray[np.float64]
Modes = NDArray[np.complex128]


class SphereSource(Protocol):
    """What a measure must answer on the spheres |g| = radius; ``sites.x`` are unit vectors, (*shape, d)."""

    def log_M_sphere(self, radius: float, sites: Any) -> Real:
        """log M(radius x), shape ``sites.shape``."""
        ...

    def F_sphere(self, radius: float, sites: Any) -> tuple[Real, Real]:
        """log M and F = ∇ log M at radius x, shapes ``sites.shape`` and ``(*sites.shape, d)``."""
        ...


class MomentSpheres:
    """Modes up to ``degree`` of log M on the spheres ``radii``, by moments.

    On S² each sphere has the smallest grid that serves, and all of them one compiled call.
    """

    def __init__(self, d: int, radii: Real, degree: int) -> None:
        self.d, self.radii, self.degree = d, np.ascontiguousarray(radii), degree
        self._tables: dict[int, _Tables] = {}

    def modes(self, source: MomentSource, whole: bool = False) -> tuple[Modes, int]:
        """Modes of sphere after sphere, (J, number of modes), and how many they are: up to where moments cancel.

        ``whole``: of all spheres or none, the largest one tried first.
        """
        degrees = [source.degree_of_moments(r) for r in self.radii.tolist()]
        if self.d == 3 and BOUND:
            return self._compiled(source, degrees, whole)
        found: list[Modes] = []
        for r, held in zip(self.radii.tolist(), degrees, strict=True):
            grid = sampling(self.d, self.degree, held)
            log_m = source.log_M_by_moments(r, grid)
            if log_m is None:
                break
            found.append(grid.to_modes(log_m, self.degree))
        if not found or (whole and len(found) < len(self.radii)):
            return np.empty((0, 0), complex), 0
        return np.array(found, complex), len(found)

    def _compiled(self, source: MomentSource, degrees: list[int], whole: bool) -> tuple[Modes, int]:
        top = max(degrees)
        if top not in self._tables:
            self._tables[top] = _Tables(self, degrees)
        tables, modes = self._tables[top], np.empty((len(self.radii), size(self.degree)), complex)
        floor = source.accuracy / SMOOTH_TOLERANCE
        done = _fields.log_m(
            *tables.arrays, self.radii, source.moments(top), top, self.degree, floor, whole, modes
        )
        return modes[:done], done


class _Tables:
    """What the compiled call needs for moments that end at a degree: of each sphere plans, degree, points, factors."""

    def __init__(self, spheres: MomentSpheres, degrees: list[int]) -> None:
        grids = [sampling(3, spheres.degree, held) for held in degrees]
        plans = [[grid.plan(held), grid.plan(spheres.degree)] for grid, held in zip(grids, degrees, strict=True)]
        factors = np.zeros((len(degrees), max(degrees) + 1))
        for row, r, held in zip(factors, spheres.radii.tolist(), degrees, strict=True):
            row[: held + 1] = wave_factors_by_degree(3, r, held)
        self._kept = plans  # as long as their addresses
        self.arrays = (
            np.array([[address(plan) for plan in pair] for pair in plans], np.uint64),
            np.array(degrees, np.int64),
            np.array([grid.nlat * grid.nphi for grid in grids], np.int64),
            factors,
        )


@lru_cache(maxsize=128)
def sampling(d: int, degree: int, holds: int = 0) -> Any:
    """A small grid, finer than ``degree`` needs: the functions are not band-limited.

    It also holds fields of degree ``holds``, so that the moments of M are summed on it directly.
    """
    return SAMPLINGS[d](degree, holds)


def _sampling_sphere(degree: int, holds: int) -> Grid:
    """A quarter finer."""
    nlat = max(32, 8 * -(-5 * (degree + 1) // 32), 8 * -(-(holds + 1) // 8))
    return Grid(degree, nlat, 2 * nlat)


def _sampling_circle(degree: int, holds: int) -> CircleGrid:
    """Twice finer: an even number of angles."""
    least = max(64, 4 * (degree + 1), 2 * (holds + 1))
    return CircleGrid(degree, 8 * -(-least // 8))


SAMPLINGS: dict[int, Callable[[int, int], Any]] = {2: _sampling_circle, 3: _sampling_sphere}
"""The grids by d."""
