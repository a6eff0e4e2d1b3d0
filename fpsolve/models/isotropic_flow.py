"""Isotropic Brownian flows: common noise with a prescribed spectrum, whatever μ is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fpsolve.attention.source import Source
from fpsolve.cached import lru_cache
from fpsolve.errors import InputError
from fpsolve.models.base import Model, checked_number
from fpsolve.noise import ISOTROPIC, IsotropicNoise, isotropic
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import HarmonicField, Velocity, ZeroField


@dataclass(frozen=True)
class IsotropicFlow(Model):
    """dx = ε P_x ∘ dW, E[W(x)W(y)ᵀ] = k(⟨x,y⟩) I, on S² (d = 3) or S¹ (d = 2).

    k(t) = Σ_ℓ (2ℓ+1)/(4π) C_ℓ P_ℓ(t) for d = 3, k(cos Δ) = (C_0 + 2 Σ C_m cos mΔ)/2π for d = 2.
    spectrum: C_0, C_1, … ≥ 0. noise: ε. diffusion: ν. d: dimension. Examples for d = 3: k(t) = 1 (``[4π]``, the noise
    of β = 0), k(t) = t (``[0, 4π/3]``, Gaussian linear layers). :meth:`from_kernel` takes k itself. Raises InputError
    for bad values.
    """

    spectrum: Sequence[float]
    noise: float = 1.0
    diffusion: float = 0.0
    d: int = 3

    summary: ClassVar[str] = "isotropic Brownian flow with a prescribed spectrum (linear layers, random MLP, …)"
    reference: ClassVar[str] = "arXiv:2603.06187"

    def __post_init__(self) -> None:
        for name in ("noise", "diffusion"):
            checked_number(name, getattr(self, name))
        if self.d not in ISOTROPIC:
            remedy = "use SynchronisationByNoise(draws=8), LinearGaussianLayers or BrownianGradientFlow, in any d"
            raise InputError("d", self.d, "a spectrum makes a field in harmonics, d = 2 or d = 3", remedy)
        try:
            values = np.asarray(self.spectrum, float)
        except (TypeError, ValueError):
            values = np.array([np.nan])
        if values.ndim != 1 or not len(values) or not np.isfinite(values).all() or (values < 0).any():
            raise InputError("spectrum", self.spectrum, "must be C_0, C_1, … ≥ 0", "pass a list of finite numbers ≥ 0")
        object.__setattr__(self, "spectrum", tuple(values.tolist()))

    @classmethod
    def from_kernel(
        cls, kernel: Callable[[Real], Any], noise_lmax: int, d: int = 3, **parameters: float
    ) -> IsotropicFlow:
        """The flow of covariance k(t), t = ⟨x,y⟩, kept up to degree ``noise_lmax``."""
        spectrum = isotropic(d, noise_lmax).spectrum(kernel)
        scale = max(float(np.abs(spectrum).max()), 1e-300)
        return cls(tuple(np.where(np.abs(spectrum) < 1e-13 * scale, 0.0, spectrum)), d=d, **parameters)

    @property
    def noise_lmax(self) -> int:
        """Degree of the noise."""
        return len(self.spectrum) - 1

    @property
    def dimension(self) -> int | None:
        return self.d

    def channels(self, d: int) -> int:
        return self._law.channels

    def noise_field(self, source: Source, increment: Real) -> Velocity:
        if not self.is_stochastic:
            return ZeroField()
        return self.noise * HarmonicField(*self._law.driven(self._factors, increment), d=self.d)

    def kernel(self, measure: Any = None) -> Callable[[Any], Real]:
        """t ↦ k(t), the same for every measure."""
        return self._law.kernel(self.spectrum)

    @property
    def _factors(self) -> Real:
        return _factors(self.d, tuple(self.spectrum))

    @property
    def _law(self) -> IsotropicNoise:
        return isotropic(self.d, self.noise_lmax)


@lru_cache(maxsize=64)
def _factors(d: int, spectrum: tuple[float, ...]) -> Real:
    """Those of a spectrum, which a flow keeps from step to step."""
    return isotropic(d, len(spectrum) - 1).factors(spectrum)
