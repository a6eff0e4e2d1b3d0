r"""Functions of the height u = ⟨x, e⟩ on S^{d-1}, d ≥ 2: Gegenbauer polynomials, Gauss nodes, fields along meridians.

The uniform law has the marginal w(u) ∝ (1-u²)^{(d-3)/2}, here of mass one. P_ℓ are the polynomials that are orthonormal
for it, P_0 = 1 and P_ℓ(1) > 0: u P_ℓ = b_{ℓ+1} P_{ℓ+1} + b_ℓ P_{ℓ-1}, with λ = d/2-1,

    b_ℓ² = ℓ(ℓ+2λ-1) / (4(ℓ+λ)(ℓ+λ-1)),    ΔP_ℓ = -ℓ(ℓ+d-2) P_ℓ        (d = 2: b_1² = ½, b_ℓ² = ¼, P_ℓ = √2 cos ℓθ).

In high d, P_ℓ and 1/w grow beyond all bounds away from the equator, √w P_ℓ does not: grids keep that. Vectors of a
field that is symmetric about e lie in the plane of x and e; they have two components, across e and along e, whatever d
is, and x = (sin θ, cos θ). A tangent field is its component along ∂x/∂θ, θ the angle from e.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import eigvalsh_tridiagonal
from scipy.special import gammaln

from fpsolve.cached import cached_property, lru_cache, read_only
from fpsolve.errors import InputError
from fpsolve.sphere.harmonics import Real

LARGEST_DIMENSION = 10_000
"""Above this d nothing has been tested."""

FEWEST = 48
"""Nodes of a grid at least."""

UNSEEN = 1e-140
"""Nodes whose √w is below this carry nothing."""

GROWN = 1e100
"""Polynomials are scaled down where they reach this."""

SHIFT = 2e-3
"""Step of central differences in θ."""


def recurrence(d: int, highest: int) -> Real:
    """b_0 = 0, b_1, …, b_highest."""
    ell, lam = np.arange(highest + 1.0), d / 2 - 1
    if d == 2:
        return np.where(ell == 0, 0.0, np.where(ell == 1, np.sqrt(0.5), 0.5))
    with np.errstate(invalid="ignore"):
        return np.where(ell == 0, 0.0, np.sqrt(ell * (ell + 2 * lam - 1) / (4 * (ell + lam) * (ell + lam - 1))))


def polynomials(d: int, highest: int, u: Real) -> Real:
    """P_ℓ(u), ℓ = 0..highest, shape (*u.shape, highest+1)."""
    b = recurrence(d, highest)
    out = np.ones((*np.shape(u), highest + 1))
    for ell in range(highest):
        below = b[ell] * out[..., ell - 1] if ell else 0.0
        out[..., ell + 1] = (u * out[..., ell] - below) / b[ell + 1]
    return out


def log_area(d: int) -> float:
    """log |S^{d-1}|."""
    return float(np.log(2) + d / 2 * np.log(np.pi) - gammaln(d / 2))


def laplacian(d: int, lmax: int) -> Real:
    """-ℓ(ℓ+d-2), ℓ = 0..lmax."""
    ell = np.arange(lmax + 1.0)
    return np.asarray(-ell * (ell + d - 2))


class ZonalPoints:
    """Meridian points at angles ``theta`` from the axis of S^{d-1}; ``x`` is (sin θ, cos θ), shape (n, 2)."""

    def __init__(self, d: int, theta: Real) -> None:
        self.d, self.theta = d, read_only(theta)
        self.shape: tuple[int, ...] = theta.shape

    @cached_property
    def u(self) -> Real:
        """Heights cos θ."""
        return np.cos(self.theta)

    @cached_property
    def sine(self) -> Real:
        """sin θ."""
        return np.sin(self.theta)

    @cached_property
    def x(self) -> Real:
        """(sin θ, cos θ)."""
        return np.stack([self.sine, self.u], -1)

    def from_ambient(self, field: Real) -> Real:
        """The component along ∂x/∂θ = (cos θ, -sin θ) of vectors (n, 2)."""
        return np.asarray(self.u * field[..., 0] - self.sine * field[..., 1])

    def to_ambient(self, tangent: Real) -> Real:
        """The tangent field as vectors (n, 2)."""
        return np.stack([self.u * tangent, -self.sine * tangent], -1)

    def difference_divergence(self, field: Any, h: float = SHIFT) -> Real:
        """div v = ∂_θ v_θ + (d-2) cot θ v_θ, the derivative by central differences of fourth order."""
        shifts = np.array([0.0, 1.0, -1.0, 2.0, -2.0]) * h
        moved = ZonalPoints(self.d, (self.theta + shifts[:, None]).ravel())
        v = field.on(moved).reshape(len(shifts), -1)
        slope = (8 * (v[1] - v[2]) - (v[3] - v[4])) / (12 * h)
        pole = np.abs(self.sine) < 1e-7
        cot_v = np.where(pole, slope, self.u / np.where(pole, 1.0, self.sine) * v[0])
        return np.asarray(slope + (self.d - 2) * cot_v)


class ZonalGrid(ZonalPoints):
    """Gauss nodes of w on which polynomials of degree ≤ ``lmax`` are products' size: n ≥ 3/2 ℓmax + 2 of them.

    ``weights`` sum to one: ∫ f over the uniform law is Σ weights f.
    """

    def __init__(self, d: int, lmax: int, n: int | None = None) -> None:
        n = max(FEWEST, 3 * lmax // 2 + 2) if n is None else n
        u, scaled = _gauss(d, n, min(lmax + 1, n - 1))
        super().__init__(d, np.arccos(u))
        self.lmax, self.n, self._scaled = lmax, n, scaled
        self.root = read_only(scaled[:, 0].copy())
        """√w at the nodes."""

    @cached_property
    def weights(self) -> Real:
        """w at the nodes."""
        return np.asarray(self.root**2)

    @cached_property
    def basis(self) -> Real:
        """√w P_ℓ, shape (n, lmax+1)."""
        return np.ascontiguousarray(self._scaled[:, : self.lmax + 1])

    @cached_property
    def slopes(self) -> Real:
        """√w ∂_θ P_ℓ, by (1-u²)P_ℓ' = (ℓ+d-2) b_ℓ P_{ℓ-1} - ℓ b_{ℓ+1} P_{ℓ+1}."""
        b, ell = recurrence(self.d, self.lmax + 1), np.arange(self.lmax + 1)
        below = np.column_stack([np.zeros(len(self.u)), self._scaled[:, : self.lmax]])
        above = self._scaled[:, 1 : self.lmax + 2]
        steep = (ell + self.d - 2) * b[:-1] * below - ell * b[1:] * above
        return np.asarray(-steep / self.sine[:, None])

    def holds(self, degree: int) -> bool:
        """Whether the nodes analyse a field of this degree."""
        return degree < self.n

    def integral(self, field: Real) -> float:
        """∫ f over the uniform law."""
        return float(np.einsum("n,n->", self.weights, field))

    def to_grid(self, coefficients: Real) -> Real:
        """Σ f_ℓ P_ℓ at the nodes."""
        return np.asarray(self.scaled(coefficients) / self.root)

    def scaled(self, coefficients: Real) -> Real:
        """√w Σ f_ℓ P_ℓ, as accurate relative to the norm of f everywhere."""
        count = min(len(coefficients), self.lmax + 1)
        return np.einsum("nl,l->n", self.basis[:, :count], coefficients[:count])

    def to_modes(self, field: Real, degree: int | None = None) -> Real:
        """∫ f P_ℓ over the uniform law, up to ``degree`` (default ``lmax``, at most)."""
        count = (self.lmax if degree is None else min(degree, self.lmax)) + 1
        return np.einsum("nl,n->l", self.basis[:, :count], self.root * field)

    def gradient(self, coefficients: Real) -> Real:
        """∂_θ f at the nodes."""
        return np.einsum("nl,l->n", self.slopes, coefficients) / self.root

    def surface_div(self, field: Real) -> Real:
        """Coefficients of div of a tangent field, -∫ f ∂_θ P_ℓ."""
        return self.div_scaled(self.root * field)

    def div_scaled(self, field: Real) -> Real:
        """The same of √w times the field."""
        return -np.einsum("nl,n->l", self.slopes, field)

    def tangent_modes(self, field: Real, degree: int | None = None) -> tuple[Real, Real]:
        """(S, 0) with the divergence of the field that of ∇S."""
        divergence = self.surface_div(field)
        factors = laplacian(self.d, self.lmax)
        factors[0] = 1.0
        divergence[0] = 0.0
        return divergence / factors, np.zeros_like(divergence)


