"""Homogenized Transformers: random multi-head attention in its diffusive limit :cite:`homogenized2026`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.attention.ends import kernel_ends
from fpsolve.attention.floor import Heads, RandomHeads
from fpsolve.attention.kernel import IsotropicKernel, kernel
from fpsolve.attention.laws import DIMENSIONS, KeyQueryLaw
from fpsolve.attention.source import Source
from fpsolve.attention.spectrum import spectrum_engine
from fpsolve.errors import InputError, unknown_name
from fpsolve.measures.build import source_of
from fpsolve.models.base import (
    Calculus,
    Model,
    WithValueStd,
    apply_matrix,
    checked_matrix,
    checked_number,
    frozen_matrix,
)
from fpsolve.models.noise_degree import (
    STEPS,
    Lost,
    NoiseDegree,
    checked_noise_degree,
    known_degree,
    lost,
    noise_tail,
    resolved_degree,
)
from fpsolve.models.self_attention import mean_square_attention
from fpsolve.noise import isotropic
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import AmbientField, HarmonicField, PotentialField, Sites, Velocity, ZeroField

PRODUCT_STEPS = (16, 32, 64)
"""Degrees that ``auto`` chooses among for the product law, whose tensors take long to build."""

KEY_QUERY_LAWS = ("identity", "gaussian", "product")


@dataclass(frozen=True)
class Homogenized(WithValueStd, Model):
    """Random heads V m_A(x), m_A(x) = F_μ(βAx), V of iid entries, in the limit of many layers and heads.

    Common noise of covariance E[W(x)W(y)ᵀ] = K_μ(x,y) I, K_μ(x,y) = value_std² E_A⟨m_A(x), m_A(y)⟩, and drift
    P_x V̄ m(x). Time is that of the Itô equation; with ``noise`` ε = 1 it is diffusive time η²L/H.

    beta: inverse temperature β ≥ 0. key_query: the law of A: ``identity`` (A = I; any d), ``gaussian`` (iid entries of
    deviation key_query_std; d = 2, 3) or ``product`` (A = WW'ᵀ, both factors so; d = 2, 3). value_std: deviation of V's
    entries, 1/√d by default. drift: mean value matrix V̄, a number or (d, d). diffusion: ν. noise_lmax: degree up to
    which the isotropic noise of the Gaussian laws is kept; ``auto`` is resolved when a run is prepared
    (:mod:`fpsolve.models.noise_degree`) and its number recorded. Raises InputError for bad values.
    """

    beta: float
    key_query: Literal["identity", "gaussian", "product"] = "identity"
    key_query_std: float = 1.0
    value_std: float | None = None
    noise: float = 1.0
    drift: ArrayLike = 0.0
    diffusion: float = 0.0
    noise_lmax: NoiseDegree = "auto"

    summary: ClassVar[str] = "random multi-head attention, diffusive limit: value noise or Gaussian key-query laws"
    reference: ClassVar[str] = "arXiv:2604.01978"
    matrix_names: ClassVar[tuple[str, ...]] = ("drift",)

    def __post_init__(self) -> None:
        named: object = self.key_query
        if not isinstance(named, str):
            remedy = "use models.DeepStochasticTransformer for a fixed matrix A, models.DrawnHeads for your own law"
            raise InputError("key_query", named, "not the name of a law of A", remedy)
        if named not in KEY_QUERY_LAWS:
            raise unknown_name("key_query", self.key_query, KEY_QUERY_LAWS)
        for name in ("beta", "noise", "diffusion", "key_query_std"):
            checked_number(name, getattr(self, name))
        if self.value_std is not None:
            checked_number("value_std", self.value_std)
        checked_noise_degree(self.noise_lmax)
        object.__setattr__(self, "drift", frozen_matrix("drift", self.drift))
        if self._has_drift and self.is_isotropic:
            raise InputError(
                "drift",
                self.drift,
                f"with key_query={self.key_query!r} a mean value matrix also makes noise V̄(m_A - E m_A), which is not "
                "isotropic and not implemented",
                'use key_query="identity", DeepStochasticTransformer for a fixed matrix A, or drift=0',
            )

    @property
    def is_isotropic(self) -> bool:
        """Whether the law of A is rotation-invariant, so that K_μ(x,y) = k_μ(⟨x,y⟩)."""
        return self.key_query != "identity"

    @property
    def calculus(self) -> Calculus:
        return "ito" if self.is_stochastic else "any"

    def channels(self, d: int) -> int:
        if not self.is_isotropic:
            return d * d
        self._law(d)  # refuses other dimensions
        return isotropic(d, known_degree(self.noise_lmax)).channels

    def prepared(self, measure: Any) -> Homogenized:
        """With ``noise_lmax`` as a number; warns (SamplingWarning) where that loses more than ``auto`` may."""
        if not (self.is_isotropic and self.is_stochastic):
            return self
        return replace(self, noise_lmax=self._degree(measure.source, measure.holds))

    def _degree(self, source: Source, holds: Callable[[int], bool]) -> int:
        """``noise_lmax`` of a run from a measure of that source, which ``holds`` fields of these degrees."""
        law = self._law(source.dimension)
        deviation = self.value_deviation(law.d)
        ends = kernel_ends(law, self.beta, deviation, source)
        spectrum_to = lambda degree: spectrum_engine(law, self.beta, deviation, degree).of(source)  # noqa: E731
        steps = STEPS if law.kind == "gaussian" else PRODUCT_STEPS
        return resolved_degree(self.noise_lmax, law.d, holds, ends, spectrum_to, steps)

    def noise_loss(self, measure: Any) -> Lost:
        """What of κ and of k'(1) of a measure the degrees above ``noise_lmax``, a number, would give, relatively."""
        law, source = self._law(measure.dimension), source_of(measure)
        ends = kernel_ends(law, self.beta, self.value_deviation(law.d), source)
        return lost(self.spectrum(source), law.d, ends)

    def noise_tail(self, source: Source) -> float | None:
        if not (self.is_isotropic and self.is_stochastic):
            return None
        return noise_tail(self.spectrum(source), source.dimension)

    def noise_level(self, source: Source) -> float | None:
        """By the degrees that the run has; with A = I the mean of |F_μ(βx)|² over μ."""
        if not self.is_stochastic:
            return None
        if not self.is_isotropic:
            return mean_square_attention(source, np.array(self.beta))
        square = self.value_deviation(source.dimension) ** 2
        C = self.spectrum(source)
        kappas, _ = isotropic(source.dimension, len(C) - 1).end_terms(C)
        return float(kappas.sum() / square) if square else None

    def queries(self, d: int) -> Heads:
        if not (self.is_stochastic or self._has_drift):
            return ()
        return RandomHeads(self._law(d), self.beta) if self.is_isotropic else super().queries(d)

    def drift_field(self, source: Source) -> Velocity:
        if not self._has_drift:
            return ZeroField()
        mean_value = checked_matrix("drift", self.drift)
        return AmbientField(lambda sites: apply_matrix(mean_value, self._attention(source, sites), "drift"))

    def correction_field(self, source: Source) -> Velocity:
        """-(ε²/4)∇_S K(x,x) = -(ε²/2) value_std² β P_x (∇²log M F)(βx); zero for isotropic laws: K(x,x) = k(1)."""
        strength = -0.25 * self.noise**2 * self.value_deviation(source.dimension) ** 2
        if self.is_isotropic or strength * self.beta == 0:
            return ZeroField()
        return PotentialField(
            lambda sites: 2 * self.beta * strength * source.hessian_F_sphere(self.beta, sites)[1],
            lambda sites: strength * squared(self._attention(source, sites)),
        )

    def noise_field(self, source: Source, increment: Real) -> Velocity:
        if not self.is_stochastic:
            return ZeroField()
        d = source.dimension
        if self.is_isotropic:
            law = isotropic(d, known_degree(self.noise_lmax))
            return self.noise * HarmonicField(*law.field(self.spectrum(source), increment), d=d)
        values = self.noise * self.value_deviation(d) * increment.reshape(d, d)
        return AmbientField(lambda sites: apply_matrix(values, self._attention(source, sites)))

    def spectrum(self, source: Source) -> Real:
        """C_ℓ[μ] of the isotropic noise, ℓ ≤ noise_lmax (``auto``: of a run from μ), value variance included, ε not."""
        law = self._law(source.dimension)
        degree = self._degree(source, _every_degree) if self.noise_lmax == "auto" else known_degree(self.noise_lmax)
        return spectrum_engine(law, self.beta, self.value_deviation(law.d), degree).of(source)

    def kernel(self, measure: Any) -> IsotropicKernel:
        """t ↦ k_μ(t) for an initial law or a measure, value variance included (isotropic laws).

        Raises InputError for key_query="identity", whose covariance is no function of ⟨x,y⟩.
        """
        if not self.is_isotropic:
            raise InputError("key_query", self.key_query, "K(x,y) is no function of ⟨x,y⟩", "use a Gaussian law of A")
        source = source_of(measure)
        law = self._law(source.dimension)
        return kernel(law, self.beta, self.value_deviation(law.d), source)

    @property
    def _has_drift(self) -> bool:
        return bool(np.any(checked_matrix("drift", self.drift)))

    def _law(self, d: int) -> KeyQueryLaw:
        """The law of A in dimension d. Raises InputError unless its kernel is known there."""
        if d not in DIMENSIONS:
            problem = f"the noise of a random A is known as a field for d = 2 and d = 3, not d = {d}"
            raise InputError("key_query", self.key_query, problem, "use models.DrawnHeads, for any d")
        return KeyQueryLaw(self.key_query, self.key_query_std, d)

    def _attention(self, source: Source, sites: Sites) -> Real:
        return source.F_sphere(self.beta, sites)[1]


def squared(vectors: Real) -> Real:
    """|u|² of vectors (..., d)."""
    return np.einsum("...a,...a->...", vectors, vectors)


def _every_degree(degree: int) -> bool:
    """Points hold all."""
    return True
