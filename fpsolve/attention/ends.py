r"""What isotropic noise does to two close points: κ = k(1) and k'(1), for the two key-query laws, without a spectrum.

With C = ∇F the covariance of y under the attention at g = βAx, and Price's theorem (twice, for the product):

* ``gaussian``: κ = σ_V² E|F|², k'(1) = σ_V² ρ² E‖C‖², |g| = ρ|z|;
* ``product``: k'(1) = σ_V² ρ² E[|ζ|² |C ω|² + (d-1) ‖C‖²], g = ρ|z|ζ, ω = g/|g|, as E[WWᵀ | Wz, z] =
  s²(ζζᵀ + (d-1) I) for Wz = s|z|ζ.

On a sphere ‖C‖² is |∂_r F|² + |∇_S F|²/r² and C ω = ∂_r F.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from fpsolve.attention.laws import PRODUCT_REACH, Cutoffs, KeyQueryLaw
from fpsolve.attention.radial import Real, half_line
from fpsolve.attention.source import PointSource, by_moments
from fpsolve.attention.spheres import SphereSource, sampling
from fpsolve.cached import lru_cache
from fpsolve.sphere.geometry import geometry

FEW = 16
"""More tokens of S² than that are summed by their moments."""

STEP = 1e-4
"""Relative step of the difference that makes the mesh's interpolation one of the derivative."""


def kernel_ends(law: KeyQueryLaw, beta: float, value_std: float, source: SphereSource) -> tuple[float, float]:
    """κ = k(1) and k'(1) of a source, to about 1e-4 of themselves; d = 2, 3. Kept while the source lives."""
    known = _KNOWN.setdefault(source, {})
    if (law, beta) not in known:
        known[law, beta] = _kernel_ends(law, beta, source)
    kappa, slope = known[law, beta]
    return value_std**2 * kappa, value_std**2 * slope


_KNOWN: WeakKeyDictionary[SphereSource, dict[tuple[KeyQueryLaw, float], tuple[float, float]]] = WeakKeyDictionary()


def _kernel_ends(law: KeyQueryLaw, beta: float, source: SphereSource) -> tuple[float, float]:
    """Those of σ_V = 1."""
    d = law.d
    few = isinstance(source, PointSource) and len(source.x) <= FEW
    if isinstance(source, PointSource) and d == 3 and not few:
        source = by_moments(source)
    degree = 512 if d == 2 else 96 if few else 48
    grid: Any = sampling(d, degree)
    radii, plain, squared, slopes = _rule(law, beta)
    fields = [source.F_sphere(float(r), grid)[1] for r in radii]
    strength = np.array([float(grid.integral((f * f).sum(-1))) for f in fields])
    radial, around = np.zeros((2, len(radii)))
    ell = np.arange(degree + 1)
    parity = geometry(d).by_degree((ell % 2).astype(np.float64), degree)
    for a in range(d):  # F_a(rω) has modes of parity (-1)^ℓ in r
        modes = np.stack([grid.to_modes(np.ascontiguousarray(f[..., a]), degree) for f in fields])
        powers = np.stack([geometry(d).power(one) for one in modes])
        around += (ell * (ell + d - 2) * powers).sum(1) / radii**2
        for odd in (0, 1):
            moving = np.einsum("ij,jm->im", slopes[odd], modes * (parity == odd))
            radial += np.stack([geometry(d).power(one).sum() for one in moving])
    kappa, whole = float((plain * strength).sum()), radial + around
    slope = (plain * whole).sum() if law.kind == "gaussian" else (squared * radial + (d - 1) * plain * whole).sum()
    return kappa, law.scale(beta) ** 2 * float(slope)


@lru_cache(maxsize=16)
def _rule(law: KeyQueryLaw, beta: float) -> tuple[Real, Real, Real, Real]:
    """Radii r_j, weights with Σ_j w_j ∫q(r_j ω)dω = E q(g), the same of |ζ|² q(g) for the product, and d/dr at r_j.

    The last, (2, J, J), for functions of even and of odd parity.
    """
    mesh = Cutoffs.for_tolerance(law, beta, 1e-7).mesh(law, beta)
    h = STEP * mesh.radii
    there = [mesh.radii + h, mesh.radii - h]
    slopes = []
    for even in (True, False):
        outer, inner = (mesh.interpolation(np.minimum(r, mesh.radius_max), even=even) for r in there)
        slopes.append((outer - inner) / (np.minimum(there[0], mesh.radius_max) - there[1])[:, None])
    b, weights = half_line(240, law.d)
    if law.kind == "gaussian":
        plain = (weights[:, None] * mesh.interpolation(law.scale(beta) * b, even=True)).sum(0)
        return mesh.radii, plain, plain, np.stack(slopes)
    product, joint = np.outer(b, b), geometry(law.d).area * np.outer(weights, weights)
    inside = product <= PRODUCT_REACH
    rows = mesh.interpolation(law.scale(beta) * product[inside], even=True)
    square = np.broadcast_to(b**2, product.shape)[inside]
    plain, squared = (((joint[inside] * factor)[:, None] * rows).sum(0) for factor in (1.0, square))
    return mesh.radii, plain, squared, np.stack(slopes)
