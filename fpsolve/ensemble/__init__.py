"""Ensembles: many members of the common noise, over sweeps of parameters, serially or over the ranks of an MPI job."""

from fpsolve.ensemble.layout import Layout, make_layout
from fpsolve.ensemble.main import StorePlace, ensemble
from fpsolve.ensemble.statistics import statistics
from fpsolve.ensemble.sweep import Sweep, make_sweep

__all__ = ["Layout", "StorePlace", "Sweep", "ensemble", "make_layout", "make_sweep", "statistics"]
