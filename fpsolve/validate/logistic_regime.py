"""Two tagged tokens in the noise of a uniform mean field, d large: the drift -k u(1-u²) of their overlap.

With isotropic noise of kernel k(q), q = ⟨x,y⟩, and σ_V² = 1/d the overlap has the drift (d-2+q²)k(q) - (d-1)κq and the
variance 2(1-q²)(κ - q k(q)), in units of time t/d. As k(q) = κq(1 - c(1-q²)/d + O(1/d²)), both are of order κ:

    du = -k u(1-u²) dt + √2 (1-u²) dB,    k = 1 + c,

so that the 1/d correction c of the kernel counts as much as the rest. A uniform μ has F(g) = R(|g|) g/|g|,
R = I_{d/2}/I_{d/2-1}; at low temperature F = Ax/|Ax| and k(q)/κ is the mean cosine of Ax and Ay. For one Gaussian A it
is the mean correlation of d pairs, q(1 - (1-q²)/2d + …): k = 3/2. A product WW'ᵀ takes it twice: k = 2. At high
temperature F is linear: k = 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.interpolate import CubicSpline
from scipy.special import betainc, gammaln

from fpsolve import theory
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer import Gaussian, MatrixLaw, Product
from fpsolve.transformer.weights import KEY_QUERY, matrices
from fpsolve.validate.measure import estimate
from fpsolve.validate.rows import Row

OVERLAPS = np.array([0.3, 0.6])
"""q at which k is measured."""

NODES, REACH = 120, 12.0
"""Of the quadrature in z: Gauss nodes, half its length in units of d^{-1/2}."""

TERMS, TABLE = 60, 300
"""Terms of the hypergeometric series, nodes of tabulated functions."""

BLOCK = 20
"""Matrices held at once."""


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """k by Monte Carlo over A, at low and other temperatures, and the law of the pair's end."""
    dims, draws = ((32,), 400) if quick else ((16, 64, 256), 1000)
    for name, law in LAWS.items():
        measured = []
        for d in dims:
            value, error = measure(law, d, np.inf, draws, seed)
            measured.append((value, error))
            exact = float(np.mean(coefficient(KERNELS[name](OVERLAPS, d), OVERLAPS, d)))
            yield estimate(f"uniform μ, {name}, d = {d}", "k of the overlap's drift", exact, value, error)
        if not quick:
            yield extrapolated(name, dims, measured)
            for rho in (0.25, 1.0, 4.0):
                yield warm(name, rho, 400, seed)
            yield from alignment(name)


LAWS: dict[str, Callable[[int], MatrixLaw]] = {
    "gaussian A": lambda d: Gaussian(float(1 / np.sqrt(d))),
    "A = WW'ᵀ": lambda d: Product(float(d**-0.5)),
}
"""Laws of A of a scale with E|Ax|² = 1."""

LIMITS = {"gaussian A": 1.5, "A = WW'ᵀ": 2.0}


def extrapolated(name: str, dims: tuple[int, ...], measured: list[tuple[float, float]]) -> Row:
    """k as d → ∞, from the two largest d."""
    (low, low_error), (high, high_error) = measured[-2:]
    ratio = dims[-1] / dims[-2]
    value = (ratio * high - low) / (ratio - 1)
    error = float(np.hypot(ratio * high_error, low_error) / (ratio - 1))
    return estimate(f"uniform μ, {name}, d → ∞", "k of the overlap's drift", LIMITS[name], value, error, 2e-3)


def warm(name: str, rho: float, draws: int, seed: int) -> Row:
    """k at a temperature where |βAx| is about r = ρd, d = 128: 1 + (k_∞ - 1)(1-α)², α = d log R/d log r.

    For d → ∞ α = (1+4ρ²)^{-1/2}; the weight of the third chaos of F is (1-α)² times that at β = ∞.
    """
    d = 128
    value, error = measure(LAWS[name], d, rho * np.sqrt(d), draws, seed)
    exact = 1 + (LIMITS[name] - 1) * (1 - (1 + 4 * rho**2) ** -0.5) ** 2
    return estimate(f"uniform μ, {name}, d = {d}", f"k at |βAx| = {rho:g} d", exact, value, error, 4 * (exact - 1) / d)


def alignment(name: str) -> Iterator[Row]:
    """P(aligned) from the exact kernel of finite d, against the limit's law; ½ + arcsin(q)/π would be k = 1.

    The scale function of the limit is S' = (1-u²)^{-k/2}: for k < 2 P = I_{(1+u)/2}(1-k/2, 1-k/2), a regularised
    incomplete beta function. At k = 2 artanh u is √2 times a Brownian motion and has no limit; in finite d both ends
    attract weakly, 1 - k/2 ~ 1/4d, so that P = ½ + artanh(u)/4d + ….
    """
    q, d, kernel = 0.6, 256, KERNELS[name]
    exponent = 1 - LIMITS[name] / 2
    limit = float(betainc(exponent, exponent, (1 + q) / 2)) if exponent else 0.5
    diffusion = theory.isotropic_overlap(lambda t: kernel(np.asarray(t, float), d), d)
    computed = float(theory.hitting_probability(diffusion, q))
    yield Row(f"uniform μ, {name}, d = {d}", f"P(aligned), q0 = {q:g}", limit, computed, 1 / d)


