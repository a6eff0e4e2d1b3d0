"""Embedded Runge–Kutta over the unit interval, the number of sub-steps from a tolerance.

The controller is that of Hairer, Nørsett & Wanner, *Solving ODEs I*, II.4 :cite:`hairer1993`. Every call starts afresh,
so a step depends on its input alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import DOP853, RK45

from fpsolve.errors import UnresolvedError
from fpsolve.sphere.harmonics import Real

Array = NDArray[Any]

SMALLEST_STEP = 1e-7
"""Below this part of a step the flow is given up: too fast for the step, or not smooth."""

MOST_STEPS = 100_000
"""Sub-steps of one step, rejected ones included, after which the flow is given up."""

TOO_FAST = "take a smaller dt: the field moves too fast for it"


@dataclass(frozen=True)
class Tableau:
    """Butcher tableau ``a, b`` with weights of the error; the last of these goes with the derivative at the end.

    ``rough``: the weights of a second error, of lower order, that corrects the first (:func:`estimate`).
    ``imaginary_limit``, ``real_limit``: stable for h λ on the imaginary and on the negative real axis up to these (from
    the stability polynomial; tested).
    """

    a: Real
    b: Real
    error: Real
    order: int
    imaginary_limit: float
    real_limit: float
    rough: Real | None = None

    @property
    def errors(self) -> tuple[Real, ...]:
        """The weights of all errors."""
        return (self.error,) if self.rough is None else (self.error, self.rough)


def _zonneveld() -> Tableau:
    """Classical RK4 with Zonneveld's embedded third-order formula, one stage more :cite:`hairer1993`."""
    a = np.zeros((5, 5))
    a[1, 0], a[2, 1], a[3, 2] = 0.5, 0.5, 1.0
    a[4, :4] = np.array([5, 7, 13, -1]) / 32
    b = np.array([1, 2, 2, 1, 0]) / 6
    embedded = np.array([-1 / 2, 7 / 3, 7 / 3, 13 / 6, -16 / 3])
    return Tableau(a, b, np.append(b - embedded, 0.0), 4, 2.82, 2.78)


RK4 = _zonneveld()
DORMAND_PRINCE_5 = Tableau(RK45.A, RK45.B, RK45.E, 5, 1.0, 3.3)
DORMAND_PRINCE_8 = Tableau(DOP853.A, DOP853.B, DOP853.E5, 8, 5.96, 6.39)
DORMAND_PRINCE_853 = Tableau(DOP853.A, DOP853.B, DOP853.E5, 8, 5.96, 6.39, DOP853.E3)


def for_tolerance(rtol: float) -> Tableau:
    """The cheapest formula for a smooth flow at this tolerance."""
    return DORMAND_PRINCE_5 if rtol > 1e-5 else DORMAND_PRINCE_853


def for_living(rtol: float) -> Tableau:
    """RK4 for fields re-evaluated in every stage; below 1e-6, where it takes many sub-steps, the eighth order."""
    return RK4 if rtol >= 1e-6 else DORMAND_PRINCE_8


def integrate(
    rhs: Callable[[Array], Array],
    y: Array,
    *,
    tableau: Tableau,
    rtol: float,
    norm: Callable[[Array], float],
    finish: Callable[[Array], Array] = lambda y: y,
    longest: float = 1.0,
    admissible: Callable[[Array], bool] = lambda y: True,
    most: int = MOST_STEPS,
) -> Array:
    """The solution at s = 1 of y' = rhs(y), y(0) = ``y``, with sub-steps of error ``norm(δy) <= rtol·h``.

    ``finish`` is applied to every accepted state (projection to the sphere); ``longest`` bounds the sub-step
    (stability). A sub-step is rejected, too, when a stage is not finite or not ``admissible``: ``rhs`` never sees it.
    Raises UnresolvedError (at time 0 of the step) when no sub-step is small enough, or more than ``most`` are needed.
    """
    now, k0, tried = y, rhs(y), y

    def attempt(h: float) -> float:
        nonlocal tried
        found = stages(rhs, now, k0, h, tableau, admissible)
        if found is None:
            return np.inf
        tried, errors = found
        return estimate([norm(error) if np.isfinite(error).all() else np.inf for error in errors])

    def accept(is_last: bool) -> None:
        nonlocal now, k0
        now = finish(tried)
        k0 = k0 if is_last else rhs(now)

    controlled(attempt, accept, order=tableau.order, rtol=rtol, longest=longest, most=most)
    return now


