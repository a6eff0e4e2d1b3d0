"""Random heads drawn anew in every step: multi-head noise that flows in any dimension :cite:`homogenized2026`.

The noise of Homogenized Transformers, covariance K_μ(x,y) I with K_μ(x,y) = σ_V² E_A⟨m_A(x), m_A(y)⟩, has harmonics
for channels on S². Elsewhere it is sampled as the transformer does: H matrices A_h are drawn for a step, and given
them

    ΔW(x) = H^{-1/2} Σ_h ΔV_h m_{A_h}(x),    covariance (σ_V²/H) Σ_h ⟨m_{A_h}(x), m_{A_h}(y)⟩ I dt,

a field in closed form, which flows. The mean covariance is K_μ, whatever H is; so as dt → 0 the model tends to the same
equation for every H, with weak order 1, and H only divides the error's part from the draws. The A_h are Gaussians of
order one: they belong to a step and are not refined with the path.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fpsolve.attention.floor import Heads
from fpsolve.attention.source import Source
from fpsolve.errors import InputError
from fpsolve.memory import check_memory
from fpsolve.models.base import Calculus, Model, WithValueStd, checked_number
from fpsolve.models.weight_arguments import WeightLaw, as_law, checked_law
from fpsolve.models.weights import MatrixLaw, queries_of
from fpsolve.noise import BrownianPath
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import AmbientField, Sites, Velocity, ZeroField

DRAW_BYTES = 256
"""Memory that a drawn head or neuron takes at least."""


@dataclass(frozen=True)
class DrawnHeads(WithValueStd, Model):
    """dx = ε P_x dW_μ(x) in Itô form, W_μ the noise of random heads V m_A, A drawn for each step; any d, any measure.

    beta: β. heads: H, heads drawn a step. key_query: the law of A, by name ``gaussian`` (iid entries of deviation
    key_query_std), ``product`` (A = WW'ᵀ, both factors so), ``uniform`` (iid entries of that deviation) or ``identity``
    (A = I, nothing drawn); or any law of ``fp.transformer``, with a mean or without, a fixed matrix, or a sampler
    (generator, d) -> (d, d). value_std: deviation of V's entries, 1/√d by default. noise: ε. diffusion: ν. In d = 3
    and d = 2 the Gaussian laws have the law of :class:`~fpsolve.models.Homogenized` as dt → 0. Raises InputError for
    bad values.
    """

    beta: float
    heads: int = 8
    key_query: WeightLaw = "gaussian"
    key_query_std: float = 1.0
    value_std: float | None = None
    noise: float = 1.0
    diffusion: float = 0.0

    summary: ClassVar[str] = "random multi-head attention in any dimension, heads drawn anew in every step"
    reference: ClassVar[str] = "arXiv:2604.01978"

    def __post_init__(self) -> None:
        for name in ("beta", "key_query_std", "noise", "diffusion"):
            checked_number(name, getattr(self, name))
        object.__setattr__(self, "key_query", checked_law("key_query", self.key_query, self.key_query_std))
        if self.value_std is not None:
            checked_number("value_std", self.value_std)
        checked_count("heads", self.heads)

    @property
    def calculus(self) -> Calculus:
        return "ito" if self.is_stochastic else "any"

    def channels(self, d: int) -> int:
        return self.heads * d * d

    @property
    def law(self) -> MatrixLaw:
        """The law of A."""
        return as_law("key_query", self.key_query, self.key_query_std)

    def check(self, measure: Any) -> None:
        super().check(measure)
        self.law.check(measure.dimension)

    def drawn(self, path: BrownianPath, t0: float, t1: float, d: int) -> Model:
        """The model of the step [t0, t1], its heads a pure function of (seed, member, step, head)."""
        if not self.is_stochastic:
            return self
        words = self.law.normals(d)
        normals = path.normals(t0, t1, self.heads * words, "common")
        matrices = self.law.made_of(normals.reshape(self.heads, words), d)
        return HeadsOfStep(self.beta, matrices, self.value_deviation(d), self.noise, self.diffusion)

    def queries(self, d: int) -> Heads:
        return queries_of(self.law, self.beta, d) if self.is_stochastic else ()

    def correction_field(self, source: Source) -> Velocity:
        return self._refuse()

    def noise_field(self, source: Source, increment: Real) -> Velocity:
        return self._refuse()

    def _refuse(self) -> Velocity:
        if self.is_stochastic:
            raise undrawn(self, "heads")
        return ZeroField()


@dataclass(frozen=True, eq=False)
class HeadsOfStep(Model):
    """The heads of one step: ``matrices`` A_h (H, d, d), deviation ``value_std`` of V's entries."""

    beta: float
    matrices: Real
    value_std: float
    noise: float
    diffusion: float = 0.0

    @property
    def calculus(self) -> Calculus:
        return "ito" if self.is_stochastic else "any"

    def channels(self, d: int) -> int:
        return len(self.matrices) * d * d

    def drawn(self, path: BrownianPath, t0: float, t1: float, d: int) -> HeadsOfStep:
        """Itself: the heads are drawn."""
        return self

    def noise_field(self, source: Source, increment: Real) -> Velocity:
        """ε H^{-1/2} Σ_h ΔV_h F(βA_h x)."""
        if not self.is_stochastic:
            return ZeroField()
        count, d = len(self.matrices), source.dimension
        values = self.noise * self.value_std / np.sqrt(count) * increment.reshape(count, d, d)

        def field(sites: Sites) -> Real:
            g = np.concatenate([g for _, g in self._logits(sites)])
            attention = source.evaluate(g)[1].reshape(count, -1, d)
            return np.einsum("hab,hnb->na", values, attention).reshape(sites.x.shape)

        return AmbientField(field)

    def correction_field(self, source: Source) -> Velocity:
        """-(ε²/4) ∇(σ_V²/H) Σ_h|m_h(x)|² = -(ε² σ_V² β/2H) Σ_h P_x A_hᵀ (∇²log M F)(βA_h x).

        It is that of the drawn covariance. Under a rotation-invariant law of A its mean over the draws vanishes.
        """
        factor = -0.5 * self.noise**2 * self.value_std**2 * self.beta / len(self.matrices)
        if factor == 0:
            return ZeroField()

        def field(sites: Sites) -> Real:
            terms = (hessian_F(source, g) @ a for a, g in self._logits(sites))
            return factor * sum(terms, np.zeros((1, 1))).reshape(sites.x.shape)

        return AmbientField(field)

    def covariance(self, source: Source, x: Real, y: Real) -> Real:
        """(σ_V²/H) Σ_h ⟨m_h(x), m_h(y)⟩ for rows of x and y, the drawn estimate of K_μ(x,y); ε not included."""
        pairs = [[source.F(self.beta * at @ a.T) for at in (x, y)] for a in self.matrices]
        return self.value_std**2 * np.mean([np.einsum("na,na->n", f, g) for f, g in pairs], axis=0)

    def _logits(self, sites: Sites) -> Iterator[tuple[Real, Real]]:
        """(A_h, βA_h x) for each head, rows of g for the sites in order."""
        x = sites.x.reshape(-1, sites.x.shape[-1])
        return ((a, self.beta * x @ a.T) for a in self.matrices)


def hessian_F(source: Source, g: Real) -> Real:
    """∇²log M · F at any points g (n, d): half the gradient of |F|² in g.

    From second moments where the source has its points, otherwise by differences of |F|² (error about 1e-10).
    """
    if source.points is not None:
        _, f, second = source.points.second(np.ascontiguousarray(g))
        return np.einsum("nab,nb->na", second, f) - f * np.einsum("na,na->n", f, f)[:, None]
    h, columns = 1e-3, []
    for e in np.eye(g.shape[1]):
        squares = [np.einsum("na,na->n", f, f) for f in (source.F(g + j * h * e) for j in (-2, -1, 1, 2))]
        columns.append((squares[0] - 8 * squares[1] + 8 * squares[2] - squares[3]) / (24 * h))
    return np.stack(columns, -1)


def checked_count(argument: str, value: object) -> None:
    """Raise InputError unless the value is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InputError(argument, value, "must be a positive integer", f"pass {argument}=8, for example")
    check_memory(argument, int(value), DRAW_BYTES)


def undrawn(model: Model, what: str) -> InputError:
    """The error of a model that was asked for its noise before its weights were drawn."""
    name = type(model).__name__
    remedy = "step model.drawn(path, t0, t1, d) instead of the model"
    return InputError("model", name, f"the {what} of this step have not been drawn", remedy)
