"""Lie–Heun: the average of the fields at the start and at a predictor, with one increment."""

from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath


def heun(model: Model, measure: Measure, path: BrownianPath, t0: float, t1: float) -> Measure:
    """μ₁ = exp((v₁+v₂)/2)_# μ₀, v₁ at μ₀, v₂ at exp(v₁)_# μ₀, the same ΔW in both.

    For noise whose law does not depend on μ; otherwise it converges to another equation and is refused. Strong order
    1/2 (1 for commuting noise), weak order 1; order 2 without noise :cite:`malham2008`.
    """
    increment = path.increment(t0, t1, model.channels(measure.dimension)) if model.is_stochastic else None

    def velocity(at: Measure):  # type: ignore[no-untyped-def]
        v = (t1 - t0) * model.flow_drift(at.source)
        return v if increment is None else v + model.noise_field(at.source, increment)

    first = velocity(measure)
    second = velocity(measure.transport(first))
    return measure.transport(0.5 * first + 0.5 * second)
