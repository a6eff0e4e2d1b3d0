"""Coefficients of real fields on the circle S¹, under the names of :mod:`fpsolve.sphere.harmonics`.

Normalisation: Y_m(θ) = e^{imθ}/√(2π), orthonormal; a real field is f = f_0 Y_0 + 2 Re Σ_{m>0} f_m Y_m with
f_m = ∫ Y*_m f, stored for m = 0..L; f_0 is real. "Degree" is |m|. A measure of mass one has ρ_0 = 1/√(2π).
A tangent field is v = ∂_θ S + T with T constant (Hodge): of the array T only the entry m = 0 counts.
The point at the angle θ is (cos θ, sin θ).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpsolve.cached import lru_cache
from fpsolve.sphere.harmonics import Coefficients, Real

MASS_MOMENT = float(1 / np.sqrt(2 * np.pi))
"""ρ_0 of a probability measure."""


def size(lmax: int) -> int:
    """Number of stored coefficients of degree ≤ ``lmax``."""
    return lmax + 1


def degree_of(coefficients: Coefficients) -> int:
    """The truncation degree of a coefficient array."""
    return coefficients.shape[-1] - 1


def degrees(lmax: int) -> NDArray[np.int64]:
    """The degree of every stored coefficient, in index order."""
    return np.arange(lmax + 1)


def resized(coefficients: Coefficients, lmax: int) -> Coefficients:
    """The same field truncated or padded with zeros to degree ``lmax``."""
    missing = lmax - degree_of(coefficients)
    if missing <= 0:
        return coefficients[..., : lmax + 1]
    return np.concatenate([coefficients, np.zeros((*coefficients.shape[:-1], missing), complex)], axis=-1)


@lru_cache(maxsize=64)
def laplacian(lmax: int) -> Real:
    """Eigenvalues -m² of ∂_θ² in index order (read-only)."""
    values = -(np.arange(lmax + 1.0) ** 2)
    return values


def by_degree(factors: Real, lmax: int) -> Real:
    """A factor for each degree in index order: itself."""
    return np.asarray(factors, float)[: lmax + 1]


def power(coefficients: Coefficients) -> Real:
    """|f_m|² + |f_{-m}|² for each degree; sums to ∫ f² (Parseval)."""
    weight = np.full(degree_of(coefficients) + 1, 2.0)
    weight[0] = 1.0
    return weight * np.abs(coefficients) ** 2


@lru_cache(maxsize=64)
def real_degrees_orders(lmax: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(|m|, m) of the real coefficients: 0, -1, 1, -2, 2, …"""
    orders = np.concatenate([[0], *([-m, m] for m in range(1, lmax + 1))]).astype(np.int64)
    return np.abs(orders), orders


def to_real(coefficients: Coefficients, lmax: int | None = None) -> Real:
    """Coefficients in the basis 1/√(2π), sin mθ/√π (m < 0), cos mθ/√π (m > 0); shape (2L+1,)."""
    lmax = degree_of(coefficients) if lmax is None else lmax
    degree, order = real_degrees_orders(lmax)
    picked = resized(coefficients, lmax)[degree]
    root2 = np.sqrt(2.0)
    return np.where(order > 0, root2 * picked.real, np.where(order < 0, -root2 * picked.imag, picked.real))


def mean_vector(coefficients: Coefficients) -> Real:
    """∫ x f dθ, shape (2,), from the degree-one coefficients."""
    first = np.sqrt(2 * np.pi) * coefficients[1]
    return np.array([first.real, -first.imag])


def times_coordinates(coefficients: Coefficients) -> Coefficients:
    """Coefficients of cos θ f and sin θ f: shape (2, L+2), one degree higher, exact."""
    padded = resized(coefficients, degree_of(coefficients) + 1)
    above = np.append(padded[1:], 0)
    below = np.concatenate([[padded[1].conj()], padded[:-1]])
    return np.stack([(below + above) / 2, (below - above) / 2j])
