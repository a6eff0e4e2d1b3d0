"""The flow of a frozen field on coefficients, by name: two explicit ways and the implicit ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fpsolve.cached import lru_cache
from fpsolve.errors import InputError, unknown_name
from fpsolve.petsc.library import parsed, petsc
from fpsolve.sphere.harmonics import Coefficients
from fpsolve.transport.exponential import Generator, exponential
from fpsolve.transport.krylov import krylov
from fpsolve.transport.midpoint import midpoint
from fpsolve.transport.petsc import petsc_transport

Flow = Callable[[Generator, Coefficients, float, float], Coefficients]
"""``flow(L, u, radius, rtol)``: exp(L) u to relative accuracy ``rtol``; ``radius`` bounds the spectrum of L."""

EXPLICIT = "chebyshev"
"""The transport of every run that asks for no other."""


def _petsc(stages: int, options: str | None) -> Flow:
    """The Gauss method of so many stages by PETSc. Raises MissingDependencyError, InputError for malformed options."""
    parsed(options)
    petsc()
    return partial(petsc_transport, stages=stages, options=options)


TRANSPORTS: dict[str, Callable[[str | None], Flow]] = {
    EXPLICIT: lambda options: exponential,
    "krylov": lambda options: krylov,
    "midpoint": lambda options: midpoint,
    "petsc": partial(_petsc, 1),
    "petsc_gauss": partial(_petsc, 4),
}
"""What makes a flow from PETSc's options: Chebyshev polynomials, a Krylov space, the implicit midpoint rule by SciPy
and by PETSc, and Gauss's method of order 8 by PETSc."""


def named_flow(transport: str, petsc_options: str | None = None) -> str:
    """The text that a measure keeps in its field ``flow``: the name, then PETSc's options, both checked.

    Raises InputError, and MissingDependencyError when the name needs PETSc and it is not installed.
    """
    if transport not in TRANSPORTS:
        raise unknown_name("transport", transport, TRANSPORTS)
    if petsc_options is not None and not transport.startswith("petsc"):
        raise InputError(
            "petsc_options", petsc_options, f"transport={transport!r} does not use PETSc", 'use transport="petsc"'
        )
    flow = f"{transport} {petsc_options}" if petsc_options else transport
    flow_of(flow)
    return flow


@lru_cache(maxsize=32)
def flow_of(text: str) -> Flow:
    """The flow of a text ``"name -options"``."""
    name, _, options = text.partition(" ")
    return TRANSPORTS[name](options or None)
