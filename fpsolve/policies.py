"""What follows a density that is no longer resolved: a higher degree, a filter, a cloud, or the end of the run.

A policy looks at the state alone: its class, degree and filter say what has been done already. So a run that is taken
up again from any of its states goes on as it would have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from fpsolve.defects import Defect, is_resolved
from fpsolve.errors import InputError, check_number, unknown_name
from fpsolve.measures import MEASURES, CausalDensity, Measure
from fpsolve.measures.initial import Initial
from fpsolve.measures.laws import Law, Prompt
from fpsolve.models.base import Model
from fpsolve.notes import FILTERED, HANDED_OVER, REFINED, STOPPED, Note
from fpsolve.plain import from_plain
from fpsolve.plain.source import Sourceless, source_mark
from fpsolve.schemes import Scheme, check_scheme
from fpsolve.sphere.geometry import LARGEST_DEGREE
from fpsolve.values import Checked

FILTER = 0.15
"""Strength of the filter that ``filter`` sets, and ``refine`` at its cap."""

CAP = 255
"""The highest degree of a policy where nothing else is said."""

FINEST, FINER = 1e-12, 1e-3
"""The least ``rtol`` that ``refine`` sets, and its steps: round-off is near."""

LEAST_CAP = 4
"""The least degree of any density or quadrature."""


@dataclass(frozen=True)
class Policy(metaclass=Checked):
    """What follows a state that cannot be stepped without losing its resolution; a subclass may be one's own.

    name: by which configurations know it, its class's by default. sentence: what it does. notes: what a result may say
    of it. acts: whether anything is done at all; a run whose policy acts ends early, rather than raise, where a step
    cannot be done, and says by the coordinates ``method``, ``lmax`` and ``filter`` what made each state.
    keeps_unresolved: whether a step that ends unresolved counts where there is no successor. to_points: whether a cloud
    may take over.
    """

    name: ClassVar[str] = ""
    sentence: ClassVar[str] = ""
    notes: ClassVar[tuple[Note, ...]] = (STOPPED,)
    acts: ClassVar[bool] = True
    keeps_unresolved: ClassVar[bool] = True
    to_points: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.name = vars(cls).get("name", cls.__name__)

    def prepared(self, model: Model, scheme_name: str, scheme: Scheme, initial: Initial, state: Measure) -> Policy:
        """The policy for a run that starts from this state. Raises InputError where it cannot be followed."""
        if self.acts and state.points is not None:
            raise InputError("on_underresolved", self.name, "points have no degree to outgrow", "leave it out")
        return self

    def limit(self, state: Measure, defect: Defect) -> float:
        """The size from which a defect that a step from ``state`` ends with calls for a successor."""
        return defect.limit

    def successor(self, state: Any, shown: Sequence[Defect] = ()) -> Measure | None:
        """A state of the same time that resolves more, or None where there is nothing left to do.

        shown: the defects of the state after the step, none where that could not be done.
        """
        return None

    def hands_over(self, state: Measure) -> bool:
        """Whether this state is followed by points that have to catch up with it from step 0, see ``points``."""
        return False

    def points(self, state: Measure) -> Measure:
        """The measure of step 0 whose points the run may follow: the cloud that may take over, or the state itself."""
        return state

    def later(self, state: Measure) -> Measure | None:
        """A state of another kind that may come after this one, at its own time: its observables and cost are those."""
        return None

    def first(self, state: Any, rebuilt: Callable[[int], Any]) -> Any:
        """The state of step 0; ``rebuilt``: the initial law at a degree."""
        return state

    def highest_degree(self, lmax: int) -> int:
        """The highest degree that a density of degree ``lmax`` may come to have."""
        return lmax

    def to_plain(self) -> dict[str, Any]:
        """Name and parameters; a policy that is not in ``POLICIES`` is told by its source, too."""
        try:
            own = {} if POLICIES.get(self.name) is type(self) else {"source": source_mark(type(self))}
        except Sourceless as error:
            problem = f"its source cannot be read ({error}), and a checkpoint could not tell it from another"
            raise InputError("on_underresolved", self.name, problem, "define its class in a module") from error
        parameters = {one.name: getattr(self, one.name) for one in fields(self) if one.init}
        return {"name": self.name, **parameters, **own}

    def recorded(self) -> Any:
        """What a configuration holds: the name alone where that and ``lmax_cap`` say it all."""
        plain, known = self.to_plain(), POLICIES.get(self.name)
        usual = known is not None and plain == replace(known(), **_cap_of(self)).to_plain()
        return self.name if usual else plain


@dataclass(frozen=True)
class Warn(Policy):
    """Say so, and go on until the numbers are those of no measure."""

    name: ClassVar[str] = "warn"
    sentence: ClassVar[str] = "a warning; `UnresolvedError` once the numbers are those of no measure"
    notes: ClassVar[tuple[Note, ...]] = ()
    acts: ClassVar[bool] = False


@dataclass(frozen=True)
class Stop(Policy):
    """End with the last state that is resolved."""

    name: ClassVar[str] = "stop"
    sentence: ClassVar[str] = "the run ends at the last resolved state, and what was saved is returned"
    keeps_unresolved: ClassVar[bool] = False


@dataclass(frozen=True)
class Filter(Policy):
    """Set the density's exponential filter to ``strength``, where it is weaker."""

    strength: float = FILTER

    name: ClassVar[str] = "filter"
    sentence: ClassVar[str] = "the filter is set to 0.15, also where it was weaker: low moments stay good for a while"
    notes: ClassVar[tuple[Note, ...]] = (FILTERED, STOPPED)

    def __post_init__(self) -> None:
        check_number("strength", self.strength, 0, above=True)

    def prepared(self, model: Model, scheme_name: str, scheme: Scheme, initial: Initial, state: Measure) -> Policy:
        """Raises InputError for measures and schemes without a filter."""
        if not scheme.uses_filter:
            idle = f"scheme={scheme_name!r} filters nothing"
            raise InputError("on_underresolved", self.name, idle, 'use "refine" or "cloud", or another scheme')
        if state.points is None and state.filtered(self.strength) is None:
            problem = f"a {state.name} has no filter"
            raise InputError("on_underresolved", self.name, problem, 'use "refine" or "cloud"')
        return super().prepared(model, scheme_name, scheme, initial, state)

    def successor(self, state: Any, shown: Sequence[Defect] = ()) -> Measure | None:
        """The same coefficients under the filter, which no defect of far attention is cured by."""
        return None if _is_far_attention(shown) else filtered(state, self.strength)


