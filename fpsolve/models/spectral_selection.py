r"""Symmetric self-attention QᵀK = V = Vᵀ = S: the spectrum of S selects where tokens align or polarise.

Linear stability of polarised states
------------------------------------
Let Sv = λv, |v| = 1, and put a fraction p of the tokens at +v, 1-p at -v: x_i = s_i v. A token of sign s gives its own
side, of fraction p_s, the total weight

    a_s = p_s e^{βλ} / (p_s e^{βλ} + p_{-s} e^{-βλ}),    m = s c_s v,    c_s = 2a_s - 1,

and P_x S m = 0: an equilibrium. Let x_i = s_i v + u_i, u_i ⊥ v. To first order weights change m along v only, where S
and P_x leave nothing, and P_x turns with x: the tangential part of S m is -⟨x, S m⟩u_i = -λ c_s u_i. Hence

    u_i' = S Σ_j π_ij u_j - λ c_{s_i} u_i,

with π_ij = a_s/n_s on the own side, (1-a_s)/n_{-s} on the other. Along an eigenvector w_k ⊥ v of eigenvalue λ_k:

* deviations from the mean of side s: rate -λ c_s (when the side has two tokens or more);
* the means of both sides: the 2×2 matrix with rows (λ_k a_+ - λ c_+, λ_k(1-a_+)) and (λ_k(1-a_-), λ_k a_- - λ c_-).

All tokens aligned (p = 1): rates -λ and λ_k - λ: stable iff λ > 0 is the largest eigenvalue. Equal sides (p = 1/2):
c = tanh βλ, rates -λ tanh βλ, λ_k - λ tanh βλ, (λ_k - λ) tanh βλ: for λ < 0 stable iff λ is the most negative one
and every other λ_k < |λ| tanh β|λ|. Unequal sides with λ < 0 need c_s < 0 on both, |log(p/(1-p))| < 2β|λ|.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from fpsolve.attention.source import Source
from fpsolve.cached import cached_property
from fpsolve.errors import InputError, check_number
from fpsolve.models.base import Head, Model, apply_matrix, checked_matrix, checked_number, frozen_matrix
from fpsolve.models.self_attention import attention, attention_field
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import Velocity


@dataclass(frozen=True)
class SpectralSelection(Model):
    """dx = P_x S F_μ(βSx) dt [+ each token's own noise], S symmetric :cite:`spectral2026`.

    beta: β ≥ 0. matrix: S, shape (d, d), symmetric. diffusion: ν. Tokens align with the top eigenvector when its
    eigenvalue is positive and dominates, and split between ±v when S is negative definite, v its most negative
    direction; :meth:`rates` has the linear stability of both. Raises InputError for bad values and when S is not
    symmetric.
    """

    beta: float
    matrix: ArrayLike
    diffusion: float = 0.0

    summary: ClassVar[str] = "symmetric key-query-value matrix: alignment and sign-split polarisation"
    reference: ClassVar[str] = "arXiv:2604.26085"

    def __post_init__(self) -> None:
        for name in ("beta", "diffusion"):
            checked_number(name, getattr(self, name))
        s = checked_matrix("matrix", self.matrix)
        if s.ndim != 2:
            raise InputError("matrix", self.matrix, "not a matrix", "pass a symmetric (d, d) array")
        if not np.allclose(s, s.T, rtol=0, atol=1e-12 * np.abs(s).max(initial=0.0)):
            gap = float(np.abs(s - s.T).max())
            problem = f"S is not symmetric: max|S - Sᵀ| = {gap:.3g}"
            raise InputError("matrix", self.matrix, problem, "use SelfAttention(value=V, key_query=A), or (S + Sᵀ)/2")
        object.__setattr__(self, "matrix", frozen_matrix("matrix", (s + s.T) / 2))

    @property
    def dimension(self) -> int | None:
        return len(self.eigenvalues)

    @cached_property
    def _eigen(self) -> tuple[Real, Real]:
        values, vectors = np.linalg.eigh(checked_matrix("matrix", self.matrix))
        return values, vectors.T

    @property
    def eigenvalues(self) -> Real:
        """λ_0 ≤ … ≤ λ_{d-1}."""
        return self._eigen[0]

    @property
    def eigenvectors(self) -> Real:
        """Rows v_0, …, v_{d-1}, in the order of the eigenvalues."""
        return self._eigen[1]

    @property
    def fixed_heads(self) -> Sequence[Head]:
        s = checked_matrix("matrix", self.matrix)
        return (Head(self.beta, s, s),)

    def drift_field(self, source: Source) -> Velocity:
        s = checked_matrix("matrix", self.matrix)
        scores = self.beta * s
        return attention_field(scores, lambda sites: apply_matrix(s, attention(source, scores, sites)[1]))

    def rates(self, mode: int, fraction: float = 1.0) -> Real:
        """Real parts of all growth rates about ``fraction`` of the tokens at +v and the rest at -v.

        v is eigenvector ``mode``; both sides are taken to have many tokens. Sorted, largest last; the state is linearly
        stable iff that is negative.
        Raises InputError for a mode or a fraction that does not exist.
        """
        check_number("fraction", fraction, 0, 1)
        count = len(self.eigenvalues)
        if isinstance(mode, bool) or not isinstance(mode, int | np.integer) or not 0 <= mode < count:
            raise InputError("mode", mode, f"there are {count} eigenvectors", "pass mode=0 for the lowest")
        return polarised_rates(self.beta, float(self.eigenvalues[mode]), np.delete(self.eigenvalues, mode), fraction)

    def is_stable(self, mode: int, fraction: float = 1.0) -> bool:
        """Whether that state is linearly stable."""
        return bool(self.rates(mode, fraction)[-1] < 0)

    def alignment(self, measure: Any) -> Real:
        """∫⟨x, v_k⟩² dμ of a measure of points for every eigenvector, shape (d,); they sum to one.

        Raises InputError for a measure without points, and for another d.
        """
        x = getattr(measure, "points", None)
        if x is None or measure.dimension != self.dimension:
            problem = f"not points of the unit sphere of R^{self.dimension}"
            value = f"{type(measure).__name__}" + ("" if x is None else f", d = {measure.dimension}")
            raise InputError("measure", value, problem, 'use measure="cloud", or moments(2) of a density')
        along = np.einsum("ka,na->kn", self.eigenvectors, x)
        return np.sum(measure.masses * along**2, axis=1)


def polarised_rates(beta: float, eigenvalue: float, others: ArrayLike, fraction: float) -> Real:
    """Real parts of the growth rates of the module's docstring, sorted; sides without tokens are left out."""
    shares = np.array([fraction, 1 - fraction])
    with np.errstate(divide="ignore"):
        a = expit(np.log(shares) - np.log(shares[::-1]) + 2 * beta * eigenvalue)
    occupied = np.flatnonzero(shares)
    damping = eigenvalue * (2 * a - 1)
    rates = [-damping[occupied]]
    for other in np.asarray(others, float):
        means = other * np.array([[a[0], 1 - a[0]], [1 - a[1], a[1]]]) - np.diag(damping)
        rates.append(np.linalg.eigvals(means[np.ix_(occupied, occupied)]).real)
    return np.sort(np.concatenate(rates))
