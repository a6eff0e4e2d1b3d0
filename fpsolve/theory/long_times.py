r"""E[f(q_t) | q_0] of an overlap diffusion for any t, by resolvents on a contour.

L = τ⁻¹(∂_w² + Φ' ∂_w) in w = artanh q, Φ' = h + 2 tanh w (:mod:`fpsolve.theory.ends`), is self-adjoint for the speed
measure and its spectrum lies in (-∞, 0], so that

    e^{tL} f = (1/2πi) ∫ e^{zt} V_z dz/z,   V_z = z (z - L)^{-1} f,   V'' + Φ'V' = τz(V - f)

converges like 3.9^{-N} in the N points of a cotangent contour, whatever t is :cite:`trefethen2006`. Beyond
|w| = REACH h, τ and f are constant to round-off and V - f(±1) decays like e^{-m|w|}, m² - Φ'm = τz: the exact
condition there, which tells ends that absorb from ends that repel. Where τ → 0 it is V → f(±1) for an end that
absorbs, and V' = 0 for one that repels, is crossed, or from which the drift leads away.

The contour runs to the left of zero, where V_z grows by e^{|z|s} along a drift that needs the time s: where that drift
is strong and t short, too many digits are lost. There (e^{tL/n})^n f is taken instead, each factor by the Padé
approximant [k-1/k] of the exponential, which is L-stable; its poles lie in the right half plane, where V_z is tame.

Every panel in w is solved by collocation relative to the constant function, and the panels are joined from the left by
the impedance V' = αV + β: α, of the order of z where nothing is absorbed, is a sum of positive terms for real z, so
that rates that are small beyond round-off keep their digits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import comb, factorial
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from fpsolve.cached import lru_cache
from fpsolve.errors import InputError, UnresolvedError
from fpsolve.theory.checks import Real
from fpsolve.theory.ends import Diffusion, duration, ends, in_rapidity, moving_ends

Complex = NDArray[np.complex128]

REACH = 19.0
"""|w| beyond which a double has no overlap but ±1."""
WIDTH = 0.5
"""Length of the panels, where the coefficients are tame."""
NODES = 16
"""Chebyshev points of a panel, both edges included."""
STEEPNESS = 6.0
"""The largest Φ' times length of a panel."""
REACHED = 1e-7
"""An end whose τ is below this part of the largest lies at a finite distance."""
MOST_PANELS = 2**14
CONTOUR = 24
"""Points of the contour, symmetric about the real axis; its error is 7e-15."""
MOST_GROWTH = 1e3
"""What a term of the sum over the contour may be of the largest |f|; the first ones are 7."""
POLES, FIRST_STEPS, MOST_STEPS = 5, 4, 64
"""Poles of the Padé approximant, which has order 2·5 - 1; the first and the last number of steps."""


class Advected(Exception):
    """f has been carried further than it has spread: on the contour V_z grows, and digits are lost."""


def expectation(diffusion: Diffusion, f: Callable[[Any], Any], start: Real, t: float, tolerance: float) -> Real:
    """E[f(q_t) | q_0 = ``start``], t > 0, on panels that are halved until all values on them agree to ``tolerance``.

    Raises InputError for an f that is not finite at the ends, Advected where the drift is so strong and t so short that
    the contour does not serve, UnresolvedError where ``MOST_PANELS`` do not suffice.
    """
    problem = _Problem.of(diffusion, f)
    return _settled(problem, lambda edges, _: problem.solve(edges, t), 2 * MOST_PANELS, t, tolerance)(start)


def expectation_by_steps(
    diffusion: Diffusion, f: Callable[[Any], Any], start: Real, t: float, tolerance: float
) -> Real:
    """The same by steps in time, halved with the panels; round-off is about 1e-8 of |f|. Raises no Advected."""
    problem = _Problem.of(diffusion, f)
    return _settled(problem, lambda edges, n: problem.stepped(edges, t, n), MOST_STEPS, t, tolerance)(start)


