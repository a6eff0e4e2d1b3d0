"""The flow of a frozen field on coefficients: exp(L) u in a Krylov space, as small as the state allows.

After m applications L V = V H + h v_{m+1} e_mᵀ with orthonormal V (Arnoldi), and

    exp(τL) u ≈ ‖u‖ [V exp(τH) e_1 + h τ φ(τH)_{m1} v_{m+1}],   φ(z) = (e^z - 1)/z,

whose error is about the second term at most :cite:`saad1992`. A smooth density takes a third of the applications of
Chebyshev polynomials and fewer, as its high degrees, which make R, carry next to nothing; one that fills its degrees
takes about as many, and the products with V beside them.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import expm

from fpsolve.errors import UnresolvedError
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.exponential import LONGEST, Generator

DIMENSIONS = 40
"""Largest space; what it does not reach in one go is gone in parts."""

NEAR = 30.0
"""The exponential of H is taken once the leading term of the error is within this factor of what is allowed."""

LOST = 1e-14
"""A new direction below this part of L v is round-off: the space is invariant."""


def krylov(operator: Generator, u: Coefficients, radius: float, rtol: float) -> Coefficients:
    """exp(L) u to relative accuracy ``rtol`` in the Euclidean norm.

    ``radius`` bounds the spectrum of L. Raises UnresolvedError where that is beyond any reasonable time, or L u is not
    finite.
    """
    if not radius < LONGEST:
        raise UnresolvedError(0.0, f"one step moves points {radius:.1g} grid lengths", "take a smaller dt or noise")
    done, result = 0.0, u.copy()
    while done < 1.0 and radius > 0:
        result, part = _part(operator, result, 1.0 - done, rtol)
        done = 1.0 if done + part > 1 - 1e-12 else done + part
    return result


def _part(operator: Generator, u: Coefficients, longest: float, rtol: float) -> tuple[Coefficients, float]:
    """exp(τL) u and τ ≤ ``longest``: all of it where DIMENSIONS suffice, with an error of at most rtol τ ‖u‖."""
    norm = float(np.linalg.norm(u))
    if norm == 0:
        return u, longest
    space = _Space(operator, u, norm)
    while space.dimension < DIMENSIONS and not space.invariant:
        space.extend()
        if space.leading_error(longest) <= NEAR * rtol * longest:
            weights, error = space.weights(longest)
            if error <= rtol * longest:
                return norm * space.combination(weights), longest
    part = longest
    weights, error = space.weights(part)
    while error > rtol * part:
        part *= min(0.9, 0.9 * (rtol * part / error) ** (1 / space.dimension))
        weights, error = space.weights(part)
    return norm * space.combination(weights), part


class _Space:
    """Arnoldi's process: orthonormal vectors v_1, …, v_{m+1} (real form) and the matrix H with the row of h below."""

    def __init__(self, operator: Generator, u: Coefficients, norm: float) -> None:
        self._operator, self.dimension, self.invariant = operator, 0, False
        self._vectors = np.empty((DIMENSIONS + 1, len(u)), complex)
        self._vectors[0] = u / norm
        self._matrix = np.zeros((DIMENSIONS + 1, DIMENSIONS))

    def extend(self) -> None:
        """One application of L, orthogonalised twice where the first time loses digits."""
        m = self.dimension
        new = self._vectors[m + 1]
        new[:] = 0
        self._operator.add_to(self._vectors[m], new, 1.0)
        before = float(np.linalg.norm(new))
        if not np.isfinite(before):
            raise UnresolvedError(0.0, "the transport operator grows without bound", "raise lmax or take a smaller dt")
        self._orthogonalise(new, m)
        after = float(np.linalg.norm(new))
        if after < 0.5 * before:
            self._orthogonalise(new, m)
            after = float(np.linalg.norm(new))
        self.dimension, self.invariant = m + 1, after <= LOST * before
        if not self.invariant:
            self._matrix[m + 1, m] = after
            new /= after

    def _orthogonalise(self, new: Coefficients, m: int) -> None:
        """new -= V Vᵀ new, by einsum: BLAS's bits vary with its threads."""
        basis, vector = self._vectors[: m + 1].view(float), new.view(float)
        along = np.einsum("kn,n->k", basis, vector)
        vector -= np.einsum("k,kn->n", along, basis)
        self._matrix[: m + 1, m] += along

    def leading_error(self, part: float) -> float:
        """Π τ h_{i+1,i} / m!, the first term of the error."""
        m = self.dimension
        below = np.diagonal(self._matrix, -1)[:m]
        return float(np.prod(part * below / np.arange(1, m + 1)))

    def weights(self, part: float) -> tuple[Real, float]:
        """Those of v_1, …, v_{m+1} in exp(τL) v_1, and the error: the first column of exp of H with its row below."""
        m = self.dimension
        square = np.zeros((m + 1, m + 1))
        square[:, :m] = part * self._matrix[: m + 1, :m]
        column = expm(square)[:, 0]
        return column, abs(float(column[m]))

    def combination(self, weights: Real) -> Coefficients:
        """Σ w_k v_k."""
        basis = self._vectors[: len(weights)].view(float)
        return np.einsum("k,kn->n", weights, basis).view(complex)
