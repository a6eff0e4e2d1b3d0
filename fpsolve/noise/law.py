"""Isotropic Gaussian noise of (d, lmax): channels, field, spectrum and kernel of one dimension in one class.

An R^d-valued field U on S^{d-1} with E U^a(x) U^b(y) = δ_ab k(⟨x,y⟩), k a sum of zonal functions of degree ≤ lmax with
an angular spectrum C_ℓ ≥ 0. It is driven by independent Brownian channels; a higher lmax only appends to them, so that
one path drives every truncation. Models ask :func:`fpsolve.noise.isotropic` and know no dimension by its number; one
more dimension is a file beside :mod:`fpsolve.noise.circular` and :mod:`fpsolve.noise.spherical` and a line in the table
``ISOTROPIC`` of the package.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpsolve.errors import InputError

Array = NDArray[np.float64]
Modes = NDArray[np.complex128]

ROUND_OFF = 1e-12
"""Negative C_ℓ down to this part of the largest are zeros."""


class VectorModes(NamedTuple):
    """Coefficients of the potentials: U = ∇S + x × ∇T + R x (on the circle ∂_θS + T and R x); complex."""

    S: Modes
    T: Modes
    R: Modes


class IsotropicNoise(ABC):
    """Isotropic noise on S^{d-1} whose spectrum ends at degree ``lmax``. Raises InputError unless that is ≥ 0.

    ``channels``: number of its Brownian motions. ``degree``: that of its potentials, lmax+1.
    """

    d: ClassVar[int]
    most: ClassVar[int]
    """The largest lmax that ``noise_lmax="auto"`` takes for points, which hold any degree."""

    def __init__(self, lmax: int) -> None:
        self.lmax = checked_degree("lmax", lmax)
        self.degree = self.lmax + 1

    @property
    @abstractmethod
    def channels(self) -> int:
        """Number of independent Brownian motions."""

    def field(self, spectrum: ArrayLike, increments: Array) -> VectorModes:
        """S, T and R of the field with spectrum C_ℓ driven by the given increments; linear in them.

        ``spectrum``: C_ℓ ≥ 0, shape (lmax+1,); ``increments``: shape (channels,), of variance Δt for noise over Δt.
        Raises InputError for other shapes and for values that are negative beyond round-off or not finite.
        """
        return self.driven(self.factors(spectrum), increments)

    def factors(self, spectrum: ArrayLike) -> Array:
        """What :meth:`driven` needs of a spectrum, to be kept where that stays. Raises InputError as :meth:`field`."""
        C = self._shaped(spectrum)
        if not np.all(np.isfinite(C)):
            raise InputError("spectrum", C, "not finite", "an angular spectrum is finite and >= 0")
        if C.min() < -ROUND_OFF * C.max():
            degree = int(np.argmin(C))
            raise InputError("spectrum", float(C[degree]), f"negative at l = {degree}", "a covariance has C_l >= 0")
        return self._factors(np.sqrt(np.maximum(C, 0.0)))

    def driven(self, factors: Array, increments: Array) -> VectorModes:
        """The field of a spectrum that is told by its :meth:`factors`. Raises InputError as :meth:`field`."""
        if np.shape(increments) != (self.channels,):
            remedy = f"noise of degree {self.lmax} takes {self.channels} channels"
            raise InputError("increments", np.shape(increments), "wrong shape", remedy)
        return self._driven(factors, increments)

    def kernel(self, spectrum: ArrayLike) -> Callable[[ArrayLike], Array]:
        """t ↦ k(t), elementwise, of a spectrum (lmax+1,). Raises InputError for another shape."""
        return self._series(self._shaped(spectrum).copy())

    def spectrum(self, kernel: Callable[[Array], ArrayLike], nodes: int | None = None, *, smooth: bool = True) -> Array:
        """C_ℓ of t ↦ k(t), which takes an array of t in [-1, 1]; shape (lmax+1,).

        ``nodes``: points of the quadrature; by default as many as suit a smooth kernel, or with ``smooth=False`` one
        whose derivatives may be singular at t = ±1. Raises InputError for too few, and if k is not finite.
        """
        count = self._nodes(smooth) if nodes is None else checked_degree("nodes", nodes)
        if count <= self.lmax:
            raise InputError("nodes", count, f"too few for degree {self.lmax}", f"give at least {self.lmax + 1}")
        t, projected = self._rule(count)
        values = np.broadcast_to(np.asarray(kernel(t.copy()), dtype=float), t.shape)
        if not np.all(np.isfinite(values)):
            raise InputError("kernel", kernel, "not finite on (-1, 1)", "give a finite covariance k(t)")
        return projected(values)

    @abstractmethod
    def spectrum_of_powers(self, K: int) -> Array:
        """τ[ℓ, k], the spectrum of the kernel t^k, k ≤ K, shape (lmax+1, K+1)."""

    @abstractmethod
    def end_terms(self, spectrum: Array) -> tuple[Array, Array]:
        """What each degree of a spectrum gives to κ = k(1) and to k'(1), shapes of ``spectrum``."""

    @abstractmethod
    def _factors(self, root: Array) -> Array:
        """What the field needs of √C_ℓ, shape (lmax+1,)."""

    @abstractmethod
    def _driven(self, factors: Array, increments: Array) -> VectorModes:
        """The field for these factors and increments (channels,)."""

    @abstractmethod
    def _series(self, C: Array) -> Callable[[ArrayLike], Array]:
        """t ↦ k(t) of a spectrum of the right shape, which nobody else holds."""

    @abstractmethod
    def _nodes(self, smooth: bool) -> int:
        """Points of the quadrature where none are asked for."""

    @abstractmethod
    def _rule(self, count: int) -> tuple[Array, Callable[[Array], Array]]:
        """Points t in [-1, 1] and the map from values of k there to C_ℓ."""

    def _shaped(self, spectrum: ArrayLike) -> Array:
        C = np.asarray(spectrum, dtype=float)
        if C.shape != (self.lmax + 1,):
            problem, remedy = "wrong shape", f"give C_l for l = 0..{self.lmax}, shape ({self.lmax + 1},)"
            raise InputError("spectrum", C.shape, problem, remedy)
        return C


def checked_degree(argument: str, value: SupportsIndex) -> int:
    """A degree as an integer >= 0, or InputError."""
    try:
        degree = operator.index(value)
    except TypeError:
        raise InputError(argument, value, "not an integer", "give a whole number >= 0") from None
    if degree < 0:
        raise InputError(argument, value, "negative", "give a whole number >= 0")
    return degree
