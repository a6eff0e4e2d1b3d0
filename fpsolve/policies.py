"""What follows a density that is no longer resolved: a higher degree, a filter, a cloud, or the end of the run.

A policy looks at the state alone: its class, degree and filter say what has been done already. So a run that is taken
up again from any of its states goes on as it would have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fpsolve.defects import Defect, is_resolved
from fpsolve.errors import InputError, unknown_name
from fpsolve.measures import Cloud, Density, Expansion, Measure
from fpsolve.measures.build import build
from fpsolve.measures.initial import Initial, Law
from fpsolve.models.base import Model
from fpsolve.schemes import Scheme, check_scheme

FILTER = 0.15
"""Strength of the filter that ``filter`` sets, and ``refine`` at its cap."""

LARGEST_DEGREE = 2047
"""Degrees beyond this are refused: SHTns ends the process where a grid is too large for it."""

FINEST, FINER = 1e-12, 1e-3
"""The least ``rtol`` that ``refine`` sets, and its steps: round-off is near."""

LEAST_CAP = 4
"""The least degree of any density or quadrature."""

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

    def successor(self, measure: Any, shown: Sequence[Defect] = ()) -> Measure | None:
        """A state of the same time that resolves more, or None where there is nothing left to do.

        shown: the defects of the state after the step, none where that could not be done. Where it is far attention
        alone, the floor is lowered: by the accuracy of transports that made it, or by the degree that cut it off.
        """
        if self.name == "cloud":
            return cloud_of(measure) if isinstance(measure, Expansion) else None
        far_attention = bool(shown) and all(one.name == "attention_floor" for one in shown)
        if far_attention and not shown[0].is_truncation:
            return self._tightened(measure)
        if self._can_refine(measure):
            return refined(measure, self._next_degree(measure.lmax))
        filtered = self.name in ("filter", "refine") and not far_attention
        if filtered and isinstance(measure, Density) and (measure.filter or 0.0) < FILTER:
            return replace(measure, filter=FILTER)
        return None

    def _tightened(self, measure: Any) -> Measure | None:
        """The state with an accuracy that lowers the floor, where ``refine`` may: what is there already stays."""
        if self.name != "refine" or measure.rtol <= FINEST or measure.coarsest >= measure.rtol:
            return None
        return replace(measure, rtol=max(FINER * measure.rtol, FINEST))

    def hands_over(self, measure: Measure) -> bool:
        """Whether this state is followed by a cloud that has to catch up with it, from ``begin`` at step 0."""
        return self.name == "cloud" and self.begin is not None and isinstance(measure, Expansion)

    def points(self, state: Measure) -> Measure:
        """The measure of step 0 whose points the run may follow: the cloud that may take over, or the state itself."""
        return self.begin() if self.begin is not None and self.hands_over(state) else state

    def first(self, state: Any, rebuilt: Callable[[int], Any]) -> Any:
        """The state of step 0, which ``refine`` builds anew from its law until it is resolved or at the cap.

        rebuilt: the law at a degree. Padding would keep what the first degree has cut off.
        """
        while self._can_refine(state) and not is_resolved(state, early=True):
            state = rebuilt(self._next_degree(state.lmax))
        return state

    def acts_early(self, measure: Measure) -> bool:
        """Whether a step from this state is done again where it ends near a limit already."""
        return self._can_refine(measure)

    def _can_refine(self, measure: Measure) -> bool:
        return self.name == "refine" and isinstance(measure, Expansion) and measure.lmax < self.lmax_cap

    def _next_degree(self, lmax: int) -> int:
        return min(2 * lmax + 1, self.lmax_cap)


def refined(measure: Any, lmax: int) -> Any:
    """The same density, of whatever kind, at a higher degree."""
    return measure.at(measure.geometry.resized(measure.coefficients, lmax))


def cloud_of(measure: Any) -> Cloud:
    """The quadrature of a density on its own grid, with its logarithm, where ρ stands above its negative lobes."""
    x, masses, log_density = measure.quadrature()
    return Cloud(np.ascontiguousarray(x), masses / masses.sum(), log_density, measure.rtol)


def quadrature_degree(lmax: int, cap: int) -> int:
    """The degree of the cloud that takes over from a density: the next one, as its threads are finer than ``lmax``."""
    return max(lmax, min(2 * lmax + 1, cap))


def checked_policy(asked: Mapping[str, Any], model: Model, scheme: Scheme, initial: Initial, state: Measure) -> Policy:
    """The policy of the arguments of ``solve``, before any step. Raises InputError where it cannot be followed."""
    name, cap = asked["on_underresolved"], asked["lmax_cap"]
    if name not in POLICIES:
        raise unknown_name("on_underresolved", name, POLICIES)
    if name != "warn" and isinstance(state, Cloud):
        raise InputError("on_underresolved", name, "points have no degree to outgrow", "leave it out")
    if name == "filter" and isinstance(state, Expansion) and not isinstance(state, Density):
        raise InputError("on_underresolved", name, f"a {state.name} has no filter", 'use "refine" or "cloud"')
    if name in ("refine", "cloud") and hasattr(state, "lmax"):
        cap = _checked_cap(name, cap, state.lmax)
    if name == "cloud":
        _check_cloud(model, scheme, asked["scheme"])

    def begin() -> Cloud:
        if isinstance(initial, Law):
            degree = quadrature_degree(state.lmax, cap)  # type: ignore[attr-defined]
            made = build(initial, "cloud", degree, state.rtol)  # type: ignore[attr-defined]
            assert isinstance(made, Cloud)
            return made
        return cloud_of(initial)

    return Policy(name, cap, begin)


def _check_cloud(model: Model, scheme: Scheme, scheme_name: str) -> None:
    """Raise InputError where a quadrature cloud cannot go on with this model and scheme."""
    if model.diffusion > 0:
        problem = "a quadrature cloud cannot carry each token's own noise"
        raise InputError("on_underresolved", "cloud", problem, 'use "refine" or "filter", or diffusion=0')
    try:
        check_scheme(scheme_name, scheme, model, Cloud.name)
    except InputError as error:
        problem = f"no cloud can go on: {error.argument} = {error.value}: {error.problem}"
        raise InputError("on_underresolved", "cloud", problem, error.remedy) from None


def _checked_cap(name: str, cap: Any, lmax: int) -> int:
    least, told = (lmax + 1, f"above lmax = {lmax}") if name == "refine" else (LEAST_CAP, f">= {LEAST_CAP}")
    if isinstance(cap, bool) or not isinstance(cap, int | np.integer) or cap < least:
        raise InputError("lmax_cap", cap, f"must be an integer {told}", f"pass lmax_cap={2 * lmax + 1}")
    if cap > LARGEST_DEGREE:
        raise InputError("lmax_cap", cap, f"beyond {LARGEST_DEGREE}", f"pass lmax_cap <= {LARGEST_DEGREE}")
    return int(cap)
