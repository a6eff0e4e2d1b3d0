"""The covariance k_μ(⟨x, y⟩) = σ_V² E_A F_μ(βAx)·F_μ(βAy) of isotropic key-query laws, accurately.

Its spectrum, fast, for every step of a run: :mod:`fpsolve.attention.spectrum`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval
from numpy.typing import ArrayLike, NDArray

from fpsolve.attention.laws import Cutoffs, KeyQueryLaw, power_coefficients, radius_weights
from fpsolve.attention.spectrum import check_tolerance, check_value_std, degree_fields
from fpsolve.attention.spheres import SphereSource, sampling
from fpsolve.errors import InputError
from fpsolve.sphere.circle import CircleGrid

Real = NDArray[np.float64]

MOST = {"gaussian": Cutoffs(64, 56, 1000), "product": Cutoffs(48, 56, 150, 180)}
"""Where the refinement of an accurate kernel stops."""


@dataclass(frozen=True, eq=False)
class IsotropicKernel:
    """k(t) = Σ c_k t^k, t = ⟨x, y⟩ in [-1, 1].

    ``coefficients`` are c_k ≥ 0; the last two close the series so that k(±1) are right. ``kappa`` = k(1);
    ``error`` estimates the error: the change under the last refinement and a quarter of the closing terms.
    """

    kappa: float
    coefficients: Real
    error: float

    def __call__(self, t: ArrayLike) -> Real:
        """k(t), elementwise."""
        return np.asarray(polyval(_checked_cosine(t), self.coefficients), dtype=np.float64)

    def derivative(self, t: ArrayLike) -> Real:
        """k'(t), elementwise; near t = 1 only as good as the closed tail of the series."""
        return np.asarray(polyval(_checked_cosine(t), polyder(self.coefficients)), dtype=np.float64)


def kernel(
    law: KeyQueryLaw, beta: float, value_std: float, source: SphereSource, tolerance: float = 1e-6
) -> IsotropicKernel:
    """k_μ of an isotropic law, refined until ``error`` is below ``tolerance`` σ_V² or ``MOST`` is reached.

    The chaos gives c_k up to a cut-off K; k(±1) = σ_V² E F(βAx)·F(±βAx) are separate radial quadratures, and
    what the series misses there is put on the next two powers. For 1 - t ≫ 1/K the error is that of the c_k;
    nearer to t = 1, which is exact, it is a fraction of that missing part.
    Raises InputError for a negative or NaN argument.
    """
    check_value_std(value_std)
    check_tolerance(tolerance)
    most = MOST[law.kind]
    cutoffs = Cutoffs.for_tolerance(law, beta, tolerance)
    now = _kernel(law, beta, value_std, source, cutoffs)
    while True:
        finer = cutoffs.refined(most)
        before, now = now, _kernel(law, beta, value_std, source, finer)
        t = np.concatenate([np.linspace(-1, 1, 41), 1 - np.geomspace(1e-3, 0.04, 6)])
        # t^K - t^{2K} ≤ 1/4: what the closing terms misplace.
        error = float(np.abs(now(t) - before(t)).max() + np.abs(now.coefficients[-2:]).sum() / 4)
        if error <= tolerance * value_std**2 or finer == cutoffs or finer == most:
            return IsotropicKernel(now.kappa, now.coefficients, error)
        cutoffs = finer


def _kernel(law: KeyQueryLaw, beta: float, value_std: float, source: SphereSource, cutoffs: Cutoffs) -> IsotropicKernel:
    grid: Any = sampling(law.d, cutoffs.degree)
    radii = cutoffs.mesh(law, beta).radii
    log_m, same, opposite = _on_spheres(source, grid, radii)
    fields = _compressed(degree_fields(grid, cutoffs.degree, log_m, law.d))
    c = value_std**2 * power_coefficients(law, beta, fields, cutoffs)
    weights = value_std**2 * radius_weights(law, beta, cutoffs)
    kappa, antipodal = float(weights @ same), float(weights @ opposite)
    even = (kappa + antipodal) / 2 - c[0::2].sum()
    odd = (kappa - antipodal) / 2 - c[1::2].sum()
    tail = [even, odd] if len(c) % 2 == 0 else [odd, even]
    return IsotropicKernel(kappa, np.concatenate([c, tail]), np.nan)


def _on_spheres(source: SphereSource, grid: Any, radii: Real) -> tuple[Real, Real, Real]:
    """log M (J, *shape), and ∫ F(rω)·F(±rω) dω, each (J,)."""
    log_m, same, opposite = [], [], []
    for r in radii:
        values, F = source.F_sphere(float(r), grid)
        log_m.append(values)
        same.append(grid.integral((F * F).sum(axis=-1)))
        opposite.append(grid.integral((F * _antipode(grid, F)).sum(axis=-1)))
    return np.stack(log_m), np.array(same), np.array(opposite)


def _antipode(grid: Any, field: Real) -> Real:
    """field(-x) on the grid (an even number of longitudes or angles)."""
    if isinstance(grid, CircleGrid):
        return np.roll(field, grid.n // 2, axis=0)
    theta_axis = 1 if grid.cos_theta[0, 0] == grid.cos_theta[1, 0] else 0
    return np.roll(np.flip(field, axis=theta_axis), grid.nphi // 2, axis=1 - theta_axis)


def _compressed(fields: list[Real]) -> list[Real]:
    """By degree, factors (J, rank) of the same Gram matrix to round-off: fewer columns than orders."""
    factors = []
    largest = max(np.abs(field).max() for field in fields)
    for field in fields:
        left, values, _ = np.linalg.svd(field, full_matrices=False)
        keep = values > 1e-8 * largest
        factors.append(left[:, keep] * values[keep])
    return factors


def _checked_cosine(t: ArrayLike) -> Real:
    values = np.asarray(t, dtype=float)
    if not np.all(np.abs(values) <= 1 + 1e-12):
        raise InputError("t", t, "not in [-1, 1]", "t is the overlap of two unit vectors")
    return values