@lru_cache(maxsize=32)
def zonal_grid(d: int, lmax: int, n: int | None = None) -> ZonalGrid:
    """The shared grid of a dimension and a degree."""
    return ZonalGrid(d, lmax, n)


class ZonalGeometry:
    """What :class:`fpsolve.sphere.geometry.Geometry` says of S² and S¹, of functions of the height on S^{d-1}."""

    mass_moment = 1.0

    def __init__(self, d: int) -> None:
        self.dimension = d

    def grid(self, lmax: int) -> ZonalGrid:
        """The nodes of a degree."""
        return zonal_grid(self.dimension, lmax)

    def laplacian(self, lmax: int) -> Real:
        """-ℓ(ℓ+d-2)."""
        return laplacian(self.dimension, lmax)

    def power(self, coefficients: Real) -> Real:
        """c_ℓ²."""
        return np.asarray(coefficients**2)

    def to_real(self, coefficients: Real) -> Real:
        """The coefficients themselves."""
        return coefficients

    def resized(self, coefficients: Real, lmax: int) -> Real:
        """Cut off, or zeros appended."""
        kept = coefficients[: lmax + 1]
        return np.concatenate([kept, np.zeros(lmax + 1 - len(kept))])

    def real_degrees_orders(self, lmax: int) -> tuple[Any, Any]:
        """ℓ = 0..lmax, all of order zero."""
        return np.arange(lmax + 1), np.zeros(lmax + 1, np.int64)