@dataclass(frozen=True)
class Refine(Policy):
    """Raise the degree to 2ℓmax + 1, up to ``lmax_cap``, early; then filter. Far attention: tighten ``rtol``."""

    lmax_cap: int = CAP

    name: ClassVar[str] = "refine"
    sentence: ClassVar[str] = "ℓmax → 2ℓmax + 1, up to `lmax_cap` = 255, from a tail of 1e-6 on; then the filter"
    notes: ClassVar[tuple[Note, ...]] = (REFINED, FILTERED, STOPPED)

    def prepared(self, model: Model, scheme_name: str, scheme: Scheme, initial: Initial, state: Measure) -> Policy:
        """Raises InputError for a cap that is not above the first degree."""
        policy = super().prepared(model, scheme_name, scheme, initial, state)
        lmax = getattr(state, "lmax", None)
        return policy if lmax is None else replace(policy, **_checked_cap(self.lmax_cap, lmax, lmax + 1))

    def limit(self, state: Measure, defect: Defect) -> float:
        """Far lower while the degree can be raised: what a truncation has taken away no padding brings back."""
        return defect.early if self._can_rise(state) else defect.limit

    def successor(self, state: Any, shown: Sequence[Defect] = ()) -> Measure | None:
        """The next degree; against far attention alone a lower floor: of accuracy, where transports made it."""
        far_attention = _is_far_attention(shown)
        if far_attention and not shown[0].is_truncation:
            tightens = state.rtol > FINEST and state.coarsest < state.rtol  # what is there already stays
            return replace(state, rtol=max(FINER * state.rtol, FINEST)) if tightens else None
        if self._can_rise(state):
            return refined(state, self._next_degree(state.lmax))
        return None if far_attention else filtered(state, FILTER)

    def first(self, state: Any, rebuilt: Callable[[int], Any]) -> Any:
        """Built anew from its law until it is resolved or at the cap: padding would keep what is cut off."""
        while self._can_rise(state) and not is_resolved(state, limit=partial(self.limit, state)):
            state = rebuilt(self._next_degree(state.lmax))
        return state

    def highest_degree(self, lmax: int) -> int:
        """The cap, or the first degree."""
        return max(lmax, self.lmax_cap)

    def _can_rise(self, state: Measure) -> bool:
        return bool(getattr(state, "lmax", self.lmax_cap) < self.lmax_cap)

    def _next_degree(self, lmax: int) -> int:
        return min(2 * lmax + 1, self.lmax_cap)


