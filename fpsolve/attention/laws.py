r"""The two isotropic key-query laws in R³ and R², reduced to quadratic forms of log M on a few spheres or circles.

With φ = log M_μ, F = ∇φ, Price's theorem E ∇φ(z)·∇φ(z') = d/dt E φ(z)φ(z') for standard Gaussian z, z' of
correlation t leaves only the scalar φ. Its chaos coefficients are φ_nℓm = ∫ φ_ℓm(ρb) h_nℓ(b) w(b) db (see
:mod:`fpsolve.attention.radial`), and k(t) = σ_V² E F(βAx)·F(βAy), t = ⟨x, y⟩, is

* ``gaussian``, A iid N(0, s²), ρ = βs:
      k(t) = (σ_V/ρ)² Σ_{nℓ} k t^{k-1} Σ_m |φ_nℓm|²,  k = 2n+ℓ;
* ``product``, A = W W'ᵀ, both iid N(0, s²), ρ = βs²: given W'ᵀx and W'ᵀy, at an angle γ, the pair is Gaussian
  of correlation cos γ; cos^{k-1} γ = Σ_p (2p+1)/(4π) τ[p, k-1] P_p(cos γ) and a second chaos expansion, in
  a = |W'ᵀx|/s, give
      k(t) = (σ_V/ρ)² Σ_{pn'} (2p+1) t^{2n'+p} Σ_{nℓ} k τ[p, k-1] Σ_m |B_{n'p,nℓ} φ_ℓm|²,
      B_{n'p,nℓ} φ = ∫ da w(a) h_{n'p}(a)/a ∫ db w(b) h_nℓ(b) φ(ρab).

That is for d = 3. In d = 2, cos^k γ = Σ_p c_p τ[p, k] cos pγ with c_0 = 1/2π, c_p = 1/π, and E cos pγ f(a)f(a') =
2π Σ_n' t^{2n'+p} (∫ f h_{n'p} w)²: in place of 2p+1 stands the number of harmonics, 1 for p = 0 and 2 for p > 0.

The chaos beyond the cut-off is closed by its total ∫ φ² w (Parseval) with one factor for all orders left out. In
d = 3, k τ[p, k-1] tends to 4π and the first factor left out will do: C_0 of the Gaussian law is exact at any cut-off.
In d = 2 the factors grow as √k and the closing takes their mean, ``CLOSING``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpsolve.attention.radial import REACH, RadialMesh, Real, chaos_projection, half_line, node_count
from fpsolve.errors import InputError, unknown_name
from fpsolve.noise import isotropic
from fpsolve.sphere.geometry import geometry

KINDS = ("gaussian", "product")
DIMENSIONS = (2, 3)

Contract = Callable[[Real], Real]

PRODUCT_REACH = 40.0
"""Product ab of two |z| beyond which nothing is left, E 1(ab > 40) = 1e-15."""

SMALLEST_SCALE = 1e-5
"""Below this ρ the limit ρ → 0 is taken here: k changes by O(ρ²), the round-off of log M grows as 1/ρ."""

CLOSING = {2: 1.5, 3: 1.0}
"""By d, the factor of all orders left out in parts of the first of them. In d = 2 it is the mean of √(k/K) over k > K
with the weights k^{-5/2} that the chaos of a kink of log M has: ∫u^{-2} / ∫u^{-5/2}."""


@dataclass(frozen=True)
class KeyQueryLaw:
    """An isotropic law of A in R^d: ``gaussian`` (A iid N(0, s²)) or ``product`` (A = W W'ᵀ); s = ``std``, d = 2, 3."""

    kind: str
    std: float
    d: int = 3

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind", self.kind, KINDS)
        if self.d not in DIMENSIONS:
            raise InputError("d", self.d, "the kernels of random A exist for d = 2 and d = 3", "use models.DrawnHeads")
        if not (np.isfinite(self.std) and self.std >= 0):
            raise InputError("std", self.std, "not a standard deviation", "give a finite number >= 0")

    def scale(self, beta: float) -> float:
        """ρ: |βAx| is ρ|z| (gaussian, ρ = βs) or ρ|z||z'| (product, ρ = βs²), z, z' Gaussian."""
        if not (np.isfinite(beta) and beta >= 0):
            raise InputError("beta", beta, "not an inverse temperature", "give a finite number >= 0")
        return max(beta * self.std ** (1 if self.kind == "gaussian" else 2), SMALLEST_SCALE)

    def radius_max(self, beta: float) -> float:
        """The radius |βAx| beyond which log M need not be known."""
        return self.scale(beta) * (REACH if self.kind == "gaussian" else PRODUCT_REACH)


@dataclass(frozen=True)
class Cutoffs:
    """Truncation: ``degree`` of log M, number of ``radii``, chaos ``order`` in b, ``outer`` order in a."""

    degree: int
    radii: int
    order: int
    outer: int = 0

    @classmethod
    def for_tolerance(cls, law: KeyQueryLaw, beta: float, tolerance: float = 1e-6) -> Cutoffs:
        """Truncations for spectra to about ``tolerance`` · σ_V² 4π when μ is smooth on the scale 1/ρ.

        Measured rules, in x = log₂(1+ρ). μ in several tight clusters loses one to two digits (log M has kinks
        there), as does the product law at ρ ≥ 10 (d = 2: ρ ≥ 4), where precomputing it is kept near a second.
        """
        x, digits = np.log2(1 + law.scale(beta)), max(-np.log10(tolerance) - 6, -3)
        degree = int(np.clip(16 + 4 * x + 4 * digits, 8, 64))
        if law.kind == "gaussian":
            order = int(np.clip(60 * 2**x * (1 + 0.25 * digits), 60, 1000))
            return cls(degree, int(16 + 4 * x + 3 * digits), order)
        order = int(np.clip(24 * 2**x * (1 + 0.25 * digits), 40, 100))
        return cls(degree, int(20 + 4 * x + 3 * digits), order, order + order // 5)

    def refined(self, most: Cutoffs) -> Cutoffs:
        """Half as much again of everything, up to ``most``."""
        return Cutoffs(*(min(3 * mine // 2, limit) for mine, limit in zip(self._all, most._all, strict=True)))

    @property
    def _all(self) -> tuple[int, int, int, int]:
        return self.degree, self.radii, self.order, self.outer

    def mesh(self, law: KeyQueryLaw, beta: float) -> RadialMesh:
        """The radii at which log M is taken."""
        return RadialMesh(law.radius_max(beta), self.radii)


def radius_weights(law: KeyQueryLaw, beta: float, cutoffs: Cutoffs) -> Real:
    """Weights with E q(|βAx|) = |S^{d-1}| Σ_j weight_j q(r_j) for even functions q of the radius, shape (J,)."""
    mesh, nodes = cutoffs.mesh(law, beta), 240
    b, weights = half_line(nodes, law.d)
    if law.kind == "gaussian":
        return weights @ mesh.interpolation(law.scale(beta) * b, even=True)
    product, joint = np.outer(b, b), geometry(law.d).area * np.outer(weights, weights)
    inside = product <= PRODUCT_REACH
    return joint[inside] @ mesh.interpolation(law.scale(beta) * product[inside], even=True)


def spectrum_tensor(law: KeyQueryLaw, beta: float, noise_lmax: int, cutoffs: Cutoffs) -> Real:
    """D with C_p = σ_V² Σ_ℓij D[p, ℓ, i, j] Σ_m φ_ℓm(r_i) φ*_ℓm(r_j); (noise_lmax+1, degree+1, J, J)."""
    build = _gaussian_tensor if law.kind == "gaussian" else _product_tensor
    return build(law, beta, noise_lmax, cutoffs) / law.scale(beta) ** 2


def power_coefficients(law: KeyQueryLaw, beta: float, fields: list[Real], cutoffs: Cutoffs) -> Real:
    """c_k with k(t) = σ_V² Σ c_k t^k, for ``fields[ℓ]`` = φ_ℓm(r_j), shape (J, any number of m)."""
    build = _gaussian_coefficients if law.kind == "gaussian" else _product_coefficients
    return build(law, beta, fields, cutoffs) / law.scale(beta) ** 2


# --- gaussian -------------------------------------------------------------------------------------------


def _gaussian_rows(law: KeyQueryLaw, beta: float, cutoffs: Cutoffs) -> Iterator[tuple[int, Real, Real]]:
    """For each ℓ: H[n, j] = ∫ h_nℓ(b) c_j(ρb) w(b) db and the total Gram matrix ∫ c_i c_j w db."""
    mesh, count = cutoffs.mesh(law, beta), cutoffs.order // 2 + 1
    b, rows = chaos_projection(count, cutoffs.degree, node_count(cutoffs.order + cutoffs.degree), law.d)
    _, weights = half_line(len(b), law.d)
    interpolations = [mesh.degree_interpolation(law.scale(beta) * b, parity) for parity in (0, 1)]
    totals = [(basis.T * weights) @ basis for basis in interpolations]
    for ell in range(cutoffs.degree + 1):
        yield ell, rows[ell] @ interpolations[ell % 2], totals[ell % 2]


def _gaussian_tensor(law: KeyQueryLaw, beta: float, noise_lmax: int, cutoffs: Cutoffs) -> Real:
    count, J = cutoffs.order // 2 + 1, cutoffs.radii
    factors = _chaos_factors(law.d, noise_lmax, cutoffs.degree, count)
    tensor = np.empty((noise_lmax + 1, cutoffs.degree + 1, J, J))
    for ell, H, total in _gaussian_rows(law, beta, cutoffs):
        tensor[:, ell] = _closed(factors[:, ell], (H[:, :, None] * H[:, None, :]), total)
    return tensor


def _closed(factors: Real, grams: Real, total: Real) -> Real:
    """Σ_n f[p, n] G[n] with the orders n ≥ N lumped at n = N: shape (P+1, J, J)."""
    count = len(grams)
    last = factors[:, count]
    inner = (factors[:, :count] - last[:, None]) @ grams.reshape(count, -1)
    return inner.reshape(-1, *total.shape) + last[:, None, None] * total


def _chaos_factors(d: int, pmax: int, degree: int, count: int) -> Real:
    """k τ[p, k-1] at k = 2n+ℓ for n < count (0 at k = 0), then the factor of the rest; (pmax+1, degree+1, count+1)."""
    k = 2 * np.arange(count + 1) + np.arange(degree + 1)[:, None]
    factors: Real = k * isotropic(d, pmax).spectrum_of_powers(int(k.max()))[:, np.maximum(k - 1, 0)]
    factors[..., -1] *= CLOSING[d]
    return factors


def gaussian_rows(law: KeyQueryLaw, beta: float, cutoffs: Cutoffs) -> tuple[Real, Real]:
    """Rows H[ℓ, n, j] of all degrees, and the Gram matrices (2, J, J) of either parity, of the ``gaussian`` law."""
    found = list(_gaussian_rows(law, beta, cutoffs))
    return np.stack([H for _, H, _ in found]), np.stack([total for _, _, total in found[:2]])


def spectrum_by_rows(law: KeyQueryLaw, beta: float, rows: tuple[Real, Real], tau: Real, fields: list[Real]) -> Real:
    """C_p = σ_V² ρ^-2 Σ_k τ[p, k-1] k Σ|φ_nℓm|², closed as the tensor closes it: for many p, which share the chaos.

    ``tau``: spectra of the powers up to k = 2N+degree. All sums are in fixed order, whatever BLAS does.
    """
    H, totals = rows
    c, count = np.zeros(tau.shape[1]), H.shape[1]
    closing = CLOSING[law.d]
    for ell, field in enumerate(fields):
        gram = np.einsum("im,jm->ij", field, field)
        power = np.einsum("nj,nj->n", np.einsum("ni,ij->nj", H[ell], gram), H[ell])
        k = 2 * np.arange(count) + ell
        c[np.maximum(k - 1, 0)] += k * power
        last = 2 * count + ell
        c[last - 1] += closing * last * (np.einsum("ij,ij->", totals[ell % 2], gram) - power.sum())
    return np.asarray(np.einsum("pk,k->p", tau, c)) / law.scale(beta) ** 2


def _gaussian_coefficients(law: KeyQueryLaw, beta: float, fields: list[Real], cutoffs: Cutoffs) -> Real:
    count = cutoffs.order // 2 + 1
    c = np.zeros(2 * count + cutoffs.degree)
    for ell, H, _ in _gaussian_rows(law, beta, cutoffs):
        k = 2 * np.arange(count) + ell
        power = ((H @ fields[ell]) ** 2).sum(axis=1)
        c[np.maximum(k - 1, 0)] += k * power
    return c[: cutoffs.order]


# --- product --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _ProductRows:
    """Quadrature in a and b, chaos rows of both, and the interpolants c_j(ρab)/a of either parity of ℓ."""

    outer: Real  # (P+1, N', A): ∫ h_n'p(a) f(a) w(a) da
    inner: Real  # (degree+1, N, B)
    basis: tuple[Real, Real]  # each (A, B, J)
    weights: Real  # (B,)


def _product_rows(law: KeyQueryLaw, beta: float, cutoffs: Cutoffs) -> _ProductRows:
    mesh = cutoffs.mesh(law, beta)
    a, outer = chaos_projection(cutoffs.outer // 2 + 1, cutoffs.outer, node_count(cutoffs.outer), law.d)
    nodes = node_count(cutoffs.order + cutoffs.degree)
    b, inner = chaos_projection(cutoffs.order // 2 + 1, cutoffs.degree, nodes, law.d)
    product = a[:, None] * b
    inside = product <= PRODUCT_REACH
    radius = law.scale(beta) * np.where(inside, product, PRODUCT_REACH)
    cut = (inside / a[:, None])[..., None]
    even, odd = (cut * mesh.degree_interpolation(radius, parity) for parity in (0, 1))
    return _ProductRows(outer, inner, (even, odd), half_line(len(b), law.d)[1])


def _inner_chaos(rows: _ProductRows, ells: NDArray[np.int64], basis: Real) -> Real:
    """∫ h_nℓ(b) f(ab)/a w(b) db for the functions in ``basis`` (A, B, r), shape (A, len(ells), N, r)."""
    flat = rows.inner[ells].reshape(-1, basis.shape[1])
    return (flat @ basis).reshape(len(basis), len(ells), -1, basis.shape[-1])


def _outer_grams(
    outer: Real, factors: Real, chaos: Real, whole: Real, contract: Contract, room: Real | None = None
) -> Real:
    """Σ_n f[ℓ, n] of the Gram matrices (or their traces) of B_{n'p,nℓ}, the orders n ≥ N lumped at n = N.

    ``outer`` (N', A) are the rows of one p, ``factors`` (ℓ, N+1) = N_p k τ[p, k-1], ``chaos`` (A, ℓ, N, r)
    the functions of a, ``whole`` (N', 1, …) the Gram matrices (traces) of all orders; shape (N', ℓ, …). ``room`` (at
    least N', ℓ N r) takes the modes: allocating them for every p takes as long as their products.
    """
    last = factors[:, -1]
    missing = np.sqrt(np.maximum(last[:, None] - factors[:, :-1], 0.0))[:, :, None]
    into = None if room is None else room[: len(outer)]
    modes = np.matmul(outer, chaos.reshape(len(chaos), -1), out=into).reshape(-1, *chaos.shape[1:])
    modes *= missing
    return last.reshape(-1, *[1] * (whole.ndim - 2)) * whole - contract(modes)


def _gram(modes: Real) -> Real:
    """Σ_n B_ni B_nj over the last but one axis."""
    return modes.swapaxes(-1, -2) @ modes


def _trace(modes: Real) -> Real:
    """Σ_nm |B_nm|² over the last two axes."""
    return np.einsum("...nm,...nm->...", modes, modes)


def _outer_rows(rows: _ProductRows, cutoffs: Cutoffs, p: int) -> Real:
    """The rows n' of one p with 2n'+p ≤ ``outer``."""
    return rows.outer[p, : (cutoffs.outer - p) // 2 + 1]


def _product_factors(d: int, cutoffs: Cutoffs) -> Real:
    """N_p k τ[p, k-1], N_p the number of harmonics of degree p, shape (outer+1, degree+1, N+1)."""
    factors, p = _chaos_factors(d, cutoffs.outer, cutoffs.degree, cutoffs.order // 2 + 1), np.arange(cutoffs.outer + 1)
    harmonics = 2 * p + 1 if d == 3 else np.minimum(p, 1) + 1
    return harmonics[:, None, None] * factors


def _product_tensor(law: KeyQueryLaw, beta: float, noise_lmax: int, cutoffs: Cutoffs) -> Real:
    rows, J = _product_rows(law, beta, cutoffs), cutoffs.radii
    factors, powers = _product_factors(law.d, cutoffs), isotropic(law.d, noise_lmax).spectrum_of_powers(cutoffs.outer)
    tensor = np.zeros((noise_lmax + 1, cutoffs.degree + 1, J, J))
    for parity in (0, 1):
        ells = np.arange(parity, cutoffs.degree + 1, 2)
        chaos = _inner_chaos(rows, ells, rows.basis[parity])
        total = rows.basis[parity] * np.sqrt(rows.weights)[:, None]
        room, part = np.empty((cutoffs.outer // 2 + 1, chaos[0].size)), np.zeros((noise_lmax + 1, len(ells) * J * J))
        for p in range(1 - parity, cutoffs.outer + 1, 2):
            outer = _outer_rows(rows, cutoffs, p)
            whole = _gram((outer @ total.reshape(len(total), -1)).reshape(-1, 1, *total.shape[1:]))
            grams = _outer_grams(outer, factors[p, ells], chaos, whole, _gram, room)
            part += powers[:, p::2] @ grams.reshape(len(grams), -1)
        tensor[:, ells] = part.reshape(-1, len(ells), J, J)
    return tensor


def _product_coefficients(law: KeyQueryLaw, beta: float, fields: list[Real], cutoffs: Cutoffs) -> Real:
    rows, factors = _product_rows(law, beta, cutoffs), _product_factors(law.d, cutoffs)
    c = np.zeros(cutoffs.outer + 1)
    for ell, field in enumerate(fields):
        if field.shape[1] == 0:
            continue
        basis = rows.basis[ell % 2] @ field
        ells = np.array([ell])
        chaos = _inner_chaos(rows, ells, basis)
        total = (basis * np.sqrt(rows.weights)[:, None]).reshape(len(basis), -1)
        pairs = total @ total.T
        for p in range(1 - ell % 2, cutoffs.outer + 1, 2):
            outer = _outer_rows(rows, cutoffs, p)
            whole = np.einsum("na,na->n", outer @ pairs, outer)[:, None]
            c[p::2] += _outer_grams(outer, factors[p, ells], chaos, whole, _trace)[:, 0]
    return c
