"""Representations of a probability measure on the sphere."""

from fpsolve.measures.base import Measure
from fpsolve.measures.build import MEASURES
from fpsolve.measures.causal_density import CausalDensity
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.density import Density
from fpsolve.measures.expansion import Expansion
from fpsolve.measures.half_density import HalfDensity
from fpsolve.measures.log_density import LogDensity
from fpsolve.measures.zonal import ZonalDensity
from fpsolve.measures.zonal_cloud import ZonalCloud

__all__ = ["MEASURES", "CausalDensity", "Cloud", "Density", "Expansion", "HalfDensity", "LogDensity", "Measure"]
__all__ += ["ZonalCloud", "ZonalDensity"]
