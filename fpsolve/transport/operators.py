"""Transport operators on coefficients, the field frozen on the grid: L u = -div(uv), and its forms for √ρ and log ρ."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpsolve._kernels import _transport
from fpsolve.cached import cached_property, lru_cache
from fpsolve.sphere import fourier
from fpsolve.sphere._shtns import BOUND, address
from fpsolve.sphere.circle import CircleGrid
from fpsolve.sphere.grid import Grid
from fpsolve.sphere.harmonics import Coefficients, Real, laplacian, size
from fpsolve.transport.exponential import GROWTH, Generator, Series, polynomial
from fpsolve.transport.velocity import CUT, NEGLIGIBLE, RESOLVED, HarmonicField, Velocity


class _Applied:
    """What all operators share: L u added, and series in L by the readable loop."""

    @property
    def _nothing(self) -> Coefficients:
        raise NotImplementedError

    def recur(self, u: Coefficients, out: Coefficients, factor: float, weight: float, result: Coefficients) -> float:
        raise NotImplementedError

    def add_to(self, u: Coefficients, out: Coefficients, factor: float) -> None:
        """out += factor · L u."""
        self.recur(u, out, factor, 0.0, self._nothing)

    def polynomial(self, u: Coefficients, series: Series) -> Coefficients | None:
        """The sum of a series in L u; None where its polynomials outgrow the bound on the spectrum."""
        return polynomial(self, u, series)


class _OnSphere(_Applied):
    """Those on S²: a field on a grid, and the series in one compiled call. Work arrays come with their first use."""

    extra = 0
    """Numbers beside the coefficients."""

    def __init__(self, sphere: Grid, v: Real) -> None:
        self._sphere, self._v, self._plan = sphere, np.ascontiguousarray(v), sphere.plan(sphere.lmax)
        if self._v.shape != (2, *sphere.shape):
            raise ValueError(f"a field of shape {self._v.shape} on a grid of {sphere.shape}")
        self._rooms: tuple[Real, Coefficients] | None = None

    @property
    def _room(self) -> tuple[Real, Coefficients]:
        """A tangent field and three sets of coefficients."""
        if self._rooms is None:
            count = size(self._sphere.lmax) + self.extra
            self._rooms = np.empty((2, *self._sphere.shape)), np.zeros((3, count), complex)
        return self._rooms

    @property
    def _nothing(self) -> Coefficients:
        return self._room[1][2]

    def polynomial(self, u: Coefficients, series: Series) -> Coefficients | None:
        if not BOUND:
            return super().polynomial(u, series)
        result = np.empty_like(u)
        return result if self._compiled(np.ascontiguousarray(u), series, result) else None

    def _compiled(self, u: Coefficients, series: Series, result: Coefficients) -> bool:
        raise NotImplementedError


class AdvectionOperator(_OnSphere):
    """L u = -div(u v) on S²; an application allocates nothing."""

    def recur(self, u: Coefficients, out: Coefficients, factor: float, weight: float, result: Coefficients) -> float:
        """out += factor · L u, result += weight · out; returns Σ|out|². One scalar synthesis, one vector analysis."""
        (first, rho), (potential, unused, _) = self._room
        self._plan.SH_to_spat(u, rho)
        _transport.flux(rho, self._v, first)
        self._plan.spat_to_SHsphtor(first, rho, potential, unused)
        return _transport.recur_flux(potential, _rates(self._sphere.lmax), factor, out, weight, result)

    def _compiled(self, u: Coefficients, series: Series, result: Coefficients) -> bool:
        at = address(self._plan)
        rates = _rates(self._sphere.lmax)
        return _transport.polynomial_flux(at, self._v, rates, u, *series.numbers, GROWTH, result) > 0


class SkewOperator(_OnSphere):
    """L u = -½[v·∇u + div(vu)] on S²; with analysis the adjoint of synthesis, ⟨w, Lu⟩ = -⟨Lw, u⟩ to round-off."""

    def recur(self, u: Coefficients, out: Coefficients, factor: float, weight: float, result: Coefficients) -> float:
        """out += factor · L u, result += weight · out; returns Σ|out|².

        A vector and a scalar synthesis, a scalar and a vector analysis.
        """
        field, (potential, along, unused) = self._room
        first, second = field
        self._plan.SHsph_to_spat(u, first, second)
        _transport.dot(field, self._v)
        self._plan.spat_to_SH(first, along)
        self._plan.SH_to_spat(u, second)
        _transport.flux(second, self._v, first)
        self._plan.spat_to_SHsphtor(first, second, potential, unused)
        return _transport.recur_skew(potential, along, _half_rates(self._sphere.lmax), factor, out, weight, result)

    def _compiled(self, u: Coefficients, series: Series, result: Coefficients) -> bool:
        at, rates = address(self._plan), _half_rates(self._sphere.lmax)
        return _transport.polynomial_skew(at, self._v, rates, u, *series.numbers, GROWTH, result) > 0


class LogOperator(_OnSphere):
    """L (φ, a) = (-v·∇φ - a div v, 0) on S²: the affine generator of φ = log ρ, linear beside its constant a = 1.

    Coefficients are those of φ and, after them, a.
    """

    extra = 1

    @cached_property
    def _divergence(self) -> Coefficients:
        return self._sphere.surface_div(self._v)

    def recur(self, u: Coefficients, out: Coefficients, factor: float, weight: float, result: Coefficients) -> float:
        """out += factor · L u, result += weight · out; returns Σ|out|². One vector synthesis, one scalar analysis."""
        field, work = self._room
        (first, second), along = field, work[0, :-1]
        self._plan.SHsph_to_spat(u[:-1], first, second)
        _transport.dot(field, self._v)
        self._plan.spat_to_SH(first, along)
        out[:-1] -= factor * (along + u[-1].real * self._divergence)
        result += weight * out
        return float(np.einsum("n,n->", out.view(float), out.view(float)))  # BLAS's bits vary with its threads

    def _compiled(self, u: Coefficients, series: Series, result: Coefficients) -> bool:
        at, lmax = address(self._plan), self._sphere.lmax
        numbers = (*series.numbers, GROWTH)
        return _transport.polynomial_log(at, lmax, self._v, self._divergence, u, *numbers, result) > 0


@lru_cache(maxsize=16)
def _rates(lmax: int) -> Real:
    """ℓ(ℓ+1) for each degree, twice over: -div of a gradient, for the real and the imaginary part (read-only)."""
    values = np.repeat(-laplacian(lmax)[: lmax + 1], 2)
    return values


@lru_cache(maxsize=16)
def _half_rates(lmax: int) -> Real:
    """Half of them (read-only)."""
    return 0.5 * _rates(lmax)


class _OnCircle(_Applied):
    """Those on S¹."""

    def add_to(self, u: Coefficients, out: Coefficients, factor: float) -> None:
        raise NotImplementedError

    def recur(self, u: Coefficients, out: Coefficients, factor: float, weight: float, result: Coefficients) -> float:
        """out += factor · L u, result += weight · out; returns Σ|out|²."""
        self.add_to(u, out, factor)
        result += weight * out
        return float(np.vdot(out, out).real)


def spectral_bound(v: Real, lmax: int) -> float:
    """√(ℓmax(ℓmax+1)) max|v| ≥ ‖L‖ for both forms of L with the field ``v`` on a grid, in the Euclidean norm.

    L is (up to sign) the adjoint of u ↦ P(v·∇u), or half the difference of both; ‖v·∇u‖ ≤ max|v| ‖∇u‖ in the grid's
    inner product, which is exact for ∇u·∇u, and ‖∇u‖² = Σ ℓ(ℓ+1)|u_ℓm|².
    """
    return float(np.sqrt(_transport.largest_square(np.ascontiguousarray(v)) * lmax * (lmax + 1)))


class CircleAdvection(_OnCircle):
    """L u = -∂_θ(u v) on S¹."""

    def __init__(self, circle: CircleGrid, v: Real) -> None:
        self._circle, self._v = circle, v[0]
        self._derivative = 1j * fourier.degrees(circle.lmax)

    def add_to(self, u: Coefficients, out: Coefficients, factor: float) -> None:
        """out += factor · L u."""
        flux = self._circle.to_modes(self._circle.to_grid(u) * self._v)
        out -= factor * self._derivative * flux


class CircleSkew(_OnCircle):
    """L u = -½[v ∂_θ u + ∂_θ(vu)] on S¹, skew."""

    def __init__(self, circle: CircleGrid, v: Real) -> None:
        self._circle, self._v = circle, v[0]
        self._derivative = 1j * fourier.degrees(circle.lmax)

    def add_to(self, u: Coefficients, out: Coefficients, factor: float) -> None:
        """out += factor · L u."""
        circle = self._circle
        along = circle.to_modes(circle.to_grid(self._derivative * u) * self._v)
        flux = circle.to_modes(circle.to_grid(u) * self._v)
        out -= 0.5 * factor * (along + self._derivative * flux)


class CircleLog(_OnCircle):
    """L (φ, a) = (-v ∂_θ φ - a ∂_θ v, 0) on S¹, as :class:`LogOperator`."""

    def __init__(self, circle: CircleGrid, v: Real) -> None:
        self._circle, self._v = circle, v[0]
        self._derivative = 1j * fourier.degrees(circle.lmax)
        self._divergence = circle.surface_div(v)

    def add_to(self, u: Coefficients, out: Coefficients, factor: float) -> None:
        """out += factor · L u."""
        along = self._circle.to_modes(self._circle.to_grid(self._derivative * u[:-1]) * self._v)
        out[:-1] -= factor * (along + u[-1].real * self._divergence)


def smooth_field(grid: Any, velocity: Velocity, d: int, rtol: float) -> Velocity:
    """The field in harmonics of at most half the degree of ``grid``, where these are right to 1e-10; otherwise itself.

    It is then evaluated at a quarter of the places or fewer, and carried on a thinner grid. Below that ``rtol`` no
    field is changed.
    """
    if rtol < RESOLVED:
        return velocity
    return velocity.resolved(d, grid.lmax // 2, min(max(CUT * rtol, NEGLIGIBLE), RESOLVED))


def transport_grid(grid: Any, velocity: Velocity) -> Any:
    """The grid on which a field moves coefficients of ``grid``'s degree: thinner than it where the field's is low."""
    if isinstance(velocity, HarmonicField) and isinstance(grid, Grid):
        return grid.carrying(velocity.degree)
    return grid


def advection(grid: Any, v: Real) -> Generator:
    """L u = -div(u v) on the sphere or the circle, ``v`` on the grid or on its :func:`transport_grid`."""
    return CircleAdvection(grid, v) if isinstance(grid, CircleGrid) else AdvectionOperator(grid.sampled(v), v)


def skew_advection(grid: Any, v: Real) -> Generator:
    """L u = -½[v·∇u + div(vu)] on the sphere or the circle, ``v`` on the grid or on its :func:`transport_grid`."""
    return CircleSkew(grid, v) if isinstance(grid, CircleGrid) else SkewOperator(grid.sampled(v), v)


def log_advection(grid: Any, v: Real) -> Generator:
    """L (φ, a) = (-v·∇φ - a div v, 0) on S² or S¹, ``v`` on the grid or on its :func:`transport_grid`."""
    return CircleLog(grid, v) if isinstance(grid, CircleGrid) else LogOperator(grid.sampled(v), v)
