"""Whether a density is still resolved, and what a run does once it is not.

A policy looks at the state alone: its class, degree and filter say what has been done already. So a run that is taken
up again from any of its states goes on as it would have.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fpsolve.errors import InputError, UnderResolvedWarning, UnresolvedError, unknown_name
from fpsolve.measures import Cloud, Density, HalfDensity, Measure
from fpsolve.measures.build import build
from fpsolve.measures.initial import Initial, Law
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.run import count_steps, run, step
from fpsolve.schemes import Scheme

UNRESOLVED = 1e-3
"""A density whose tail exceeds this is no longer resolved."""

REFINE_FROM = 1e-6
"""``refine`` acts at this tail already: what a truncation has taken away no padding brings back."""

FILTER = 0.15
"""Strength of the filter that ``filter`` sets, and ``refine`` at its cap."""

LARGEST_DEGREE = 2047
"""Degrees beyond this are refused: SHTns ends the process where a grid is too large for it."""

POLICIES = ("warn", "stop", "filter", "refine", "cloud")
"""What a run may do when its density is no longer resolved."""


@dataclass(frozen=True)
class Policy:
    """What follows a state that cannot be stepped without losing its resolution.

    name: one of ``POLICIES``. lmax_cap: the highest degree of ``refine``. begin: makes the cloud of step 0 for
    ``cloud``; without it the density's own quadrature is taken at the hand-over.
    """

    name: str = "warn"
    lmax_cap: int = 255
    begin: Callable[[], Cloud] | None = None

    def limit(self, measure: Measure) -> float:
        """The tail from which this state calls for another."""
        return REFINE_FROM if self._can_refine(measure) else UNRESOLVED

    def successor(self, measure: Measure) -> Callable[[Callable[[Cloud], Cloud]], Measure] | None:
        """What makes a state of the same law that resolves more, or None where there is nothing left to do.

        It is given what brings the cloud of step 0 to the present step.
        """
        if self._can_refine(measure):
            return lambda _: refined(measure, min(2 * measure.lmax + 1, self.lmax_cap))  # type: ignore[attr-defined]
        if self.name in ("filter", "refine") and isinstance(measure, Density) and measure.filter is None:
            return lambda _: replace(measure, filter=FILTER)
        if self.name == "cloud" and isinstance(measure, Density | HalfDensity):
            begin = self.begin
            return lambda advanced: cloud_of(measure) if begin is None else advanced(begin())
        return None

    def _can_refine(self, measure: Measure) -> bool:
        return self.name == "refine" and isinstance(measure, Density | HalfDensity) and measure.lmax < self.lmax_cap


def states(
    model: Model,
    measure: Measure,
    path: BrownianPath,
    *,
    t_end: float,
    dt: float,
    scheme: Scheme,
    start: int = 0,
    policy: Policy | str = "warn",
) -> Iterator[tuple[float, Measure]]:
    """The states of ``fp.run`` under a policy for densities that outgrow their degree.

    A step that ends unresolved is done again from the state before it, in the next representation. Under ``stop`` the
    last state is the last one that was resolved.
    """
    policy = Policy(policy) if isinstance(policy, str) else policy
    if policy.name == "warn":
        return run(model, measure, path, t_end=t_end, dt=dt, scheme=scheme, start=start)

    def advance(state: Any, first: int, last: int) -> Any:
        for n in range(first, last):
            state = step(model, state, path, dt, scheme, n)
        return state

    return _guarded(advance, policy, measure, dt, range(start, count_steps(t_end, dt)))


def _guarded(
    advance: Callable[[Any, int, int], Any], policy: Policy, measure: Measure, dt: float, steps: range
) -> Iterator[tuple[float, Measure]]:
    yield steps.start * dt, measure
    for n in steps:
        following = _next(advance, policy, measure, n)
        if following is None:
            return
        measure = following
        yield (n + 1) * dt, measure


def _next(
    advance: Callable[[Any, int, int], Any], policy: Policy, measure: Measure, n: int
) -> Measure | None:
    """The state at step n + 1, in the first representation that resolves it; None where the run is to stop."""
    while True:
        better = policy.successor(measure)
        try:
            following: Measure | None = advance(measure, n, n + 1)
        except UnresolvedError:
            if better is None and not _stops(policy, measure):
                raise
            following = None
        if following is not None and is_resolved(following, policy.limit(measure)):
            return following
        if _stops(policy, measure):
            return None
        if better is None:
            return following
        measure = better(lambda cloud: advance(cloud, 0, n))


def _stops(policy: Policy, measure: Measure) -> bool:
    return policy.name == "stop" and measure.tail is not None


def is_resolved(measure: Measure, limit: float = UNRESOLVED) -> bool:
    """Whether the measure's tail, where it has one, is at most ``limit``."""
    return measure.tail is None or measure.tail <= limit


