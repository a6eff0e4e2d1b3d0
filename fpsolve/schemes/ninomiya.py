"""The weak second-order scheme of Ninomiya & Ninomiya, two flows a step."""

import numpy as np

from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.transport.velocity import ZeroField


def ninomiya(model: Model, measure: Measure, path: BrownianPath, t0: float, t1: float) -> Measure:
    """The flow of ε S¹, then that of b Δt + ε S² with b[μ_s] living; S¹ + S² = ΔW, Var S¹ = Δt/2, Cov(S¹,S²) = -Δt/2.

    These fix S¹ = √(Δt/2) Z with Z independent of ΔW. Weak order 2 for noise whose law does not depend on μ
    (c₁ = 0, c₂ = 1, u = 1/2) :cite:`ninomiya2009`.
    """
    dt = t1 - t0
    if model.is_stochastic:
        channels = model.channels(measure.dimension)
        first = np.sqrt(dt / 2) * path.normals(t0, t1, channels, "second")
        second = path.increment(t0, t1, channels) - first
        measure = measure.transport(model.noise_field(measure.source, first))
    if isinstance(model.flow_drift(measure.source), ZeroField):
        return measure.transport(model.noise_field(measure.source, second)) if model.is_stochastic else measure

    def living(source):  # type: ignore[no-untyped-def]
        v = dt * model.flow_drift(source)
        return v + model.noise_field(source, second) if model.is_stochastic else v

    return measure.transport(living)
