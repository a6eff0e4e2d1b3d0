"""Implicit transport: exp(L) u by sub-steps of a diagonal Padé approximant, its linear systems left to a solver.

r_s(z) = q_s(-z)/q_s(z), z = hL, is the Gauss–Legendre method of s stages, r_1(z) = (1 + z/2)/(1 - z/2) the implicit
midpoint rule, that is Cayley's transform :cite:`hairer2006`. q_s has factors 1 - αz + βz² with real α, β, one for each
real pole (β = 0) and each pair of conjugate poles, so that all unknowns stay real.

For a skew L, r_s is unitary. Then q(L)ᵀq(L) = q(-L)q(L) is symmetric, at least one on every mode, and conjugate
gradients from zero solve z = (qᵀq)⁻¹u with 〈residual, Krylov space〉 = 0. Two consequences hold however loose the
solve is: the midpoint's y = qᵀz, w = 2y - u has ‖w‖ = ‖u‖ to round-off, since ‖w‖² - ‖u‖² = -4〈y, residual〉, y is an
even and an odd polynomial of L applied to u, the residual is orthogonal to the even part, and odd powers of a skew
matrix have no quadratic form; and w = qᵀqᵀz has ‖w‖² - ‖u‖² = ‖residual‖². In floating point the orthogonality fades
over some hundred iterations, and with it the first statement, down to a small part of the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, factorial
from typing import NamedTuple

import numpy as np

from fpsolve.cached import lru_cache
from fpsolve.errors import DivergedError, UnresolvedError
from fpsolve.sphere.harmonics import Coefficients, Real, degree_of
from fpsolve.transport.exponential import Generator
from fpsolve.transport.operators import CircleAdvection, CircleSkew, SkewOperator

MOST_SUBSTEPS = 20_000
"""Sub-steps of one transport beyond which no answer would come in reasonable time."""

LONGEST_STAGE = 2.5
"""hR of a sub-step for each of several stages: beyond it qᵀq, of condition (hR)⁴, costs more than it saves."""

STEP_SHARE, SOLVE_SHARE = 0.8, 0.1
"""Parts of the tolerance for the sub-steps' own error and for that of their linear systems."""

FINEST_SOLVE = 1e-15
"""Relative residuals below this are round-off."""

RESTART = 200
"""Length of GMRES's memory, for the density's systems."""

SLACK, ROUND_OFF = 2.0, 2e-14
"""A true residual may exceed the tolerance by this factor, or be this part of the matrix' norm."""

Apply = Callable[[Real], Real]
"""A matrix acting on real unknowns."""


class Solution(NamedTuple):
    """What a linear solver reached, its name, and why it stopped."""

    y: Real
    solver: str
    reason: str


Solve = Callable[[Apply, Real, float, bool], Solution]
"""``solve(matrix, b, rtol, symmetric)``: y with ‖b - matrix y‖ <= rtol ‖b‖, else DivergedError; from y = 0."""


@dataclass(frozen=True)
class Factor:
    """q(z) = 1 - αz + βz²."""

    alpha: float
    beta: float


@lru_cache(maxsize=8)
def pade(stages: int) -> tuple[Factor, ...]:
    """The factors of q_s(z) = Σ_j (2s-j)! s! / ((2s)! j! (s-j)!) (-z)^j."""
    s = stages
    weights = [factorial(2 * s - j) * factorial(s) / (factorial(2 * s) * factorial(j) * factorial(s - j))
               for j in range(s + 1)]  # fmt: skip
    inverse_poles = np.roots(weights) * -1.0  # q(z) = Π(1 - z/a): 1/a are the roots of Σ_j weights_j (-z)^(s-j)
    upper = sorted(inverse_poles[inverse_poles.imag >= 0], key=lambda z: z.imag)
    return tuple(
        Factor(float(z.real), 0.0) if z.imag == 0 else Factor(2 * float(z.real), float(abs(z) ** 2)) for z in upper
    )


@dataclass
class RealForm:
    """L on real unknowns y = √w (Re u, Im u), w = 1 for m = 0, else 2: there the L of a half density is skew."""

    operator: Generator
    weight: Real

    def __post_init__(self) -> None:
        self._ignored = np.zeros(len(self.weight), complex)

    @classmethod
    def of(cls, operator: Generator, u: Coefficients) -> RealForm:
        """The real form that goes with an operator on the sphere or the circle."""
        zonal = 1 if isinstance(operator, CircleAdvection | CircleSkew) else degree_of(u) + 1
        weight = np.full(len(u), np.sqrt(2.0))
        weight[:zonal] = 1.0
        return cls(operator, weight)

    @property
    def is_skew(self) -> bool:
        """Whether L is skew to round-off."""
        return isinstance(self.operator, SkewOperator | CircleSkew)

    def unknowns(self, u: Coefficients) -> Real:
        """y of the coefficients."""
        return (self.weight * u).view(np.float64)

    def coefficients(self, y: Real) -> Coefficients:
        """The coefficients of y."""
        return y.view(np.complex128) / self.weight

    def times(self, y: Real, factor: float) -> Real:
        """factor · L y."""
        u = self.coefficients(y)
        out = np.zeros_like(u)
        self.operator.recur(u, out, factor, 0.0, self._ignored)
        return self.unknowns(out)


