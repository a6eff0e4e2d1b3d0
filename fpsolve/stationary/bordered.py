r"""Bordered systems: the stationary equation with phase conditions for rotations and, along a branch, a free parameter.

Unknowns (u, ω, q), p = q·scale the parameter, if it is free:

    E(u; p) - (νΔ)^{-1} Σ_k ω_k X_k u = 0,    ⟨X_k û, u - û⟩ = 0,    ⟨a, u⟩ + b q = c

X_k û are orthonormal and span the directions in which symmetries rotate the reference û, so that the system is regular
where the state is isolated up to rotations. The first line says ∂_tρ = Σ ω_k X_kρ, a wave that rotates; ω vanishes at a
stationary state. The last line is an amplitude or pseudo-arclength condition :cite:`keller1977`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fpsolve.cached import lru_cache
from fpsolve.errors import InputError, check_number, unknown_name
from fpsolve.measures.density import Density
from fpsolve.measures.zonal import ZonalDensity
from fpsolve.models.base import Model
from fpsolve.petsc.newton_numpy import Action
from fpsolve.sphere.gegenbauer import ZonalGeometry
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.stationary.attention_drift import AttentionDrift
from fpsolve.stationary.axial import AxialDrift, AxialEquation
from fpsolve.stationary.equation import Generator, StationaryEquation
from fpsolve.stationary.heads import parts_of

PARAMETERS = ("beta", "diffusion")

ROUND = 1e-7
"""Directions in which a rotation moves the reference by less than this part of its norm do not count."""

NOTHING = 1e-9
"""A state this near to the uniform one, in L², is moved by no rotation."""

DIFFERENCE = 1e-5
"""Relative step of the central difference in the parameter; its error slows Newton, it does not move the root."""


@dataclass(frozen=True)
class Family:
    """The stationary equations of one model as ``parameter`` varies, at one degree and dimension.

    axial: whether those of laws about an axis.
    """

    model: Model
    parameter: str
    d: int
    lmax: int
    axial: bool = False

    def __post_init__(self) -> None:
        if self.parameter not in PARAMETERS:
            raise unknown_name("parameter", self.parameter, PARAMETERS)
        if self.model.is_stochastic:
            raise InputError("model", self.model, "common noise leaves no state at rest", "use a deterministic model")
        check_number("diffusion", self.model.diffusion, 0, above=True)
        parts_of(self.model)
        if not hasattr(self.model, self.parameter):
            name = type(self.model).__name__
            raise InputError("parameter", self.parameter, f"{name} has no one {self.parameter}", "vary the other")

    @property
    def value(self) -> float:
        """The parameter of the model itself."""
        return float(getattr(self.model, self.parameter))

    @property
    def scale(self) -> float:
        """Unit of the parameter, its value in the model."""
        return abs(self.value) or 1.0

    def at(self, p: float) -> Model:
        """The model with the parameter p."""
        return self.model if p == self.value else self.model.changed(**{self.parameter: p})

    def equation(self, p: float) -> StationaryEquation:
        """E(·; p)."""
        of_drift, diffusion = (self.at(p), self.model.diffusion) if self.parameter == "beta" else (self.model, p)
        drift = _drift(of_drift, self.d, self.lmax, self.axial)
        kind = AxialEquation if self.axial else StationaryEquation
        return kind(drift, _geometry(self.d, self.axial), self.lmax, diffusion)

    def density(self, coefficients: Coefficients) -> Any:
        """The measure of a state's coefficients."""
        if self.axial:
            return ZonalDensity.of(coefficients, self.d, 1e-8)
        return Density(coefficients, 1e-8, d=self.d)


def _geometry(d: int, axial: bool) -> Any:
    return ZonalGeometry(d) if axial else geometry(d)


@lru_cache(maxsize=8)
def _drift(model: Model, d: int, lmax: int, axial: bool) -> Any:
    heads, outer = parts_of(model)
    if not axial:
        return AttentionDrift(heads, geometry(d), lmax, outer)
    if outer:
        name = type(model).__name__
        raise InputError("model", name, "a drift that is not symmetric about the axis", 'use measure="density"')
    return AxialDrift(heads, _geometry(d, axial), lmax)


