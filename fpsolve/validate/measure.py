"""What the validations share: means with their standard errors, fitted orders, ends of runs."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.course import run
from fpsolve.measures.base import Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.sphere.harmonics import Real
from fpsolve.validate.rows import Row

Kind = TypeVar("Kind", bound=Measure)

SIGMAS = 4.5
"""Statistical rows may be off by so many standard errors."""

FALSE_ALARM = "7e-6"
"""Probability that a normal variable is."""


def statistical(
    system: str, quantity: str, exact: float, samples: ArrayLike, bias: float = 0.0, error: float = 0.0
) -> Row:
    """A row for the mean of independent samples.

    ``bias``: what the discretisation may add; ``error``: the standard error of the exact value where it has one.
    """
    values = np.asarray(samples, float)
    deviation = float(np.hypot(values.std(ddof=1) / np.sqrt(len(values)), error))
    return estimate(system, quantity, exact, float(values.mean()), deviation, bias)


def estimate(system: str, quantity: str, exact: float, computed: float, deviation: float, bias: float = 0.0) -> Row:
    """A row for an estimate of known standard error ``deviation``."""
    note = f"{SIGMAS} standard errors of {deviation:.2g}, false alarm {FALSE_ALARM}"
    note += f", and {bias:.2g} for the step" if bias else ""
    return Row(system, quantity, float(exact), computed, SIGMAS * deviation + bias, note)


def order(sizes: ArrayLike, errors: ArrayLike) -> float:
    """The slope of log|error| against log size."""
    return float(np.polyfit(np.log(np.asarray(sizes, float)), np.log(np.abs(np.asarray(errors, float))), 1)[0])


def end(model: Model, start: Kind, t_end: float, dt: float, path: BrownianPath | None = None) -> Kind:
    """The state at t_end, of the kind that it starts with."""
    last: Any
    *_, (_, last) = run(model, start, path or BrownianPath(0, cell=dt), t_end=t_end, dt=dt)
    return last


def tokens(x: Real, rtol: float = 1e-6, weights: Real | None = None) -> Cloud:
    """Points as tokens, of equal weights unless given."""
    return Cloud(x, np.full(len(x), 1 / len(x)) if weights is None else weights, rtol=rtol, tokens=True)


def unit(x: Real) -> Real:
    """Rows divided by their length."""
    return x / np.sqrt(np.einsum("...a,...a->...", x, x))[..., None]


def pairs(overlap: float, d: int, count: int, seed: int) -> tuple[Real, Real]:
    """``count`` pairs of points of S^{d-1} with the given overlap, in independent uniform orientations."""
    x, u = np.random.default_rng(seed).normal(size=(2, count, d))
    x = unit(x)
    u = unit(u - np.einsum("na,na->n", u, x)[:, None] * x)
    return x, overlap * x + np.sqrt(1 - overlap**2) * u
