r"""Two tokens under a deterministic drift and common noise together: hybrids, and forced random quadratic forms.

In the rapidity w = artanh q of the overlap q = ⟨x,y⟩ independent blocks add. Attention of two tokens (weights ½ each,
A = V = I) gives

    q̇ = a(q)(1-q²),   a = 2/(1+e^{β(1-q)}) (SA),   a = e^{βq} (USA),

a fraction a/2 of P_x y going into ẋ: ẋ = (a/2) P_x y. The noises, σ = ε σ_V:

value matrix   b = σ²[(d-2+q²)K_12 - (d-1)qK_11],     s = 2σ²(1-q²)(K_11 - qK_12)        (:func:`value_noise_overlap`)
scalar, Itô    b = -½ε²a²q(1-q²),                     s = ε²a²(1-q²)²
scalar, layers b = -½ε²a²q(1-q²) - ε²a⟨x,m⟩(1-q²),    s = ε²a²(1-q²)²
quadratic form b = -2ε²q(1-q²),                       s = 4ε²(1-q²)²                     (random quadratic form)

The scalar ones: dq has the martingale part ε(⟨y,P_xm_x⟩ + ⟨x,P_ym_y⟩)dB = εa(1-q²)dB; the Itô equation adds
-(ε²/2)(|P_xm_x|² + |P_ym_y|²)q = -¼ε²a²q(1-q²), the product of both noises ε²⟨P_xm_x,P_ym_y⟩ = -¼ε²a²q(1-q²). Layers
x ← N(x + u) have -ε²⟨x,m⟩P_xm besides (:mod:`fpsolve.models.scalar_noise`), ⟨x,m⟩ = 1 - ½a(1-q) (SA), ½(e^β + qe^{βq})
(USA).

Linearised at an end a diffusion is a geometric Brownian motion, whose logarithm grows at b/y - ½s/y², y the distance to
the end. At q = -1, y = 1+q, with a = a(-1) = 2w, w = 1/(1+e^{2β}) for SA, a = e^{-β} for USA:

value   2a - σ²(2 - (d-1) sech²β),   scalar   2a - ε²a² (Itô),   2a - ε²a² - 2ε²a⟨x,m⟩ (layers),   form   2a - 4ε²,

⟨x,m⟩ = tanh β (SA) or sinh β (USA). So an antipodal pair attracts when σ²(2 - (d-1) sech²β) > 2a; under scalar noise
when ε² > 2/a, that is 1+e^{2β} (SA) or 2e^β (USA); in layers already when ε² > 1+e^{-2β} (SA) or 2e^{-β} (USA); under a
quadratic form when ε² > a/2. At q = 1 the distance |x-y| ~ √(1-q) grows at half the rate of 1-q; with a = 1 (SA) or
e^β (USA) that is

value   -a - (d-1)σ²/2,   scalar   -a - ε²a²/2 (Itô),   -a + ε²a²/2 (layers),   form   -a - 2ε².

So layers of a random scalar part an aligned pair when ε² > 2/a, which no other of these noises does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.plain.arguments import checked_arguments
from fpsolve.theory.checks import Real, dimensions, elementwise, one_of, reals, scalar, together
from fpsolve.theory.exponents import sech
from fpsolve.theory.overlap import LARGEST, OverlapDiffusion

SHARPEST = 600.0
"""Of attention without its denominator, which grows like e^β."""

DRIFTS = ("sa", "usa", "none")
NOISES = ("value", "scalar", "scalar_layers", "quadratic_form")


@checked_arguments
def attention_overlap(beta: float, kind: str = "sa") -> OverlapDiffusion:
    """q̇ = a(q)(1-q²), a = 2/(1+e^{β(1-q)}) for ``sa``, e^{βq} for ``usa``: two tokens without noise, A = V = I.

    A diffusion of variance zero, for sums with others: ``attention_overlap(2.0) + value_noise_overlap(2.0, 3)``. Raises
    InputError for β < 0 and other kinds.
    """
    one_of("kind", kind, DRIFTS[:2])
    b = np.asarray(scalar("beta", beta, 0, LARGEST if kind == "sa" else SHARPEST))
    return OverlapDiffusion(lambda q: _pull(b, q, kind) * (1 - q * q), lambda q: 0.0 * np.asarray(q))


@checked_arguments
def scalar_noise_overlap(
    beta: float, noise: float = 1.0, kind: str = "sa", reading: str = "ito"
) -> OverlapDiffusion:
    """Two tokens under V = ε dB, one Brownian motion for both: b and s of this module; any d.

    kind: ``sa`` or ``usa`` attention. reading: ``ito``, or ``layers`` with the tangential mean of x ← N(x + u). Raises
    InputError for β < 0, ε < 0 and unknown names.
    """
    one_of("kind", kind, DRIFTS[:2])
    one_of("reading", reading, ("ito", "layers"))
    b = np.asarray(scalar("beta", beta, 0, LARGEST if kind == "sa" else SHARPEST))
    square = scalar("noise", noise, 0, LARGEST) ** 2

    def drift(q: Real) -> Real:
        a = _pull(b, q, kind)
        layers = a * _radial(b, q, kind) if reading == "layers" else 0.0
        return np.asarray(-square * (0.5 * a**2 * q + layers) * (1 - q * q))

    return OverlapDiffusion(drift, lambda q: square * (_pull(b, q, kind) * (1 - q * q)) ** 2)


@checked_arguments
def quadratic_form_overlap(noise: float = 1.0) -> OverlapDiffusion:
    """b = -2ε²q(1-q²), s = 4ε²(1-q²)²: two tokens under a random quadratic form, any d :cite:`quadraticform2026`."""
    square = scalar("noise", noise, 0, LARGEST) ** 2
    return OverlapDiffusion(lambda q: -2 * square * q * (1 - q * q), lambda q: 4 * square * (1 - q * q) ** 2)


@elementwise
def hybrid_antipodal_exponent(
    beta: ArrayLike, noise: ArrayLike, d: ArrayLike = 3, drift: str = "sa", by: str = "value"
) -> Real:
    """The almost sure growth rate of 1+q at q = -1 under attention and noise; an antipodal pair attracts if it is < 0.

    beta: β of both. noise: ε, times σ_V for ``value``. drift: ``sa``, ``usa`` or ``none``. by: ``value`` (matrices with
    SA attention), ``scalar`` (the Itô equation), ``scalar_layers`` (layers x ← N(x + u)), both with the attention of
    the drift (``none``: SA), or ``quadratic_form``; d matters for ``value`` alone. Arguments broadcast. The derivation
    stands in the module; ``none`` with ``value`` is :func:`antipodal_exponent`. Raises InputError for β < 0, ε < 0,
    d < 2 and unknown names.
    """
    b, e, dimension = _arguments(beta, noise, d, drift, by)
    pull, kind = _pull_at(b, -1.0, drift), drift if drift != "none" else "sa"
    return np.asarray(2 * pull - e**2 * _gain(b, dimension, kind, by))


@elementwise
def hybrid_aligned_exponent(
    beta: ArrayLike, noise: ArrayLike, d: ArrayLike = 3, drift: str = "sa", by: str = "value"
) -> Real:
    """The almost sure growth rate of |x-y| at x = y under attention and noise, arguments as for the antipodal one."""
    b, e, dimension = _arguments(beta, noise, d, drift, by)
    pull, kind = _pull_at(b, 1.0, drift), drift if drift != "none" else "sa"
    a = _pull(b, np.array(1.0), kind)
    of_noise = {
        "value": -0.5 * (dimension - 1) * np.ones_like(a), "scalar": -0.5 * a**2, "scalar_layers": 0.5 * a**2,
        "quadratic_form": -2.0 * np.ones_like(a),
    }  # fmt: skip
    return np.asarray(-pull + e**2 * of_noise[by])


@elementwise
def hybrid_antipodal_threshold(beta: ArrayLike, d: ArrayLike = 3, drift: str = "sa", by: str = "value") -> Real:
    """The least ε (times σ_V) beyond which an antipodal pair attracts; ∞ where none does. Arguments broadcast.

    SA: value √(4w/(2-(d-1)sech²β)), w = 1/(1+e^{2β}); scalar √(1+e^{2β}); scalar_layers √(1+e^{-2β}); quadratic_form
    √w. Raises InputError as :func:`hybrid_antipodal_exponent`.
    """
    b, _, dimension = _arguments(beta, 1.0, d, drift, by)
    gain = _gain(b, dimension, drift if drift != "none" else "sa", by)
    with np.errstate(divide="ignore"):
        ratio = 2 * _pull_at(b, -1.0, drift) / np.where(gain > 0, gain, 1.0)
    return np.where(gain > 0, np.sqrt(ratio), np.inf)


@elementwise
def forced_moment_bound(overlap: ArrayLike, t: ArrayLike, p: ArrayLike, pull: ArrayLike, noise: ArrayLike) -> Real:
    r"""A bound of E((1-q_t)/2)^p for two tokens under a random quadratic form of strength ε and q̇ = a(q)(1-q²).

        E((1-q_t)/2)^p ≤ min(((1-q_0)/2)^p if p ≤ ½ else 1,  ((1-q_0)/(1+q_0))^p e^{-2p(a_0 - 2ε²(1+2p))t})

    ``pull``: 0 ≤ a_0 ≤ a(q) for all q, a(-1) for SA, 2/(1+e^{2β}), and USA, e^{-β}. In w = artanh q the pair is
    dw = (a + 2ε² tanh w) dt + 2ε dB, so that the generator L gives for f = e^{-2pw} = ((1-q)/(1+q))^p

        Lf = f(-2pa - 4pε²q + 8p²ε²) ≤ -2p(a_0 - 2ε²(1+2p)) f,    ((1-q)/2)^p ≤ f,

    and for f = (1-q)^p, p ≤ ½, Lf = p(1+q)f[2ε²(p(1+q) - 1) - a] ≤ 0. So where a_0 > 2ε² the pair synchronises
    exponentially in mean for all p < (a_0/2ε² - 1)/2; where a(-1) < 2ε² an antipodal pair attracts with positive
    probability and nothing of the kind holds. Derived here; arXiv:2608.16664 states a bound of E(1-q)^p, which was not
    at hand to be compared. Arguments broadcast. Raises InputError for overlaps off [-1, 1] and negative numbers.
    """
    q, time, power = reals("overlap", overlap, -1, 1), reals("t", t, 0), reals("p", p, 0)
    a, square = reals("pull", pull, 0), reals("noise", noise, 0) ** 2
    first = np.where(power <= 0.5, ((1 - q) / 2) ** power, 1.0)
    with np.errstate(divide="ignore", over="ignore"):
        start = np.where(q > -1, (1 - q) / np.where(q > -1, 1 + q, 1.0), np.inf) ** power
        second = start * np.exp(-2 * power * (a - 2 * square * (1 + 2 * power)) * time)
    return np.asarray(np.minimum(first, second))


def _pull(b: Real, q: Real, kind: str) -> Real:
    """a(q)."""
    return np.asarray(2 / (1 + np.exp(b * (1 - q))) if kind == "sa" else np.exp(b * q))


def _pull_at(b: Real, q: float, drift: str) -> Real:
    """a(q) of a drift, zero for none."""
    return np.zeros_like(b) if drift == "none" else _pull(b, np.array(q), drift)


def _radial(b: Real, q: Real, kind: str) -> Real:
    """⟨x,m⟩."""
    if kind == "sa":
        return np.asarray(1 - 0.5 * _pull(b, q, kind) * (1 - q))
    return np.asarray(0.5 * (np.exp(b) + q * np.exp(b * q)))


def _gain(b: Real, d: Real, kind: str, by: str) -> Real:
    """What ε² takes from the growth rate of 1+q at q = -1."""
    q = np.array(-1.0)
    a = _pull(b, q, kind)
    if by == "value":
        return np.asarray(2 - (d - 1) * sech(b) ** 2)
    if by == "quadratic_form":
        return 4.0 * np.ones_like(a)
    return np.asarray(a**2 + (2 * a * _radial(b, q, kind) if by == "scalar_layers" else 0.0))


def _arguments(beta: ArrayLike, noise: ArrayLike, d: ArrayLike, drift: str, by: str) -> tuple[Real, Real, Real]:
    one_of("drift", drift, DRIFTS)
    one_of("by", by, NOISES)
    b, e, dimension = together(beta=reals("beta", beta, 0), noise=reals("noise", noise, 0), d=dimensions(d))
    return b, e, dimension
