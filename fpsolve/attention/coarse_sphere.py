"""Gauss grids of a few hundred sites on S², for functions of low degree: log M of a concentrated measure.

SHTns's grids begin at 32 latitudes; these need not. The Legendre sums run by einsum, not BLAS, so that their
bits do not depend on its threads.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.special import sph_legendre_p_all

from fpsolve.sphere.harmonics import Coefficients, Real, size
from fpsolve.sphere.scattered import SpherePoints


class CoarseGrid:
    """Gauss–Legendre × uniform sites that analyse fields of degree ≤ ``degree``, with ``margin`` more latitudes.

    ``points``: the sites, latitude by latitude.
    """

    def __init__(self, degree: int, margin: int = 1) -> None:
        self.degree, nlat = degree, degree + 1 + margin
        self.shape = nlat, 2 * nlat
        x, weights = product_sites(*self.shape)
        self.points = SpherePoints(x.reshape(-1, 3))
        cos_theta, quadrature = x[:, 0, 2], weights[:, 0]
        values = sph_legendre_p_all(degree, degree, np.arccos(cos_theta))[0]
        ordered = [(values[m:, m] * quadrature).T for m in range(degree + 1)]
        self._projections: list[Real] = [np.ascontiguousarray(block) for block in ordered]

    def to_modes(self, field: Real, degree: int) -> Coefficients:
        """f_ℓm = ∫ Y*_ℓm f by quadrature up to ``self.degree``, zero above, in the order of ``degree``."""
        waves = rfft(field, axis=1)
        out = np.zeros(size(degree), complex)
        for m, projection in enumerate(self._projections[: degree + 1]):
            first = m * (2 * degree + 3 - m) // 2
            count = min(self.degree, degree) + 1 - m
            out[first : first + count] = np.einsum("t,tl->l", waves[:, m], projection[:, :count])
        return out


@lru_cache(maxsize=64)
def coarse_grid(degree: int, margin: int = 1) -> CoarseGrid:
    """The shared grid of a degree."""
    return CoarseGrid(degree, margin)


@lru_cache(maxsize=64)
def product_sites(nlat: int, nphi: int) -> tuple[Real, Real]:
    """Gauss latitudes from the north times uniform longitudes: x (nlat, nphi, 3), weights (nlat, nphi) of sum 4π."""
    cos_theta, gauss = (array[::-1] for array in leggauss(nlat))
    sine = np.sqrt((1 - cos_theta) * (1 + cos_theta))[:, None]
    phi = 2 * np.pi * np.arange(nphi) / nphi
    z = np.broadcast_to(cos_theta[:, None], (nlat, nphi))
    x = np.stack([sine * np.cos(phi), sine * np.sin(phi), z], -1)
    weights = np.repeat((gauss * 2 * np.pi / nphi)[:, None], nphi, axis=1)
    for array in (x, weights):
        array.setflags(write=False)
    return x, weights


@lru_cache(maxsize=64)
def rings(nlat: int, nphi: int) -> dict[str, NDArray[np.generic]]:
    """The same sites as ducc0 describes them."""
    return {
        "theta": np.arccos(product_sites(nlat, nphi)[0][:, 0, 2]),
        "nphi": np.full(nlat, nphi, np.uint64),
        "phi0": np.zeros(nlat),
        "ringstart": (np.arange(nlat) * nphi).astype(np.uint64),
    }
