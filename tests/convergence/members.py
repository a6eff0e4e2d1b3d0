"""Many independent members of two tokens at once: a measure and models that the package's own schemes step unchanged.

A scheme composes a model with ``measure.transport`` and asks no more, so a batch of members serves it as a measure; its
``x`` has the shape (3, 2, members). Its flow is classical Runge–Kutta with fixed sub-steps and its models are written
afresh from the formulas; ``test_members.py`` compares them with the package's cloud and models on the same increments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from fpsolve.models import Model
from fpsolve.theory import OverlapDiffusion, isotropic_overlap, value_noise_overlap
from fpsolve.transport import AmbientField, Velocity, ZeroField


def dot(x, y):
    return np.einsum("a...,a...->...", x, y)


@dataclass(frozen=True, eq=False)
class Members:
    """Two tokens of each of M members, ``x`` (3, 2, M); at once its own source and its own sites."""

    x: np.ndarray
    substeps: int = 8

    dimension: ClassVar[int] = 3

    @classmethod
    def of(cls, overlap, substeps=8):
        """Pairs with the given overlaps, shape (M,)."""
        flat = np.zeros_like(overlap)
        second = np.stack([overlap, np.sqrt(1 - overlap**2), flat])
        return cls(np.stack([np.stack([flat + 1, flat, flat]), second], 1), substeps)

    @property
    def overlap(self):
        return np.clip(dot(self.x[:, 0], self.x[:, 1]), -1, 1)

    @property
    def source(self):
        return self

    @cached_property
    def difference(self):
        return self.x[:, :1] - self.x[:, 1:]

    def attention(self, beta, sites):
        """The weight of the first token and F(βx) at the sites, for A = I."""
        first = 1 / (1 + np.exp(-beta * dot(sites.x, self.difference)))
        return first, self.x[:, 1:] + first * self.difference

    def from_ambient(self, field):
        return field - dot(field, self.x) * self.x

    def transport(self, velocity):
        at, h = self, 1 / self.substeps

        def slope(x):
            here = replace(self, x=x)
            return (velocity if isinstance(velocity, Velocity) else velocity(here)).on(here)

        for _ in range(self.substeps):
            k1 = slope(at.x)
            k2 = slope(at.x + h / 2 * k1)
            k3 = slope(at.x + h / 2 * k2)
            x = at.x + h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(at.x + h * k3))
            at = replace(self, x=x / np.sqrt(dot(x, x)))
        return at


def layer(model, measure, path, t0, t1):
    """x ← N(x + ΔW), the scheme ``euler_maruyama``, for members."""
    increment = path.increment(t0, t1, model.channels(3))
    x = measure.x + model.noise_field(measure, increment).ambient(measure)
    return replace(measure, x=x / np.sqrt(dot(x, x)))


@dataclass(frozen=True)
class ValueNoise(Model):
    """Value noise, A = I, for members; the correction written out for two tokens."""

    beta: float = 1.0
    value_std: float = 1.0
    noise: float = 1.0
    corrected: bool = True

    def channels(self, d):
        return d * d

    def correction_field(self, source):
        if not self.corrected:
            return ZeroField()

        def field(sites):
            first, F = source.attention(self.beta, sites)
            along = first * (1 - first) * dot(F, source.difference)  # ∇² log M = s(1-s) δδᵀ, δ = x₁ - x₂
            return -0.5 * self.value_std**2 * self.beta * along * source.difference

        return AmbientField(field)

    def noise_field(self, source, increment):
        V = self.value_std * increment.reshape(3, 3, -1)
        return AmbientField(lambda sites: np.einsum("abm,bim->aim", V, source.attention(self.beta, sites)[1]))

    @property
    def overlap(self) -> OverlapDiffusion:
        return value_noise_overlap(self.beta, 3, self.value_std)


@dataclass(frozen=True)
class TensorNoise(Model):
    """W(x) = √p G x + √(1-p) H(x,x,x), G and H Gaussian tensors: k(t) = p t + (1-p) t³, 39 channels (9 for p = 1).

    ``drift``: strength of the attention of each token to both, A = V = I at β = 1, which depends on μ.
    """

    linear: float = 0.4
    noise: float = 1.0
    drift: float = 0.0

    def channels(self, d):
        return 9 if self.linear == 1 else 39

    def kernel(self, t):
        return self.linear * t + (1 - self.linear) * t**3

    def drift_field(self, source):
        if not self.drift:
            return ZeroField()
        return AmbientField(lambda sites: self.drift * source.attention(1.0, sites)[1])

    def noise_field(self, source, increment):
        tensor = increment.reshape(3, self.channels(3) // 3, -1)
        return AmbientField(lambda sites: np.einsum("akm,kim->aim", tensor, self.features(sites.x)))

    def features(self, x):
        """The 13 functions with Σ φ_k(x) φ_k(y) = k(⟨x,y⟩), from the multinomial expansion of ⟨x,y⟩³."""
        if self.linear == 1:
            return x
        x1, x2, x3 = x
        root = np.sqrt(1 - self.linear)
        squares, mixed = x * x, root * np.sqrt(3.0) * x
        return np.concatenate(
            [
                np.sqrt(self.linear) * x,
                root * squares * x,
                squares * np.roll(mixed, 1, 0),
                squares * np.roll(mixed, 2, 0),
                root * np.sqrt(6.0) * (x1 * x2 * x3)[None],
            ]
        )

    @property
    def overlap(self) -> OverlapDiffusion:
        plain = isotropic_overlap(self.kernel, 3)

        def drift(q):
            return plain.drift(q) + self.drift * 2 * (1 - q**2) / (1 + np.exp(1 - q))  # 2(1-a)(1-q²), both move

        return OverlapDiffusion(drift, plain.variance)
