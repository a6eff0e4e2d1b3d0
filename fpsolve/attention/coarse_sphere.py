"""Gauss grids of a few hundred sites on S², for functions of low degree: log M of a concentrated measure.

SHTns's grids begin at 32 latitudes; these need not. The Legendre sums run by einsum, not BLAS, so that their
bits do not depend on its threads.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.special import sph_legendre_p_all

from fpsolve._kernels.rings import ring_modes
from fpsolve.cached import cached_property, lru_cache
from fpsolve.sphere.harmonics import Coefficients, Real, degrees_orders, resized
from fpsolve.sphere.scattered import SpherePoints


class CoarseGrid:
    """Gauss–Legendre × uniform sites that analyse fields of degree ≤ ``degree``, with ``margin`` more latitudes.

    ``nphi`` longitudes, or twice the latitudes.
    """

    def __init__(self, degree: int, margin: int = 1, nphi: int | None = None) -> None:
        self.degree, self.margin, nlat = degree, margin, degree + 1 + margin
        self.shape = nlat, nphi or 2 * nlat
        self._projections, (self._ells, self._orders) = projections(degree, nlat), degrees_orders(degree)

    @cached_property
    def points(self) -> SpherePoints:
        """The sites, latitude by latitude."""
        return SpherePoints(product_sites(*self.shape)[0].reshape(-1, 3))

    def to_modes(self, field: Real, degree: int) -> Coefficients:
        """f_ℓm = ∫ Y*_ℓm f by quadrature up to ``self.degree``, zero above, in the order of ``degree``."""
        return self.analysed(field, degree)[0]

    def analysed(self, field: Real, degree: int) -> tuple[Coefficients, Real]:
        """The same, and the power Σ_m |f_ℓm|² of the degrees up to ``self.degree``."""
        modes, power = ring_modes(field, self._projections, max(degree, self.degree))
        return resized(modes, degree), power

    def readable_modes(self, field: Real, degree: int) -> Coefficients:
        """The same by whole arrays."""
        waves = rfft(field, axis=1, norm="forward")[:, : self.degree + 1]
        real, imaginary = (np.einsum("tm,mtl->ml", part, self._projections) for part in (waves.real, waves.imag))
        return resized((real + 1j * imaginary)[self._orders, self._ells], degree)


@lru_cache(maxsize=64)
def projections(degree: int, nlat: int) -> Real:
    """Y_ℓm at longitude zero times the quadrature weights of the Gauss latitudes, shape (orders, nlat, degrees)."""
    x, weights = product_sites(nlat, 1)
    values = sph_legendre_p_all(degree, degree, np.arccos(x[:, 0, 2]))[0][:, : degree + 1]
    out = np.ascontiguousarray((values * weights[:, 0]).transpose(1, 2, 0))
    return out


@lru_cache(maxsize=256)
def coarse_grid(degree: int, margin: int = 1, nphi: int | None = None) -> CoarseGrid:
    """The shared grid of these arguments."""
    return CoarseGrid(degree, margin, nphi)


@lru_cache(maxsize=64)
def product_sites(nlat: int, nphi: int) -> tuple[Real, Real]:
    """Gauss latitudes from the north times uniform longitudes: x (nlat, nphi, 3), weights (nlat, nphi) of sum 4π."""
    cos_theta, gauss = (array[::-1] for array in leggauss(nlat))
    sine = np.sqrt((1 - cos_theta) * (1 + cos_theta))[:, None]
    phi = 2 * np.pi * np.arange(nphi) / nphi
    z = np.broadcast_to(cos_theta[:, None], (nlat, nphi))
    x = np.stack([sine * np.cos(phi), sine * np.sin(phi), z], -1)
    weights = np.repeat((gauss * 2 * np.pi / nphi)[:, None], nphi, axis=1)
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