def _gauss(d: int, n: int, highest: int) -> tuple[Real, Real]:
    """Nodes of the n-point Gauss rule, north last to south first turned round, and √w P_ℓ there, (kept, highest+1).

    The nodes are eigenvalues of the Jacobi matrix :cite:`golub1969`; √w = 1/√Σ_{ℓ<n} P_ℓ² (Christoffel), relative to
    which every column is accurate. Nodes with nothing on them are left out.
    """
    b = recurrence(d, n)
    u = eigvalsh_tridiagonal(np.zeros(n), b[1:n])[::-1]
    u = (u - u[::-1]) / 2
    columns = np.zeros((n, n))
    columns[:, 0] = 1.0
    for ell in range(n - 1):
        below = b[ell] * columns[:, ell - 1] if ell else 0.0
        columns[:, ell + 1] = (u * columns[:, ell] - below) / b[ell + 1]
        grown = np.abs(columns[:, ell + 1]) > GROWN
        columns[grown, : ell + 2] /= GROWN
    scaled = columns / np.sqrt(np.einsum("nl,nl->n", columns, columns))[:, None]
    kept = scaled[:, 0] > UNSEEN
    return u[kept], np.ascontiguousarray(scaled[kept, : highest + 1])


def checked_dimension(d: Any) -> int:
    """d as an integer from 2 to ``LARGEST_DIMENSION``. Raises InputError for others."""
    if isinstance(d, bool) or not isinstance(d, int | np.integer) or not 2 <= d <= LARGEST_DIMENSION:
        problem = f"zonal laws are known for d = 2 to {LARGEST_DIMENSION}"
        raise InputError("d", d, problem, "pass d=512, for example")
    return int(d)
