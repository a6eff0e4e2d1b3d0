r"""Energies of the gradient flows: interaction energy for any matrix, free energy, and the rate at which they change.

With E = Σ_h w_h (1/2β)∬e^{β⟨A_h x,y⟩}μ(dx)μ(dy) and F = ν∫ρ log ρ - E, the gradient flow moves μ with
u = P_x∇(δE/δμ) - ν∇log ρ, and dF/dt = -∫|u|²dμ; for ν = 0, dE/dt = ∫|u|²dμ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.errors import InputError
from fpsolve.measures.base import Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.models.base import Model, checked_matrix, checked_number
from fpsolve.models.multi_head import MultiHead
from fpsolve.models.self_attention import attention
from fpsolve.observe import quantities
from fpsolve.sphere.harmonics import Real


def interaction_energy(measure: Measure, beta: float, matrix: ArrayLike = 1.0) -> float:
    """(1/2β)∬e^{β⟨Ax,y⟩}μ(dx)μ(dy), A = ``matrix`` a number or (d, d), on any measure."""
    checked_number("beta", beta, positive=True)
    sites, weights = _quadrature(measure)
    log_m, _ = attention(measure.source, beta * checked_matrix("matrix", matrix), sites)
    return float(np.sum(weights * np.exp(log_m)) / (2 * beta))


def head_energy(measure: Measure, beta: float, weight: float, matrix: ArrayLike) -> float | None:
    """w (1/2β)∬e^{β⟨Ax,y⟩}μ(dx)μ(dy), A = I by its moments; None where e^{β|A|} is no double or μ has no quadrature."""
    a = checked_matrix("matrix", matrix)
    if a.ndim == 0 and a == 1:
        energy = quantities.energy(measure, beta)
        return None if energy is None else weight * energy
    norm = float(np.abs(a) if a.ndim == 0 else np.linalg.norm(a, 2))
    return None if beta * norm > quantities.LARGEST_EXPONENT else weight * interaction_energy(measure, beta, a)


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
    sites, weights = _quadrature(measure)
    speed = sites.to_ambient(model.drift_field(measure.source).on(sites))
    if model.diffusion > 0:
        if isinstance(measure, Cloud):
            raise InputError("measure", measure.name, "points have no ∇log ρ", "use a density")
        speed = speed - model.diffusion * _gradient_of_log(measure)
    return float(np.sum(weights * np.einsum("...a,...a", speed, speed)))


def _quadrature(measure: Any) -> tuple[Any, Real]:
    """Sites and weights that integrate functions against μ."""
    if isinstance(measure, Cloud):
        return measure.sites, measure.weights
    return measure.grid, measure.grid.weights * measure.values


def _gradient_of_log(measure: Any) -> Real:
    """∇log ρ on the grid of a density, ambient vectors; zero where ρ ≤ 0."""
    gradient = measure.grid.to_ambient(measure.grid.gradient(measure.moments(measure.lmax)))
    return gradient * np.where(measure.values > 0, 1 / np.maximum(measure.values, 1e-300), 0.0)[..., None]
