"""Fourth-order Runge–Kutta for models without noise, the drift re-evaluated in every stage."""

from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath


def rk4(model: Model, measure: Measure, path: BrownianPath, t0: float, t1: float) -> Measure:
    """The flow of v[μ_s] = b[μ_s]Δt over s ∈ [0,1] by classical Runge–Kutta, sub-steps from ``rtol``.

    Order 4 in Δt when ``rtol`` is loose enough for one sub-step; otherwise exact to ``rtol`` :cite:`hairer1993`.
    """
    return measure.transport(lambda source: (t1 - t0) * model.flow_drift(source))
