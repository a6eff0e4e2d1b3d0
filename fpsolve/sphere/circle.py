"""The uniform grid on the circle and scattered points of it, with the interface of the sphere's."""

from __future__ import annotations

import ducc0
import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from fpsolve.cached import cached_property, lru_cache
from fpsolve.errors import InputError
from fpsolve.sphere.blocks import in_blocks
from fpsolve.sphere.fourier import degree_of, laplacian, resized
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.sphere.nonuniform import EPSILON
from fpsolve.sphere.scattered import Points


class CircleGrid:
    """Uniform angles on which products of fields of degree ≤ ``lmax`` are analysed exactly (pocketfft, one thread).

    Fields have shape ``(n,)``, tangent fields ``(1, n)``: the component along e_θ = (-sin θ, cos θ).
    """

    def __init__(self, lmax: int, n: int | None = None) -> None:
        self.lmax = lmax
        least = max(3 * lmax + 1, 64)
        self.n = n or next_fast_len(least + least % 2, real=True)
        self.shape: tuple[int, ...] = (self.n,)

    @cached_property
    def angle(self) -> Real:
        """θ at every point."""
        return 2 * np.pi * np.arange(self.n) / self.n

    @cached_property
    def x(self) -> Real:
        """Unit vectors, shape ``(n, 2)``."""
        return np.stack([np.cos(self.angle), np.sin(self.angle)], -1)

    @cached_property
    def frame(self) -> Real:
        """The tangent vector e_θ, shape ``(1, n, 2)``."""
        return np.stack([-np.sin(self.angle), np.cos(self.angle)], -1)[None]

    @cached_property
    def weights(self) -> Real:
        """Quadrature weights; they sum to 2π."""
        return np.full(self.n, 2 * np.pi / self.n)

    def integral(self, field: Real) -> float:
        """∫ f over the circle."""
        return float(field.sum() * (2 * np.pi / self.n))

    def holds(self, degree: int) -> bool:
        """Whether a field of this degree can be synthesised on the grid."""
        return 2 * degree < self.n

    def check(self, degree: int) -> None:
        """Raise InputError where the grid is too coarse for a field of this degree."""
        if not self.holds(degree):
            raise InputError(
                "lmax",
                self.lmax,
                f"its grid of {self.n} angles does not hold degree {degree}",
                "raise lmax, or lower noise_lmax",
            )

    def to_grid(self, coefficients: Coefficients) -> Real:
        """Σ f_m Y_m on the grid."""
        self.check(degree_of(coefficients))
        return irfft(resized(coefficients, self.n // 2), n=self.n) * (self.n / np.sqrt(2 * np.pi))

    def to_modes(self, field: Real, degree: int | None = None) -> Coefficients:
        """f_m = ∫ Y*_m f by quadrature, up to ``degree`` (default ``lmax``)."""
        scale = np.sqrt(2 * np.pi) / self.n
        return rfft(field)[: (self.lmax if degree is None else degree) + 1] * scale

    def tangent(self, potential: Coefficients, rotation: Coefficients) -> Real:
        """∂_θ S + T_0 on the grid, shape ``(1, n)``."""
        return self.to_grid(_velocity_modes(potential, rotation))[None]

    def gradient(self, coefficients: Coefficients) -> Real:
        """∂_θ f on the grid, shape ``(1, n)``."""
        return self.tangent(coefficients, np.zeros_like(coefficients))

    def tangent_modes(self, field: Real, degree: int | None = None) -> tuple[Coefficients, Coefficients]:
        """(S, T) of a tangent field, up to ``degree`` (default ``lmax``)."""
        modes = self.to_modes(field[0], degree)
        m = np.arange(len(modes))
        rotation = np.where(m == 0, modes, 0)
        return np.where(m == 0, 0, modes / np.where(m == 0, 1, 1j * m)), rotation

    def surface_div(self, field: Real) -> Coefficients:
        """Coefficients of ∂_θ v of a tangent field, degree ``lmax``."""
        return self.tangent_modes(field)[0] * laplacian(self.lmax)

    scalar = to_grid

    def jet(self, f: Coefficients, g: Coefficients) -> tuple[Real, Real, Real]:
        """f, g and ∇f, the last as ambient vectors."""
        return self.scalar(f), self.scalar(g), self.to_ambient(self.gradient(f))

    def from_ambient(self, field: Real) -> Real:
        """The component along e_θ of an ambient field ``(n, 2)``: shape ``(1, n)``."""
        return np.einsum("na,na->n", self.frame[0], field)[None]

    def to_ambient(self, tangent: Real) -> Real:
        """The tangent field as vectors of R², shape ``(n, 2)``."""
        return tangent[0][:, None] * self.frame[0]


class CirclePoints(Points):
    """Points of S¹ with Fourier synthesis at them and its adjoint (non-uniform FFT in fixed blocks)."""

    accuracy = 1e-12
    """Error of a synthesis relative to the largest value."""

    @cached_property
    def angle(self) -> Real:
        """θ of every point."""
        return np.mod(np.arctan2(self.x[:, 1], self.x[:, 0]), 2 * np.pi)

    @cached_property
    def frame(self) -> tuple[Real, ...]:
        """e_θ at the points, one array ``(n, 2)``."""
        return (np.stack([-self.x[:, 1], self.x[:, 0]], -1),)

    def scalar(self, coefficients: Coefficients) -> Real:
        """Σ f_m Y_m at the points, shape ``(n,)``."""
        one_sided = np.ascontiguousarray(coefficients * np.where(np.arange(len(coefficients)) == 0, 1, 2))
        lmax, out = degree_of(coefficients), np.empty(len(self.x))
        two_sided = np.concatenate([np.zeros(lmax, complex), one_sided])

        def block(part: slice) -> None:
            values = ducc0.nufft.u2nu(
                grid=two_sided, coord=self.angle[part, None], forward=False, epsilon=EPSILON, nthreads=1
            )
            out[part] = values.real / np.sqrt(2 * np.pi)

        in_blocks(block, len(self.x))
        return out

    def gradient(self, coefficients: Coefficients) -> Real:
        """∂_θ f e_θ at the points, ambient vectors, shape ``(n, 2)``."""
        return self.tangent(coefficients, np.zeros_like(coefficients))

    def tangent(self, potential: Coefficients, rotation: Coefficients) -> Real:
        """(∂_θ S + T_0) e_θ at the points, ambient vectors, shape ``(n, 2)``."""
        return self.scalar(_velocity_modes(potential, rotation))[:, None] * self.frame[0]

    def jet(self, f: Coefficients, g: Coefficients) -> tuple[Real, Real, Real]:
        """f, g and ∇f, the last as ambient vectors."""
        return self.scalar(f), self.scalar(g), self.to_ambient(self.gradient(f))

    def moments(self, weights: Real, degree: int) -> Coefficients:
        """Σ_i w_i Y*_m(x_i), up to ``degree``."""

        def block(part: slice) -> Coefficients:
            out = np.empty(2 * degree + 1, complex)
            ducc0.nufft.nu2u(
                points=weights[part].astype(complex),
                coord=self.angle[part, None],
                forward=True,
                epsilon=EPSILON,
                nthreads=1,
                out=out,
            )
            return out[degree:]

        total = np.zeros(degree + 1, complex)
        for coefficients in in_blocks(block, len(weights)):
            total += coefficients
        return total / np.sqrt(2 * np.pi)


def _velocity_modes(potential: Coefficients, rotation: Coefficients) -> Coefficients:
    """Fourier coefficients of ∂_θ S + T_0."""
    modes = 1j * np.arange(len(potential)) * potential
    modes[0] = rotation[0]
    return modes


@lru_cache(maxsize=16)
def circle_grid(lmax: int) -> CircleGrid:
    """The shared grid of a degree."""
    return CircleGrid(lmax)