class Condition(NamedTuple):
    """⟨a, u⟩ + b q = c."""

    a: Real
    b: float
    c: float


class BorderedSystem:
    """The equations of this module around a reference; without a condition the parameter stays at ``p``."""

    def __init__(
        self, family: Family, symmetries: list[Generator], reference: Real, p: float, condition: Condition | None = None
    ) -> None:
        self._family, self._p, self._condition, self.symmetries = family, p, condition, symmetries
        self.scale = family.scale
        self._generators = moving_generators(symmetries, reference)
        self._phases = np.array([x @ reference for x in self._generators]).reshape(-1, len(reference))
        self._reference, self._n = reference, len(reference)
        self.start = np.concatenate([reference, np.zeros(self.rotations), [p / self.scale] if condition else []])

    @property
    def rotations(self) -> int:
        """Number of phase conditions."""
        return len(self._generators)

    def parts(self, y: Real) -> tuple[Real, Real, float]:
        """u, ω, p."""
        n, k = self._n, self.rotations
        return y[:n], y[n : n + k], float(y[-1] * self.scale) if self._condition else self._p

    def residual(self, y: Real) -> Real:
        """The left sides; NaN where the parameter leaves its domain, so that line searches step back."""
        u, _, p = self.parts(y)
        if p <= 0:
            return np.full(len(y), np.nan)
        return self._assembled(y, self._family.equation(p).residual(u))

    def linearised(self, y: Real) -> tuple[Real, Action]:
        """The left sides and the action of their derivative."""
        u, omega, p = self.parts(y)
        value, action = self._family.equation(p).linearised(u)
        turned = self._turned(u, p)
        slope = self._parameter_slope(u, p) if self._condition else None

        def apply(w: Real) -> Real:
            du, domega, _ = self.parts(w)
            top = action(du) + domega @ turned + omega @ self._turned(du, p)
            if slope is None:
                return np.concatenate([top, self._phases @ du])
            assert self._condition is not None
            last = self._condition.a @ du + self._condition.b * w[-1]
            return np.concatenate([top + slope * w[-1], self._phases @ du, [last]])

        return self._assembled(y, value), apply

    def _turned(self, u: Real, p: float) -> Real:
        """-(νΔ)^{-1} X_k u, shape (rotations, n)."""
        equation = self._family.equation(p)
        rows = np.array([x @ u for x in self._generators]).reshape(-1, self._n)
        return -rows / (equation.diffusion * equation.laplacian)

    def _assembled(self, y: Real, value: Real) -> Real:
        u, omega, p = self.parts(y)
        rows = [value + omega @ self._turned(u, p), self._phases @ (u - self._reference)]
        if self._condition is not None:
            a, b, c = self._condition
            rows.append(np.array([a @ u + b * y[-1] - c]))
        return np.concatenate(rows)

    def angular_velocity(self, y: Real) -> float:
        """|ω| in radians per unit time, from the generators' size on degree one."""
        _, omega, _ = self.parts(y)
        first = [x.toarray()[: self._family.d, : self._family.d] for x in self._generators]
        return float(np.sqrt(sum((o * np.linalg.norm(x)) ** 2 / 2 for o, x in zip(omega, first, strict=True))))

    def _parameter_slope(self, u: Real, p: float) -> Real:
        """∂E/∂q by a central difference."""
        h = DIFFERENCE * p
        above, below = (self._family.equation(p + sign * h).residual(u) for sign in (1, -1))
        return (above - below) * (self.scale / (2 * h))


def moving_generators(symmetries: list[Generator], u: Real) -> list[Generator]:
    """Combinations X_k of the symmetries with X_k u orthonormal; none for those that leave u as it is."""
    norm = float(np.linalg.norm(u))
    if not symmetries or norm < NOTHING:
        return []
    _, singular, rows = np.linalg.svd(np.stack([x @ u for x in symmetries], -1), full_matrices=False)
    kept = singular > ROUND * norm
    return [
        sum(c * x for c, x in zip(row / s, symmetries, strict=True))
        for row, s in zip(rows[kept], singular[kept], strict=True)
    ]
