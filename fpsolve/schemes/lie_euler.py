"""Lie–Euler: transport by the field frozen at the start of the step."""

from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.schemes.common_noise import CommonNoise


def lie_euler(model: Model, measure: Measure, path: BrownianPath, t0: float, t1: float) -> Measure:
    """μ₁ = exp(v)_# μ₀, v = P_x[b[μ₀]Δt - (ε²/4)∇K_{μ₀}(x,x)Δt + ε ΔW_{μ₀}].

    Weak order 1 and strong order 1/2 for the Itô equation, noise laws that depend on μ included
    :cite:`malham2008`.
    """
    source = measure.source
    noise = CommonNoise.over(model, measure, path, t0, t1)
    return measure.transport(noise.beside((t1 - t0) * model.flow_drift(source), source))