def refined(measure: Any, lmax: int) -> Any:
    """The same density, or half density, at a higher degree."""
    return replace(measure, coefficients=measure.geometry.resized(measure.coefficients, lmax))


def cloud_of(measure: Any) -> Cloud:
    """The quadrature of a density on its own grid, with its logarithm, where ρ stands above its negative lobes."""
    values = measure.values.ravel()
    kept = values > max(-2 * float(values.min()), 1e-14 * float(values.max()))
    weights = (measure.grid.weights.ravel() * values)[kept]
    x = np.ascontiguousarray(measure.grid.x.reshape(-1, measure.dimension)[kept])
    return Cloud(x, weights / weights.sum(), np.log(values[kept]), measure.rtol)


def checked_policy(name: str, lmax_cap: int, model: Model, initial: Initial, state: Measure) -> Policy:
    """The policy of these arguments, before any step. Raises InputError where it cannot be followed."""
    if name not in POLICIES:
        raise unknown_name("on_underresolved", name, POLICIES)
    if name == "filter" and isinstance(state, HalfDensity):
        raise InputError("on_underresolved", name, "a half_density has no filter", 'use "refine" or "cloud"')
    if name == "cloud" and model.diffusion > 0:
        problem = "a quadrature cloud cannot carry each token's own noise"
        raise InputError("on_underresolved", name, problem, 'use "refine" or "filter", or diffusion=0')
    if name == "refine" and hasattr(state, "lmax"):
        _check_cap(lmax_cap, state.lmax)

    def begin() -> Cloud:
        if isinstance(initial, Law):
            degree = quadrature_degree(state.lmax, lmax_cap)  # type: ignore[attr-defined]
            made = build(initial, "cloud", degree, state.rtol)  # type: ignore[attr-defined]
            assert isinstance(made, Cloud)
            return made
        return cloud_of(initial)

    return Policy(name, lmax_cap, begin)


def quadrature_degree(lmax: int, cap: int) -> int:
    """The degree of the cloud that takes over from a density: the next one, as its threads are finer than ``lmax``."""
    return max(lmax, min(2 * lmax + 1, cap))


def _check_cap(cap: int, lmax: int) -> None:
    if isinstance(cap, bool) or not isinstance(cap, int | np.integer) or cap <= lmax:
        raise InputError("lmax_cap", cap, f"must be an integer above lmax = {lmax}", f"pass lmax_cap={2 * lmax + 1}")
    if cap > LARGEST_DEGREE:
        raise InputError("lmax_cap", cap, f"beyond {LARGEST_DEGREE}", f"pass lmax_cap <= {LARGEST_DEGREE}")


class Resolution:
    """Watches the states of a run and says once when resolution is lost and what was done about it.

    ``attributes``: the times from which on the density was unresolved, refined or filtered and at which the run
    stopped or was handed over to a cloud, for the result.
    """

    def __init__(self) -> None:
        self.attributes: dict[str, float] = {}
        self._before: Measure | None = None
        self._time = 0.0

    def see(self, t: float, state: Measure) -> None:
        """Take notice of the next state; warn at the first whose tail exceeds ``UNRESOLVED``."""
        before, self._before, self._time = self._before, state, t
        if before is not None:
            self._compare(t, before, state)
        if not is_resolved(state):
            self._say(
                "unresolved_from",
                t,
                f"the density is under-resolved from t = {t:.6g} on (tail = {state.tail:.2g} at lmax = "
                f"{getattr(state, 'lmax', '?')}): raise lmax, set filter=0.15 or on_underresolved, or follow it with "
                "measure='cloud'",
            )

    def end(self, t_end: float) -> None:
        """Take notice of the end of the run, which may be early."""
        if self._time < t_end * (1 - 1e-9):
            self._say(
                "stopped_at",
                self._time,
                f"the run ends at t = {self._time:.6g}, the last state that lmax = "
                f"{getattr(self._before, 'lmax', '?')} resolves; what was saved until then is returned",
            )

    def _compare(self, t: float, before: Measure, state: Measure) -> None:
        if before.name != state.name:
            self.attributes.setdefault("handed_over_at", t)
        elif getattr(before, "lmax", None) != getattr(state, "lmax", None):
            self.attributes.setdefault("refined_from", t)
        if isinstance(state, Density) and state.filter != getattr(before, "filter", None):
            told = f"the density is filtered from t = {t:.6g} on: details are no longer resolved"
            self._say("filtered_from", t, told)

    def _say(self, attribute: str, t: float, message: str) -> None:
        if attribute not in self.attributes:
            self.attributes[attribute] = t
            warnings.warn(message, UnderResolvedWarning, stacklevel=5)