@dataclass(frozen=True)
class HandOver(Policy):
    """Hand over to a cloud of degree 2ℓmax + 1, ``lmax_cap`` at most.

    A log density hands over where it stands, to its own quadrature of that degree: it is positive, and right while it
    is resolved. Of others the cloud starts from the same law on the same path, and catches up. A law that is not
    resolved at the start, or whose far attention is not, is carried by that cloud from there on. begin: makes the cloud
    of step 0, set by ``prepared`` where it is needed; without it the density's own quadrature is taken. at_once:
    whether it is the first state.
    """

    lmax_cap: int = CAP
    begin: Callable[[], Measure] | None = field(default=None, init=False, compare=False, repr=False)
    at_once: bool = field(default=False, init=False, compare=False, repr=False)

    name: ClassVar[str] = "cloud"
    sentence: ClassVar[str] = (
        "characteristics take over: a log density's quadrature where it stands, else the same law's on the same path"
    )
    notes: ClassVar[tuple[Note, ...]] = (HANDED_OVER, STOPPED)
    to_points: ClassVar[bool] = True

    def prepared(self, model: Model, scheme_name: str, scheme: Scheme, initial: Initial, state: Any) -> Policy:
        """Raises InputError for a wrong cap, and where no quadrature cloud can go on with this model and scheme."""
        super().prepared(model, scheme_name, scheme, initial, state)
        if isinstance(initial, Prompt) or isinstance(state, CausalDensity):
            problem = "a quadrature cloud of one law has no positions"
            raise InputError("on_underresolved", self.name, problem, 'use "refine" or "stop", or measure="cloud"')
        known = hasattr(state, "lmax")
        cap = _checked_cap(self.lmax_cap, state.lmax, LEAST_CAP)["lmax_cap"] if known else self.lmax_cap
        if model.diffusion > 0:
            problem = "a quadrature cloud cannot carry each token's own noise"
            raise InputError("on_underresolved", self.name, problem, 'use "refine" or "filter", or diffusion=0')
        try:
            check_scheme(scheme_name, scheme, model, state.cloud_name)
        except InputError as error:
            problem = f"no cloud can go on: {error.argument} = {error.value}: {error.problem}"
            raise InputError("on_underresolved", self.name, problem, error.remedy) from None

        def begin() -> Measure:
            cloud: Measure
            if not isinstance(initial, Law):
                cloud = cloud_of(initial)
            else:
                points = MEASURES[state.cloud_name]
                cloud = points.from_law(initial, lmax=quadrature_degree(state.lmax, cap), rtol=state.rtol)
            return cloud

        bound = replace(self, lmax_cap=cap)
        resolved = is_resolved(state, model)
        object.__setattr__(bound, "at_once", isinstance(initial, Law) and not resolved)
        if not (state.in_place and resolved):
            object.__setattr__(bound, "begin", begin)
        return bound

    def first(self, state: Any, rebuilt: Callable[[int], Any]) -> Any:
        """The cloud, where the density does not hold the law: no step is made from a state that is not resolved."""
        return self.begin() if self.at_once and self.begin is not None else state

    def successor(self, state: Any, shown: Sequence[Defect] = ()) -> Measure | None:
        """The density's own quadrature, a log density's of the degree that it hands over to."""
        if state.points is not None:
            return None
        points: Measure = cloud_of(state, quadrature_degree(state.lmax, self.lmax_cap) if state.in_place else None)
        return points

    def hands_over(self, state: Measure) -> bool:
        """Densities, once the cloud of step 0 is known."""
        return self.begin is not None and state.points is None

    def later(self, state: Measure) -> Measure | None:
        """The cloud that would take over now."""
        return self.points(state) if self.hands_over(state) else self.successor(state)

    def points(self, state: Measure) -> Measure:
        """The cloud of step 0."""
        return self.begin() if self.begin is not None and self.hands_over(state) else state


__all__ = ["POLICIES", "Defect", "Filter", "HandOver", "Note", "Policy", "Refine", "Stop", "Warn"]


