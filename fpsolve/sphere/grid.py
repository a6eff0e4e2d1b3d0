"""The Gauss grid on S² and its transforms (SHTns); the norms are those of :mod:`fpsolve.sphere.harmonics`."""

from __future__ import annotations

import numpy as np
from scipy.fft import next_fast_len

from fpsolve._kernels import _fields
from fpsolve.cached import cached_property, lru_cache
from fpsolve.errors import InputError
from fpsolve.sphere._shtns import plans_of, shtns
from fpsolve.sphere.harmonics import Coefficients, Real, degree_of, laplacian
from fpsolve.threads import Scratch, asked

THETA_LAYOUT_FROM = 127
"""From this degree on, fields are stored with θ contiguous: up to twice as fast, but analysis eats its input."""

THREADS_FROM = 255
"""From this degree on, transforms use the threads that a run asks for."""

COARSEST_FIELD = 26
"""Even a small grid samples velocity fields of this degree without aliasing the product."""


class Grid:
    """Gauss–Legendre × uniform grid on which products of fields of degree ≤ ``lmax`` are analysed exactly.

    ``shape`` is that of a scalar field; two layouts exist, so index only through ``x``, ``cos_theta``, ``weights``.
    Tangent fields are arrays ``(2, *shape)`` of components (v_θ, v_φ). Grids are shared by threads: what a transform
    writes on the way belongs to its thread. One thread in every plan (two are slower on a
    busy machine and change nothing else) but for ``threads``; ``quick_init`` planning, bitwise reproducible between
    processes.
    """

    def __init__(self, lmax: int, nlat: int | None = None, nphi: int | None = None, threads: int = 1) -> None:
        self.lmax, self._threads = lmax, threads
        self._theta_layout = lmax >= THETA_LAYOUT_FROM
        product = 2 * lmax + max(lmax, COARSEST_FIELD)
        self.nlat = nlat or _even_latitudes(product // 2 + 1)
        self.nphi = nphi or next_fast_len(product + 1 + (product + 1) % 2, real=True)
        self._plans: dict[int, object] = {}
        plan = self.plan(lmax)
        self.shape: tuple[int, int] = tuple(plan.spat_array().shape)
        self._scratch = Scratch((2, *self.shape))

    def plan(self, degree: int):  # type: ignore[no-untyped-def]
        """The SHTns plan for fields of this degree on this grid."""
        if degree not in self._plans:
            self.check(degree)
            layout = shtns.SHT_THETA_CONTIGUOUS if self._theta_layout else shtns.SHT_PHI_CONTIGUOUS
            with plans_of(self._threads):
                plan = shtns.sht(degree, degree, 1, shtns.sht_orthonormal, self._threads)
                plan.set_grid(self.nlat, self.nphi, shtns.sht_quick_init | layout, 0.0)
            return self._plans.setdefault(degree, plan)  # another thread may have been first
        return self._plans[degree]

    def carrying(self, degree: int) -> Grid:
        """The grid for products of fields of degree ≤ ``lmax`` with one of this ``degree``: thinner where it is low.

        They are analysed exactly, as on this one.
        """
        return carrier(self.lmax) if degree <= COARSEST_FIELD <= self.lmax // 2 else self

    def sampled(self, field: Real) -> Grid:
        """The grid that tangent values belong to: this one, or the thinner one of :meth:`carrying`."""
        return self if field.shape[1:] == self.shape else carrier(self.lmax)

    def holds(self, degree: int) -> bool:
        """Whether a field of this degree can be synthesised on the grid."""
        return degree < self.nlat and 2 * degree < self.nphi

    def check(self, degree: int) -> None:
        """Raise InputError where the grid is too coarse for a field of this degree."""
        if not self.holds(degree):
            raise InputError(
                "lmax",
                self.lmax,
                f"its grid of {self.nlat} latitudes does not hold a field of degree {degree}",
                "raise lmax, or lower noise_lmax",
            )

    # --- geometry -------------------------------------------------------------------------------------------

    def _along_theta(self, values: Real) -> Real:
        """A function of latitude, spread over the grid."""
        return np.broadcast_to(values if self._theta_layout else values[:, None], self.shape)

    @cached_property
    def cos_theta(self) -> Real:
        """cos θ at every point, shape ``shape``."""
        return self._along_theta(np.array(self.plan(self.lmax).cos_theta))

    @cached_property
    def sin_theta(self) -> Real:
        """sin θ at every point, shape ``shape``."""
        return np.sqrt((1 - self.cos_theta) * (1 + self.cos_theta))

    @cached_property
    def phi(self) -> Real:
        """Longitude in [0, 2π) at every point, shape ``shape``."""
        values = 2 * np.pi * np.arange(self.nphi) / self.nphi
        return np.broadcast_to(values[:, None] if self._theta_layout else values, self.shape)

    @cached_property
    def x(self) -> Real:
        """Unit vectors, shape ``(*shape, 3)``."""
        return np.stack([self.sin_theta * np.cos(self.phi), self.sin_theta * np.sin(self.phi), self.cos_theta], -1)

    @cached_property
    def frame(self) -> Real:
        """The tangent vectors e_θ, e_φ, shape ``(2, *shape, 3)``."""
        cos_phi, sin_phi = np.cos(self.phi), np.sin(self.phi)
        theta = np.stack([self.cos_theta * cos_phi, self.cos_theta * sin_phi, -self.sin_theta], -1)
        return np.stack([theta, np.stack([-sin_phi, cos_phi, np.zeros(self.shape)], -1)])

    @cached_property
    def weights(self) -> Real:
        """Quadrature weights, shape ``shape``; they sum to 4π."""
        half = np.array(self.plan(self.lmax).gauss_wts())
        north = half[: (self.nlat + 1) // 2]
        gauss = np.concatenate([north, north[: self.nlat // 2][::-1]])
        return self._along_theta(gauss * (2 * np.pi / self.nphi) * (2 / gauss.sum()))

    @cached_property
    def flat(self) -> tuple[Real, Real, Real, Real]:
        """cos θ, sin θ (n,), x (n, 3) and frame (2, n, 3) as compiled code takes them."""
        parts = self.cos_theta.ravel(), self.sin_theta.ravel(), self.x.reshape(-1, 3), self.frame.reshape(2, -1, 3)
        return parts[0].copy(), parts[1].copy(), np.ascontiguousarray(parts[2]), np.ascontiguousarray(parts[3])

    def integral(self, field: Real) -> float:
        """∫ f over the sphere."""
        return float(np.sum(self.weights * field))

    # --- transforms -----------------------------------------------------------------------------------------

    def to_grid(self, coefficients: Coefficients, out: Real | None = None) -> Real:
        """Σ f_ℓm Y_ℓm on the grid."""
        out = np.empty(self.shape) if out is None else out
        self.plan(degree_of(coefficients)).SH_to_spat(np.ascontiguousarray(coefficients), out)
        return out

    def to_modes(self, field: Real, degree: int | None = None) -> Coefficients:
        """f_ℓm = ∫ Y*_ℓm f by quadrature, up to ``degree`` (default ``lmax``); the field is left as it is."""
        plan = self.plan(self.lmax if degree is None else degree)
        out, scratch = plan.spec_array(), self._scratch.array[0]
        np.copyto(scratch, field)
        plan.spat_to_SH(scratch, out)
        return out

    def tangent(self, spheroidal: Coefficients, toroidal: Coefficients, out: Real | None = None) -> Real:
        """∇S + ∇T × x on the grid, shape ``(2, *shape)``."""
        out = np.empty((2, *self.shape)) if out is None else out
        self.plan(degree_of(spheroidal)).SHsphtor_to_spat(
            np.ascontiguousarray(spheroidal), np.ascontiguousarray(toroidal), out[0], out[1]
        )
        return out

    def gradient(self, coefficients: Coefficients, out: Real | None = None) -> Real:
        """∇f on the grid, shape ``(2, *shape)``."""
        out = np.empty((2, *self.shape)) if out is None else out
        self.plan(degree_of(coefficients)).SHsph_to_spat(np.ascontiguousarray(coefficients), out[0], out[1])
        return out

    def tangent_modes(self, field: Real, degree: int | None = None) -> tuple[Coefficients, Coefficients]:
        """(S, T) of a tangent field, up to ``degree`` (default ``lmax``); the field is left as it is."""
        plan = self.plan(self.lmax if degree is None else degree)
        spheroidal, toroidal = plan.spec_array(), plan.spec_array()
        scratch = self._scratch.array
        np.copyto(scratch, field)
        plan.spat_to_SHsphtor(scratch[0], scratch[1], spheroidal, toroidal)
        return spheroidal, toroidal

    def surface_div(self, field: Real) -> Coefficients:
        """Coefficients of div v of a tangent field, ⟨Y, div v⟩ = -⟨∇Y, v⟩, degree ``lmax``."""
        return self.tangent_modes(field)[0] * laplacian(self.lmax)

    # --- the interface shared with scattered points ------------------------------------------------------------

    scalar = to_grid

    def jet(self, f: Coefficients, g: Coefficients) -> tuple[Real, Real, Real]:
        """f, g and ∇f, the last as ambient vectors."""
        return self.scalar(f), self.scalar(g), self.to_ambient(self.gradient(f))

    def from_ambient(self, field: Real) -> Real:
        """Tangential components of an ambient field ``(*shape, 3)``: shape ``(2, *shape)``."""
        out = np.empty((2, *self.shape))
        flat = np.ascontiguousarray(field, float).reshape(-1, 3)
        _fields.tangential(flat, self.flat[3], out.reshape(2, -1))
        return out

    def to_ambient(self, tangent: Real) -> Real:
        """The tangent field as vectors of R³, shape ``(*shape, 3)``."""
        return tangent[0][..., None] * self.frame[0] + tangent[1][..., None] * self.frame[1]


def _fast_longitudes(least: int) -> int:
    """The next multiple of 32 with no prime factor above five: FFTs of 160 take half the time of 162."""
    n = 32 * -(-least // 32)
    while next_fast_len(n, real=True) != n:
        n += 32
    return n


def _even_latitudes(least: int) -> int:
    """An even number of latitudes, a multiple of eight, away from multiples of 64 (four times slower at 192)."""
    nlat = max(32, 8 * -(-least // 8))  # SHTns ends the process below 32
    return nlat + 8 if nlat % 64 == 0 else nlat


def grid(lmax: int) -> Grid:
    """The shared grid of a degree."""
    return _grid(lmax, _threads_for(lmax))


def carrier(lmax: int) -> Grid:
    """The shared grid for products of degree ``lmax`` + ``COARSEST_FIELD``, analysed to degree ``lmax``."""
    return _carrier(lmax, _threads_for(lmax))


def _threads_for(lmax: int) -> int:
    return asked() if lmax >= THREADS_FROM else 1


@lru_cache(maxsize=16)
def _grid(lmax: int, threads: int) -> Grid:
    return Grid(lmax, threads=threads)


@lru_cache(maxsize=16)
def _carrier(lmax: int, threads: int) -> Grid:
    product = 2 * lmax + COARSEST_FIELD
    return Grid(lmax, _even_latitudes(product // 2 + 1), _fast_longitudes(product + 1), threads)
