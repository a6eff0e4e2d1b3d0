"""Probability laws on S^{d-1}: densities that can be sampled, and given points; what measures take of them.

:mod:`fpsolve.measures.initial` builds them by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import cumulative_simpson, quad
from scipy.interpolate import PchipInterpolator
from scipy.special import gammaln, logsumexp

from fpsolve.attention.source import PointSource, Source
from fpsolve.cached import cached_property, read_only
from fpsolve.errors import InputError
from fpsolve.noise import BrownianPath
from fpsolve.sphere.circle import CirclePoints
from fpsolve.sphere.gegenbauer import log_area
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.sphere.scattered import SpherePoints
from fpsolve.values import Value, own_arrays

MASS_TOLERANCE = 1e-6
"""How far the mass of an initial law, by the grid's quadrature, may be from one."""

_ANGLES = np.linspace(0, np.pi, 2**15 + 1)
"""Mesh of the angle to the axis, for distribution functions."""


Profiles = list[tuple[float, Real | None, Callable[[Real], Real]]]
"""Parts (weight, axis or None for the uniform law, log of the density over the uniform one at heights ⟨x, axis⟩)."""


class Law(Value, ABC):
    """A probability law on the unit sphere of R^d."""

    dimension: int

    @abstractmethod
    def density(self, x: Real) -> Real:
        """ρ with respect to surface measure at the points x, shapes (..., d) -> (...)."""

    def log_density(self, x: Real) -> Real:
        """log ρ at the points x, -∞ where ρ = 0; by default of :meth:`density`, which may underflow."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(self.density(x))

    @property
    def is_normalised(self) -> bool:
        """Whether ∫ρ = 1 is known, and need not be checked on a grid."""
        return False

    @property
    def profiles(self) -> Profiles | None:
        """What is known of its symmetry about an axis; None where it has none, or none that is known."""
        return None

    @abstractmethod
    def draw(self, n: int, path: BrownianPath) -> Real:
        """n iid points (n, d), a pure function of the path's seed and member."""


class AxialLaw(Law):
    """A density f(⟨x, axis⟩)/Z around a unit vector, in any d ≥ 2; ``log_profile`` is log f, and pickles."""

    def __init__(self, axis: Real, log_profile: Callable[[Real], Real]) -> None:
        self.axis, self._log_profile = read_only(axis), log_profile
        self.dimension = len(axis)

    def density(self, x: Real) -> Real:
        return np.exp(self.log_density(x))

    def log_density(self, x: Real) -> Real:
        return self._log_profile(x @ self.axis) - self._log_normalisation

    @property
    def is_normalised(self) -> bool:
        return True

    @property
    def profiles(self) -> Profiles:
        return [(1.0, None if self._is_flat else self.axis, self._log_relative)]

    @cached_property
    def _is_flat(self) -> bool:
        """Whether it is the uniform law, whose axis could be any."""
        return not np.any(self._log_profile(np.array([-1.0, -0.3, 0.0, 0.5, 1.0])))

    def _log_relative(self, u: Real) -> Real:
        """log of the density with respect to the uniform law at heights u."""
        return self._log_profile(u) - self._log_normalisation + log_area(self.dimension)

    def draw(self, n: int, path: BrownianPath) -> Real:
        angle = self._angle_quantile(path.initial_uniforms(n))
        directions = _tangential(path.initial_normals(n * self.dimension).reshape(n, -1), self.axis)
        return np.cos(angle)[:, None] * self.axis + np.sin(angle)[:, None] * directions

    @cached_property
    def _peak(self) -> tuple[float, float]:
        """The largest value of log f(cos θ) sin^{d-2} θ and its angle, on a mesh."""
        values = self._log_angle_density(_ANGLES[1:-1])
        return float(values.max()), float(_ANGLES[1 + values.argmax()])

    def _log_angle_density(self, angles: Real) -> Real:
        return self._log_profile(np.cos(angles)) + (self.dimension - 2) * np.log(np.sin(angles))

    @cached_property
    def _log_normalisation(self) -> float:
        """log of the surface integral of f: the area of S^{d-2} times ∫ f(cos θ) sin^{d-2} θ dθ."""
        top, peak = self._peak
        area = np.log(2) + (self.dimension - 1) / 2 * np.log(np.pi) - gammaln((self.dimension - 1) / 2)
        cuts = np.unique(np.clip(peak + np.array([-0.3, -0.03, 0.0, 0.03, 0.3]), 0, np.pi))

        def scaled(angle: float) -> float:
            return float(np.exp(self._log_angle_density(np.asarray(angle)) - top))

        total = quad(scaled, 0, np.pi, points=cuts, epsabs=0, epsrel=1e-12, limit=500)[0]
        return float(area + np.log(total) + top)

    @cached_property
    def _angle_quantile(self) -> Callable[[Real], Real]:
        """The inverse distribution function of the angle: cumulative Simpson sums, inverted monotonically."""
        density = np.zeros_like(_ANGLES)
        density[1:-1] = np.exp(self._log_angle_density(_ANGLES[1:-1]) - self._peak[0])
        if self.dimension == 2:  # no sin^{d-2}: the ends count
            density[[0, -1]] = np.exp(self._log_profile(np.array([1.0, -1.0])) - self._peak[0])
        cumulative = np.maximum.accumulate(cumulative_simpson(density, x=_ANGLES, initial=0))
        cumulative /= cumulative[-1]
        rising = np.append(True, np.diff(cumulative) > 1e-40)  # slopes of the inverse stay finite
        return PchipInterpolator(cumulative[rising], _ANGLES[rising])


