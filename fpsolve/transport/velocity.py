"""Velocity fields on the sphere: evaluated where a measure needs them, never stored as a matrix.

*Sites* are the places of evaluation: a :class:`~fpsolve.sphere.Grid` (tangent fields as components ``(2, *shape)``)
or :class:`~fpsolve.sphere.Points` (tangent fields as ambient vectors ``(n, d)``). A velocity is a displacement: it
is transported along for unit time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fpsolve.cached import cached_property, lru_cache
from fpsolve.errors import InputError
from fpsolve.sphere.geometry import GEOMETRIES, Geometry, geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.sphere.scattered import Points

Sites = Any
"""A Grid or Points."""

RESOLVING_DEGREES = (31, 63, 127, 255)
"""Degrees tried, in turn, to write an ambient field in harmonics."""

RESOLVED = 1e-10
"""A field is resolved when the last tenth of its degrees carries less than this part of its norm."""

NEGLIGIBLE = 1e-13
"""Degrees beyond which a resolved field carries less than this part of its norm are cut off."""


NOTHING = 1e-13
"""Displacements below this are round-off: of a field that vanishes, as F of the uniform law, nothing else is left."""

LOOKED_AT = 64
"""Points at which harmonics are compared with the field that they are to be."""

CUT = 1e-4
"""The part of a measure's ``rtol`` that degrees cut off a field of its step may carry, of the field's norm."""


class Velocity(ABC):
    """A tangent field v on S^{d-1}."""

    flowable = True
    """Whether v is a field; one known only jointly at given points is not, and flow schemes refuse it."""

    @abstractmethod
    def on(self, sites: Sites) -> Real:
        """The tangent field P_x v at the sites, in their representation."""

    def ambient(self, sites: Sites) -> Real:
        """The field before projection, vectors ``(..., d)``; used by the layer map x ← N(x + v)."""
        return sites.to_ambient(self.on(sites))

    def resolved(
        self, d: int = 3, highest: int = RESOLVING_DEGREES[-1], negligible: float = NEGLIGIBLE
    ) -> Velocity:
        """The same field in harmonics of S^{d-1}, d = 2 or 3, where that is right to 1e-10, otherwise itself.

        ``highest``: the degree of the finest grid on which it may be looked at; ``negligible``: the part of its norm
        that the degrees may carry that are cut off.
        """
        return self

    def at(self, cell: int) -> Velocity:
        """The field that moves the law of one position of a sequence; by default all alike."""
        return self

    def divergence(self, points: Any) -> Real:
        """div v at points of S² or S¹, shape ``(n,)``, by central differences along the tangent frame, error O(h⁴).

        A field that is known in harmonics has it exactly.
        """
        return _difference_divergence(self, points)

    def __add__(self, other: Velocity) -> Velocity:
        return self if isinstance(other, ZeroField) else SumField((self, other))

    def __mul__(self, factor: float) -> Velocity:
        return ScaledField(self, float(factor))

    __rmul__ = __mul__


class HarmonicField(Velocity):
    """v = ∇S + ∇T × x on S² (∂_θS + T on S¹), with an optional radial part R x that only the layer map sees."""

    def __init__(
        self, spheroidal: Coefficients, toroidal: Coefficients, radial: Coefficients | None = None, d: int = 3
    ) -> None:
        self.spheroidal, self.toroidal, self.radial = spheroidal, toroidal, radial
        self.geometry = geometry(d)
        for name, part in (("spheroidal", spheroidal), ("toroidal", toroidal), ("radial", radial)):
            if part is not None and not (isinstance(part, np.ndarray) and part.ndim == 1 and part.dtype.kind in "fc"):
                raise InputError(name, part, "not the coefficients of a field", "pass an array (n,), as of a density")
            if part is not None and part.shape != spheroidal.shape:
                raise InputError(name, part.shape, f"those of another degree than {spheroidal.shape}", "pad with zeros")

    def on(self, sites: Sites) -> Real:
        return sites.tangent(self.spheroidal, self.toroidal)

    def ambient(self, sites: Sites) -> Real:
        tangential = super().ambient(sites)
        return tangential if self.radial is None else tangential + sites.scalar(self.radial)[..., None] * sites.x

    def divergence(self, points: Any) -> Real:
        return points.scalar(self.spheroidal * self.geometry.laplacian(self.degree))

    @cached_property
    def sizes(self) -> tuple[float, float, float]:
        """|v|, |∇v| and |div v|, root mean squares over S²."""
        degree = np.arange(self.degree + 1.0)
        power, scale = self.geometry.power, degree * (degree + 1)
        s, t = power(self.spheroidal), power(self.toroidal)
        squares = np.sum(scale * (s + t)), np.sum(scale**2 * (s + t)), np.sum(scale**2 * s)
        speed, slope, divergence = (float(np.sqrt(one / self.geometry.area)) for one in squares)
        return speed, slope, divergence

    @property
    def degree(self) -> int:
        """Truncation degree."""
        return self.geometry.degree_of(self.spheroidal)

    def __add__(self, other: Velocity) -> Velocity:
        if not isinstance(other, HarmonicField):
            return super().__add__(other)
        lmax, resized = max(self.degree, other.degree), self.geometry.resized
        radials = [resized(r, lmax) for r in (self.radial, other.radial) if r is not None]
        return HarmonicField(
            resized(self.spheroidal, lmax) + resized(other.spheroidal, lmax),
            resized(self.toroidal, lmax) + resized(other.toroidal, lmax),
            sum(radials[1:], radials[0]) if radials else None,
            self.geometry.dimension,
        )

    def __mul__(self, factor: float) -> HarmonicField:
        if factor == 1:
            return self
        radial = None if self.radial is None else factor * self.radial
        return HarmonicField(factor * self.spheroidal, factor * self.toroidal, radial, self.geometry.dimension)

    __rmul__ = __mul__


class AmbientField(Velocity):
    """v = P_x u for u given by a function of the sites, ``u(sites) -> (..., d)``, in any d."""

    plain = True
    """Whether its values at sites are what it is; one with harmonics of its own is looked at by itself."""

    def __init__(self, function: Callable[[Sites], Real]) -> None:
        if not callable(function):
            raise InputError("function", function, "not a function of the sites", "pass lambda sites: u, (..., d)")
        self.function = function

    def on(self, sites: Sites) -> Real:
        return sites.from_ambient(self.ambient(sites))

    def ambient(self, sites: Sites) -> Real:
        return np.broadcast_to(self.function(sites), sites.x.shape)

    @cached_property
    def _harmonic(self) -> dict[tuple[int, int, float], HarmonicField | None]:
        """By dimension, degree of the grid on which the field was looked at, and cut; None where that is too coarse."""
        return {}

    def _in_harmonics(self, d: int, degree: int, negligible: float) -> HarmonicField | None:
        key = d, degree, negligible
        if key not in self._harmonic:
            self._harmonic[key] = self.looked_at(geometry(d), degree, RESOLVED, negligible)
        return self._harmonic[key]

    def looked_at(
        self, sphere: Geometry, degree: int, tolerance: float = RESOLVED, negligible: float = NEGLIGIBLE
    ) -> HarmonicField | None:
        """The field in harmonics from the grid of a degree; None where the last tenth of them carries more.

        ``tolerance``: what they may carry, as part of the norm; tenfold at single points.
        """
        return together([(1.0, self)], sphere, degree, tolerance, negligible)

    def modes(self, sphere: Geometry, degree: int) -> tuple[Coefficients, Coefficients]:
        """(S, T) of the field from its values on the grid of a degree."""
        spheroidal, toroidal = sphere.grid(degree).tangent_modes(self.on(sphere.grid(degree)))
        return spheroidal, toroidal

    def off(self, found: HarmonicField, points: Any) -> float:
        """The largest difference from a field in harmonics at some points."""
        return float(np.abs(found.on(points) - self.on(points)).max())

    def resolved(
        self, d: int = 3, highest: int = RESOLVING_DEGREES[-1], negligible: float = NEGLIGIBLE
    ) -> Velocity:
        tried = (self._in_harmonics(d, degree, negligible) for degree in RESOLVING_DEGREES if degree <= highest)
        return next((field for field in tried if field is not None), self)


class PotentialField(AmbientField):
    """v = ∇U for U given by a function of the sites, ``potential(sites) -> (...)``, beside a u with P_x u = ∇U.

    Harmonics of v are those of U, which costs less than u where u takes derivatives of what U is made of.
    """

    def __init__(self, function: Callable[[Sites], Real], potential: Callable[[Sites], Real]) -> None:
        super().__init__(function)
        self.potential = potential

    def modes(self, sphere: Geometry, degree: int) -> tuple[Coefficients, Coefficients]:
        grid = sphere.grid(degree)
        spheroidal = grid.to_modes(self.potential(grid))
        spheroidal[0] = 0.0
        return spheroidal, np.zeros_like(spheroidal)

    def off(self, found: HarmonicField, points: Any) -> float:
        """That of U, whose mean nobody sees, times the degree, which a gradient is larger by."""
        difference = points.scalar(found.spheroidal) - self.potential(points)
        return float(np.ptp(difference)) * found.degree


def together(
    fields: Sequence[tuple[float, AmbientField]],
    sphere: Geometry,
    degree: int,
    tolerance: float = RESOLVED,
    negligible: float = NEGLIGIBLE,
) -> HarmonicField | None:
    """Σ a_i v_i in harmonics, as :meth:`AmbientField.looked_at` one field: what counts is their part in the sum.

    Every field is compared with its own harmonics at points that are on no grid: the grid's analysis is blind to
    degrees just above its own, as its products are exact.
    """
    modes = [np.stack(field.modes(sphere, degree)) for _, field in fields]
    total = np.add.reduce([factor * one for (factor, _), one in zip(fields, modes, strict=True)])
    toroidal = sphere.power(total[1])
    slopes = -sphere.laplacian(degree)[: degree + 1] * (sphere.power(total[0]) + toroidal)
    on_circle = sphere.dimension == 2
    spectrum = np.append(slopes[0] + toroidal[0] * on_circle, slopes[1:])
    rest = np.cumsum(spectrum[::-1])[::-1]
    if not rest[int(0.9 * degree)] <= max(tolerance**2 * rest[0], NOTHING**2):
        return None
    needed = max(1, int(np.sum(rest > max(negligible**2 * rest[0], (0.01 * NOTHING) ** 2))) - 1)
    found, *each = (
        HarmonicField(sphere.resized(s, needed), sphere.resized(t, needed), None, sphere.dimension)
        for s, t in (total, *modes)
    )
    points = _looked_at(sphere.dimension)
    off = sum(abs(factor) * field.off(own, points) for (factor, field), own in zip(fields, each, strict=True))
    return found if off <= max(10 * tolerance * np.abs(found.on(points)).max(), 10 * NOTHING) else None


@lru_cache(maxsize=2)
def _looked_at(d: int) -> Any:
    """Points where harmonics are compared with a field."""
    x = np.random.default_rng(7).normal(size=(LOOKED_AT, d))
    return geometry(d).points(x / np.sqrt((x * x).sum(axis=1))[:, None])


class SumField(Velocity):
    """v = Σ v_i."""

    def __init__(self, terms: tuple[Velocity, ...]) -> None:
        self.terms = terms
        self.flowable = all(term.flowable for term in terms)

    def at(self, cell: int) -> Velocity:
        terms = [term.at(cell) for term in self.terms]
        return sum(terms[1:], terms[0])

    def on(self, sites: Sites) -> Real:
        return sum((term.on(sites) for term in self.terms[1:]), self.terms[0].on(sites))

    def ambient(self, sites: Sites) -> Real:
        return sum((term.ambient(sites) for term in self.terms[1:]), self.terms[0].ambient(sites))

    def resolved(
        self, d: int = 3, highest: int = RESOLVING_DEGREES[-1], negligible: float = NEGLIGIBLE
    ) -> Velocity:
        """Fields that are given at sites are looked at together: what one of them has in high degrees may be little."""
        given = [(term, one) for term in self.terms if (one := _given(term)) is not None]
        others = [term for term in self.terms if _given(term) is None]
        if len(given) < 2:
            terms = [term.resolved(d, highest, negligible) for term in self.terms]
            return sum(terms[1:], terms[0])
        fields, degrees = [one for _, one in given], (n for n in RESOLVING_DEGREES if n <= highest)
        found = (together(fields, geometry(d), degree, RESOLVED, negligible) for degree in degrees)
        first = next((field for field in found if field is not None), None)
        terms = [*([term for term, _ in given] if first is None else [first])]
        terms += [term.resolved(d, highest, negligible) for term in others]
        return sum(terms[1:], terms[0])

    def divergence(self, points: Any) -> Real:
        return sum((term.divergence(points) for term in self.terms[1:]), self.terms[0].divergence(points))


class ScaledField(Velocity):
    """v = a v_1."""

    def __init__(self, field: Velocity, factor: float) -> None:
        self.field, self.factor = field, factor
        self.flowable = field.flowable

    def at(self, cell: int) -> Velocity:
        return self.factor * self.field.at(cell)

    def on(self, sites: Sites) -> Real:
        return self.factor * self.field.on(sites)

    def ambient(self, sites: Sites) -> Real:
        return self.factor * self.field.ambient(sites)

    def resolved(
        self, d: int = 3, highest: int = RESOLVING_DEGREES[-1], negligible: float = NEGLIGIBLE
    ) -> Velocity:
        inner = self.field.resolved(d, highest, negligible)
        return self if inner is self.field else self.factor * inner

    def divergence(self, points: Any) -> Real:
        return self.factor * self.field.divergence(points)


def _given(field: Velocity) -> tuple[float, AmbientField] | None:
    """A field that is given at sites, and the factor before it; None for others."""
    factor, inner = (field.factor, field.field) if isinstance(field, ScaledField) else (1.0, field)
    return (factor, inner) if isinstance(inner, AmbientField) and inner.plain else None


class JointField(Velocity):
    """A displacement known only at the points of one measure, vectors ``(n, d)`` in their order.

    It is no field to flow along. It may live (be evaluated anew in every stage); frozen transport refuses it.
    """

    flowable = False

    def __init__(self, values: Real) -> None:
        self.values = values

    def on(self, sites: Sites) -> Real:
        return sites.from_ambient(self.values)


class PositionField(Velocity):
    """One field for each position of a sequence, ``fields`` in their order: :meth:`at` tells which."""

    def __init__(self, fields: tuple[Velocity, ...]) -> None:
        self.fields = fields

    def at(self, cell: int) -> Velocity:
        return self.fields[cell]

    def on(self, sites: Sites) -> Real:
        problem = f"a field for each of {len(self.fields)} positions moves a measure that has them"
        raise InputError("measure", "one law", problem, 'use measure="causal_density"')


class ZeroField(Velocity):
    """v = 0."""

    def on(self, sites: Sites) -> Real:
        return np.zeros_like(sites.from_ambient(np.zeros(sites.x.shape)))

    def divergence(self, points: Any) -> Real:
        return np.zeros(points.shape)

    def __add__(self, other: Velocity) -> Velocity:
        return other

    def __mul__(self, factor: float) -> Velocity:
        return self

    __rmul__ = __mul__


def sites_of(x: Real) -> Points:
    """The sites for points in the rows of ``x``: with harmonic sums when d is 2 or 3."""
    d = x.shape[1]
    return GEOMETRIES[d].points(x) if d in GEOMETRIES else Points(x)


def _difference_divergence(field: Velocity, points: Any, h: float = 2e-3) -> Real:
    """Σ_a e_a·(v(x cos s + e_a sin s))' at s = 0, fourth order, over the tangent frame; points that know better say."""
    if (own := getattr(points, "difference_divergence", None)) is not None:
        return np.asarray(own(field, h))
    total = np.zeros(points.shape)
    for e in points.frame:
        for shift, factor in ((1, 2 / 3), (2, -1 / 12)):
            c, s = np.cos(shift * h), np.sin(shift * h)
            for sign in (1, -1):
                moved = type(points)(c * points.x + sign * s * e)
                along = c * e - sign * s * points.x
                total += sign * factor / h * np.einsum("na,na->n", along, field.on(moved))
    return total
