"""Radial tools of the kernels of isotropic laws: meshes of radii, Gaussian quadrature, Hermite chaos in R^d.

With w(b) = b^{d-1} (2π)^{-d/2} e^{-b²/2} the functions h_nl(b) Y_ℓm(z/|z|), b = |z|, are an orthonormal basis of
L²(N(0, I_d)); h_nl ∝ b^ℓ L_n^{(α)}(b²/2), α = ℓ+d/2-1, has chaos order k = 2n+ℓ and ∫ h_nl h_n'l w db = δ. On the
circle, d = 2, the degree is ℓ = |m| and Y_m = e^{imθ}/√(2π).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.special import gammaln

from fpsolve.cached import cached_property, lru_cache

Real = NDArray[np.float64]

REACH = 8.5
"""|z| of a standard Gaussian beyond which nothing is left: P(|z| > 8.5) = 2e-15."""

RADIUS_SCALE = 3.0
"""Radius at which meshes turn from linear to logarithmic: log M has complex singularities from π/2 on."""


@dataclass(frozen=True)
class RadialMesh:
    """Radii r_j = c sinh(u_j asinh(R/c)), u_j the positive ones of 2J Chebyshev nodes, c = ``RADIUS_SCALE``.

    A function with φ(-r) = ±φ(r) is interpolated by the even or odd polynomial in u of degree < 2J.
    """

    radius_max: float
    count: int

    @cached_property
    def _angles(self) -> Real:
        return (2 * np.arange(2 * self.count) + 1) * np.pi / (4 * self.count)

    @cached_property
    def angles(self) -> Real:
        """θ_j with u_j = cos θ_j, of the radii."""
        return self._angles[: self.count][::-1]

    @cached_property
    def radii(self) -> Real:
        """r_j in increasing order, shape (J,)."""
        positive = np.cos(self.angles)
        return RADIUS_SCALE * np.sinh(positive * np.arcsinh(self.radius_max / RADIUS_SCALE))

    def interpolation(self, r: Real, even: bool) -> Real:
        """The matrix from values at ``radii`` to values at ``r`` ≤ R, shape ``(*r.shape, J)``."""
        u = np.arcsinh(r / RADIUS_SCALE) / np.arcsinh(self.radius_max / RADIUS_SCALE)
        matrix = _barycentric(-np.cos(self._angles), np.sin(self._angles), u)
        mirrored = matrix[..., : self.count][..., ::-1]
        return matrix[..., self.count :] + (mirrored if even else -mirrored)

    def degree_interpolation(self, r: Real, degree: int) -> Real:
        """The same for φ_ℓm(r), of parity (-1)^ℓ and zero at 0, by way of φ/r: exact for φ ∝ r; that beyond R."""
        ratio = r[..., None] / self.radii
        return ratio * self.interpolation(np.minimum(r, self.radius_max), even=degree % 2 == 1)


def _barycentric(nodes: Real, sines: Real, u: Real) -> Real:
    """Lagrange basis of the Chebyshev nodes of the first kind at u, shape ``(*u.shape, len(nodes))``."""
    weights = sines * (-1.0) ** np.arange(len(nodes))
    difference = u[..., None] - nodes
    hit = difference == 0
    terms = weights / np.where(hit, 1.0, difference)
    terms = np.where(hit.any(axis=-1, keepdims=True), hit, terms)
    return terms / terms.sum(axis=-1, keepdims=True)


@lru_cache(maxsize=32)
def half_line(count: int, d: int = 3) -> tuple[Real, Real]:
    """Nodes b in (0, ``REACH``) and weights with Σ f(b) weight = ∫ f w db: Gauss–Legendre, denser near 0."""
    t, weights = leggauss(count)
    u = (1 + t) / 2
    stretched = u * (1 + u) / 2
    b = REACH * stretched
    density = b ** (d - 1) * np.exp(-b * b / 2) * (2 * np.pi) ** (-d / 2)
    out = b, weights / 2 * REACH * (0.5 + u) * density
    return out


def node_count(order: int) -> int:
    """Nodes of ``half_line`` for chaos functions up to k = ``order``, whose wave number is √k."""
    return 44 + int(REACH * np.sqrt(order) / 2)


def chaos_modes(count: int, degree: int, b: Real, d: int = 3) -> Iterator[Real]:
    """h_nl(b) √(w(b) / b^{d-1}) for n = 0, 1, … < count, each of shape (degree+1, len(b)).

    Times √(w / b^{d-1}) = (2π)^{-d/4} e^{-b²/4} they stay bounded, so the three-term recurrence neither over- nor
    underflows: √((n+1)(n+1+α)) h_{n+1} = (2n+1+α-x) h_n - √(n(n+α)) h_{n-1}, x = b²/2, α = ℓ+d/2-1.
    """
    ell = np.arange(degree + 1.0)[:, None]
    x, alpha = b * b / 2, ell + (d / 2 - 1)
    now = np.exp(ell * np.log(b) - x / 2 - alpha / 2 * np.log(2) - gammaln(alpha + 1) / 2)
    before = np.zeros_like(now)
    for n in range(count):
        yield now
        after = (2 * n + 1 + alpha - x) * now - np.sqrt(n * (n + alpha)) * before
        now, before = after / np.sqrt((n + 1) * (n + 1 + alpha)), now


def chaos_projection(count: int, degree: int, nodes: int, d: int = 3) -> tuple[Real, Real]:
    """Nodes b (Q,) and rows P (degree+1, count, Q) with ∫ f h_nl w db = Σ_q P[l, n, q] f(b_q)."""
    b, weights = half_line(nodes, d)
    # h √(w / b^{d-1}) is what the recurrence gives; the rest of w h db stands in the quadrature weight.
    rest = weights / (np.exp(-b * b / 4) * (2 * np.pi) ** (-d / 4))
    rows = np.stack(list(chaos_modes(count, degree, b, d)), axis=1)
    return b, rows * rest
