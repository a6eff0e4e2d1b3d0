"""The sphere: Gauss grid, harmonic transforms, scattered points."""

from fpsolve.sphere.grid import Grid, grid
from fpsolve.sphere.scattered import Points, SpherePoints

__all__ = ["Grid", "Points", "SpherePoints", "grid"]
