"""The table of schemes and the check that a scheme, a model and a measure fit together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from fpsolve.errors import CalculusError, InputError, unknown_name
from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.petsc.library import parsed, petsc
from fpsolve.values import Checked

Step = Callable[[Model, Measure, BrownianPath, float, float], Measure]
"""``step(model, measure, path, t0, t1)``: the measure at t1."""


@dataclass(frozen=True)
class Scheme(metaclass=Checked):
    """One step of a scheme and what is known of it.

    calculus: the readings of μ-dependent noise that it solves (``any`` models always fit). strong, weak: its orders,
    None where they do not apply. measures: the only ones it works on, where it needs points. deterministic:
    whether it is for models without noise. diffuses: whether its step contains ν, which is otherwise split off.
    takes_options: whether its step takes PETSc's ``options``. joint: whether it takes velocities that are known only at
    the points of a cloud together. carries_density: whether a quadrature cloud keeps its density through the step.
    uses_rtol, uses_filter: whether the measure's tolerance and a density's filter have an effect in its step.
    adaptive: whether a step of any length is computed to that tolerance, by sub-steps that it chooses.
    """

    step: Step
    summary: str
    reference: str
    calculus: tuple[str, ...] = ("any",)
    strong_order: float | None = None
    weak_order: float | None = None
    measures: tuple[str, ...] | None = None
    deterministic: bool = False
    diffuses: bool = False
    takes_options: bool = False
    joint: bool = False
    carries_density: bool = True
    uses_rtol: bool = True
    uses_filter: bool = True
    adaptive: bool = False

    def with_options(self, options: str | None) -> Scheme:
        """The scheme with PETSc's options. Raises InputError for malformed ones, MissingDependencyError."""
        parsed(options)
        petsc()
        return replace(self, step=partial(self.step, options=options))  # type: ignore[call-arg]


def check_scheme(name: str, scheme: Scheme, model: Model, measure_name: str) -> None:
    """Raise CalculusError or InputError, before any computing, where scheme, model and measure do not fit."""
    if model.measures is not None and measure_name not in model.measures:
        raise InputError(
            "measure",
            measure_name,
            f"{_named(model, lambda one: one.measures is not None)} acts on positions, not on one law",
            f"use measure={' or measure='.join(map(repr, model.measures))}",
        )
    if model.is_stochastic and scheme.deterministic:
        raise InputError("scheme", name, "it is for models without common noise", 'use scheme="lie_euler", or noise=0')
    if model.is_stochastic and model.calculus not in scheme.calculus:
        guilty = _named(model, lambda one: one.is_stochastic and one.calculus == "ito")
        raise CalculusError(
            "scheme",
            name,
            f"the noise law of {guilty} depends on μ and is read in the sense of Itô, to which {name} does not "
            "converge",
            'use scheme="lie_euler" (weak order 1; extrapolate in dt for order 2)',
        )
    if not model.flows_on(measure_name) and not scheme.joint:
        raise InputError(
            "scheme",
            name,
            f"{_named(model, lambda one: not one.flowable)} gives velocities at the tokens together, which are no "
            "field to flow along",
            'use scheme="rk4", or "geodesic_euler"',
        )
    if scheme.measures is not None and measure_name not in scheme.measures:
        raise InputError("scheme", name, f"does not act on measure={measure_name!r}", f"use one of {scheme.measures}")


def _named(model: Model, which: Callable[[Model], bool]) -> str:
    """The model by name, of a sum the terms that it is about."""
    return ", ".join(type(term).__name__ for term in model.terms if which(term)) or type(model).__name__


def named(schemes: dict[str, Scheme], name: str | Scheme) -> tuple[str, Scheme]:
    """A scheme by its name in the table, or a scheme of the caller's own."""
    if isinstance(name, Scheme):
        return next((key for key, value in schemes.items() if value is name), name.summary), name
    if name not in schemes:
        raise unknown_name("scheme", name, schemes)
    return name, schemes[name]