def swept(
    substep: Callable[[Array, float], tuple[Array, list[Array]] | None],
    y: Array,
    *,
    order: int,
    rtol: float,
    norm: Callable[[Array], float],
    finish: Callable[[Array], Array],
) -> Array:
    """As :func:`integrate`, with ``substep(y, h)`` that makes all stages of a sub-step, as :func:`stages` does."""
    now, tried = y, y

    def attempt(h: float) -> float:
        nonlocal tried
        found = substep(now, h)
        if found is None:
            return np.inf
        tried, errors = found
        return estimate([norm(error) for error in errors])

    def accept(is_last: bool) -> None:
        nonlocal now
        now = finish(tried)

    controlled(attempt, accept, order=order, rtol=rtol)
    return now


def controlled(
    attempt: Callable[[float], float],
    accept: Callable[[bool], None],
    *,
    order: int,
    rtol: float,
    longest: float = 1.0,
    most: int = MOST_STEPS,
) -> None:
    """The sub-steps h of the unit interval: ``attempt(h)`` makes one and returns its error, ``accept`` keeps it.

    An error that is not finite rejects the sub-step; ``accept`` hears whether it was the last. Raises as ``integrate``.
    """
    too_small = f"the flow over one step needs sub-steps below {SMALLEST_STEP:g} of it"
    if not longest >= SMALLEST_STEP:
        raise UnresolvedError(0.0, too_small, TOO_FAST)
    s, h = 0.0, min(1.0, longest)
    for _ in range(most):
        h = min(h, 1.0 - s)
        size = attempt(h) / (rtol * h)
        if size <= 1.0:
            s = s + h if 1.0 - s - h > 1e-12 else 1.0
            accept(s == 1.0)
            if s == 1.0:
                return
        shrink = 0.2 if not np.isfinite(size) else 0.9 * max(size, 1e-8) ** (-1 / order)
        h = min(h * float(np.clip(shrink, 0.2, 5.0)), longest)
        if h < SMALLEST_STEP:
            raise UnresolvedError(0.0, too_small, TOO_FAST)
    raise UnresolvedError(0.0, f"{most} sub-steps end at {s:.3g} of one step", TOO_FAST)


def stages(
    rhs: Callable[[Array], Array],
    y: Array,
    k0: Array,
    h: float,
    tableau: Tableau,
    admissible: Callable[[Array], bool] = lambda y: True,
) -> tuple[Array, list[Array]] | None:
    """One sub-step and its errors, as many as the tableau has; None where a stage cannot be."""
    k = [k0]
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is rejected
        for row in tableau.a[1 : len(tableau.b)]:
            stage = y + h * combination(row, k)
            if not usable(stage, admissible):
                return None
            k.append(rhs(stage))
        new = y + h * combination(tableau.b, k)
        if not usable(new, admissible):
            return None
        if tableau.error[-1] != 0:
            k.append(rhs(new))
        return new, [h * combination(weights, k) for weights in tableau.errors]


def estimate(sizes: Sequence[float]) -> float:
    """The error from the sizes of its estimates: one is it, two e and r of lower order give e²/√(e² + r²/100).

    So Dormand and Prince's formula of order 8 has an estimate of its order from those of 5 and 3 :cite:`hairer1993`.
    """
    e, *rough = sizes
    if not rough or not e > 0 or not np.isfinite(e):
        return e
    return e * (e / float(np.hypot(e, 0.1 * rough[0])))


def usable(stage: Array, admissible: Callable[[Array], bool]) -> bool:
    return bool(np.isfinite(stage).all()) and admissible(stage)


def combination(weights: Real, arrays: list[Array]) -> Array:
    terms = [w * array for w, array in zip(weights, arrays, strict=False) if w != 0]
    return sum(terms[1:], terms[0])
