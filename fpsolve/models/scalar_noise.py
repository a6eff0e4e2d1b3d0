r"""Scalar value noise: one random number multiplies the attention of all tokens, V = v (1 + ε dB).

The covariance of m(x) dB, m = V F_μ(βAx), is Q(x,y) = m(x) m(y)ᵀ, which is no multiple of the identity. So the two
readings that agree for all other noises of this package differ. In the Itô equation of :class:`Model`,

    dx = ε P_x m dB - (ε²/2)|P_x m|² x dt                                                   (reading ``ito``),

the mean of x moves inwards alone. Layers x ← N(x + √Δt ε z m), z normal, have by N(x + u) = x + P_x u - ½|P_x u|²x -
⟨x,u⟩P_x u + O(u³) a tangential mean besides,

    dx = ε P_x m dB - (ε²/2)|P_x m|² x dt - ε²⟨x,m⟩ P_x m dt                                (reading ``layers``).

A flow along the frozen field has ½ε²(P_x Dm[P_x m] - ⟨x,m⟩P_x m) dt of its own, which ``correction_field`` takes away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.attention.floor import Heads
from fpsolve.attention.source import Source
from fpsolve.errors import unknown_name
from fpsolve.models.base import Calculus, Head, Model, apply_matrix, checked_matrix, checked_number
from fpsolve.models.self_attention import attention_field
from fpsolve.models.unnormalised import checked_exponent, head_attention
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import Sites, Velocity, ZeroField, sites_of

READINGS = ("ito", "layers")

ANGLE = 1e-2
"""By which x is turned for the central difference of fourth order of m, over 1 + β|A|."""


@dataclass(frozen=True)
class ScalarNoise(Model):
    """dx = ε P_x V F_μ(βAx) dB, one Brownian motion B for all tokens; with ``normalised=False`` (M F)_μ for F_μ.

    beta: β ≥ 0. value: V, key_query: A, each a number or a (d, d) matrix. noise: ε. normalised: whether attention
    keeps its denominator. reading: ``ito`` for the Itô equation of all models, ``layers`` for the limit of layers
    x ← N(x + u) (see the module). diffusion: ν. Beside the drift of :class:`SelfAttention` or
    :class:`UnnormalisedSelfAttention` it is a hybrid of both, V = 1 + ε dB: two tokens, see
    :func:`fpsolve.theory.hybrid_antipodal_exponent`. Raises InputError for bad values.
    """

    beta: float
    value: ArrayLike = 1.0
    key_query: ArrayLike = 1.0
    noise: float = 1.0
    normalised: bool = True
    reading: Literal["ito", "layers"] = "ito"
    diffusion: float = 0.0

    summary: ClassVar[str] = "scalar value noise: one Brownian motion multiplies attention"
    reference: ClassVar[str] = "arXiv:2601.21942"
    matrix_names: ClassVar[tuple[str, ...]] = ("value", "key_query")

    def __post_init__(self) -> None:
        for name in ("beta", "noise", "diffusion"):
            checked_number(name, getattr(self, name))
        if self.reading not in READINGS:
            raise unknown_name("reading", self.reading, READINGS)
        self._freeze_matrices()
        if not self.normalised:
            checked_exponent(self._scores)

    @property
    def calculus(self) -> Calculus:
        return "ito" if self.is_stochastic else "any"

    def queries(self, d: int) -> Heads:
        ones = np.array(1.0)
        return (Head(self.beta, checked_matrix("key_query", self.key_query), ones, 1.0, self.normalised),)

    def channels(self, d: int) -> int:
        return 1

    def drift_field(self, source: Source) -> Velocity:
        """Of ``layers`` -ε²⟨x,m⟩P_x m."""
        return self._along(source, -(self.noise**2)) if self.reading == "layers" else ZeroField()

    def layer_drift(self, source: Source) -> Velocity:
        """Of ``ito`` ε²⟨x,m⟩P_x m, which layers would not have."""
        return self._along(source, self.noise**2) if self.reading == "ito" else ZeroField()

    def correction_field(self, source: Source) -> Velocity:
        """-(ε²/2)(P_x Dm[P_x m] - ⟨x,m⟩P_x m)."""
        if not self.is_stochastic:
            return ZeroField()

        def field(sites: Sites) -> Real:
            m = self._attention(source, sites)
            radial = np.einsum("...a,...a", sites.x, m)[..., None]
            tangent = m - radial * sites.x
            return -0.5 * self.noise**2 * (self._derivative(source, sites.x, tangent) - radial * tangent)

        return attention_field(self._scores, field)

    def noise_field(self, source: Source, increment: Real) -> Velocity:
        if not self.is_stochastic:
            return ZeroField()
        factor = self.noise * float(increment[0])
        return attention_field(self._scores, lambda sites: factor * self._attention(source, sites))

    @property
    def _scores(self) -> Real:
        return np.asarray(self.beta * checked_matrix("key_query", self.key_query))

    def _attention(self, source: Source, sites: Sites) -> Real:
        """m, shape (..., d)."""
        found = head_attention(source, self._scores, sites, self.normalised)
        return apply_matrix(checked_matrix("value", self.value), found)

    def _along(self, source: Source, factor: float) -> Velocity:
        """``factor`` ⟨x,m⟩ P_x m."""
        if not self.is_stochastic:
            return ZeroField()

        def field(sites: Sites) -> Real:
            m = self._attention(source, sites)
            radial = np.einsum("...a,...a", sites.x, m)[..., None]
            return factor * radial * (m - radial * sites.x)

        return attention_field(self._scores, field)

    def _derivative(self, source: Source, x: Real, tangent: Real) -> Real:
        """Dm[v] for tangent vectors v, by turning x towards v."""
        d = source.dimension
        flat, v = x.reshape(-1, d), tangent.reshape(-1, d)
        fastest = float(np.sqrt(np.einsum("na,na->n", v, v).max(initial=0.0)))
        if fastest == 0:
            return np.zeros_like(x)
        h = ANGLE / ((1 + float(np.linalg.norm(self._scores))) * fastest)
        total = np.zeros_like(flat)
        for shift, factor in ((1, 2 / 3), (-1, -2 / 3), (2, -1 / 12), (-2, 1 / 12)):
            moved = flat + np.tan(shift * h * np.sqrt(np.einsum("na,na->n", v, v)))[:, None] * _unit(v)
            total += factor / h * self._attention(source, sites_of(np.ascontiguousarray(_unit(moved))))
        return total.reshape(x.shape)


def _unit(v: Real) -> Real:
    """Rows by their length; zero ones stay."""
    length = np.sqrt(np.einsum("na,na->n", v, v))[:, None]
    return v / np.where(length > 0, length, 1.0)
