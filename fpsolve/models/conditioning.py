r"""Means over a Gaussian or product key-query law, by conditioning on what |x| = 1 sees of it.

For A = Ā + G, G iid N(0, s²), the vector Gx is N(0, s² I) for every x of the sphere; for G = WW'ᵀ it is s² |z'| z with
independent Gaussian z, z'. So E_A F(βAx) is a mean over one Gaussian vector, not over d×d matrices, and for Ā = 0 it is
ONE vector for all x. In d = 2 and 3 that is a quadrature in radius and direction, in higher d a quasi-Monte Carlo mean:
Sobol' points under ``REPLICATES`` random scramblings :cite:`owen1997`, each with its antithetic, doubled until the
standard error of the replicates' mean meets a tolerance. Bits are those of SciPy's scramblings on NumPy's Generator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.special import gammaincinv, ndtri
from scipy.stats import qmc

from fpsolve.attention.laws import Cutoffs, KeyQueryLaw, radius_weights
from fpsolve.attention.source import Source
from fpsolve.attention.spheres import sampling
from fpsolve.cached import lru_cache
from fpsolve.models.weights import Gaussian, Product
from fpsolve.sphere.gegenbauer import zonal_grid
from fpsolve.sphere.harmonics import Real

REPLICATES = 8
"""Independent scramblings, from whose spread the error is known to a quarter of itself."""

FIRST, MOST = 7, 16
"""A replicate begins with 2^7 points and is doubled up to 2^16 times, two evaluations each."""

LARGEST_TABLE = 1 << 24
"""Entries of all points of a mean, 128 MB: in high d it ends before ``MOST``."""

AXIAL_DEGREE, AXIAL_RADII = 47, {"Gaussian": 64, "Product": 96}
"""Nodes in height (of this degree) and in radius for laws about an axis; the radii of products reach farther."""

CHI_REACH, CHI_NODES = 8.0, 64
"""|z| of a Gaussian z in R^d is within this of √d but for 1e-15; Gauss nodes over that."""

Integrand = Callable[[Real], Real]
"""From vectors g (N, d) to values (N, k)."""


class Mean(NamedTuple):
    """A mean, shape (k,), its standard error of the same shape, and the points of a replicate."""

    value: Real
    error: Real
    points: int


def gaussian_mean(law: Gaussian | Product, d: int, seed: int, f: Integrand, tolerance: float) -> Mean:
    """E f(Gx), |x| = 1, to the tolerance in the root mean square norm of the error, or as far as ``MOST`` goes.

    Between half the tolerance and all of it the means of a level and of the next are blended, so that the result is a
    smooth function of what f depends on: an integrator in time would stumble over a jump from level to level.
    """
    most = max(FIRST, min(MOST, int(np.log2(LARGEST_TABLE / (REPLICATES * (d + 1))))))
    sums, value, error, left = 0.0, 0.0, 0.0, 1.0  # type: Any, Any, Any, float
    for level in range(FIRST, most + 1):
        block = np.stack([_antithetic(f, _vectors(law, d, seed, one, level)).sum(0) for one in range(REPLICATES)])
        sums, count = sums + block, 1 << level
        means = sums / count
        deviation = means.std(0, ddof=1) / np.sqrt(REPLICATES)
        t = min(max(2 * float(np.sqrt((deviation**2).sum())) / tolerance - 1, 0.0), 1.0) if level < most else 0.0
        weight = left * (1 - t * t * (3 - 2 * t))
        value, error, left = value + weight * means.mean(0), error + weight * deviation, left - weight
        if left <= 0:
            break
    return Mean(value, error, count)


def drawn_vectors(law: Gaussian | Product, d: int, seed: int, count: int) -> Real:
    """``count`` vectors Gx in 8 scramblings, at least one pair ±g in each, shape (8, n, d); their mean has a spread."""
    pairs = max(1, count // (2 * REPLICATES))
    level = max(FIRST, int(np.ceil(np.log2(pairs))))
    half = np.stack([_vectors_up_to(law, d, seed, one, level)[:pairs] for one in range(REPLICATES)])
    return np.concatenate([half, -half], axis=1)


def radial_mean(law: KeyQueryLaw, beta: float, source: Source) -> Real:
    """E F_μ(βAx) by quadrature in |Ax| and the direction of Ax, d = 2, 3; shape (d,)."""
    radii, weights, grid = _radial_rule(law, beta)
    total = np.zeros(law.d)
    for radius, weight in zip(radii.tolist(), weights.tolist(), strict=True):
        f = source.F_sphere(radius, grid)[1]
        total += weight * np.array([grid.integral(np.ascontiguousarray(f[..., a])) for a in range(law.d)])
    return total


@lru_cache(maxsize=16)
def _radial_rule(law: KeyQueryLaw, beta: float) -> tuple[Real, Real, Any]:
    cutoffs = Cutoffs.for_tolerance(law, beta)
    return cutoffs.mesh(law, beta).radii, radius_weights(law, beta, cutoffs), sampling(law.d, cutoffs.degree)


def axial_mean(law: Gaussian | Product, beta: float, source: Any) -> Real:
    """E F_μ(βAx) of a law μ about an axis, every d, shape (2,): the mean of F over spheres, then over |βAx|."""
    radii, weights = _axial_rule(law, beta, source.dimension)
    grid = zonal_grid(source.dimension, AXIAL_DEGREE)
    return np.asarray(sum(w * source.spherical_mean(r, grid) for r, w in zip(radii, weights, strict=True)))


@lru_cache(maxsize=16)
def _axial_rule(law: Gaussian | Product, beta: float, d: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Chebyshev nodes r_k and weights, E q(|βAx|) = Σ weight_k q(r_k): |z| or |z||z'| of Gaussian z, z'."""
    low, high = max(0.0, np.sqrt(d) - CHI_REACH), np.sqrt(d) + CHI_REACH
    nodes, shares = leggauss(CHI_NODES)
    z = low + (high - low) * (nodes + 1) / 2
    logs = (d - 1) * np.log(z) - z * z / 2
    p = shares * np.exp(logs - logs.max())
    p /= p.sum()
    scale, count = beta * float(law.std), AXIAL_RADII[type(law).__name__]
    if isinstance(law, Product):
        z, p, scale = np.outer(z, z).ravel(), np.outer(p, p).ravel(), scale * float(law.std)
        z, p = z[p > 1e-18], p[p > 1e-18]
        low, high = float(z.min()), float(z.max())
    centred = np.cos(np.pi * (np.arange(count) + 0.5) / count)
    radii = scale * (low + (high - low) * (centred + 1) / 2)
    vandermonde = np.polynomial.chebyshev.chebvander(2 * (z - low) / (high - low) - 1, count - 1)
    analysis = np.polynomial.chebyshev.chebvander(centred, count - 1).T * (2 / count)
    analysis[0] /= 2
    weights = np.einsum("n,nk,kr->r", p, vandermonde, analysis)
    return tuple(radii.tolist()), tuple(weights.tolist())


def _antithetic(f: Integrand, g: Real) -> Real:
    return 0.5 * (f(g) + f(-g))


def _vectors_up_to(law: Gaussian | Product, d: int, seed: int, replicate: int, level: int) -> Real:
    return np.concatenate([_vectors(law, d, seed, replicate, one) for one in range(FIRST, level + 1)])


@lru_cache(maxsize=REPLICATES * (MOST - FIRST + 1))
def _vectors(law: Gaussian | Product, d: int, seed: int, replicate: int, level: int) -> Real:
    """Gx at the points that a level adds to those before: 2^level at first, then 2^{level-1}; of zero mean law."""
    before = 0 if level == FIRST else 1 << (level - 1)
    is_product = isinstance(law, Product)
    sobol = qmc.Sobol(d + is_product, scramble=True, rng=np.random.default_rng([seed, replicate]))
    if before:
        sobol.fast_forward(before)
    u = np.clip(sobol.random((1 << level) - before), 2.0**-40, 1 - 2.0**-40)
    z = law.std * ndtri(u[:, is_product:])
    if is_product:
        z *= law.std * np.sqrt(2 * gammaincinv(d / 2, u[:, :1]))
    z = np.ascontiguousarray(z)
    z.setflags(write=False)
    return z
