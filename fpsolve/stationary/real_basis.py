"""Real unknowns: coefficients in the real orthonormal basis, and the rotations' generators in it.

The basis and its order are those of ``Geometry.to_real``: ℓ-major, m = -ℓ..ℓ (on the circle 0, -1, 1, -2, 2, …).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fpsolve.cached import lru_cache
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import Coefficients, Real, index


@lru_cache(maxsize=32)
def _positions(d: int, lmax: int) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64], Real]:
    """(is a cosine, place of the cosines and of the sines among the stored coefficients, scale of the cosines)."""
    degrees, orders = geometry(d).real_degrees_orders(lmax)
    place = index(degrees, np.abs(orders), lmax) if d == 3 else degrees
    cosine = orders >= 0
    return cosine, place[cosine], place[~cosine], np.where(orders[cosine] > 0, np.sqrt(0.5), 1.0)


def from_real(values: Real, d: int, lmax: int) -> Coefficients:
    """The inverse of ``Geometry.to_real``: stored complex coefficients."""
    sphere = geometry(d)
    cosine, at_cosine, at_sine, scale = _positions(d, lmax)
    out = np.zeros(sphere.size(lmax), complex)
    out.real[at_cosine] = scale * values[cosine]
    out.imag[at_sine] = -np.sqrt(0.5) * values[~cosine]
    return out


@lru_cache(maxsize=16)
def rotation_generators(d: int, lmax: int) -> tuple[sparse.csr_array, ...]:
    """X_a f = -(e_a × x)·∇f, a = x, y, z (on the circle -∂_θ f): skew matrices in the real basis.

    From the angular momentum L = -i x × ∇, X_a = -i L_a, with L_± Y_ℓm = √((ℓ∓m)(ℓ±m+1)) Y_ℓ,m±1
    :cite:`varshalovich1988`.
    """
    blocks = [_blocks(ell, d) for ell in range(lmax + 1)]
    return tuple(sparse.block_diag(rows, format="csr") for rows in zip(*blocks, strict=True))


def _blocks(ell: int, d: int) -> list[Real]:
    """The generators on one degree."""
    if d == 2:
        return [np.zeros((1, 1)) if ell == 0 else np.array([[0.0, ell], [-ell, 0.0]])]
    m = np.arange(-ell, ell + 1)
    raising = np.diag(np.sqrt((ell - m[:-1]) * (ell + m[:-1] + 1.0)), -1)
    along = (raising + raising.T) / 2, (raising - raising.T) / 2j, np.diag(m).astype(complex)
    to_real = _unitary(ell)
    return [(-1j * to_real @ matrix @ to_real.conj().T).real for matrix in along]


def _unitary(ell: int) -> NDArray[np.complex128]:
    """Complex coefficients m = -ℓ..ℓ of a field to real ones: rows √2 Re f_m, f_0, -√2 Im f_m."""
    out = np.zeros((2 * ell + 1, 2 * ell + 1), complex)
    out[ell, ell] = 1
    for m in range(1, ell + 1):
        sign = (-1.0) ** m
        out[ell + m, [ell + m, ell - m]] = np.array([1, sign]) / np.sqrt(2)
        out[ell - m, [ell + m, ell - m]] = np.array([1j, -1j * sign]) / np.sqrt(2)
    return out
