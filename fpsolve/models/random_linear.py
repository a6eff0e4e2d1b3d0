"""Random linear maps on the sphere, with exact two-token laws in every dimension :cite:`quadraticform2026`.

The law of these noises does not depend on μ, and P_x Q(x,x) P_x is a constant multiple of the projection, so that by
rotations about x the Itô-to-Stratonovich correction vanishes: the flow of the frozen field, dx = P_x ∘ dW(x), is also
the Itô equation of :class:`~fpsolve.models.base.Model`. P_x Q(x,x) x = 0 too, so that the layer map x ← N(x + ΔW(x))
(``euler_maruyama``) solves the same equation, without a drift.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fpsolve.attention.source import Source
from fpsolve.models.base import Model, apply_matrix, checked_number
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import AmbientField, Velocity, ZeroField


@dataclass(frozen=True)
class RandomLinear(Model):
    """What the three systems share: dx = ε P_x ∘ dW(x), W(x) linear or constant in x, in any d.

    noise: ε. diffusion: ν. Raises InputError for bad values.
    """

    noise: float = 1.0
    diffusion: float = 0.0

    reference: ClassVar[str] = "arXiv:2603.06187"

    def __post_init__(self) -> None:
        for name in ("noise", "diffusion"):
            checked_number(name, getattr(self, name))

    def noise_field(self, source: Source, increment: Real) -> Velocity:
        if not self.is_stochastic:
            return ZeroField()
        matrix = self.noise * self.weights(increment, source.dimension)
        return AmbientField(lambda sites: apply_matrix(matrix, sites.x))

    def weights(self, increment: Real, d: int) -> Real:
        """The matrix of W, (d, d), for an increment of the channels."""
        raise NotImplementedError


@dataclass(frozen=True)
class RandomQuadraticForm(RandomLinear):
    """dx = ε P_x ∘ dQ x, Q = (G + Gᵀ)/√2, G of independent Brownian entries: the gradient flow of ½⟨x, dQ x⟩.

    Q(x,y) = ⟨x,y⟩ I + y xᵀ. The overlap z of two tokens has generator ε²[-2z(1-z²)∂ + 2(1-z²)²∂²] in every d, so that
    arcsin z is a martingale and pairs align with probability ½ + arcsin(z₀)/π, otherwise end antipodal. Channels: d
    diagonal entries, then those above the diagonal, row by row.
    """

    summary: ClassVar[str] = "random quadratic form: pairs align with probability 1/2 + arcsin(z0)/pi"

    def channels(self, d: int) -> int:
        return d * (d + 1) // 2

    def weights(self, increment: Real, d: int) -> Real:
        """Q: variance 2 a unit time on the diagonal, 1 off it."""
        matrix = np.zeros((d, d))
        matrix[np.triu_indices(d, 1)] = increment[d:]
        return matrix + matrix.T + np.diag(np.sqrt(2) * increment[:d])


@dataclass(frozen=True)
class LinearGaussianLayers(RandomLinear):
    """dx = ε P_x ∘ dG x, G of d² independent Brownian entries: residual layers of one Gaussian matrix each.

    Isotropic, k(t) = t. The overlap has generator ε²[-z(1-z²)∂ + (1-z²)²∂²]: the random quadratic form at half the
    speed, with the same probability ½ + arcsin(z₀)/π of alignment.
    """

    summary: ClassVar[str] = "linear layers of iid Gaussian weights, kernel k(t) = t, any d"

    def channels(self, d: int) -> int:
        return d * d

    def weights(self, increment: Real, d: int) -> Real:
        """G."""
        return increment.reshape(d, d)

    def kernel(self, measure: Any = None) -> Callable[[Any], Real]:
        """t ↦ k(t) = t, the same for every measure."""
        return lambda t: np.asarray(t, float)


@dataclass(frozen=True)
class BrownianGradientFlow(RandomLinear):
    """dx = ε P_x ∘ dW, one Brownian vector for all tokens: the gradient flow of ⟨x, dW⟩ and the noise of β = 0.

    Isotropic, k(t) = 1. The flow consists of Möbius maps of the sphere, so that the cross-ratios
    |x₁-x₂||x₃-x₄|/(|x₁-x₃||x₂-x₄|) of four tokens are constant; the distance of a pair decays at the rate ε²(d-1)/2
    almost surely.
    """

    summary: ClassVar[str] = "gradient flow of a Brownian linear function: a random Möbius orbit, any d"

    def channels(self, d: int) -> int:
        return d

    def noise_field(self, source: Source, increment: Real) -> Velocity:
        if not self.is_stochastic:
            return ZeroField()
        return AmbientField(lambda sites: self.noise * increment)

    def kernel(self, measure: Any = None) -> Callable[[Any], Real]:
        """t ↦ k(t) = 1, the same for every measure."""
        return lambda t: np.ones_like(np.asarray(t, float))
