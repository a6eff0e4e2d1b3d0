"""Lie–Heun: the average of the fields at the start and at a predictor, with one increment."""

from fpsolve.attention.source import Source
from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.schemes.common_noise import CommonNoise
from fpsolve.transport.velocity import Velocity


def heun(model: Model, measure: Measure, path: BrownianPath, t0: float, t1: float) -> Measure:
    """μ₁ = exp((v₁+v₂)/2)_# μ₀, v₁ at μ₀, v₂ at exp(v₁)_# μ₀, the same ΔW in both.

    For noise whose law does not depend on μ; otherwise it converges to another equation and is refused. Strong order
    1/2 (1 for commuting noise), weak order 1; order 2 without noise :cite:`malham2008`.
    """
    noise = CommonNoise.over(model, measure, path, t0, t1)

    def velocity(source: Source) -> Velocity:
        return noise.beside((t1 - t0) * model.flow_drift(source), source)

    first = velocity(measure.source)
    second = velocity(measure.transport(first).source)
    return measure.transport(0.5 * first + 0.5 * second)
