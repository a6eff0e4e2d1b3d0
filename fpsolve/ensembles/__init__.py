"""Ensembles: many members of the common noise, over sweeps of parameters, serially or over the ranks of an MPI job."""

from fpsolve.ensembles.layout import Layout, make_layout
from fpsolve.ensembles.main import StorePlace, ensemble
from fpsolve.ensembles.statistics import statistics
from fpsolve.ensembles.sweep import Sweep, make_sweep

__all__ = ["Layout", "StorePlace", "Sweep", "ensemble", "make_layout", "make_sweep", "statistics"]
