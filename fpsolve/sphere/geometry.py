"""The two geometries with harmonics, the circle (d = 2) and the sphere (d = 3), behind the same names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpsolve.errors import InputError
from fpsolve.sphere import fourier, harmonics
from fpsolve.sphere.circle import CirclePoints, circle_grid
from fpsolve.sphere.grid import grid
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.sphere.scattered import SpherePoints


@dataclass(frozen=True)
class Geometry:
    """What measures and sources need of S^{d-1}: its coefficients, grids and scattered points.

    ``area`` is that of S^{d-1}.
    """

    dimension: int
    area: float
    mass_moment: float
    size: Callable[[int], int]
    degree_of: Callable[[Coefficients], int]
    degrees: Callable[[int], NDArray[np.int64]]
    resized: Callable[[Coefficients, int], Coefficients]
    laplacian: Callable[[int], Real]
    by_degree: Callable[[Real, int], Real]
    power: Callable[[Coefficients], Real]
    mean_vector: Callable[[Coefficients], Real]
    to_real: Callable[[Coefficients], Real]
    real_degrees_orders: Callable[[int], tuple[NDArray[np.int64], NDArray[np.int64]]]
    times_coordinates: Callable[[Coefficients], Coefficients]
    grid: Callable[[int], Any]
    points: Callable[[Real], Any]

    def spectral_tail(self, coefficients: Coefficients) -> float:
        """Σ_{ℓ > 0.9 ℓmax} |f_ℓm|² / Σ |f_ℓm|²."""
        spectrum = self.power(coefficients)
        return float(spectrum[int(0.9 * self.degree_of(coefficients)) + 1 :].sum() / spectrum.sum())


def _shared(module: Any) -> dict[str, Any]:
    """The functions that :mod:`harmonics` and :mod:`fourier` both define."""
    shared = "size degree_of degrees resized laplacian by_degree power mean_vector to_real real_degrees_orders"
    return {name: getattr(module, name) for name in (*shared.split(), "times_coordinates")}


CIRCLE = Geometry(
    dimension=2,
    area=2 * np.pi,
    mass_moment=fourier.MASS_MOMENT,
    grid=circle_grid,
    points=CirclePoints,
    **_shared(fourier),
)

SPHERE = Geometry(
    dimension=3,
    area=4 * np.pi,
    mass_moment=harmonics.MASS_MOMENT,
    grid=grid,
    points=SpherePoints,
    **_shared(harmonics),
)

GEOMETRIES: dict[int, Geometry] = {2: CIRCLE, 3: SPHERE}


LARGEST_DEGREE = 2047
"""Degrees beyond are refused: SHTns ends the process where a grid is too large for it."""


def check_degree(argument: str, lmax: int, least: int = 4) -> None:
    """Raise InputError for what is no degree of a density."""
    if isinstance(lmax, bool) or not isinstance(lmax, int) or lmax < least:
        raise InputError(argument, lmax, f"must be an integer >= {least}", f"pass {argument}=63, for example")
    if lmax > LARGEST_DEGREE:
        raise InputError(argument, lmax, f"beyond {LARGEST_DEGREE}", f"pass {argument} <= {LARGEST_DEGREE}")


def geometry(d: int) -> Geometry:
    """The geometry of S^{d-1}. Raises InputError where there are no harmonics."""
    if not isinstance(d, int) or d not in GEOMETRIES:
        remedy = 'use tokens, fp.initial.samples, or measure="zonal" for laws about an axis'
        raise InputError("d", d, "densities and harmonics exist for d = 2 and d = 3", remedy)
    return GEOMETRIES[d]
