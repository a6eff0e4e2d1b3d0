"""Observables of measures and the Dataset that a run returns."""

from fpsolve.observe.quantities import energy, entropy, min_density, overlap, real_moments, tail
from fpsolve.observe.record import Recorder, dataset, versions

__all__ = ["Recorder", "dataset", "energy", "entropy", "min_density", "overlap", "real_moments", "tail", "versions"]