def _settled(
    problem: _Problem, solve: Callable[[Real, int], _Solution], most: int, t: float, tolerance: float
) -> _Solution:
    """``solve(edges, steps)`` with twice as many of both, up to ``most`` steps, until two agree."""
    edges, steps = problem.first_edges(), FIRST_STEPS
    before: _Solution | None = None
    while len(edges) <= MOST_PANELS and steps <= most:
        solution = solve(edges, steps)
        if before is not None and np.abs(solution.edge_values[::2] - before.edge_values).max() <= tolerance:
            return solution
        edges, steps, before = _halved(edges), 2 * steps, solution
    remedy = "raise tolerance, or pass an f without jumps"
    raise UnresolvedError(t, f"{min(len(edges) - 1, MOST_PANELS)} panels are not accurate to {tolerance:g}", remedy)


@dataclass(frozen=True)
class _Problem:
    """Φ', τ and f as functions of w; values of f and the kind of condition at both ends."""

    steepness: Callable[[Real], Real]
    duration: Callable[[Real], Real]
    f: Callable[[Real], Real]
    f_ends: tuple[float, float]
    attracting: tuple[bool, bool]
    moving: tuple[bool, bool]

    @classmethod
    def of(cls, diffusion: Diffusion, f: Callable[[Any], Any]) -> _Problem:
        h, tau = in_rapidity(diffusion), in_rapidity(diffusion, duration)
        last = np.asarray(f(np.array([-1.0, 1.0])) * np.ones(2), float)
        if not np.isfinite(last).all():
            raise InputError("f", last.tolist(), "is not finite at q = -1 and q = 1", "pass a bounded function")
        lower, upper = ends(diffusion)
        return cls(
            steepness=lambda w: h(w) + 2 * np.tanh(w),
            duration=lambda w: np.maximum(tau(w), 0.0),
            f=lambda w: np.asarray(f(np.tanh(w)) * np.ones_like(w), float),
            f_ends=(float(last[0]), float(last[1])),
            attracting=(lower.kind == "attracting", upper.kind == "attracting"),
            moving=moving_ends(diffusion),
        )

    def first_edges(self) -> Real:
        """Panels of length ``WIDTH``, shorter where Φ' is large."""
        edges = np.linspace(-REACH, REACH, round(2 * REACH / WIDTH) + 1)
        steep = np.abs(self.steepness(edges))
        parts = np.ceil(WIDTH * np.maximum(steep[1:], steep[:-1]) / STEEPNESS).astype(int).clip(1)
        if parts.sum() > MOST_PANELS // 2:
            parts = np.ones_like(parts)
        pieces = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(edges, edges[1:], parts, strict=False)]
        return np.append(np.concatenate(pieces), REACH)

    def solve(self, edges: Real, t: float) -> _Solution:
        """The values at all nodes: the sum over the contour."""
        panels = self._panels(edges)
        z, weights = _contour(t)
        allowed = MOST_GROWTH * float(np.abs(panels.f).max())
        values = np.zeros(panels.f.shape)
        for weight, one in zip(weights[::-1], z[::-1], strict=True):  # where V_z grows it does so at the far end
            with np.errstate(over="ignore", invalid="ignore"):
                term = weight * self._resolvent(panels, complex(one))
            if not np.abs(term).max() <= allowed:
                raise Advected
            values += term.imag
        return self._solution(edges, values)

    def stepped(self, edges: Real, t: float, steps: int) -> _Solution:
        """The values at all nodes after ``steps`` steps of the Padé approximant."""
        panels, (poles, weights) = self._panels(edges), _pade()
        for _ in range(steps):
            outer = panels.f.ravel()[[0, -1]]  # beyond an end that attracts f stays what it was
            sides = [own if held else last for own, held, last in zip(self.f_ends, self.attracting, outer, strict=True)]
            start = replace(self, f_ends=(float(sides[0]), float(sides[1])))
            terms = (c * start._resolvent(panels, complex(z * steps / t)) for z, c in zip(poles, weights, strict=True))
            panels = replace(panels, f=np.sum([term.real for term in terms], axis=0))
        return self._solution(edges, panels.f)

    def _panels(self, edges: Real) -> _Panels:
        x, first, _ = _chebyshev()
        half = np.diff(edges)[:, None] / 2
        w = edges[:-1, None] + half * (1 + x)
        return _Panels(half, first, self.steepness(w), self.duration(w), self.f(w))

    def _solution(self, edges: Real, values: Real) -> _Solution:
        at_ends = [float(values.ravel()[k]) if self.moving[k] else self.f_ends[k] for k in (0, -1)]
        return _Solution(edges, values, (at_ends[0], at_ends[1]))

    def _resolvent(self, panels: _Panels, z: complex) -> Complex:
        """V_z at the nodes of all panels."""
        own, difference, forced = panels.solutions(z)
        slopes = [panels.slopes(one) for one in (own, difference, forced)]
        (own_l, own_r), (diff_l, diff_r), (forced_l, forced_r) = slopes
        m = [self._decay(panels, z, k) for k in (0, -1)]
        alpha, beta = m[0], -m[0] * self.f_ends[0]
        growth, shift = np.empty_like(own_l), np.empty_like(own_l)
        for j in range(len(own_l)):  # V_right - V_left = growth V_left + shift
            growth[j], shift[j] = (alpha - own_l[j]) / diff_l[j], (beta - forced_l[j]) / diff_l[j]
            alpha = (own_r[j] + diff_r[j] * growth[j]) / (1 + growth[j])
            beta = forced_r[j] + diff_r[j] * shift[j] - alpha * shift[j]
        left = np.empty_like(own_l)
        right = (m[1] * self.f_ends[1] - beta) / (m[1] + alpha)
        for j in reversed(range(len(own_l))):
            left[j] = right = (right - shift[j]) / (1 + growth[j])
        steps = growth * left + shift
        return left[:, None] * (1 + own) + steps[:, None] * difference + forced

    def _decay(self, panels: _Panels, z: complex, end: int) -> complex:
        """m at one end: V - f ~ e^{-m|w|} outside, zero where an end at a finite distance sends tokens back."""
        outward = float(panels.steepness.ravel()[end]) * (1 if end else -1)
        tau = float(panels.duration.ravel()[end])
        if self.moving[end] or tau < REACHED * float(panels.duration.max()):
            return complex(outward if self.attracting[end] else 0.0)
        load = 4 * tau * z
        root = np.sqrt(outward**2 + load)
        return complex((outward + root) / 2 if outward > 0 else load / (2 * (root - outward)))


