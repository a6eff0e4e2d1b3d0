"""Linear stability of the uniform law against every perturbation, in every dimension, by its closed form."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.special import gammaln

from fpsolve.attention.multipliers import log_multiplier, ratios
from fpsolve.errors import InputError, check_integer
from fpsolve.models.base import Head, Model
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.gegenbauer import checked_dimension
from fpsolve.sphere.harmonics import Real
from fpsolve.stationary.heads import parts_of


@checked_arguments
def uniform_stability(model: Model, d: int = 3, *, degrees: int = 16) -> xr.Dataset:
    r"""Growth rates of perturbations of degree ℓ = 1..``degrees`` of the uniform law on S^{d-1}, d = 2 to 10,000.

        rate_ℓ = ℓ(ℓ+d-2) (Σ_h w_h b_h κ_ℓ(β a_h) - ν),    κ_ℓ(r) = λ_ℓ(r)/(r λ_0(r)) (SA),  λ_ℓ(r)/r (USA),

    λ_ℓ(-r) = (-1)^ℓ λ_ℓ(r), for heads A = a_h I, V = b_h I of weight w_h (the limit at r = 0: 1/d for ℓ = 1). Every
    perturbation of degree ℓ grows so, symmetric about an axis or not; ``log_multiplicity`` is the logarithm of how many
    there are, dim of the harmonics of degree ℓ. Returns a Dataset by ``degree`` with ``rate`` and ``log_multiplicity``,
    and the attributes ``fastest_degree`` and ``is_stable`` (no rate above zero up to ``degrees``; what a head adds
    falls with ℓ once ℓ exceeds β|a|). Raises InputError for models that are no sum of heads, and for matrices that are
    no multiples of I. Source: :cite:`meanfield2025`, :cite:`metastable2024`.
    """
    check_integer("degrees", degrees, 1, 1 << 16)
    heads, outer = parts_of(model)
    if outer:
        raise InputError("model", type(model).__name__, "its outer drift moves the uniform law", "leave that drift out")
    d, ell = checked_dimension(d), np.arange(1.0, degrees + 1)
    pull = sum((_pull(head, d, degrees) for head in heads), np.zeros(degrees))
    rate = ell * (ell + d - 2) * (pull - model.diffusion)
    count = np.log(2 * ell + d - 2) + gammaln(ell + d - 2) - gammaln(ell + 1) - gammaln(d - 1) if d > 2 else np.log(2.0)
    about = {"long_name": "growth rate of perturbations of degree ℓ", "units": "1"}
    many = {"long_name": "log of the number of harmonics of degree ℓ", "units": "1"}
    counts = np.broadcast_to(count, ell.shape).copy()
    return xr.Dataset(
        {"rate": ("degree", rate, about), "log_multiplicity": ("degree", counts, many)},
        {"degree": np.arange(1, degrees + 1)},
        {"d": d, "fastest_degree": int(np.argmax(rate)) + 1, "is_stable": int(not (rate > 0).any())},
    )


def _pull(head: Head, d: int, degrees: int) -> Real:
    """w b κ_ℓ, ℓ = 1..degrees."""
    for argument, matrix in (("key_query", head.key_query), ("value", head.value)):
        if np.ndim(matrix):
            raise InputError(argument, np.shape(matrix), "no multiple of the identity", "pass a number")
    r, strength = float(head.scores), head.weight * float(head.value)
    if r == 0:
        return np.where(np.arange(1, degrees + 1) == 1, strength / d, 0.0)
    a, signs = ratios(d, degrees - 1, abs(r)), np.where(r < 0, -1.0, 1.0) ** np.arange(1, degrees + 1)
    log_first = 0.0 if head.normalised else float(log_multiplier(d, np.array(abs(r)))[0]) - head.log_unit
    with np.errstate(divide="ignore"):
        return np.asarray(strength * signs * np.exp(np.cumsum(np.log(a)) + log_first) / r)
