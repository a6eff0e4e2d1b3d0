"""Euler's step along great circles: for points, and for velocities that are known only at them."""

import numpy as np

from fpsolve.errors import UnresolvedError
from fpsolve.measures.base import Measure
from fpsolve.measures.cloud import geodesic
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.schemes.common_noise import CommonNoise


def geodesic_euler(model: Model, measure: Measure, path: BrownianPath, t0: float, t1: float) -> Measure:
    """x ← exp_x(u), u = P_x[b[μ₀](x)Δt + ε ΔW_{μ₀}(x)], exp_x(u) = cos|u| x + sin|u| u/|u|.

    The velocity is asked for at the points and nowhere else, once a step. Itô: exp_x(u) = x + u - ½|u|²x + O(|u|³) has
    the term -(ε²/2) tr(P_xQ) x dt of the equation in its mean, and no Itô-to-Stratonovich correction is added, since
    the step does not flow along its field. Strong order 1/2, weak order 1, order 1 without noise. It moves points only
    and carries no density :cite:`homogenized2026`. Raises UnresolvedError (at time 0 of the step) for a drift that
    passes the antipode.
    """
    source, sites = measure.source, measure.sites
    tangent = (t1 - t0) * model.drift_field(source).on(sites)
    with np.errstate(over="ignore"):
        farthest = float(np.sqrt(np.einsum("na,na->n", tangent, tangent).max(initial=0.0)))
    if not farthest <= np.pi:
        problem = f"the drift carries a token {farthest / (2 * np.pi):.3g} times around its great circle in one step"
        raise UnresolvedError(0.0, problem, 'take a smaller dt, or scheme="rk4"')
    tangent = tangent + CommonNoise.over(model, measure, path, t0, t1)(source).on(sites)
    return measure.placed(geodesic(sites.x, tangent))
