"""From an initial law to the measure that represents it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

from fpsolve.attention.source import Source
from fpsolve.cached import lru_cache
from fpsolve.errors import InputError, unknown_name
from fpsolve.measures.base import Measure
from fpsolve.measures.causal_density import CausalDensity
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.density import Density
from fpsolve.measures.half_density import HalfDensity
from fpsolve.measures.initial import Initial
from fpsolve.measures.laws import Law, Prompt, Tokens
from fpsolve.measures.log_density import LogDensity
from fpsolve.measures.zonal import ZonalDensity
from fpsolve.measures.zonal_cloud import ZonalCloud
from fpsolve.sphere.geometry import geometry
from fpsolve.transport.flows import EXPLICIT, named_flow

MEASURES: dict[str, type[Measure]] = {
    cls.name: cls for cls in (Density, HalfDensity, LogDensity, CausalDensity, Cloud, ZonalDensity, ZonalCloud)
}
"""Every representation by name; a new one is a file and an entry here."""

AUTO = "auto"
"""The measure that :mod:`fpsolve.choosing` chooses."""

QUADRATURE_DEGREES = (63, 127, 255)

MOST_KEPT = 4
"""First states that are kept, with all that was computed of them, for the next member."""


def measure_class(measure: str | type[Measure]) -> type[Measure]:
    """A measure by its name in the table, or a class of the caller's own. Raises InputError for an unknown name."""
    if isinstance(measure, type) and issubclass(measure, Measure):
        return measure
    if measure not in MEASURES:
        raise unknown_name("measure", measure, (AUTO, *MEASURES))
    return MEASURES[measure]


def build(
    initial: Initial,
    measure: str | type[Measure],
    lmax: int,
    rtol: float,
    filter: float | None = None,
    transport: str = EXPLICIT,
    petsc_options: str | None = None,
) -> Measure:
    """The measure of this name for a law, tokens or an existing measure (returned as it is).

    ``transport``, ``petsc_options``: its flow, see ``TRANSPORTS``; by default an existing measure keeps its own.
    Raises InputError when the law cannot be represented so: negative or NaN density, mass ≠ 1, too small ``lmax``; or
    when the measure has no such transport.
    """
    cls = measure_class(measure)
    flow = named_flow(transport, petsc_options)
    if flow != EXPLICIT and not _has_flow(cls):
        problem = f"a {cls.name} moves by characteristics or by Runge–Kutta alone"
        raise InputError("transport", transport, problem, 'use measure="density"')
    if isinstance(initial, Measure):
        if not isinstance(initial, cls):
            raise InputError("measure", measure, f"the initial measure is a {initial.name}", f"use {initial.name!r}")
        built: Measure = initial
    elif not isinstance(initial, Law | Tokens | Prompt):
        raise InputError("initial", initial, "neither a law nor a measure", "use fp.initial.von_mises_fisher(...), …")
    elif isinstance(initial, Prompt) and cls in MEASURES.values() and cls not in (CausalDensity, Cloud):
        problem = f"a {cls.name} has no positions, which a prompt has"
        raise InputError("measure", cls.name, problem, 'use measure="causal_density" or "cloud"')
    else:
        built = _first(cls, initial, lmax, rtol, filter)
    return built if flow == EXPLICIT else replace(built, flow=flow)  # type: ignore[type-var]


def _first(cls: Any, initial: Law | Tokens | Prompt, lmax: int, rtol: float, filter: float | None) -> Measure:
    """The measure of a law or of tokens. Laws are the same for all members of an ensemble: the last ones are kept."""
    if isinstance(initial, Law) and cls in MEASURES.values() and _is_hashable(initial):
        return _kept(cls, initial, lmax, rtol, filter)
    first: Measure = cls.from_law(initial, lmax=lmax, rtol=rtol, filter=filter)
    return first


@lru_cache(maxsize=MOST_KEPT)
def _kept(cls: Any, law: Law, lmax: int, rtol: float, filter: float | None) -> Measure:
    first: Measure = cls.from_law(law, lmax=lmax, rtol=rtol, filter=filter)
    return first


def _is_hashable(law: Law) -> bool:
    """A law of the caller's own may hold what is not."""
    try:
        hash(law)
    except TypeError:
        return False
    return True


def _has_flow(cls: Any) -> bool:
    """Whether a measure says what moves it."""
    return is_dataclass(cls) and any(one.name == "flow" for one in fields(cls))


def source_of(initial: Any) -> Source:
    """The source of tokens or of a measure, or of a law by its quadrature. Raises InputError for anything else."""
    if isinstance(initial, Law):
        return quadrature(initial, 1e-6).source
    source: object = getattr(initial, "source", None)
    if not isinstance(source, Source):
        raise InputError("initial", initial, "neither a law nor a measure", "use fp.initial.* or a measure")
    return source


def quadrature(law: Law, rtol: float) -> Cloud:
    """The law as a quadrature cloud, of the first degree at which its mass is right to 1e-12."""
    for degree in QUADRATURE_DEGREES:
        grid = geometry(law.dimension).grid(degree)
        if abs(grid.integral(law.density(grid.x)) - 1) < 1e-12:
            break
    return Cloud.from_law(law, lmax=degree, rtol=rtol)
