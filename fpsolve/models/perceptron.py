r"""The perceptron block as a drift: fixed MLP weights, and the potential whose gradient flow it is.

x ↦ Σ_k a_k φ(⟨w_k,x⟩ + b_k) does not depend on μ. For a_k = α_k w_k it is the gradient of

    U(x) = Σ_k α_k Φ(⟨w_k,x⟩ + b_k),    Φ' = φ, Φ(0) = 0,

so that beside attention without denominators (A = V = I) the whole is the gradient flow of the energy
(1/2β)∬e^{β⟨x,y⟩}dμdμ + ∫U dμ :cite:`perceptrons2026`, whose critical points are generically atomic and sit on a part of
the sphere. With each token's own noise ν its stationary densities solve ρ ∝ exp((U + M_ρ(βx)/β)/ν), without attention
ρ ∝ e^{U/ν}: :func:`fpsolve.stationary.solve` finds and follows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike

from fpsolve.attention.source import Source
from fpsolve.errors import InputError
from fpsolve.models.base import Model, checked_number
from fpsolve.noise.activation import ActivationLike, dual_activation
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import AmbientField, Velocity

NODES = 64
"""Gauss nodes between 0 and z for Φ(z)."""


@dataclass(frozen=True)
class PerceptronDrift(Model):
    """dx = P_x Σ_k a_k φ(⟨w_k,x⟩ + b_k) dt [+ each token's own noise], K neurons.

    weights: rows w_k, shape (K, d). output: vectors a_k, shape (K, d); or numbers α_k, one for all or (K,), for
    a_k = α_k w_k, a gradient flow. bias: b_k, one for all or (K,). activation: φ, a name, the coefficients of a
    polynomial or a function of arrays, as in :class:`SynchronisationByNoise`. diffusion: ν. The potential ∫U dμ of a
    gradient flow is the variable ``potential`` of results; beside ``energy`` it is the other part of the energy that
    attention without denominators and the block increase. Raises InputError for bad values.
    """

    weights: ArrayLike
    output: ArrayLike = 1.0
    bias: ArrayLike = 0.0
    activation: ActivationLike = "relu"
    diffusion: float = 0.0

    summary: ClassVar[str] = "drift of a fixed perceptron block, a gradient flow beside attention"
    reference: ClassVar[str] = "arXiv:2601.21366"
    is_outer: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_number("diffusion", self.diffusion)
        weights = _frozen("weights", self.weights, (2,))
        object.__setattr__(self, "weights", weights)
        width, d = np.shape(weights)
        if d < 2:
            raise InputError("weights", (width, d), "tokens live in d >= 2", "pass rows w_k of length d")
        for name, dims in (("output", (0, 1, 2)), ("bias", (0, 1))):
            value = _frozen(name, getattr(self, name), dims)
            if np.ndim(value) and np.shape(value) != (width, d)[: np.ndim(value)]:
                problem = f"there are {width} neurons in d = {d}"
                raise InputError(name, np.shape(value), problem, "pass one number, or one entry for each neuron")
            object.__setattr__(self, name, value)
        if not isinstance(self.activation, str) and not callable(self.activation):
            object.__setattr__(self, "activation", tuple(np.ravel(np.asarray(self.activation)).tolist()))
        dual_activation(self.activation)

    @property
    def dimension(self) -> int | None:
        return int(np.shape(self.weights)[1])

    def outer_field(self, x: Real) -> Real:
        """Σ_k a_k φ(⟨w_k,x⟩ + b_k) at points (..., d)."""
        output = np.asarray(self.output, float)
        rows = output if output.ndim == 2 else np.multiply(output, np.asarray(self.weights).T).T
        hidden = np.asarray(dual_activation(self.activation).function(self._inputs(x)), float)
        return np.einsum("...k,ka->...a", hidden, rows)

    def potential(self, x: Real) -> Real | None:
        output = np.asarray(self.output, float)
        if output.ndim == 2:
            return None
        z, (nodes, weights) = self._inputs(x), leggauss(NODES)
        function, total = dual_activation(self.activation).function, np.zeros_like(z)
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            total += weight * np.asarray(function(node * z), float)
        return np.einsum("...k,k->...", z * total, np.broadcast_to(output, len(np.asarray(self.weights))))

    def drift_field(self, source: Source) -> Velocity:
        return AmbientField(lambda sites: self.outer_field(sites.x))

    def _inputs(self, x: Real) -> Real:
        """⟨w_k,x⟩ + b_k, shape (..., K); not by BLAS, whose bits depend on its threads."""
        return np.einsum("...a,ka->...k", x, np.asarray(self.weights)) + np.asarray(self.bias)


def _frozen(name: str, value: ArrayLike, dims: Sequence[int]) -> Any:
    """Numbers of one of these ranks in hashable form."""
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if array.ndim not in dims or not array.size or not np.isfinite(array).all():
        kinds = {0: "a number", 1: "a list of numbers", 2: "a list of rows"}
        wanted = " or ".join(kinds[rank] for rank in dims)
        raise InputError(name, value, f"must be {wanted}, all finite", "pass weights of shape (K, d)")
    rows = array.tolist()
    return tuple(map(tuple, rows)) if array.ndim == 2 else tuple(rows) if array.ndim else float(array)