@dataclass(frozen=True)
class _Panels:
    """Half lengths (P, 1), the differentiation matrix, and Φ', τ, f at the nodes, (P, n)."""

    half: Real
    first: Real
    steepness: Real
    duration: Real
    f: Real

    def solutions(self, z: complex) -> tuple[Complex, Complex, Complex]:
        """Three functions on every panel: V = V_left (1 + own) + (V_right - V_left) difference + forced."""
        inner = slice(1, -1)
        d2 = (self.first @ self.first)[inner]
        scale = self.half[:, :, None]
        matrix = d2 / scale**2 + self.steepness[:, inner, None] * self.first[inner] / scale
        load = z * self.duration[:, inner]
        operator = matrix[:, :, inner].astype(complex)
        diagonal = np.arange(operator.shape[1])
        operator[:, diagonal, diagonal] -= load
        sides = np.stack([load, -matrix[:, :, -1], -load * self.f[:, inner]], -1)
        inside = np.linalg.solve(operator, sides)
        whole = np.zeros((3, *self.f.shape), complex)
        whole[:, :, inner] = np.moveaxis(inside, -1, 0)
        whole[1, :, -1] = 1
        return whole[0], whole[1], whole[2]

    def slopes(self, values: Complex) -> tuple[Complex, Complex]:
        """dV/dw at the left and the right edge of every panel."""
        both = values @ self.first[[0, -1]].T / self.half
        return both[:, 0], both[:, 1]


