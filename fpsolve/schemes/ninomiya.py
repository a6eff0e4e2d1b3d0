"""The weak second-order scheme of Ninomiya & Ninomiya, two flows a step."""

import numpy as np

from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.schemes.common_noise import CommonNoise
from fpsolve.transport.velocity import ZeroField


def ninomiya(model: Model, measure: Measure, path: BrownianPath, t0: float, t1: float) -> Measure:
    """The flow of ε S¹, then that of b Δt + ε S² with b[μ_s] living; S¹ + S² = ΔW, Var S¹ = Δt/2, Cov(S¹,S²) = -Δt/2.

    These fix S¹ = √(Δt/2) Z with Z independent of ΔW. Weak order 2 for noise whose law does not depend on μ
    (c₁ = 0, c₂ = 1, u = 1/2) :cite:`ninomiya2009`.
    """
    dt, noise = t1 - t0, CommonNoise.over(model, measure, path, t0, t1)
    part = lambda own, channels: np.sqrt(dt / 2) * own.normals(t0, t1, channels, "second")  # noqa: E731
    first, second = noise.parted(part)
    measure = first.moved(measure)
    if isinstance(model.flow_drift(measure.source), ZeroField):
        return second.moved(measure)
    return measure.transport(lambda source: second.beside(dt * model.flow_drift(source), source))
