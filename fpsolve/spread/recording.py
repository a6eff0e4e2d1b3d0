"""What is kept of a spread cloud at a saved time: integrals, which are sums over all ranks, and functions of its
moments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fpsolve.attention.bessel import moment_degree
from fpsolve.cached import cached_property
from fpsolve.errors import InputError
from fpsolve.models.base import Model, checked_matrix, spectral_norm
from fpsolve.observe.free_energy import energy_variables
from fpsolve.observe.observable import Context
from fpsolve.observe.observables import OBSERVABLES
from fpsolve.observe.record import Recorder
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.spread.cloud import SpreadCloud

KEPT = (
    "mean_vector", "overlap", "energy", "head_energies", "log_energy", "log_head_energies", "potential", "entropy",
    "mass", "moments", "drift_error", "cloud_error", "noise_tail", "noise_level", "evaluations",
)  # fmt: skip
"""The observables that are integrals, or follow from moments."""


class SpreadContext(Context):
    """Energies by moments alone: those of a head A ≠ I by the series of μ up to the degrees that e^{β⟨Ax,y⟩} has."""

    def __init__(self, saved: Recorder, state: SpreadCloud) -> None:
        super().__init__(saved, state)
        self._cloud = state

    @cached_property
    def energies(self) -> dict[str, Any]:
        beta, heads = self.saved.beta, self.saved.interaction
        norms = [spectral_norm(checked_matrix("matrix", matrix)) for _, matrix in heads]
        series: Any = SeriesOf(self._cloud, moment_degree((beta or 0.0) * max(norms)))
        return energy_variables(series, beta, heads)


class SeriesOf:
    """The series of a cloud's moments up to a degree, as a measure with the same integrals of smooth functions."""

    def __init__(self, cloud: SpreadCloud, degree: int) -> None:
        self.source, self.dimension, self.moments = cloud.source, cloud.dimension, cloud.moments
        self._degree = degree

    @cached_property
    def sites(self) -> Any:
        """The Gauss grid."""
        return geometry(self.dimension).grid(max(self._degree, 4))

    @cached_property
    def masses(self) -> Real:
        """Of either sign."""
        series: Coefficients = self.moments(self.sites.lmax)
        masses: Real = self.sites.weights * self.sites.scalar(series)
        return masses


@dataclass(frozen=True)
class SpreadRecorder(Recorder):
    """Observables of a spread cloud, the same on every rank."""

    def __call__(self, measure: Any) -> dict[str, Any]:
        context = SpreadContext(self, measure)
        computed: dict[str, Callable[[], Any]] = {
            "potential": lambda: None if self.model is None else potential(measure, self.model)
        }
        found = {}
        for name in KEPT:
            value = computed[name]() if name in computed else OBSERVABLES[name].of(measure, context)
            if value is not None:
                found[name] = value
        return {name: found[name] for name in OBSERVABLES if name in found}


def potential(cloud: SpreadCloud, model: Model) -> float | None:
    """∫ U dμ, as :func:`fpsolve.observe.quantities.mean_potential` has it of a measure on one process."""
    if not any(term.is_outer for term in model.terms) or model.potential(cloud.x[:1]) is None:
        return None
    return float(cloud.integral(lambda part: model.potential(cloud.x[part])))  # type: ignore[arg-type, return-value]


def refuse_own(observe: Any) -> None:
    """Raise InputError for observables of a user, which may look at all points."""
    if observe:
        problem = "functions of the whole measure, which no rank has"
        remedy = "save the points (save_points) and compute it from the result, or run without mpiexec"
        raise InputError("observe", ", ".join(observe), problem, remedy)


