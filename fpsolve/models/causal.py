"""Causal attention: every position of a sequence attends to its past :cite:`lostmiddle2026`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.attention.floor import Heads
from fpsolve.attention.in_order import attention_in_order
from fpsolve.attention.past import Past
from fpsolve.attention.source import Source
from fpsolve.errors import InputError, check_number, unknown_name
from fpsolve.models.base import Calculus, Head, Model, WithValueStd, apply_matrix, checked_matrix, checked_number
from fpsolve.models.deep_stochastic import attention_hessian
from fpsolve.models.self_attention import attention, attention_field, mean_square_attention
from fpsolve.models.unnormalised import checked_exponent, head_attention
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import JointField, PositionField, Velocity, ZeroField

KINDS = ("usa", "sa")

LARGEST_DECAY = 700.0
"""e^{-λ} is a normal double up to it."""

HALF = 0.5
"""What a cell of a mean field sees of itself: its own past half."""

CELLS = "causal_density"


@dataclass(frozen=True)
class CausalAttention(WithValueStd, Model):
    r"""dx_s = P_x V ∇_x ∫ e^{β⟨x,y⟩} μ̄_s(dy) dt, μ̄_s = Z_s⁻¹ ∫ k(s,σ) μ_σ dσ: positions s in (0, 1] see their past.

    kind: ``usa`` as above, on the circle θ̇_j = Z_j⁻¹ Σ_k k w_k w'(θ_j - θ_k), w = e^{β cos}, as 2605.09213 has it: β
    times what UnnormalisedSelfAttention is with the same V; or ``sa``, a decoder's attention P_x V F_{μ̄_s}(βx) with the
    softmax's denominator, SelfAttention's. The mask is k(s,σ) = e^{-λ(s-σ)} for 0 < s - σ < window;
    decay: λ ≥ 0, at 0 the uniform past 1/s. window: None for all of the past, w/n for w tokens of n (its own included).
    own_weight: k(s,s), the weight of its own position, all tokens there: by default 0 for clouds (strictly earlier
    tokens), 1 for a decoder's mask, 1/2 for a ``causal_density`` whose cells see their own past half (of second order
    in 1/P; any other choice is of first order). Who sees nothing rests. One position that sees itself is bidirectional.

    noise: ε of the common noise ε P_x dV F_{μ̄_s}(βx), one V of independent Brownian entries for all positions, for
    kind ``sa``; covariance σ_V² ⟨F_{μ̄_s}(βx), F_{μ̄_s'}(βy)⟩ I. value_std: σ_V, 1/√d by default.
    key_query: ``identity``; a Gaussian law would take the cross-spectra of all pairs of positions, and is refused.
    beta: β ≥ 0. value: V̄, number or (d, d).

    Acts on clouds with labels, tokens in O(N) for d = 2 and 3 and by all pairs beyond, errors 1e-9; and on
    ``causal_density`` in O(P). The speeds of ``usa`` grow like e^β. Raises InputError for bad values, β > 700 (usa) and
    λ > 700.
    """

    beta: float
    decay: float = 1.0
    window: float | None = None
    kind: Literal["usa", "sa"] = "usa"
    own_weight: float | None = None
    value: ArrayLike = 1.0
    noise: float = 0.0
    value_std: float | None = None
    key_query: str = "identity"

    summary: ClassVar[str] = "causal attention over positions: uniform past, decay or window, with value noise"
    reference: ClassVar[str] = "arXiv:2605.09213"
    measures: ClassVar[tuple[str, ...]] = ("cloud", CELLS)
    matrix_names: ClassVar[tuple[str, ...]] = ("value",)
    flowable: ClassVar[bool] = False
    flowable_on: ClassVar[tuple[str, ...]] = (CELLS,)

    def __post_init__(self) -> None:
        checked_number("beta", self.beta)
        check_number("decay", self.decay, 0, LARGEST_DECAY)
        checked_number("noise", self.noise)
        for name, above in (("window", True), ("own_weight", False), ("value_std", False)):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), 0, above=above)
        if self.kind not in KINDS:
            raise unknown_name("kind", self.kind, KINDS)
        if self.kind == "usa":
            checked_exponent(np.asarray(self.beta, float))
        self._freeze_matrices()
        self._check_noise()

    def _check_noise(self) -> None:
        if self.key_query != "identity":
            problem = "a law of key-query matrices takes the cross-spectra of all pairs of positions"
            raise InputError("key_query", self.key_query, problem, 'use "identity": value noise acts with A = I')
        if self.noise > 0 and self.kind == "usa":
            problem = "value noise is that of attention with its denominator"
            raise InputError("noise", self.noise, problem, 'pass kind="sa", or noise=0')
        if self.noise == 0 and self.value_std is not None:
            raise InputError("value_std", self.value_std, "there is no noise", "pass noise=1.0, or leave it out")

    @property
    def calculus(self) -> Calculus:
        return "ito" if self.is_stochastic else "any"

    def queries(self, d: int) -> Heads:
        return (Head(self.beta, np.array(1.0), np.array(1.0), normalised=self.kind == "sa"),)

    def noise_level(self, source: Source) -> float | None:
        """∫ |F_{μ̄_s}(βx)|² μ_s(dx) ds; zero of positions that see nothing."""
        if not self.is_stochastic:
            return None
        those: Any = source
        if not hasattr(source, "past"):
            f = self._in_order(source, True)
            return float(np.einsum("n,na,na->", those.weights, f, f))
        pasts = zip(those.past(self.past(HALF)), those.tokens, strict=True)
        levels = [0.0 if one is None else mean_square_attention(one, self._scores, own) for one, own in pasts]
        return float(np.mean(levels))

    def channels(self, d: int) -> int:
        return d * d

    def check(self, measure: Any) -> None:
        super().check(measure)
        if measure.name == CELLS:
            return
        labels = _labels(measure)
        if not ((labels > 0) & (labels <= 1)).all():
            wrong = labels[~((labels > 0) & (labels <= 1))]
            remedy = "pass fp.initial.points(x, labels=np.arange(1, n + 1) / n)"
            raise InputError("labels", wrong.tolist(), "positions lie in (0, 1]", remedy)

    def past(self, own: float) -> Past:
        """The mask, ``own`` where no weight of the own position is given."""
        return Past(self.decay, self.window, own if self.own_weight is None else self.own_weight)

    def drift_field(self, source: Source) -> Velocity:
        normalised = self.kind == "sa"
        value = np.asarray((1.0 if normalised else self.beta) * checked_matrix("value", self.value))
        if not value.any():
            return ZeroField()
        if not hasattr(source, "past"):
            return self._joint(source, value, normalised)
        return self._of_cells(
            source, lambda one, at: apply_matrix(value, head_attention(one, self._scores, at, normalised))
        )

    def correction_field(self, source: Source) -> Velocity:
        """-(ε²/2) σ_V² β P_x (∇² log M_{μ̄_s} F_{μ̄_s})(βx), for flows of the cells."""
        if not self.is_stochastic or not hasattr(source, "past"):
            return ZeroField()
        factor = -0.5 * self.beta * (self.noise * self.value_deviation(source.dimension)) ** 2
        return self._of_cells(source, lambda one, at: factor * attention_hessian(one, self._scores, at))

    def noise_field(self, source: Source, increment: Real) -> Velocity:
        if not self.is_stochastic:
            return ZeroField()
        d = source.dimension
        values = self.noise * self.value_deviation(d) * increment.reshape(d, d)
        if not hasattr(source, "past"):
            return self._joint(source, values, True)
        return self._of_cells(source, lambda one, at: apply_matrix(values, attention(one, self._scores, at)[1]))

    @property
    def _scores(self) -> Real:
        return np.asarray(self.beta, float)

    def _of_cells(self, source: Any, at: Callable[[Source, Any], Real]) -> PositionField:
        """A field for each cell, by the law of its past."""
        pasts = source.past(self.past(HALF))
        fields = [ZeroField() if one is None else attention_field(self._scores, partial(at, one)) for one in pasts]
        return PositionField(tuple(fields))

    def _joint(self, source: Any, value: Real, normalised: bool) -> JointField:
        """P_x V F at the points of a cloud."""
        x, moved = source.x, apply_matrix(value, self._in_order(source, normalised))
        return JointField(moved - np.einsum("na,na->n", moved, x)[:, None] * x)

    def _in_order(self, source: Any, normalised: bool) -> Real:
        """F, or M F, of the pasts at the points of a cloud."""
        labels, past = _labels(source), self.past(0.0)
        return attention_in_order(source.x, source.weights, labels, self.beta, past, normalised)


def _labels(source: Any) -> Real:
    labels = getattr(source, "labels", None)
    if labels is None:
        problem, remedy = "causal attention needs the position of every token", "labels=np.arange(1, n + 1) / n"
        raise InputError("initial", "no labels", problem, f"use fp.initial.points(x, {remedy}), or fp.initial.prompt")
    return np.asarray(labels)