@dataclass(frozen=True)
class Exponential:
    """κ(t - 1)."""

    kappa: float

    def __call__(self, t: Real) -> Real:
        return self.kappa * (t - 1)


@dataclass(frozen=True)
class Bell:
    """-(t - h)²/(2w²)."""

    height: float
    width: float

    def __call__(self, t: Real) -> Real:
        return -0.5 * ((t - self.height) / self.width) ** 2


@dataclass(frozen=True, eq=False, repr=False)
class Expanded(Value):
    """x ↦ Σ f_ℓm Y_ℓm(x) on S² or S¹; values below round-off, in parts of ``largest``, have no sign."""

    coefficients: Coefficients
    largest: float
    dimension: int

    def __call__(self, x: Real) -> Real:
        sites: Any = (SpherePoints if self.dimension == 3 else CirclePoints)(x.reshape(-1, self.dimension))
        summed = sites.scalar(self.coefficients).reshape(x.shape[:-1])
        return np.where(np.abs(summed) < 1e-11 * self.largest, np.abs(summed), summed)


@dataclass(frozen=True, eq=False, repr=False)
class Mixture(Law):
    """Σ p_j of the component laws."""

    components: tuple[Law, ...]
    weights: Real

    @property
    def dimension(self) -> int:  # type: ignore[override]
        return self.components[0].dimension

    def density(self, x: Real) -> Real:
        return sum(p * law.density(x) for p, law in zip(self.weights, self.components, strict=True))

    def log_density(self, x: Real) -> Real:
        logs = np.stack([law.log_density(x) for law in self.components])
        return logsumexp(logs, axis=0, b=self.weights.reshape(-1, *[1] * (logs.ndim - 1)))

    @property
    def is_normalised(self) -> bool:
        return all(law.is_normalised for law in self.components)

    @property
    def profiles(self) -> Profiles | None:
        parts = [law.profiles for law in self.components]
        if any(part is None for part in parts):
            return None
        weighted = zip(self.weights.tolist(), parts, strict=True)
        return [(p * q, axis, log) for p, part in weighted for q, axis, log in part or []]

    def draw(self, n: int, path: BrownianPath) -> Real:
        which = np.searchsorted(np.cumsum(self.weights)[:-1], path.initial_uniforms(2 * n)[n:], side="right")
        drawn = np.stack([law.draw(n, path) for law in self.components])
        return drawn[which, np.arange(n)]


