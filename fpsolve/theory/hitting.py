"""Where two tokens end: the scale function of an overlap diffusion and the probabilities of its two ends.

For dq = b dt + √s dB on [-1, 1] the scale function S, S' = exp(-∫₀ 2b/s), makes S(q_t) a martingale. In w = artanh q

    S(q) = ∫₀^w exp(-∫₀ h dw) / cosh² w dw,   h = (1-q²) 2b/s,

where h is bounded: at the ends S' ~ (1∓q)^{-p∓} with 1 - p± = 1 ± h(±1)/2. An end with p < 1 that the tokens do not
leave attracts: q tends to it with positive probability. One with p >= 1 does not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.polynomial.legendre import leggauss, legint, legval, legvander
from numpy.typing import ArrayLike

from fpsolve.cached import lru_cache
from fpsolve.errors import InputError
from fpsolve.plain.arguments import checked_arguments
from fpsolve.theory.checks import Real, dimensions, elementwise, reals, together
from fpsolve.theory.ends import End, check_noise, ends, in_rapidity
from fpsolve.theory.exponents import sech
from fpsolve.theory.overlap import OverlapDiffusion

NODES = 12
"""Gauss nodes of a panel."""
WIDTH = 0.25
"""Length in w of the panels on which h is a polynomial; for S they are split until S' changes by e² at most."""
REACH = 18.0
"""|w| beyond which h is constant to round-off, more for large β."""
NEGLIGIBLE = 800.0
"""Densities below e^{-NEGLIGIBLE} of the largest are zero in double precision."""


@checked_arguments
def classify_ends(diffusion: OverlapDiffusion) -> tuple[End, End]:
    """The ends q = -1 and q = +1.

    attracting: exponent < 1 and the end is a fixed point. repelling: exponent >= 1, q → end has probability zero.
    crossed: exponent < 1 and the drift leads back (on the circle tokens pass through q = ±1). The exponents are
    extrapolated from b and s to about 1e-8; a diffusion nearer than that to the border is not told apart. Source:
    :cite:`karlin1981` (chapter 15, boundary classification).
    """
    _checked_diffusion(diffusion)
    return ends(diffusion)


@checked_arguments
def scale_function(diffusion: OverlapDiffusion, overlap: ArrayLike) -> Real:
    """S(q) with S(0) = 0, S'(0) = 1, shape of ``overlap``; ±∞ at an end that is not of finite scale.

    Relative accuracy about 1e-8 for coefficients smooth in the angle arccos q. Raises InputError for overlaps off
    [-1, 1]. Source: :cite:`karlin1981` (chapter 15).
    """
    _checked_diffusion(diffusion)
    q = reals("overlap", overlap, -1, 1)
    scale = _general(diffusion)
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(scale.top) * scale.from_centre(_rapidity(q)))


