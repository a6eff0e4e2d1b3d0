"""Two tokens under common noise: their overlap q = ⟨x,y⟩ is a diffusion on [-1, 1] with exact statistics.

For noise with E[W(x)W(y)ᵀ] = K(x,y) I per unit time and tokens x, y on S^{d-1},

    dq = ε² [(d-2+q²) K(x,y) - (d-1) q K̄] dt + ε √(2(1-q²)(K̄ - q K(x,y))) dB,   K̄ = (K(x,x) + K(y,y))/2,

where dB comes from ⟨y, P_x dW(x)⟩ + ⟨x, P_y dW(y)⟩ :cite:`homogenized2026` (arXiv:2604.01978).
Expectations u(q,t) = E[f(q_t) | q_0 = q] solve the backward equation ∂_t u = b u' + ½ s u'', u(·,0) = f. The
variance s vanishes at both ends and the drift b does not point out, so that no boundary condition is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import Legendre
from numpy.polynomial.legendre import leggauss, legvander
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm

from fpsolve.cached import lru_cache
from fpsolve.errors import InputError, UnresolvedError
from fpsolve.plain.arguments import checked_arguments
from fpsolve.theory.checks import function, scalar
from fpsolve.theory.ends import has_noise_inside
from fpsolve.theory.long_times import Advected, expectation, expectation_by_steps
from fpsolve.values import Checked

Real = NDArray[np.float64]
Function = Callable[[Any], Any]
"""A function of overlaps, array to array."""

LARGEST = 1e150
"""Strengths of noise above have no square."""

DEGREES = (32, 64, 128, 256)
"""Degrees of the polynomials, tried in turn."""


@dataclass(frozen=True)
class OverlapDiffusion(metaclass=Checked):
    """dq = b(q) dt + √s(q) dB on [-1, 1]: ``drift`` b and ``variance`` s map arrays of overlaps to arrays.

    Raises InputError when s does not vanish at an end or b points out of it.
    """

    drift: Function
    variance: Function

    def __post_init__(self) -> None:
        ends = np.array([-1.0, 1.0])
        b, s = self.drift(ends) * np.ones(2), self.variance(ends) * np.ones(2)
        allowed = 1e-9 * max(1.0, float(np.abs(self.drift(np.linspace(-1, 1, 9))).max()))
        remedy = "an overlap cannot leave [-1, 1]"
        if not np.abs(s).max() <= allowed:
            raise InputError("variance", s, "does not vanish at q = -1 and q = 1", remedy)
        if not (b[0] >= -allowed and b[1] <= allowed):
            raise InputError("drift", b, "points out of [-1, 1] at an end", remedy)

    def __add__(self, other: OverlapDiffusion) -> OverlapDiffusion:
        """Two tokens under both, independent of each other: b and s add."""
        if not isinstance(other, OverlapDiffusion):
            return NotImplemented
        return OverlapDiffusion(
            lambda q: self.drift(q) + other.drift(q), lambda q: self.variance(q) + other.variance(q)
        )

    def expect(self, f: Function, q0: ArrayLike, t: float, tolerance: float = 1e-6) -> Real:
        """E[f(q_t) | q_0], shape of ``q0``, for any t, on meshes that are refined until two agree to ``tolerance``.

        f: a function of overlaps, bounded on [-1, 1] and continuous at the ends. By resolvents in w = artanh q
        (:mod:`fpsolve.theory.long_times`), where ends that absorb, repel or are crossed have their exact conditions:
        for t → ∞ it tends to Σ f(±1) P(q → ±1) (:func:`hitting_probability`) or to the mean under the stationary law.
        While a strong drift only carries f along, and where the variance vanishes inside, by :meth:`backward` at
        degrees that rise; in the first case, once its layers are too thin for 256 degrees, by L-stable steps in time.
        Raises UnresolvedError where nothing is accurate to ``tolerance`` (an f with jumps), InputError for overlaps off
        [-1, 1], a negative time, an f that is not finite at ±1.
        Source: :cite:`karlin1981` for the ends, :cite:`trefethen2006` for the contour.
        """
        start = np.asarray(q0, float)
        if not (np.abs(start) <= 1).all():
            raise InputError("q0", q0, "an overlap lies in [-1, 1]", "pass inner products of unit vectors")
        if not (np.isfinite(t) and t >= 0):
            raise InputError("t", t, "not a time", "pass t >= 0")
        if t == 0:
            return np.asarray(f(start) * np.ones_like(start), float)
        if not has_noise_inside(self):
            return self._by_polynomials(f, start, t, tolerance)
        with suppress(Advected, UnresolvedError):
            return expectation(self, f, start, t, tolerance)
        with suppress(UnresolvedError):
            return self._by_polynomials(f, start, t, tolerance)
        return expectation_by_steps(self, f, start, t, tolerance)

    def _by_polynomials(self, f: Function, start: Real, t: float, tolerance: float) -> Real:
        """The same by :meth:`backward` until two degrees agree on all of [-1, 1]."""
        probes = np.append(start.ravel(), np.linspace(-1, 1, 33))
        before = self.backward(f, t, DEGREES[0])(probes)
        for degree in DEGREES[1:]:
            values = self.backward(f, t, degree)(probes)
            if np.abs(values - before).max() <= tolerance:
                return np.asarray(values[: start.size].reshape(start.shape))
            before = values
        remedy = "raise tolerance, or take another t"
        raise UnresolvedError(t, f"degree {DEGREES[-1]} is not accurate to {tolerance:g}", remedy)

    def backward(self, f: Function, t: float, degree: int = 64) -> Legendre:
        """u(·, t) as a polynomial: e^{tL} f, L the Legendre–Galerkin matrix of the generator b ∂ + ½ s ∂².

        For times of order one; later the ends get layers that no polynomial has.

        In d ≥ 3 integration by parts bounds ⟨u, Lu⟩ ≤ c⟨u, u⟩, so that e^{tL} stays bounded whatever the degree is;
        on the circle, where q = -1 is reached, it does so by experience.
        """
        basis = _basis(degree)
        ones = np.ones_like(basis.nodes)
        drift, variance = self.drift(basis.nodes) * ones, self.variance(basis.nodes) * ones
        generator = basis.project @ (drift[:, None] * basis.first + 0.5 * variance[:, None] * basis.second)
        return Legendre(expm(t * generator) @ (basis.project @ (f(basis.nodes) * ones)))

    def legendre_moment(self, ell: int, q0: ArrayLike, t: float) -> Real:
        """E[P_ℓ(q_t) | q_0], shape of ``q0``."""
        return self.expect(Legendre.basis(ell), q0, t)

    def expected_power(self, ell: int, powers: ArrayLike, t: float) -> float:
        """E Σ_m|ρ_ℓm(t)|² on S² from ``powers`` S_j = Σ_m|ρ_jm(0)|², j = 0, 1, …, of the initial density.

        Σ_m|ρ_ℓm|² = (2ℓ+1)/(4π) ∬ P_ℓ(⟨x,y⟩) μ(dx)μ(dy); so with E[P_ℓ(q_t) | q_0] = Σ_j u_j P_j(q_0) it is
        Σ_j (2ℓ+1)/(2j+1) u_j S_j.
        """
        initial = np.asarray(powers, float)
        nodes, weights = leggauss(max(64, 2 * len(initial)))
        values = weights * self.legendre_moment(ell, nodes, t)
        projected = legvander(nodes, len(initial) - 1).T @ values  # 2/(2j+1) u_j
        return float((2 * ell + 1) / 2 * (projected @ initial))


class _Basis(NamedTuple):
    """Legendre polynomials at Gauss nodes; ``project`` takes values at the nodes to coefficients."""

    nodes: Real
    first: Real
    second: Real
    project: Real


@lru_cache(maxsize=16)
def _basis(degree: int) -> _Basis:
    """Twice as many nodes as polynomials: products with b and s are then integrated almost exactly."""
    nodes, weights = leggauss(2 * (degree + 1))
    polynomials = [Legendre.basis(k) for k in range(degree + 1)]
    values, first, second = (np.stack([p.deriv(n)(nodes) for p in polynomials], 1) for n in (0, 1, 2))
    return _Basis(nodes, first, second, (weights[:, None] * values).T / (weights @ values**2)[:, None])


@checked_arguments
def isotropic_overlap(kernel: Function, d: int, noise: float = 1.0) -> OverlapDiffusion:
    """Isotropic noise K(x,y) = k(⟨x,y⟩), ``kernel`` k on [-1, 1], ``noise`` ε.

    b = ε²[(d-2+q²) k(q) - (d-1) κ q], s = 2ε²(1-q²)(κ - q k(q)), κ = k(1) :cite:`homogenized2026`.
    Raises InputError for a kernel that is no function and for bad numbers.
    """
    _check_dimension(d)
    function("kernel", kernel)
    scalar("noise", noise, 0, LARGEST)
    kappa = float(np.asarray(kernel(np.array([1.0]))).ravel()[0])

    def drift(q: Real) -> Real:
        return np.asarray(noise**2 * ((d - 2 + q**2) * kernel(q) - (d - 1) * kappa * q))

    def variance(q: Real) -> Real:
        return np.asarray(2 * noise**2 * (1 - q**2) * (kappa - q * kernel(q)))

    return OverlapDiffusion(drift, variance)


@checked_arguments
def value_noise_overlap(beta: float, d: int, value_std: float | None = None, noise: float = 1.0) -> OverlapDiffusion:
    """Two tokens that attend to each other with A = I and V of iid centred entries of deviation ``value_std``.

    a = e^β/(e^β + e^{βq}), K_11 = a² + (1-a)² + 2a(1-a)q, K_12 = 2a(1-a) + (a² + (1-a)²)q, σ = ε value_std;
    b = σ²[(d-2+q²) K_12 - (d-1) q K_11], s = 2σ²(1-q²)(K_11 - q K_12) :cite:`homogenized2026`.
    ``value_std`` is 1/√d by default. Raises InputError for β < 0, d < 2 and negative deviations.
    """
    _check_dimension(d)
    scalar("beta", beta, 0)
    scalar("noise", noise, 0, LARGEST)
    if value_std is not None:
        scalar("value_std", value_std, 0, LARGEST)
    scale = noise**2 * (1 / d if value_std is None else value_std**2)

    def kernels(q: Real) -> tuple[Real, Real]:
        a = 1 / (1 + np.exp(beta * (q - 1)))
        same, cross = a**2 + (1 - a) ** 2, 2 * a * (1 - a)
        return same + cross * q, cross + same * q

    def drift(q: Real) -> Real:
        k11, k12 = kernels(q)
        return np.asarray(scale * ((d - 2 + q**2) * k12 - (d - 1) * q * k11))

    def variance(q: Real) -> Real:
        k11, k12 = kernels(q)
        return np.asarray(2 * scale * (1 - q**2) * (k11 - q * k12))

    return OverlapDiffusion(drift, variance)


def _check_dimension(d: int) -> None:
    if isinstance(d, bool) or not isinstance(d, int | np.integer) or not 2 <= d < 1 << 53:
        raise InputError("d", d, "the dimension must be an integer >= 2", "pass d=3 for the sphere S²")