def transported(
    operator: Generator,
    u: Coefficients,
    radius: float,
    rtol: float,
    solve: Solve,
    *,
    stages: int,
    substeps: int | None = None,
) -> Coefficients:
    """exp(L) u to relative accuracy ``rtol`` in the norm of L² by r_s(L/n)^n; ``substeps`` sets n.

    Without it n comes from the error bound below and, for more than one stage, from ``radius``, the bound on the
    spectrum of L. Raises UnresolvedError where n would be too large, DivergedError from ``solve`` and where the true
    residual of a system is above its tolerance, whatever the solver says of it.
    """
    form = RealForm.of(operator, u)
    y = form.unknowns(u)
    least = ceil(radius / (LONGEST_STAGE * stages)) if stages > 1 else 1
    n = substeps or max(least, needed_substeps(form, y, rtol, stages))
    while True:
        moved = _stepped(y, rtol, Systems(form, n, radius, solve), pade(stages))
        if substeps or form.is_skew:
            break
        grown = needed_substeps(form, moved, rtol, stages)  # L^k u is not conserved where div v is not zero
        if grown <= 1.5 * n:
            break
        n = grown
    return form.coefficients(moved)


def needed_substeps(form: RealForm, y: Real, rtol: float, stages: int) -> int:
    """n with n · c_s ‖(L/n)^{2s+1} u‖ <= 0.8 rtol ‖u‖, c_s = (s!)²/((2s)! (2s+1)!).

    |e^{ix} - r_s(ix)| <= c_s |x|^{2s+1}, and a skew L keeps ‖L^k e^{tL} u‖, so for it the bound is sharp and rigorous.
    """
    power, power_of_y, size = 2 * stages + 1, y, float(np.linalg.norm(y))
    for _ in range(power):
        power_of_y = form.times(power_of_y, 1.0)
    constant = factorial(stages) ** 2 / (factorial(2 * stages) * factorial(power))
    needed = (constant * float(np.linalg.norm(power_of_y)) / (STEP_SHARE * rtol * size)) ** (1 / (2 * stages))
    if not needed <= MOST_SUBSTEPS:
        raise UnresolvedError(
            0.0, f"this accuracy needs {needed:.1g} implicit sub-steps", 'raise rtol, or use transport="chebyshev"'
        )
    return max(1, ceil(needed))


@dataclass(frozen=True)
class Systems:
    """The systems q(hL) y = u of one transport, h = 1/n, ``radius`` bounding the spectrum of L."""

    form: RealForm
    n: int
    radius: float
    solve: Solve

    def polynomial(self, y: Real, factor: Factor, sign: int = 1) -> Real:
        """q(hL) y; the sign -1 gives qᵀ for a skew L."""
        return self.parts(y, factor, sign)[0]

    def parts(self, y: Real, factor: Factor, sign: int = 1) -> tuple[Real, Real]:
        """q(hL) y and hL y."""
        first = self.form.times(y, sign / self.n)
        out = y - factor.alpha * first
        if factor.beta != 0:
            out += factor.beta * self.form.times(first, sign / self.n)
        return out, first

    def advanced(self, u: Real, factor: Factor, rtol: float) -> Real:
        """q(-hL) q(hL)⁻¹ u; for a skew L through the symmetric positive definite qᵀq."""
        skew = self.form.is_skew

        def matrix(x: Real) -> Real:
            out = self.polynomial(x, factor)
            return self.polynomial(out, factor, -1) if skew else out

        solution = self.solve(matrix, u, rtol, skew)
        y = self.polynomial(solution.y, factor, -1) if skew else solution.y
        reached, first = self.parts(y, factor)
        self._check(solution, u, reached, self._limit(factor, rtol))
        if factor.beta == 0:
            return 2 * y - u
        return (reached if skew else u) + 2 * factor.alpha * first

    def _limit(self, factor: Factor, rtol: float) -> float:
        """The largest true residual of a system that counts as solved."""
        z = self.radius / self.n
        norm = (1 + abs(factor.alpha) * z + factor.beta * z * z) ** (2 if self.form.is_skew else 1)
        return max(SLACK * rtol, ROUND_OFF * norm)

    @staticmethod
    def _check(solution: Solution, u: Real, reached: Real, limit: float) -> None:
        """Raise DivergedError unless ‖u - q y‖ <= limit ‖u‖."""
        residual = float(np.linalg.norm(u - reached) / np.linalg.norm(u))
        if not residual <= limit:
            reason = f"{solution.reason} short of the tolerance {limit:.2g}"
            remedy = "take options of the convergence test away: the run's rtol sets the tolerance"
            raise DivergedError(solution.solver, reason, residual, remedy)


def _stepped(y: Real, rtol: float, systems: Systems, factors: tuple[Factor, ...]) -> Real:
    """r(L/n)^n y."""
    tolerance = max(SOLVE_SHARE * rtol / (systems.n * len(factors)), FINEST_SOLVE)
    for _ in range(systems.n):
        for factor in factors:
            y = systems.advanced(y, factor, tolerance)
    return y
