"""Synchronisation by noise: self-attention with the common noise of random MLP blocks :cite:`scalinglimits2026`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.attention.source import Source
from fpsolve.cached import cached_property, read_only
from fpsolve.errors import InputError
from fpsolve.models.base import Model, apply_matrix, checked_matrix, checked_number, frozen_matrix
from fpsolve.models.drawn_heads import checked_count, undrawn
from fpsolve.models.noise_degree import (
    NoiseDegree,
    checked_noise_degree,
    known_degree,
    noise_tail,
    resolved_degree,
)
from fpsolve.noise import ISOTROPIC, BrownianPath, isotropic
from fpsolve.noise.activation import ActivationLike, DualActivation, dual_activation
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import AmbientField, HarmonicField, Sites, Velocity, ZeroField

NOTHING = 1e-9
"""C_ℓ below this part of the largest are set to zero: round-off of the quadrature."""


@dataclass(frozen=True)
class SynchronisationByNoise(Model):
    """dx = P_x V F_μ(βx) dt + ε P_x ∘ dW, W isotropic with the kernel of random MLP blocks, k(t) = E φ(w·x) φ(w·y).

    beta: β. activation: φ, ``relu``, ``tanh``, ``erf``, ``gelu``, ``sigmoid``, the coefficients c_0, c_1, … of a
    polynomial or a function of arrays. value: V, a number or (d, d). noise: ε. noise_lmax: degree up to which the
    field is kept on S² and S¹, ``auto`` as in :class:`Homogenized`. draws: None takes the field of infinite width in
    harmonics (d = 3, 2); a number draws blocks of that many neurons anew in every step, in any d:
    W(x) = draws^{-1/2} Σ_j a_j φ(w_j·x), w_j ~ N(0, I). Their mean covariance is k, so that the limit dt → 0 is the
    same for every width, with weak order 1. diffusion: ν. Raises InputError for bad values.

    The law of the noise does not depend on μ, whose two-point function it therefore dissipates as it does for two
    tokens: see :func:`~fpsolve.noise.activation.dissipation_rate` and :func:`~fpsolve.noise.activation.is_coercive`.
    """

    beta: float
    activation: ActivationLike = "relu"
    value: ArrayLike = 1.0
    noise: float = 1.0
    noise_lmax: NoiseDegree = "auto"
    draws: int | None = None
    diffusion: float = 0.0

    summary: ClassVar[str] = "attention drift and common noise of random MLP blocks: kernel by dual activation"
    reference: ClassVar[str] = "arXiv:2604.26898"
    matrix_names: ClassVar[tuple[str, ...]] = ("value",)

    def __post_init__(self) -> None:
        for name in ("beta", "noise", "diffusion"):
            checked_number(name, getattr(self, name))
        checked_noise_degree(self.noise_lmax)
        if self.draws is not None:
            checked_count("draws", self.draws)
        object.__setattr__(self, "value", frozen_matrix("value", self.value))
        if not isinstance(self.activation, str) and not callable(self.activation):
            object.__setattr__(self, "activation", tuple(np.ravel(np.asarray(self.activation)).tolist()))
        dual_activation(self.activation)

    @cached_property
    def dual(self) -> DualActivation:
        """k of infinite width and of all degrees."""
        return dual_activation(self.activation)

    @property
    def is_isotropic(self) -> bool:
        """Whether the noise is a field in harmonics, of infinite width."""
        return self.draws is None

    def check(self, measure: Any) -> None:
        super().check(measure)
        if self.is_stochastic and self.draws is None and measure.dimension not in ISOTROPIC:
            problem = f"blocks of infinite width are known as a field for d = 2 and d = 3, not d = {measure.dimension}"
            raise InputError("draws", None, problem, "pass draws=8, for example: neurons drawn in every step, in any d")

    def channels(self, d: int) -> int:
        if self.draws is not None:
            return self.draws * d
        return isotropic(d, known_degree(self.noise_lmax)).channels

    def prepared(self, measure: Any) -> SynchronisationByNoise:
        """With ``noise_lmax`` as a number; warns (SamplingWarning) where that loses more than ``auto`` may."""
        if not self.is_stochastic or self.draws is not None:
            return self
        ends = self.dual.kappa, float(self.dual.derivative(1.0))
        spectrum_to = partial(self._spectrum, measure.dimension)
        d, holds = measure.dimension, measure.holds
        return replace(self, noise_lmax=resolved_degree(self.noise_lmax, d, holds, ends, spectrum_to))

    def noise_tail(self, source: Source) -> float | None:
        if not self.is_stochastic or self.draws is not None:
            return None
        return noise_tail(self.spectrum(source), source.dimension)

    def drift_field(self, source: Source) -> Velocity:
        value = checked_matrix("value", self.value)
        if not value.any():
            return ZeroField()
        return AmbientField(lambda sites: apply_matrix(value, source.F_sphere(self.beta, sites)[1]))

    def correction_field(self, source: Source) -> Velocity:
        if self.draws is not None and self.is_stochastic:
            raise undrawn(self, "MLP weights")
        return ZeroField()

    def noise_field(self, source: Source, increment: Real) -> Velocity:
        if not self.is_stochastic:
            return ZeroField()
        if self.draws is not None:
            raise undrawn(self, "MLP weights")
        d, law = source.dimension, isotropic(source.dimension, known_degree(self.noise_lmax))
        return self.noise * HarmonicField(*law.field(self.spectrum(source), increment), d=d)

    def spectrum(self, where: Any = None) -> Real:
        """C_ℓ of k, ℓ = 0..noise_lmax, ε not included; read-only.

        ``where``: a source, a law or a measure that says by its d whether that is on S² (also for None) or S¹.
        """
        return self._spectrum(getattr(where, "dimension", 3), known_degree(self.noise_lmax))

    def _spectrum(self, d: int, degree: int) -> Real:
        if (d, degree) not in self._spectra:
            values = isotropic(d, degree).spectrum(self.dual, smooth=False)
            self._spectra[d, degree] = read_only(np.where(values < NOTHING * values.max(), 0.0, values))
        return self._spectra[d, degree]

    @cached_property
    def _spectra(self) -> dict[tuple[int, int], Real]:
        return {}

    def kernel(self, measure: Any = None) -> Callable[[Any], Real]:
        """t ↦ k(t) of the field that is simulated: without ``draws`` it ends at degree noise_lmax, if that is a number.

        ``measure``: a law, tokens or a measure that says by its d whether that is on S² (also for None) or S¹.
        """
        if self.draws is not None or self.noise_lmax == "auto":
            return self.dual
        law = isotropic(getattr(measure, "dimension", 3), known_degree(self.noise_lmax))
        return law.kernel(self.spectrum(measure))

    def drawn(self, path: BrownianPath, t0: float, t1: float, d: int) -> Model:
        """The model of the step [t0, t1]: with ``draws`` its w_j, a pure function of (seed, member, step, neuron)."""
        if self.draws is None or not self.is_stochastic:
            return self
        return MlpOfStep(self, path.normals(t0, t1, self.draws * d, "common").reshape(self.draws, d))


@dataclass(frozen=True, eq=False)
class MlpOfStep(Model):
    """The MLP block of one step: ``weights`` w_j (width, d) of the first layer."""

    model: SynchronisationByNoise
    weights: Real

    @property
    def noise(self) -> float:  # type: ignore[override]
        """ε."""
        return self.model.noise

    @property
    def diffusion(self) -> float:  # type: ignore[override]
        """ν."""
        return self.model.diffusion

    def channels(self, d: int) -> int:
        return self.model.channels(d)

    def drawn(self, path: BrownianPath, t0: float, t1: float, d: int) -> Model:
        """Itself: the weights are drawn."""
        return self

    def drift_field(self, source: Source) -> Velocity:
        return self.model.drift_field(source)

    def correction_field(self, source: Source) -> Velocity:
        """-(ε²/2 width) Σ_j φφ'(w_j·x) P_x w_j, of the drawn covariance; its mean over the draws vanishes."""
        factor = -0.5 * self.noise**2 / len(self.weights)
        slope = self.model.dual.half_square_slope
        return AmbientField(lambda sites: factor * slope(sites.x @ self.weights.T) @ self.weights)

    def noise_field(self, source: Source, increment: Real) -> Velocity:
        """ε width^{-1/2} Σ_j ΔB_j φ(w_j·x)."""
        second_layer = self.noise / np.sqrt(len(self.weights)) * increment.reshape(self.weights.shape)

        def field(sites: Sites) -> Real:
            return np.asarray(self.model.dual.function(sites.x @ self.weights.T) @ second_layer)

        return AmbientField(field)
