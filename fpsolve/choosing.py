"""``measure="auto"`` and ``on_underresolved=None``: what carries a run where nobody says, and what follows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fpsolve.defects import is_resolved
from fpsolve.errors import InputError
from fpsolve.measures.base import Measure
from fpsolve.measures.build import AUTO, build
from fpsolve.measures.causal_density import CausalDensity
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.density import Density
from fpsolve.measures.initial import Initial
from fpsolve.measures.laws import Law, Prompt
from fpsolve.measures.log_density import FLOWS, LogDensity
from fpsolve.measures.zonal import ZonalDensity
from fpsolve.models.base import Model
from fpsolve.policies import HandOver, Policy, Warn, may_follow_points, policy_of, sets_filter
from fpsolve.schemes import SCHEMES, Scheme, check_scheme, named
from fpsolve.settings import Settings
from fpsolve.sphere.geometry import GEOMETRIES


def with_measure(settings: Settings, model: Model, initial: Initial) -> Settings:
    """The settings with the measure that ``auto`` stands for.

    A given measure stays. Tokens are a cloud, as are laws whose points are to be saved (from the beginning, unless the
    policy that was asked for comes to points), and under models whose velocities are known at points together; the laws
    of a sequence's positions a causal density; laws in d > 3 zonal. Other laws are a log density (which hands over to
    a cloud at once where it is not resolved, or is not taken where no cloud is to follow); a density where they have
    zeros, under ν > 0, with a filter or the policy that sets one, or where the transport or the scheme moves nothing
    else.
    """
    return settings if settings.measure != AUTO else replace(settings, measure=_carrier(settings, model, initial))


def _carrier(settings: Settings, model: Model, initial: Any) -> str | type[Measure]:
    if isinstance(initial, Measure):
        return type(initial)
    if isinstance(initial, Prompt) or (model.measures is not None and isinstance(initial, Law)):
        return _first_that_fits((CausalDensity.name, Cloud.name), settings, model)
    if not isinstance(initial, Law):
        return Cloud.name
    if initial.dimension not in GEOMETRIES:
        return ZonalDensity.name
    if settings.save_points and not may_follow_points(settings.on_underresolved):
        return Cloud.name
    if not _is_plain(settings, model):
        return Density.name
    first = LogDensity if _has_logarithm(initial, settings) else Density
    return _first_that_fits((first.name, Density.name, Cloud.name), settings, model)


def _has_logarithm(law: Law, settings: Settings) -> bool:
    """Whether log ρ is known on the grid; where no cloud is to follow it has to be resolved there, too."""
    try:
        first = build(law, LogDensity.name, settings.lmax, settings.rtol)
    except InputError:  # whatever is wrong with the law or the degree, a density says it too
        return False
    return settings.on_underresolved is None or may_follow_points(settings.on_underresolved) or is_resolved(first)


def _first_that_fits(names: tuple[str, ...], settings: Settings, model: Model) -> str:
    """The first of these measures that the model and the scheme move; the first one where none is, which says why."""
    for name in names:
        try:
            if settings.scheme is not None:
                check_scheme(*named(SCHEMES, settings.scheme), model, name)
            elif not model.flows_on(name):
                continue
        except InputError:
            continue
        return name
    return names[0]


def chosen_policy(
    given: Settings, model: Model, scheme_name: str, scheme: Scheme, initial: Initial, state: Measure
) -> Policy:
    """The policy that was asked for, ready for the run; by default the rest of what ``measure="auto"`` stands for.

    There a cloud takes over from a density of a law, unless ν, a filter, a transport or a scheme speaks against it;
    measures that were asked for by name are followed by nothing, and a warning says so.
    """
    about = (model, scheme_name, scheme, initial, state)
    if given.on_underresolved is not None:
        return policy_of(given.on_underresolved, given.lmax_cap).prepared(*about)
    if given.measure == AUTO and isinstance(initial, Law) and state.points is None and _is_plain(given, model):
        try:
            return policy_of(HandOver.name, given.lmax_cap).prepared(*about)
        except InputError as error:
            if error.argument != "on_underresolved":
                raise
    return policy_of(Warn.name, given.lmax_cap).prepared(*about)


def _is_plain(given: Settings, model: Model) -> bool:
    """Whether nothing is asked that a density alone does."""
    if given.filter is not None or sets_filter(given.on_underresolved):
        return False
    return model.diffusion == 0 and given.transport in FLOWS and given.petsc_options is None
