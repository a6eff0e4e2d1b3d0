"""Observables of measures and the Dataset that a run returns."""

from fpsolve.observe.quantities import energy, entropy, min_density, overlap, real_moments, tail
from fpsolve.observe.record import Recorder, dataset, versions
from fpsolve.observe.result import Result, as_result

__all__ = [
    "Recorder",
    "Result",
    "as_result",
    "dataset",
    "energy",
    "entropy",
    "min_density",
    "overlap",
    "real_moments",
    "tail",
    "versions",
]
