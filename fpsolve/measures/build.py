"""From an initial law to the measure that represents it."""

from __future__ import annotations

from fpsolve.errors import InputError, unknown_name
from fpsolve.measures.base import Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.density import Density
from fpsolve.measures.half_density import HalfDensity
from fpsolve.measures.initial import Initial, Law, Tokens
from fpsolve.sphere.geometry import geometry

MEASURES: dict[str, type[Measure]] = {cls.name: cls for cls in (Density, HalfDensity, Cloud)}
"""Every representation by name; a new one is a file and an entry here."""

QUADRATURE_DEGREES = (63, 127, 255)


def measure_class(measure: str | type[Measure]) -> type[Measure]:
    """A measure by its name in the table, or a class of the caller's own. Raises InputError for an unknown name."""
    if isinstance(measure, type) and issubclass(measure, Measure):
        return measure
    if measure not in MEASURES:
        raise unknown_name("measure", measure, MEASURES)
    return MEASURES[measure]


def build(
    initial: Initial, measure: str | type[Measure], lmax: int, rtol: float, filter: float | None = None
) -> Measure:
    """The measure of this name for a law, tokens or an existing measure (returned as it is).

    Raises InputError when the law cannot be represented so: negative or NaN density, mass ≠ 1, too small ``lmax``.
    """
    cls = measure_class(measure)
    if isinstance(initial, Measure):
        if not isinstance(initial, cls):
            raise InputError("measure", measure, f"the initial measure is a {initial.name}", f"use {initial.name!r}")
        return initial
    if not isinstance(initial, Law | Tokens):
        raise InputError("initial", initial, "neither a law nor a measure", "use fp.initial.von_mises_fisher(...), …")
    return cls.from_law(initial, lmax=lmax, rtol=rtol, filter=filter)


def quadrature(law: Law, rtol: float) -> Cloud:
    """The law as a quadrature cloud, of the first degree at which its mass is right to 1e-12."""
    for degree in QUADRATURE_DEGREES:
        grid = geometry(law.dimension).grid(degree)
        if abs(grid.integral(law.density(grid.x)) - 1) < 1e-12:
            break
    return Cloud.from_law(law, lmax=degree, rtol=rtol)
