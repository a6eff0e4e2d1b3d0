r"""Energies of the gradient flows: interaction energy for any matrix, free energy, and the rate at which they change.

With E = Σ_h w_h (1/2β)∬e^{β⟨A_h x,y⟩}μ(dx)μ(dy) and F = ν∫ρ log ρ - E, the gradient flow moves μ with
u = P_x∇(δE/δμ) - ν∇log ρ, and dF/dt = -∫|u|²dμ; for ν = 0, dE/dt = ∫|u|²dμ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.errors import InputError
from fpsolve.measures.base import Measure
from fpsolve.models.base import Model, checked_matrix, checked_number, spectral_norm
from fpsolve.models.multi_head import MultiHead
from fpsolve.models.self_attention import attention
from fpsolve.observe import quantities
from fpsolve.sphere.harmonics import Real

ENERGIES = ("energy", "head_energies", "log_energy", "log_head_energies")
"""What :func:`energy_variables` may give."""


def interaction_energy(measure: Measure, beta: float, matrix: ArrayLike = 1.0) -> float:
    """(1/2β)∬e^{β⟨Ax,y⟩}μ(dx)μ(dy), A = ``matrix`` a number or (d, d), on any measure; ∞ where that is no double."""
    share, scale = _scaled_energy(measure, beta, matrix)
    with np.errstate(over="ignore"):
        return share * float(np.exp(scale))


def log_interaction_energy(measure: Measure, beta: float, matrix: ArrayLike = 1.0) -> float:
    """log (1/2β)∬e^{β⟨Ax,y⟩}μ(dx)μ(dy), finite for every β > 0; NaN where a density's lobes make the sum negative."""
    share, scale = _scaled_energy(measure, beta, matrix)
    return float(np.log(share)) + scale if share > 0 else np.nan


def _scaled_energy(measure: Measure, beta: float, matrix: ArrayLike) -> tuple[float, float]:
    """(E e^{-s}, s)."""
    checked_number("beta", beta, positive=True)
    sites, weights = measure.sites, measure.masses
    log_m, _ = attention(measure.source, beta * checked_matrix("matrix", matrix), sites)
    return quantities.scaled_sum(weights / (2 * beta), log_m)


def scaled_head_energy(measure: Measure, beta: float, matrix: ArrayLike) -> tuple[float, float] | None:
    """(E e^{-s}, s) of E = (1/2β)∬e^{β⟨Ax,y⟩}μ(dx)μ(dy), A = I by its moments; None where μ has no quadrature."""
    a = checked_matrix("matrix", matrix)
    return quantities.scaled_energy(measure, beta) if a.ndim == 0 and a == 1 else _scaled_energy(measure, beta, a)


def head_energy(measure: Measure, beta: float, weight: float, matrix: ArrayLike) -> float | None:
    """w (1/2β)∬e^{β⟨Ax,y⟩}μ(dx)μ(dy); None where e^{β|A|} is no double or μ has no quadrature."""
    if not is_double(beta, matrix):
        return None
    scaled = scaled_head_energy(measure, beta, matrix)
    return None if scaled is None else weight * scaled[0] * float(np.exp(scaled[1]))


def is_double(beta: float, matrix: ArrayLike) -> bool:
    """Whether e^{β|A|} is one."""
    a = checked_matrix("matrix", matrix)
    norm = spectral_norm(a)
    return beta * norm <= quantities.LARGEST_EXPONENT


def energy_variables(measure: Measure, beta: float | None, heads: Sequence[tuple[float, Any]]) -> dict[str, Any]:
    """``energy`` and its logarithm, and those of several heads (w_h, A_h); what the measure does not have is absent.

    ``log_energy`` is absent where heads of negative weight make the sum negative, ``log_head_energies`` is that of
    |w_h| E_h.
    """
    parts = [scaled_head_energy(measure, beta, matrix) for _, matrix in heads] if beta else [None]
    found = [one for one in parts if one is not None]
    if not beta or len(found) < len(parts):
        return {}
    weights, (shares, scales) = np.array([weight for weight, _ in heads]), np.array(found).T
    total, scale = quantities.scaled_sum(weights * shares, scales)
    values: dict[str, Any] = {}
    if all(is_double(beta, matrix) for _, matrix in heads):
        energies = weights * shares * np.exp(scales)
        values = {"energy": float(energies.sum())} | ({"head_energies": energies} if len(heads) > 1 else {})
    if total > 0:
        values["log_energy"] = float(np.log(total)) + scale
    if len(heads) > 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            values["log_head_energies"] = np.log(np.abs(weights) * shares) + scales
    return values


def head_energies(model: MultiHead, measure: Measure) -> Real:
    """w_h (1/2β)∬e^{β⟨A_h x,y⟩} for every head of the model, shape (H,); the total energy is their sum.

    In `MultiHead.gradient_flow` a matrix that is not symmetric makes two heads, which share its energy.
    """
    heads = model.fixed_heads
    return np.array([head.weight * interaction_energy(measure, model.beta, head.key_query) for head in heads])


def free_energy(measure: Measure, beta: float, diffusion: float, matrix: ArrayLike = 1.0) -> float:
    """ν∫ρ log ρ - (1/2β)∬e^{β⟨Ax,y⟩}, never increasing along `NoisyTransformer` of kind ``usa`` (A = I).

    Raises InputError for ν > 0 on a measure without an entropy (tokens).
    """
    checked_number("diffusion", diffusion)
    energy = interaction_energy(measure, beta, matrix)
    if diffusion == 0:
        return -energy
    entropy = measure.entropy
    if entropy is None:
        raise InputError("measure", measure.name, "points have no entropy ∫ρ log ρ", "use a density")
    return -diffusion * entropy - energy


def dissipation(model: Model, measure: Measure) -> float:
    """∫|v - ν∇log ρ|²dμ, v the model's drift: entropy production, minus the rate of the free energy of a gradient flow.

    Raises InputError for ν > 0 on points, whose log ρ has no gradient.
    """
    sites, weights = measure.sites, measure.masses
    speed = sites.to_ambient(model.drift_field(measure.source).on(sites))
    if model.diffusion > 0:
        score = measure.score
        if score is None:
            raise InputError("measure", measure.name, "points have no ∇log ρ", "use a density")
        speed = speed - model.diffusion * score
    return float(np.sum(weights * np.einsum("...a,...a", speed, speed)))
