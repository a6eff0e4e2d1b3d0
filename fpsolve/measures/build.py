"""From an initial law to the measure that represents it."""

from __future__ import annotations

import numpy as np

from fpsolve.errors import InputError, unknown_name
from fpsolve.measures.base import Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.density import Density
from fpsolve.measures.half_density import HalfDensity
from fpsolve.measures.initial import Initial, Law, Tokens
from fpsolve.sphere.grid import Grid, grid
from fpsolve.sphere.harmonics import Real, power

MASS_TOLERANCE = 1e-6
"""How far the mass of an initial law, by the grid's quadrature, may be from one."""

QUADRATURE_DEGREES = (63, 127, 255)


def build(initial: Initial, measure: str, lmax: int, rtol: float, filter: float | None = None) -> Measure:
    """The measure of this name for a law, tokens or an existing measure (returned as it is).

    Raises InputError when the law cannot be represented so: negative or NaN density, mass ≠ 1, too small ``lmax``.
    """
    builders = {"density": _density, "half_density": _half_density, "cloud": _cloud}
    if measure not in builders:
        raise unknown_name("measure", measure, builders)
    if isinstance(initial, Measure):
        if initial.name != measure:
            raise InputError("measure", measure, f"the initial measure is a {initial.name}", f"use {initial.name!r}")
        return initial
    if not isinstance(initial, Law | Tokens):
        raise InputError("initial", initial, "neither a law nor a measure", "use fp.initial.von_mises_fisher(...), …")
    if filter is not None and measure != "density":
        raise InputError("filter", filter, f"measure={measure!r} has no filter", 'use measure="density" or filter=None')
    return builders[measure](initial, lmax, rtol, filter)


def quadrature(law: Law, rtol: float) -> Cloud:
    """The law as a quadrature cloud, of the first degree at which its mass is right to 1e-12."""
    for degree in QUADRATURE_DEGREES:
        values = _values(law, grid(degree))
        if abs(grid(degree).integral(values) - 1) < 1e-12:
            break
    return _cloud(law, degree, rtol)


def _values(law: Law | Tokens, sphere: Grid) -> Real:
    """The law's density on the grid, checked."""
    if isinstance(law, Tokens):
        raise InputError("measure", "density", "tokens have no density", 'use measure="cloud"')
    if law.dimension != 3:
        raise InputError("initial", f"d = {law.dimension}", "densities live on S², d = 3", "use samples and a cloud")
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
            "initial", mass, f"the mass on the grid of lmax={sphere.lmax} is not 1", "normalise it, or raise lmax"
        )
    return values / mass


def _density(law: Law | Tokens, lmax: int, rtol: float, filter: float | None = None) -> Density:
    sphere = grid(lmax)
    coefficients = sphere.to_modes(_values(law, sphere))
    return Density(coefficients, rtol, filter)


def _half_density(law: Law | Tokens, lmax: int, rtol: float, filter: float | None = None) -> HalfDensity:
    sphere = grid(lmax)
    coefficients = sphere.to_modes(np.sqrt(_values(law, sphere)))
    return HalfDensity(coefficients / np.sqrt(power(coefficients).sum()), rtol)


def _cloud(law: Law | Tokens, lmax: int, rtol: float, filter: float | None = None) -> Cloud:
    """Tokens as they are; a law as the quadrature of the Gauss grid of ``lmax``, carrying its log-density."""
    if isinstance(law, Tokens):
        return Cloud(law.x, law.weights, rtol=rtol, tokens=True)
    if law.dimension != 3:
        raise InputError(
            "initial",
            f"d = {law.dimension}",
            "quadrature clouds exist for d = 3",
            "use fp.initial.samples(law, n, seed)",
        )
    sphere = grid(lmax)
    values = _values(law, sphere).ravel()
    kept = values > 0
    weights = (sphere.weights.ravel() * values)[kept]
    x = sphere.x.reshape(-1, 3)[kept]
    return Cloud(np.ascontiguousarray(x), weights / weights.sum(), np.log(values[kept]), rtol)
