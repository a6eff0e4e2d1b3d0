"""Causal attention with positional decay on the circle ("lost in the middle") :cite:`lostmiddle2026`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

from fpsolve.attention.bessel import moment_degree
from fpsolve.attention.source import Source
from fpsolve.errors import InputError
from fpsolve.models.base import Model, checked_number
from fpsolve.models.unnormalised import checked_exponent
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import JointField, Velocity


@dataclass(frozen=True)
class CausalAttention(Model):
    """θ̇_j = Z_j⁻¹ Σ_{σ_k < σ_j} w_k e^{-λ(σ_j - σ_k)} w'(θ_j - θ_k), w(φ) = e^{β cos φ}, Z_j the sum of the weights.

    Tokens have positions σ (the labels of a cloud, in (0, 1]) and see only earlier ones; those without predecessors
    rest. The mean field is a cloud over (position, angle). Sums take O(N) by Fourier modes of w and a recurrence in
    σ. beta: β ≥ 0. decay: λ ≥ 0. Acts on clouds of S¹ with labels. The speeds grow like e^β, and with them what a step
    costs. Raises InputError for bad values, and for β > 700, where e^β overflows.
    """

    beta: float
    decay: float = 1.0

    summary: ClassVar[str] = "causal attention with positional decay on the circle, tokens with positions"
    reference: ClassVar[str] = "arXiv:2605.09213"
    measures: ClassVar[tuple[str, ...]] = ("cloud",)
    flowable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("beta", "decay"):
            checked_number(name, getattr(self, name))
        checked_exponent(np.asarray(self.beta, float))

    @property
    def dimension(self) -> int | None:
        return 2

    def check(self, measure: Any) -> None:
        super().check(measure)
        labels = _labelled(measure)[2]
        if not ((labels > 0) & (labels <= 1)).all():
            wrong = labels[~((labels > 0) & (labels <= 1))]
            remedy = "pass fp.initial.points(x, labels=np.arange(1, n + 1) / n)"
            raise InputError("labels", wrong.tolist(), "positions lie in (0, 1]", remedy)

    def drift_field(self, source: Source) -> Velocity:
        x, weights, labels = _labelled(source)
        angles = np.arctan2(x[:, 1], x[:, 0])
        speed = causal_speed(angles, weights, labels, self.beta, self.decay)
        return JointField(speed[:, None] * np.stack([-x[:, 1], x[:, 0]], -1))


def causal_speed(angles: Real, weights: Real, labels: Real, beta: float, decay: float) -> Real:
    """θ̇ of every token, shape (n,), by modes: 2 Re Σ_{n>0} i n I_n(β) e^{inθ_j} S_n(σ_j)/S_0(σ_j).

    S_n(σ) = Σ_{σ_k < σ} w_k e^{-λ(σ - σ_k)} e^{-inθ_k} runs through the positions in order.
    """
    modes = np.arange(moment_degree(beta) + 1)
    waves = np.exp(-1j * np.outer(angles, modes))
    positions, member = np.unique(labels, return_inverse=True)
    at = np.zeros((len(positions), len(modes)), complex)
    np.add.at(at, member, weights[:, None] * waves)
    seen = np.zeros_like(at)
    for j in range(1, len(positions)):
        seen[j] = np.exp(-decay * (positions[j] - positions[j - 1])) * (seen[j - 1] + at[j - 1])
    total = np.where(seen[:, 0].real > 0, seen[:, 0].real, 1.0)
    pull = 2j * modes * ive(modes, beta) * np.exp(beta) * (seen / total[:, None])[member]
    return np.einsum("jn,jn->j", pull, waves.conj()).real


def causal_speed_direct(angles: Real, weights: Real, labels: Real, beta: float, decay: float) -> Real:
    """The same by the sum over all pairs, O(N²): the readable twin."""
    earlier = labels[None, :] < labels[:, None]
    share = np.where(earlier, weights * np.exp(-decay * np.abs(labels[:, None] - labels[None, :])), 0.0)
    apart = angles[:, None] - angles[None, :]
    force = -beta * np.sin(apart) * np.exp(beta * np.cos(apart))
    total = share.sum(axis=1)
    return (share * force).sum(axis=1) / np.where(total > 0, total, 1.0)


def _labelled(source: Any) -> tuple[Real, Real, NDArray[np.float64]]:
    labels = getattr(source, "labels", None)
    if labels is None:
        raise InputError(
            "initial",
            "no labels",
            "causal attention needs the position of every token",
            "use fp.initial.points(x, labels=np.arange(1, n + 1) / n)",
        )
    return source.x, source.weights, labels