def measure(law: Callable[[int], MatrixLaw], d: int, beta: float, draws: int, seed: int) -> tuple[float, float]:
    """k and its standard error, from ``draws`` matrices and all pairs of d directions, F that of a uniform law."""
    found = []
    for first in range(0, draws, BLOCK):
        members = range(first, min(first + BLOCK, draws))
        A = next(matrices(law(d), KEY_QUERY, seed, members, 1, 1, d))[:, 0]
        found.append([sample(A, q, beta) for q in OVERLAPS])
    excess, kappa = np.concatenate(found, axis=-1).transpose(1, 0, 2)  # (quantity, overlap, draw)
    factor = (d - 2 + OVERLAPS**2) / (OVERLAPS * (1 - OVERLAPS**2))
    values = 1 + factor @ excess / len(OVERLAPS) / kappa.mean()
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(draws))


def sample(A: Real, q: float, beta: float) -> tuple[Real, Real]:
    """Means over pairs of κq - k(q) and of κ, shapes (draws,), for matrices A (draws, d, d).

    The pairs are x = e_i, y = q e_i ± √(1-q²) e_j, i ≠ j. The same form of Ax and Ay themselves has mean zero; taken
    away, it removes the fluctuations of order 1/√d.
    """
    d, sine = A.shape[-1], np.sqrt(1 - q**2)
    gram = A.transpose(0, 2, 1) @ A
    ii = np.einsum("mii->mi", gram)[:, :, None]
    jj, others = ii.transpose(0, 2, 1), (1 - np.eye(d)) / (d * (d - 1))
    excess, kappa = 0.0, 0.0
    for sign in (0.5, -0.5):
        xx, xy = ii, q * ii + 2 * sign * sine * gram
        yy = np.where(others > 0, q**2 * ii + sine**2 * jj + 4 * sign * q * sine * gram, 1.0)
        fx, fy = pull(xx, beta, d), pull(yy, beta, d)
        product = (fx**2 * xx + fy**2 * yy) / 2
        scale = np.mean(fx) ** 2 if np.isfinite(beta) else 1 / ii.mean()
        control = q * (xx + yy) / 2 - xy
        excess = excess + 0.5 * np.einsum("mij,ij->m", q * product - fx * fy * xy - scale * control, others)
        kappa = kappa + 0.5 * np.einsum("mij,ij->m", product, others)
    return np.asarray(excess), np.asarray(kappa)


def pull(square: Real, beta: float, d: int) -> Real:
    """|F_μ(g)|/|Ax| of the uniform law, g = √d βAx, from |Ax|²; 1/|Ax| at β = ∞.

    (d-1)R(r)/r is the growth rate of degree 1 under SA at inverse temperature r, here tabulated.
    """
    norm = np.sqrt(square)
    if not np.isfinite(beta):
        return np.asarray(1 / norm)
    nodes = np.linspace(norm.min(), norm.max(), TABLE)
    rates = theory.uniform_growth_rate(1, np.sqrt(d) * beta * nodes, "sa", d)
    return np.asarray(np.sqrt(d) * beta / (d - 1) * CubicSpline(nodes, rates)(norm))


def coefficient(kernel: Real, q: Real, d: int) -> Real:
    """k of the drift -k κ q(1-q²), in units of time t/d, from values ``kernel`` = k(q)/κ."""
    return np.asarray(((d - 1) * q - (d - 2 + q**2) * kernel) / (q * (1 - q**2)))


def mean_cosine(q: Real, d: int) -> Real:
    """E cos∠(Ax, Ay) for A of iid centred Gaussian entries: (2/d)(Γ((d+1)/2)/Γ(d/2))² q ₂F₁(½,½;d/2+1;q²).

    The mean uncentred correlation of d independent Gaussian pairs of correlation q.
    """
    constant = 2 / d * np.exp(2 * (gammaln((d + 1) / 2) - gammaln(d / 2)))
    return np.asarray(constant * q * hypergeometric(d / 2 + 1, q**2))


def hypergeometric(c: float, x: Real) -> Real:
    """₂F₁(½,½;c;x) for c >= 8 and |x| <= 1: the series, whose terms fall faster than j^{-c}."""
    term, total = np.ones_like(x), np.ones_like(x)
    for j in range(TERMS):
        term = term * (j + 0.5) ** 2 / ((c + j) * (j + 1)) * x
        total = total + term
    return total


def mean_cosine_twice(q: Real, d: int) -> Real:
    """E cos∠(Ax, Ay) for A = WW'ᵀ: the mean over r = cos∠(W'ᵀx, W'ᵀy) of :func:`mean_cosine`.

    r is a correlation of d pairs; Hotelling's density of z = artanh r, w = artanh q, is up to a constant
    cosh(z-w)^{-(d-½)} √(cosh z/cosh w) ₂F₁(½,½;d+½;(1+qr)/2), here by Gauss quadrature.
    """
    q = np.asarray(q, float)
    inside = np.clip(q, -1 + 1e-15, 1 - 1e-15)[..., None]
    t, weights = leggauss(NODES)
    t = REACH / np.sqrt(d) * t
    z = np.arctanh(inside) + t
    log_ratio = np.logaddexp(z, -z) - np.logaddexp(np.arctanh(inside), -np.arctanh(inside))
    r = np.tanh(z)
    density = np.cosh(t) ** -(d - 0.5) * np.exp(log_ratio / 2) * hypergeometric(d + 0.5, (1 + inside * r) / 2)
    mean = (weights * density * mean_cosine(r, d)).sum(-1) / (weights * density).sum(-1)
    return np.where(np.abs(q) == 1, q, mean)


KERNELS: dict[str, Callable[[Real, int], Real]] = {"gaussian A": mean_cosine, "A = WW'ᵀ": mean_cosine_twice}
