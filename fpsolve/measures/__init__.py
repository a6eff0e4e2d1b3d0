"""Representations of a probability measure on the sphere."""

from fpsolve.measures.base import Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.density import Density
from fpsolve.measures.half_density import HalfDensity

MEASURES: dict[str, type[Measure]] = {cls.name: cls for cls in (Density, HalfDensity, Cloud)}

__all__ = ["MEASURES", "Cloud", "Density", "HalfDensity", "Measure"]