def __dir__() -> list[str]:
    return sorted(__all__)


POLICIES: dict[str, type[Policy]] = {one.name: one for one in (Warn, Stop, Filter, Refine, HandOver)}
"""What a run may do when its density is no longer resolved, by name."""


def policy_of(given: Any, lmax_cap: int = CAP, argument: str = "on_underresolved") -> Policy:
    """A policy, the one of a name with this cap, or that of a table with a ``name``. Raises InputError for others.

    A cap that changes nothing is refused: whoever gave it expected it to.
    """
    if isinstance(given, str) and given not in POLICIES:
        raise unknown_name(argument, given, POLICIES)
    if not isinstance(given, Policy | str | Mapping):
        raise InputError(argument, given, "not a policy", f"use one of {', '.join(POLICIES)}, or fp.policies")
    named = {"name": given} if isinstance(given, str) else given
    policy: Policy = given if isinstance(given, Policy) else from_plain(named, POLICIES, argument)
    cap = _cap_of(policy).get("lmax_cap")
    if isinstance(given, str) and cap is not None:
        return replace(policy, lmax_cap=lmax_cap)  # type: ignore[call-arg]
    if lmax_cap not in (CAP, cap):
        problem = f"on_underresolved={policy.name!r} {'raises no degree' if cap is None else 'has a cap of its own'}"
        raise InputError("lmax_cap", lmax_cap, problem, 'leave it out, or use on_underresolved="refine" or "cloud"')
    return policy


def sets_filter(given: Any) -> bool:
    """Whether a policy, its name or its table is that of a filter, which densities alone have."""
    kind = _kind_of(given)
    return kind is not None and issubclass(kind, Filter)


def may_follow_points(given: Any) -> bool:
    """Whether a policy, its name or the table that a configuration holds may hand a run over to a cloud; None not."""
    kind = _kind_of(given)
    return kind is not None and kind.to_points


def _kind_of(given: Any) -> type[Policy] | None:
    """The class of a policy, or of the one that a name or a table tells; None where none of the package's is told."""
    if isinstance(given, Policy):
        return type(given)
    name = given.get("name") if isinstance(given, Mapping) else given
    return POLICIES.get(name) if isinstance(name, str) else None


def refined(measure: Any, lmax: int) -> Measure:
    """The same density, of whatever kind, at a higher degree."""
    finer: Measure = measure.refined(lmax)
    return finer


def filtered(measure: Any, strength: float) -> Measure | None:
    """The same density under a filter of this strength; None where there is one already, or can be none."""
    stronger: Measure | None = measure.filtered(strength)
    return stronger if (getattr(measure, "filter", None) or 0.0) < strength else None


def cloud_of(measure: Any, lmax: int | None = None) -> Any:
    """The quadrature of a density on its own grid, with its logarithm, where ρ stands above its negative lobes.

    lmax: the degree of the quadrature of a measure that hands over in place.
    """
    points: Any = MEASURES[measure.cloud_name]
    return points.taken_from(measure) if lmax is None else points.taken_from(measure, lmax)


def quadrature_degree(lmax: int, cap: int) -> int:
    """The degree of the cloud that takes over from a density: the next one, as its threads are finer than ``lmax``."""
    return max(lmax, min(2 * lmax + 1, cap))


def _is_far_attention(shown: Sequence[Defect]) -> bool:
    """Whether far attention is all that is wrong: no filter helps then."""
    return bool(shown) and all(one.name == "attention_floor" for one in shown)


def _cap_of(policy: Policy) -> dict[str, int]:
    return {"lmax_cap": policy.lmax_cap} if hasattr(policy, "lmax_cap") else {}


def _checked_cap(cap: Any, lmax: int, least: int) -> dict[str, int]:
    if isinstance(cap, bool) or not isinstance(cap, int | np.integer) or cap < least:
        range_ = f"above lmax = {lmax}" if least > lmax else f">= {least}"
        raise InputError("lmax_cap", cap, f"must be an integer {range_}", f"pass lmax_cap={2 * lmax + 1}")
    if cap > LARGEST_DEGREE:
        raise InputError("lmax_cap", cap, f"beyond {LARGEST_DEGREE}", f"pass lmax_cap <= {LARGEST_DEGREE}")
    return {"lmax_cap": int(cap)}
