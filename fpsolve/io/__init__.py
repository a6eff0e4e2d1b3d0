"""Results on disk: an ``xarray.Dataset`` as NetCDF-4 or Zarr, exactly as it was."""

from fpsolve.io.files import load, save
from fpsolve.io.output import (
    ANIMATION_SUFFIXES,
    FIGURE_SUFFIXES,
    RESULT_SUFFIXES,
    check_output,
    check_space,
    replacing,
)

__all__ = [
    "ANIMATION_SUFFIXES",
    "FIGURE_SUFFIXES",
    "RESULT_SUFFIXES",
    "check_output",
    "check_space",
    "load",
    "replacing",
    "save",
]
