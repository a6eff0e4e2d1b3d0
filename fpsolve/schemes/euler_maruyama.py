"""Euler–Maruyama on points in the form of the transformer's layer, x ← N(x + u)."""

import numpy as np

from fpsolve.errors import UnresolvedError
from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.schemes.common_noise import CommonNoise


def euler_maruyama(model: Model, measure: Measure, path: BrownianPath, t0: float, t1: float) -> Measure:
    """x ← N(x + b̄[μ₀](x)Δt + ε ΔW_{μ₀}(x)), u = b̄Δt + εΔW before projection: the layer map itself.

    b̄ is :meth:`Model.layer_drift`, the drift itself unless the noise has P_x Q(x,x) x ≠ 0.

    Weak order 1 for the Itô equation; the normalisation supplies -(ε²/2) tr(P_xQ) x. It moves points only and carries
    no density :cite:`homogenized2026`. Raises UnresolvedError (at time 0 of the step) where its square overflows.
    """
    source, sites, noise = measure.source, measure.sites, CommonNoise.over(model, measure, path, t0, t1)
    moved = sites.x + (t1 - t0) * model.layer_drift(source).ambient(sites) + noise(source).ambient(sites)
    with np.errstate(over="ignore"):
        length = np.sqrt(np.einsum("na,na->n", moved, moved))[:, None]
    if not np.isfinite(length).all():
        raise UnresolvedError(0.0, "the step is too long for double precision", "take a smaller dt")
    return measure.placed(moved / length)
