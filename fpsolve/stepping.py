"""One step of a run, and what is checked before the first and after each."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fpsolve.errors import InputError, UnresolvedError, check_number
from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.schemes import Scheme, check_scheme
from fpsolve.times import LONGEST, MOST_STEPS

IMPOSSIBLE_MEAN = 1.02
"""|∫ x dμ| ≤ 1 for every probability measure; beyond this the numbers have left them."""


@dataclass(frozen=True)
class Stepper:
    """What takes a state from step to step: a model, its path, dt and a scheme of this name."""

    model: Model
    path: BrownianPath
    dt: float
    scheme: Scheme
    name: str = ""

    def __call__(self, measure: Measure, n: int) -> Measure:
        """One step from n·dt, with half the heat flow of ν before and half after (Strang), checked."""
        model, path, dt, scheme = self.model, self.path, self.dt, self.scheme
        t0, t1 = n * dt, (n + 1) * dt
        half, middle = 0.0 if scheme.diffuses else model.diffusion * dt / 2, (n + 0.5) * dt
        try:
            if half > 0:
                measure = measure.diffuse(half, path, t0, middle)
            measure = scheme.step(model.drawn(path, t0, t1, measure.dimension), measure, path, t0, t1)
            if half > 0:
                measure = measure.diffuse(half, path, middle, t1)
        except UnresolvedError as error:
            raise UnresolvedError(t0, f"{_with_tail(error.problem, measure)}, dt = {dt:g}", error.remedy) from error
        _check_state(measure, t1)
        return measure

    def prepared(self, first: Measure) -> Stepper:
        """The same with a model whose ``noise_lmax="auto"`` is resolved by the first measure of a run."""
        unresolved = any(getattr(term, "noise_lmax", None) == "auto" for term in self.model.terms)
        return replace(self, model=self.model.prepared(first)) if unresolved else self


def default_scheme(model: Model, measure_name: str = "cloud") -> str:
    """``rk4`` without common noise; with it ``lie_euler``, or ``geodesic_euler`` where velocities are no field."""
    if not model.is_stochastic:
        return "rk4"
    return "lie_euler" if model.flows_on(measure_name) else "geodesic_euler"


def check_run(stepper: Stepper, measure: Measure, t_end: float) -> int:
    """Check that everything fits, before any computing; return the number of steps."""
    model, path, dt = stepper.model, stepper.path, stepper.dt
    check_number("dt", dt, 0, above=True)
    if model.is_stochastic:
        path.check_step(dt)
    steps = count_steps(t_end, dt)
    check_scheme(stepper.name, stepper.scheme, model, measure.name)
    model.check(measure)
    for term in model.terms:
        if term.is_stochastic:
            _check_noise(term, measure)
    if model.diffusion > 0:
        _check_diffusion(model, measure, path, dt)
    return steps


def _check_noise(model: Model, measure: Measure) -> None:
    """Raise InputError for a dimension that the noise does not have, and for degrees that the measure does not hold."""
    degree = getattr(model, "noise_lmax", None)
    if degree != "auto":
        model.channels(measure.dimension)
    isotropic = model.dimension is not None or getattr(model, "is_isotropic", False)
    if isotropic and isinstance(degree, int | np.integer) and hasattr(measure, "grid"):
        measure.grid.check(degree + 1)


def _check_diffusion(model: Model, measure: Measure, path: BrownianPath, dt: float) -> None:
    """Try an empty half step, and say what it says of ν itself."""
    try:
        measure.diffuse(0.0, path, 0.0, dt / 2)
    except InputError as error:
        if error.argument != "diffusion":
            raise
        raise InputError("diffusion", model.diffusion, error.problem, error.remedy) from None


def count_steps(t_end: float, dt: float) -> int:
    """t_end/dt, which must be whole. Raises InputError naming the nearest t_end otherwise."""
    for argument, value in (("t_end", t_end), ("dt", dt)):
        check_number(argument, value, 0, LONGEST, above=True)
    if t_end / dt > MOST_STEPS:
        problem = f"{t_end / dt:.3g} steps dt = {dt} to it, more than {MOST_STEPS:g}"
        raise InputError("t_end", t_end, problem, "end earlier, or take longer steps")
    if dt > t_end * (1 + 1e-9):
        raise InputError("dt", dt, f"longer than t_end = {t_end}", f"pass dt <= {t_end}")
    steps = round(t_end / dt)
    if abs(steps * dt - t_end) > 1e-9 * t_end:
        raise InputError("t_end", t_end, f"not a whole number of steps dt = {dt}", f"pass t_end={steps * dt:.12g}")
    return steps


def _check_state(measure: Measure, t: float) -> None:
    """Raise UnresolvedError for a state that no probability measure has."""
    if not measure.is_finite():
        raise UnresolvedError(t, "the state is no longer finite", remedy(measure))
    mean = math.hypot(*measure.mean.tolist())
    if not mean <= IMPOSSIBLE_MEAN:
        raise UnresolvedError(t, _with_tail(f"|mean| = {mean:.3g} exceeds 1", measure), remedy(measure))


def remedy(measure: Measure, policy: str = "") -> str:
    """What helps a measure whose numbers cannot be trusted; ``policy``: said beside a filter that it has not got."""
    if measure.tail is None:
        return "take a smaller dt"
    filtered = getattr(measure, "filter", 1.0)
    between = "" if filtered else f", set filter=0.15 {policy}".rstrip()
    finer = "raise lmax" if measure.mass_defect is None else "raise lmax or tighten rtol"
    return f"{finer}{between}, or follow the concentration with measure='{measure.cloud_name}'"


def attention_remedy(measure: Measure, truncation: bool) -> str:
    """What helps where far attention outgrows a density: its accuracy, or its degree, or one that has no floor."""
    rtol, others = getattr(measure, "rtol", 0.0), f"measure='{measure.cloud_name}'"
    others = others if measure.is_axial else f"measure='log_density' or {others}"
    if truncation:
        return f"raise lmax, or use {others}"
    return f"take a tighter rtol, {max(1e-3 * rtol, 1e-12):g}, or {others}" if rtol > 1e-12 else f"use {others}"


def _with_tail(problem: str, measure: Measure) -> str:
    return problem if measure.tail is None else f"{problem}, tail = {measure.tail:.2g}"