@dataclass(frozen=True)
class _Solution:
    """u(·, t) by its values at the nodes of all panels, and at q = ±1."""

    edges: Real
    values: Real
    at_ends: tuple[float, float]

    @property
    def edge_values(self) -> Real:
        """u at the edges of the panels."""
        return np.append(self.values[:, 0], self.values[-1, -1])

    def __call__(self, q: Real) -> Real:
        with np.errstate(divide="ignore"):
            w = np.arctanh(q)
        inside = np.clip(w, self.edges[0], self.edges[-1])
        panel = np.clip(np.searchsorted(self.edges, inside, side="right") - 1, 0, len(self.values) - 1)
        local = 2 * (inside - self.edges[panel]) / (self.edges[panel + 1] - self.edges[panel]) - 1
        x, _, weights = _chebyshev()
        apart = local[..., None] - x
        exact = apart == 0
        shares = np.where(exact.any(-1, keepdims=True), exact, weights / np.where(exact, 1.0, apart))
        out = (shares * self.values[panel]).sum(-1) / shares.sum(-1)
        return np.where(q == -1, self.at_ends[0], np.where(q == 1, self.at_ends[1], out))


def _contour(t: float) -> tuple[Any, Any]:
    """Points z of the upper half of the contour and weights c: e^{tL} f = Im Σ c V_z for real f."""
    theta = (2 * np.arange(CONTOUR // 2) + 1) * np.pi / CONTOUR
    a, b, c, width = 0.5017, 0.6407, 0.6122, 0.2645
    cot = 1 / np.tan(b * theta)
    z = CONTOUR / t * (a * theta * cot - c + 1j * width * theta)
    derivative = CONTOUR / t * (a * cot - a * b * theta * (1 + cot**2) + 1j * width)
    return z, np.asarray(2 / CONTOUR * np.exp(z * t) * derivative / z)


@lru_cache(maxsize=1)
def _pade() -> tuple[Complex, Complex]:
    """Poles z and weights c: the Padé approximant [k-1/k] of e^{tL} f is Re Σ c V_{z/t} for real f, k = ``POLES``.

    One of each conjugate pair, with twice its weight. P(x)/Q(x) = Σ r/(x - z), so that c = -r/z.
    """
    k = POLES
    above = np.array([comb(k - 1, j) * factorial(2 * k - 1 - j) for j in range(k)], float)
    below = np.array([(-1) ** j * comb(k, j) * factorial(2 * k - 1 - j) for j in range(k + 1)], float)
    P, Q = Polynomial(above), Polynomial(below)
    z = Q.roots().astype(complex)
    z = z[z.imag > -1e-9]
    return z, -P(z) / Q.deriv()(z) / z * np.where(z.imag > 1e-9, 2, 1)


@lru_cache(maxsize=1)
def _chebyshev() -> tuple[Real, Real, Real]:
    """Chebyshev points on [-1, 1] in ascending order, the differentiation matrix, barycentric weights."""
    k = np.arange(NODES)
    x = -np.cos(np.pi * k / (NODES - 1))
    weights = (-1.0) ** k * np.where((k == 0) | (k == NODES - 1), 0.5, 1.0)
    apart = x[:, None] - x + np.eye(NODES)
    first = weights[None, :] / weights[:, None] / apart
    np.fill_diagonal(first, 0.0)
    np.fill_diagonal(first, -first.sum(axis=1))
    return np.asarray(x), np.asarray(first), np.asarray(weights)


def _halved(edges: Real) -> Real:
    finer = np.empty(2 * len(edges) - 1)
    finer[::2], finer[1::2] = edges, (edges[1:] + edges[:-1]) / 2
    return finer