@dataclass(frozen=True, eq=False, repr=False)
class FunctionLaw(Law):
    """A density given by a function of x, or by values on a Gauss grid; it is not sampled."""

    function: Callable[[Real], Real]
    dimension: int = 3

    def density(self, x: Real) -> Real:
        return np.asarray(self.function(np.array(x)), float)  # a copy: it may write into its argument

    def draw(self, n: int, path: BrownianPath) -> Real:
        raise InputError("law", "function", "a density given by a function is not sampled", "pass points instead")


@dataclass(frozen=True, eq=False, repr=False)
class Tokens(Value):
    """Given points (n, d) with weights (n,): finite-N tokens, not a density."""

    x: Real
    weights: Real
    labels: Real | None = None

    def __post_init__(self) -> None:
        own_arrays(self)

    @property
    def dimension(self) -> int:
        """d."""
        return int(self.x.shape[1])

    @property
    def points(self) -> Real:
        """``x``, as measures of points name theirs."""
        return self.x

    @property
    def masses(self) -> Real:
        """``weights``."""
        return self.weights

    @property
    def source(self) -> Source:
        """That of the points."""
        return PointSource(self.x, self.weights)


@dataclass(frozen=True, eq=False, repr=False)
class Prompt(Value):
    """A law for each position of a sequence: ``laws`` of equal stretches, in order, for ``cells`` equal cells."""

    laws: tuple[Law, ...]
    cells: int

    @property
    def dimension(self) -> int:
        """d."""
        return self.laws[0].dimension

    @property
    def stretches(self) -> list[int]:
        """The number of the law of every cell."""
        return self.of_places((np.arange(self.cells) + 0.5) / self.cells)

    def of_places(self, positions: Real) -> list[int]:
        """The number of the law at positions in (0, 1)."""
        return np.minimum(positions * len(self.laws), len(self.laws) - 1).astype(int).tolist()


def last_axis(d: int) -> Real:
    """e_d."""
    axis = np.zeros(d)
    axis[-1] = 1.0
    return axis


def off_sphere(x: Any) -> float:
    """How far from one the norms of unit rows may be, by the precision in which they were given."""
    kind = np.asarray(x).dtype
    return max(1e-8, 8 * float(np.finfo(kind).eps)) if kind.kind == "f" else 1e-8


def density_values(law: Law | Tokens, sphere: Any) -> Real:
    """The law's density on the grid, checked: finite, non-negative, of mass one by the grid's quadrature."""
    if isinstance(law, Tokens):
        raise InputError("measure", "density", "tokens have no density", 'use measure="cloud"')
    values = np.asarray(law.density(sphere.x), float)
    if values.shape != sphere.shape:
        raise InputError("initial", values.shape, "the density must map (..., 3) to (...)", "vectorise the function")
    if not np.isfinite(values).all():
        raise InputError("initial", "NaN or infinity", "the initial density is not finite", "check the function")
    if (values < 0).any():
        raise InputError("initial", float(values.min()), "the initial density is negative", "pass a density ρ >= 0")
    mass = sphere.integral(values)
    if not abs(mass - 1) < MASS_TOLERANCE:
        raise InputError(
            "initial",
            mass,
            f"the mass on the grid of lmax={sphere.lmax} is not 1: the law is sharper than the grid, or not normalised",
            "raise lmax, or normalise the density",
        )
    return values / mass


def refuse_filter(filter: float | None, measure: str) -> None:
    """Raise InputError for a filter where there is none."""
    if filter is not None:
        raise InputError("filter", filter, f"measure={measure!r} has no filter", 'use measure="density" or filter=None')


def _tangential(normals: Real, axis: Real) -> Real:
    """Unit vectors orthogonal to ``axis``, uniform, from Gaussian rows."""
    flat = normals - np.einsum("na,a->n", normals, axis)[:, None] * axis
    return flat / np.sqrt(np.einsum("na,na->n", flat, flat))[:, None]
