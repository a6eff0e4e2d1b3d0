"""Observables of measures and the Dataset that a run returns."""

from fpsolve.observe.clustering import clusters
from fpsolve.observe.observable import Observable, Panel
from fpsolve.observe.observables import OBSERVABLES
from fpsolve.observe.quantities import energy, overlap, real_moments
from fpsolve.observe.record import Recorder, dataset, versions
from fpsolve.observe.result import Result, as_result

__all__ = [
    "OBSERVABLES",
    "Observable",
    "Panel",
    "Recorder",
    "Result",
    "as_result",
    "clusters",
    "dataset",
    "energy",
    "overlap",
    "real_moments",
    "versions",
]