@checked_arguments
def hitting_probability(diffusion: OverlapDiffusion, overlap: ArrayLike, end: int = 1) -> Real:
    """P(q_t → ``end`` | q_0 = ``overlap``), ``end`` -1 or 1, shape of ``overlap``.

    (S(q) - S(-1))/(S(1) - S(-1)) for +1 if both ends attract; 1 for the only one that attracts; 0 for an end that does
    not, and for both if neither does (the overlap then has no limit). An end that is a fixed point is kept. Raises
    InputError for other ends and for overlaps off [-1, 1]. Source: :cite:`karlin1981` (chapter 15).
    """
    _checked_diffusion(diffusion)
    q = reals("overlap", overlap, -1, 1)
    if end not in (-1, 1):
        raise InputError("end", end, "the ends are -1 and 1", "pass one of them")
    both = ends(diffusion)
    attracts = [e.kind == "attracting" for e in both]
    if all(attracts):
        values = _general(diffusion).probability(_rapidity(q), end)
    else:
        values = np.full(q.shape, float(attracts[(end + 1) // 2]))
    values = np.where((q == end) & (both[(end + 1) // 2].kind != "crossed"), 1.0, values)
    return np.where((q == -end) & (both[(1 - end) // 2].kind != "crossed"), 0.0, values)


@elementwise
def antipodal_probability(beta: ArrayLike, overlap: ArrayLike, d: ArrayLike) -> Real:
    """P(x_t + y_t → 0) of two tokens under value noise with A = I; arguments broadcast.

    Here h(q) = (d-2) sech(β(1-q)) - q exactly, so that

        S'(q) = (1-q²)^{-1/2} exp(-(d-2) ∫₀^q sech(β(1-y)) / (1-y²) dy).

    q = 1 always attracts (S' ~ (1-q)^{(d-3)/2}); q = -1 iff cosh 2β > d-2, and otherwise the probability is 0 (1 for an
    exactly antipodal pair, which stays). On the circle it is ½ - arcsin(q)/π for every β, in any d for β → ∞. Relative
    accuracy 1e-11. Assumes centred iid entries of V; ε and σ_V only set the time. InputError: β < 0, |overlap| > 1,
    d < 2. Source: :cite:`deepstochastic2026` for the condition; the integral follows from :func:`value_noise_overlap`.
    """
    numbers = {"beta": reals("beta", beta, 0), "overlap": reals("overlap", overlap, -1, 1), "d": dimensions(d)}
    b, q, dimension = together(**numbers)
    result = np.zeros(q.shape)
    pairs = np.stack([b.ravel(), dimension.ravel()], -1)
    for one in np.unique(pairs, axis=0):
        chosen = (pairs == one).all(-1).reshape(q.shape)
        result[chosen] = _antipodal(float(one[0]), int(one[1]), q[chosen])
    return result


@checked_arguments
def alignment_probability(overlap: ArrayLike) -> Real:
    """½ + arcsin(z₀)/π: P(aligned) of two tokens under a random quadratic form, or Gaussian linear layers, any d.

    dx = P_x ∘ dQ x, Q = (G+Gᵀ)/√2, has the overlap generator -2z(1-z²)∂ + 2(1-z²)²∂²; k(t) = t has half of it. Both end
    aligned or antipodal. Source: :cite:`quadraticform2026`.
    """
    return np.asarray(0.5 + np.arcsin(reals("overlap", overlap, -1, 1)) / np.pi)


class Scale:
    """S and its total mass from ``h``, a function of w; ``rates`` r∓ of e^{-r|w|}, the decay of dS/dw at -1 and +1.

    Log densities are kept relative to ``top``, the largest.
    """

    def __init__(self, h: Callable[[Real], Real], rates: tuple[float, float], reach: float = REACH) -> None:
        half = int(np.ceil(reach / WIDTH))
        self.rates, self.reach = rates, half * WIDTH
        self.edges: Real = WIDTH * np.arange(-half, half + 1.0)
        self.nodes, self.weights = (np.asarray(a, float) for a in leggauss(NODES))
        centres = self.edges[:-1] + WIDTH / 2
        values = h(centres + WIDTH / 2 * self.nodes[:, None])
        project = (self.weights[:, None] * legvander(self.nodes, NODES - 1)).T * (np.arange(NODES) + 0.5)[:, None]
        self.pieces = WIDTH / 2 * legint(project @ values, lbnd=-1, axis=0)
        whole = np.concatenate([[0.0], np.cumsum(legval(1.0, self.pieces))])
        self.sums = whole - whole[half]
        levels = self.log_density(self.edges)
        self.top = float(levels.max())
        self.fine = _refined(self.edges, levels - self.top)
        self.masses = self._integrals(self.fine[:-1], self.fine[1:])

    def log_density(self, w: Real) -> Real:
        """log dS/dw, |w| <= reach."""
        panel = np.clip(((w + self.reach) / WIDTH).astype(int), 0, len(self.edges) - 2)
        local = (w - self.edges[panel]) / (WIDTH / 2) - 1
        integral = self.sums[panel] + legval(local, self.pieces[:, panel], tensor=False)
        return -integral - 2 * (np.abs(w) + np.log1p(np.exp(-2 * np.abs(w))) - np.log(2))

    def from_centre(self, w: Real) -> Real:
        """S e^{-top} at rapidities ``w``, infinite ones included."""
        inner = self._from(int(np.searchsorted(self.fine, 0.0)), np.clip(w, -self.reach, self.reach))
        return inner + self._outside(w, 1) - self._outside(w, -1)

    def probability(self, w: Real, end: int) -> Real:
        """The share of the mass of S between ``w`` and -``end``, summed from there: small values are accurate."""
        start = 0 if end == 1 else len(self.fine) - 1
        share = end * self._from(start, np.clip(w, -self.reach, self.reach))
        share = share + self._tail(-end) - self._outside(w, -end) + self._outside(w, end)
        return share / (self._tail(-1) + float(self.masses.sum()) + self._tail(1))

    def _from(self, start: int, w: Real) -> Real:
        """Signed integral from the fine edge number ``start`` to ``w``, by whole panels and the rest of one."""
        sums = np.concatenate([-np.cumsum(self.masses[:start][::-1])[::-1], [0.0], np.cumsum(self.masses[start:])])
        panel = np.clip(np.searchsorted(self.fine, w, side="right") - 1, 0, len(self.masses) - 1)
        edge = panel + (panel < start)
        return np.asarray(sums[edge] + self._integrals(self.fine[edge], w))

    def _integrals(self, left: Real, right: Real) -> Real:
        """∫ e^{log density - top} from ``left`` to ``right``, which lie in one panel."""
        half = (right - left) / 2
        w = (left + right)[..., None] / 2 + half[..., None] * self.nodes
        return np.asarray(half * (np.exp(self.log_density(w) - self.top) @ self.weights))

    def _tail(self, end: int) -> float:
        """The mass beyond reach, where dS/dw is e^{-r|w|}; infinite for r <= 0."""
        rate = self.rates[(end + 1) // 2]
        level = np.exp(self.log_density(np.array(end * self.reach)) - self.top)
        return float(level / rate) if rate > 0 else np.inf

    def _outside(self, w: Real, end: int) -> Real:
        """The mass between reach and ``w`` where ``w`` lies beyond reach, else zero."""
        rate = self.rates[(end + 1) // 2]
        level = np.exp(self.log_density(np.array(end * self.reach)) - self.top)
        excess = np.maximum(end * w - self.reach, 0.0)
        if rate == 0:
            return np.asarray(level * excess)
        with np.errstate(over="ignore"):
            return np.asarray(-level * np.expm1(-rate * excess) / rate)


def _checked_diffusion(diffusion: object) -> None:
    if not isinstance(diffusion, OverlapDiffusion):
        remedy = "pass theory.isotropic_overlap(kernel, d), value_noise_overlap(beta, d) or an OverlapDiffusion"
        raise InputError("diffusion", diffusion, "not an OverlapDiffusion", remedy)
    check_noise(diffusion)


def _refined(edges: Real, levels: Real) -> Real:
    """Edges so close that the log density changes by at most 2 in a panel, where it is not negligible."""
    matters = np.maximum(levels[1:], levels[:-1]) > -NEGLIGIBLE
    parts = np.where(matters, np.ceil(np.abs(np.diff(levels)) / 2), 1).astype(int).clip(1)
    panel = np.repeat(np.arange(len(parts)), parts)
    step = np.arange(len(panel)) - np.repeat(np.cumsum(parts) - parts, parts)
    return np.append(edges[panel] + step / parts[panel] * np.diff(edges)[panel], edges[-1])


def _rapidity(q: Real) -> Real:
    """artanh q, ±∞ at the ends."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.arctanh(q))


def _antipodal(beta: float, d: int, q: Real) -> Real:
    if (d - 2) * sech(np.array(2 * beta)) >= 1:
        return np.where(q == -1, 1.0, 0.0)
    return _value_noise(beta, d).probability(_rapidity(q), -1)


@lru_cache(maxsize=256)
def _value_noise(beta: float, d: int) -> Scale:
    """h = (d-2) sech(β(1-q)) - q: b = σ²(1-q²)[(d-2)B - qA] and s = 2σ²(1-q²)²A, B/A = sech(β(1-q))."""

    def h(w: Real) -> Real:
        return (d - 2) * sech(2 * beta / (1 + np.exp(2 * w))) - np.tanh(w)

    rates = 1 - (d - 2) * float(sech(np.array(2 * beta))), float(d - 1)
    return Scale(h, rates, REACH + 0.5 * np.log1p(beta))


def _general(diffusion: OverlapDiffusion) -> Scale:
    """The scale of b and s themselves, continued to the ends."""
    rates = [
        0.0 if end.kind == "repelling" and end.exponent < 1 else 2 * (1 - end.exponent) for end in ends(diffusion)
    ]
    return Scale(in_rapidity(diffusion), (rates[0], rates[1]))
