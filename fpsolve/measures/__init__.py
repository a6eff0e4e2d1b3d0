"""Representations of a probability measure on the sphere."""

from fpsolve.measures.base import Measure
from fpsolve.measures.build import MEASURES
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.density import Density
from fpsolve.measures.half_density import HalfDensity

__all__ = ["MEASURES", "Cloud", "Density", "HalfDensity", "Measure"]
