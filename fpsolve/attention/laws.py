r"""The two isotropic key-query laws in R³, reduced to quadratic forms of log M on a few spheres.

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

As k τ[p, k-1] tends to 4π, the chaos beyond the cut-off is closed by its total ∫ φ² w (Parseval) with
the factor of the first order left out: C_0 of the Gaussian law is exact at any cut-off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpsolve.attention.radial import REACH, RadialMesh, Real, chaos_projection, half_line, node_count
from fpsolve.errors import InputError, unknown_name
from fpsolve.noise.isotropic import spectrum_of_powers

KINDS = ("gaussian", "product")

Contract = Callable[[Real], Real]

PRODUCT_REACH = 40.0
"""Product ab of two |z| beyond which nothing is left, E 1(ab > 40) = 1e-15."""

SMALLEST_SCALE = 1e-5
"""Below this ρ the limit ρ → 0 is taken here: k changes by O(ρ²), the round-off of log M grows as 1/ρ."""


@dataclass(frozen=True)
class KeyQueryLaw:
    """An isotropic law of A in R³: ``gaussian`` (A iid N(0, s²)) or ``product`` (A = W W'ᵀ); s = ``std``."""

    kind: str
    std: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind", self.kind, KINDS)
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
        there), as does the product law at ρ ≥ 10, where precomputing it is kept near a second.
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
    """Weights with E q(|βAx|) = 4π Σ_j weight_j q(r_j) for even functions q of the radius, shape (J,)."""
    mesh, nodes = cutoffs.mesh(law, beta), 240
    b, weights = half_line(nodes)
    if law.kind == "gaussian":
        return weights @ mesh.interpolation(law.scale(beta) * b, even=True)
    product, joint = np.outer(b, b), 4 * np.pi * np.outer(weights, weights)
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
    b, rows = chaos_projection(count, cutoffs.degree, node_count(cutoffs.order + cutoffs.degree))
    _, weights = half_line(len(b))
    interpolations = [mesh.degree_interpolation(law.scale(beta) * b, parity) for parity in (0, 1)]
    totals = [(basis.T * weights) @ basis for basis in interpolations]
    for ell in range(cutoffs.degree + 1):
        yield ell, rows[ell] @ interpolations[ell % 2], totals[ell % 2]


def _gaussian_tensor(law: KeyQueryLaw, beta: float, noise_lmax: int, cutoffs: Cutoffs) -> Real:
    count, J = cutoffs.order // 2 + 1, cutoffs.radii
    factors = _chaos_factors(noise_lmax, cutoffs.degree, count)
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


def _chaos_factors(pmax: int, degree: int, count: int) -> Real:
    """k τ[p, k-1] at k = 2n+ℓ for n ≤ count (0 at k = 0), shape (pmax+1, degree+1, count+1)."""
    k = 2 * np.arange(count + 1) + np.arange(degree + 1)[:, None]
    return k * spectrum_of_powers(int(k.max()), pmax)[:, np.maximum(k - 1, 0)]


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
    a, outer = chaos_projection(cutoffs.outer // 2 + 1, cutoffs.outer, node_count(cutoffs.outer))
    nodes = node_count(cutoffs.order + cutoffs.degree)
    b, inner = chaos_projection(cutoffs.order // 2 + 1, cutoffs.degree, nodes)
    product = a[:, None] * b
    inside = product <= PRODUCT_REACH
    radius = law.scale(beta) * np.where(inside, product, PRODUCT_REACH)
    cut = (inside / a[:, None])[..., None]
    even, odd = (cut * mesh.degree_interpolation(radius, parity) for parity in (0, 1))
    return _ProductRows(outer, inner, (even, odd), half_line(len(b))[1])


def _inner_chaos(rows: _ProductRows, ells: NDArray[np.int64], basis: Real) -> Real:
    """∫ h_nℓ(b) f(ab)/a w(b) db for the functions in ``basis`` (A, B, r), shape (A, len(ells), N, r)."""
    flat = rows.inner[ells].reshape(-1, basis.shape[1])
    return (flat @ basis).reshape(len(basis), len(ells), -1, basis.shape[-1])


def _outer_grams(outer: Real, factors: Real, chaos: Real, whole: Real, contract: Contract) -> Real:
    """Σ_n f[ℓ, n] of the Gram matrices (or their traces) of B_{n'p,nℓ}, the orders n ≥ N lumped at n = N.

    ``outer`` (N', A) are the rows of one p, ``factors`` (ℓ, N+1) = (2p+1) k τ[p, k-1], ``chaos`` (A, ℓ, N, r)
    the functions of a, ``whole`` (N', 1, …) the Gram matrices (traces) of all orders; shape (N', ℓ, …).
    """
    last = factors[:, -1]
    missing = np.sqrt(np.maximum(last[:, None] - factors[:, :-1], 0.0))[:, :, None]
    modes = (outer @ chaos.reshape(len(chaos), -1)).reshape(-1, *chaos.shape[1:]) * missing
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


def _product_factors(cutoffs: Cutoffs) -> Real:
    """(2p+1) k τ[p, k-1], shape (outer+1, degree+1, N+1)."""
    factors = _chaos_factors(cutoffs.outer, cutoffs.degree, cutoffs.order // 2 + 1)
    return (2 * np.arange(cutoffs.outer + 1) + 1)[:, None, None] * factors


def _product_tensor(law: KeyQueryLaw, beta: float, noise_lmax: int, cutoffs: Cutoffs) -> Real:
    rows, J = _product_rows(law, beta, cutoffs), cutoffs.radii
    factors, powers = _product_factors(cutoffs), spectrum_of_powers(cutoffs.outer, noise_lmax)
    tensor = np.zeros((noise_lmax + 1, cutoffs.degree + 1, J, J))
    for parity in (0, 1):
        ells = np.arange(parity, cutoffs.degree + 1, 2)
        chaos = _inner_chaos(rows, ells, rows.basis[parity])
        total = rows.basis[parity] * np.sqrt(rows.weights)[:, None]
        for p in range(1 - parity, cutoffs.outer + 1, 2):
            outer = _outer_rows(rows, cutoffs, p)
            whole = _gram((outer @ total.reshape(len(total), -1)).reshape(-1, 1, *total.shape[1:]))
            grams = _outer_grams(outer, factors[p, ells], chaos, whole, _gram)
            tensor[:, ells] += (powers[:, p::2] @ grams.reshape(len(grams), -1)).reshape(-1, len(ells), J, J)
    return tensor


def _product_coefficients(law: KeyQueryLaw, beta: float, fields: list[Real], cutoffs: Cutoffs) -> Real:
    rows, factors = _product_rows(law, beta, cutoffs), _product_factors(cutoffs)
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
