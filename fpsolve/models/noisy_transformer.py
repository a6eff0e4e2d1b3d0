"""The noisy transformer: attention drift and each token's own noise, with its phase transition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.special import gammaln, ive

from fpsolve.attention.source import Source
from fpsolve.errors import InputError, unknown_name
from fpsolve.models.base import Head, Model, checked_degree, checked_number
from fpsolve.models.self_attention import attention
from fpsolve.models.unnormalised import checked_exponent, unnormalised_attention
from fpsolve.transport.velocity import AmbientField, Velocity

KINDS = ("usa", "sa")


@dataclass(frozen=True)
class NoisyTransformer(Model):
    """dx = P_x ∫ y e^{β⟨x,y⟩} μ(dy) dt + √(2ν) P_x dB (kind ``usa``), divided by M_μ(βx) for ``sa``; A = V = I.

    beta: β > 0. diffusion: ν ≥ 0. With ``usa`` this is the Wasserstein gradient flow of the free energy
    ν∫ρ log ρ - (1/2β)∬e^{β⟨x,y⟩}, which never increases; along ``sa`` it can. The uniform state loses stability in
    degree ℓ where ν falls below :meth:`threshold` :cite:`noisy2025`, :cite:`phasetransitions2026`; a coupling K with
    noise dB (ν = 1/2) is ν = 1/(2K) here. Raises InputError for bad values.
    """

    beta: float
    diffusion: float
    kind: Literal["usa", "sa"] = "usa"

    summary: ClassVar[str] = "attention drift (with or without denominator) and each token's own noise"
    reference: ClassVar[str] = "arXiv:2510.20094, arXiv:2606.05140"
    axial: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_number("beta", self.beta, positive=True)
        checked_number("diffusion", self.diffusion)
        if self.kind not in KINDS:
            raise unknown_name("kind", self.kind, KINDS)
        if self.kind == "usa":
            checked_exponent(np.asarray(self.beta, float))

    def drift_field(self, source: Source) -> Velocity:
        scores = np.asarray(self.beta, float)
        if self.kind == "usa":
            return AmbientField(lambda sites: unnormalised_attention(source, scores, sites))
        return AmbientField(lambda sites: attention(source, scores, sites)[1])

    @property
    def fixed_heads(self) -> Sequence[Head]:
        return (Head(self.beta, np.array(1.0), np.array(1.0), normalised=self.kind == "sa"),)

    def threshold(self, degree: int = 1, d: int = 3) -> float:
        """ν below which degree ℓ ≥ 1 of the uniform state grows, λ_ℓ/β (usa) or λ_ℓ/(β λ_0) (sa).

        λ_ℓ = Γ(d/2) (2/β)^{d/2-1} I_{ℓ+d/2-1}(β) is the eigenvalue of e^{β⟨x,y⟩} under the uniform law (Funk–Hecke);
        i_ℓ(β) for d = 3. The growth rate is ℓ(ℓ+d-2)(threshold - ν).
        """
        checked_degree("degree", degree)
        checked_degree("d", d)
        if degree < 1 or d < 2:
            raise InputError("degree", (degree, d), "thresholds exist for degree >= 1 and d >= 2", "pass degree=1")
        order = d / 2 - 1
        if self.kind == "sa":
            return float(ive(degree + order, self.beta) / (self.beta * ive(order, self.beta)))
        log_factor = gammaln(d / 2) + order * np.log(2 / self.beta) + self.beta
        return float(np.exp(log_factor) * ive(degree + order, self.beta) / self.beta)

    def growth_rate(self, degree: int, d: int = 3) -> float:
        """Growth rate of degree ℓ ≥ 1 on the uniform state, ℓ(ℓ+d-2)(threshold - ν)."""
        above = self.threshold(degree, d) - self.diffusion
        return degree * (degree + d - 2) * above
