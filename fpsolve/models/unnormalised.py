"""Self-attention without its denominator ("USA"): the gradient flow of the interaction energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.attention.source import Source
from fpsolve.errors import InputError
from fpsolve.models.base import Head, Model, apply_matrix, checked_matrix, checked_number, spectral_norm
from fpsolve.models.self_attention import attention, attention_field
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import Sites, Velocity

LARGEST_EXPONENT = 700.0
"""e^{β|A|} is a double below this."""


@dataclass(frozen=True)
class UnnormalisedSelfAttention(Model):
    """dx = P_x V ∫ y e^{β⟨Ax,y⟩} μ(dy) dt = P_x V M_μ(βAx) F_μ(βAx) dt [+ each token's own noise].

    beta: β ≥ 0. value: V, key_query: A, each a number or a (d, d) matrix. diffusion: ν. For V = A = Aᵀ it is the
    gradient flow of (1/2β)∬e^{β⟨x,Ay⟩}, which therefore never decreases (ν = 0) :cite:`clustering2025`.

    The drift is as large as e^{β|A|} where μ is concentrated and about e^{β|A|}/β^{(d-1)/2} where it is spread, a
    factor of time: densities ask for t_end and dt of order β e^{-β|A|}. Few tokens (n d ≤ 1024) may take longer steps:
    sub-steps adapt, and where clusters relax faster than they meet LSODA takes over; a step that is still too long
    ends in UnresolvedError.

    rescaled: time in units of e^{-β|A|}, |A| the largest singular value: e^{β(⟨Ax,y⟩ - |A|)} in place of e^{β⟨Ax,y⟩}
    (and ν in that time), so that speeds are at most |V| and no β overflows, as for the staircase of
    :cite:`dynamic2024`. Energies stay those of e^{β⟨Ax,y⟩}. Raises InputError for bad values, and unless rescaled for
    β|A| > 700.
    """

    beta: float
    value: ArrayLike = 1.0
    key_query: ArrayLike = 1.0
    diffusion: float = 0.0
    rescaled: bool = False

    summary: ClassVar[str] = "deterministic attention without the denominator, gradient flow of the energy"
    reference: ClassVar[str] = "arXiv:2504.14697, arXiv:2512.01868"
    matrix_names: ClassVar[tuple[str, ...]] = ("value", "key_query")
    axial: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("beta", "diffusion"):
            checked_number(name, getattr(self, name))
        self._freeze_matrices()
        if not self.rescaled:
            checked_exponent(self.beta * checked_matrix("key_query", self.key_query))

    @property
    def fixed_heads(self) -> Sequence[Head]:
        key_query, value = checked_matrix("key_query", self.key_query), checked_matrix("value", self.value)
        log_unit = spectral_norm(self.beta * key_query) if self.rescaled else 0.0
        return (Head(self.beta, key_query, value, normalised=False, log_unit=log_unit),)

    def drift_field(self, source: Source) -> Velocity:
        (head,) = self.fixed_heads

        def at(sites: Sites) -> Real:
            return apply_matrix(head.value, unnormalised_attention(source, head.scores, sites, head.log_unit))

        return attention_field(head.scores, at)


def unnormalised_attention(source: Source, scores: Real, sites: Sites, log_unit: float = 0.0) -> Real:
    """e^{-s} M F = ∫ y e^{g·y - s} μ(dy) at g = Bx, B = ``scores`` = βA, s = ``log_unit``, shape (..., d)."""
    log_m, f = attention(source, scores, sites)
    return np.exp(log_m - log_unit)[..., None] * f


def head_attention(source: Source, scores: Real, sites: Sites, normalised: bool) -> Real:
    """F, or M F without the denominator, at g = Bx, shape (..., d)."""
    return attention(source, scores, sites)[1] if normalised else unnormalised_attention(source, scores, sites)


def checked_exponent(scores: Real) -> None:
    """Raise InputError when e^{|Bx|}, B = ``scores`` = βA, may overflow on the unit sphere."""
    largest = spectral_norm(scores)
    if largest > LARGEST_EXPONENT:
        raise InputError(
            "beta",
            largest,
            f"without the denominator attention grows like e^{{β|A|}}, beyond a double above {LARGEST_EXPONENT:g}",
            "use a smaller beta, SelfAttention, or UnnormalisedSelfAttention with rescaled=True",
        )

