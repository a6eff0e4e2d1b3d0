"""Noise: Brownian paths queried by interval, and isotropic Gaussian fields on the sphere."""

from typing import SupportsIndex

from fpsolve.cached import lru_cache
from fpsolve.errors import InputError
from fpsolve.noise.circular import CircularNoise
from fpsolve.noise.law import IsotropicNoise, VectorModes, checked_degree
from fpsolve.noise.path import STREAMS, BrownianPath
from fpsolve.noise.spherical import SphericalNoise, channel_position

ISOTROPIC: dict[int, type[IsotropicNoise]] = {law.d: law for law in (CircularNoise, SphericalNoise)}
"""The isotropic noise of each dimension d that has one; one more is a file of this folder and an entry here."""


def isotropic(d: int, lmax: SupportsIndex) -> IsotropicNoise:
    """The isotropic noise of S^{d-1} whose spectrum ends at ``lmax``; shared, as its tables are kept.

    Raises InputError for a d without one, and unless ``lmax`` is an integer ≥ 0.
    """
    if d not in ISOTROPIC:
        known = " and ".join(f"d = {one}" for one in ISOTROPIC)
        raise InputError("d", d, f"isotropic noise is a field in harmonics for {known}", "draw weights in every step")
    return _kept(d, checked_degree("lmax", lmax))


@lru_cache(maxsize=16)
def _kept(d: int, lmax: int) -> IsotropicNoise:
    return ISOTROPIC[d](lmax)


__all__ = [
    "ISOTROPIC",
    "STREAMS",
    "BrownianPath",
    "CircularNoise",
    "IsotropicNoise",
    "SphericalNoise",
    "VectorModes",
    "channel_position",
    "isotropic",
]
