"""One call that runs every route to the conditional law of a token and says how far apart and how dear they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any

from fpsolve.comparison import problem_checks as check
from fpsolve.comparison.errors import discrepancy_degree
from fpsolve.comparison.law import InLaw, chain_of, in_law
from fpsolve.comparison.record import Findings, dataset
from fpsolve.comparison.routes import MEAN_FIELD, LadderRun, Problem, Rung, attempted, follow, refusal
from fpsolve.defects import is_resolved
from fpsolve.errors import FPSolveError, Interrupted, MissingDependencyError, check_number
from fpsolve.measures.initial import Initial
from fpsolve.models.base import Model
from fpsolve.observe import Result
from fpsolve.observe.wasserstein import transport_library
from fpsolve.plain import to_plain
from fpsolve.plain.arguments import checked_arguments
from fpsolve.schemes import Scheme
from fpsolve.settings import Settings
from fpsolve.surroundings import shows_progress, tqdm
from fpsolve.transformer import RandomTransformer

MOST_TOKENS = 2_000_000
"""All samples of a size have together about so many tokens at most; two are always drawn where two are asked for."""


@checked_arguments
def compare(
    model: Model,
    initial: Initial,
    *,
    t_end: float,
    dt: float,
    tokens: Sequence[int] = (100, 1000, 10_000, 100_000),
    samples: int = 8,
    members: int = 64,
    transformer: bool | Mapping[str, int] = True,
    scheme: str | Scheme | None = Settings.scheme,
    lmax: int = Settings.lmax,
    degrees: Sequence[int] | None = None,
    reference_lmax: int | None = None,
    rtol: float = Settings.rtol,
    tokens_rtol: float = 1e-4,
    filter: float | None = Settings.filter,
    seed: int = Settings.seed,
    member: int = Settings.member,
    path_cell: float = Settings.path_cell,
    save_every: float | None = Settings.save_every,
    moments_lmax: int = Settings.moments_lmax,
    kappa: float = 16.0,
    wasserstein_cells: int = 2000,
    targets: Sequence[float] = (1e-2, 1e-3, 1e-4),
    progress: bool | None = None,
) -> Result:
    """Mean field, iid tokens and the random transformer from one law: errors, rates and costs.

    On the noise path (seed, member): densities and quadrature clouds of several degrees, and ``samples`` independent
    sets of N iid tokens for each N of ``tokens`` (fewer where N is large). In law, over ``members`` members: the finite
    random transformer with η²L/H = ε² t_end, for models that are its limit. All routes share scheme and dt, so that
    errors are those of the representation, not of the time step.

    model, t_end, dt, scheme, rtol, filter, (seed, member), path_cell, save_every: as in :func:`fpsolve.solve`; initial:
    a law that can be sampled, d = 2 or 3. degrees: of the mean-field runs, by default lmax and its halvings;
    reference_lmax: of the reference, 2 lmax + 1 by default, a cloud where there can be one. tokens_rtol: as rtol, for
    tokens. transformer: a table of ``n``, ``heads``, ``depth``, or False. moments_lmax: degree L of the low moments.
    kappa: κ of the discrepancy's kernel e^{κ(⟨x,y⟩-1)}. wasserstein_cells: points to which W_2 gathers larger
    measures; 0 leaves it out. targets: errors of the low moments whose cost is asked.

    Returns a Dataset: for each ``run`` its observables, errors, seconds and transforms; for each ``quantity`` the
    reference's own error and the rate in N with its 99 % interval and verdict; for each ``solver`` and ``target`` the
    cost in processor seconds; for each ``observable`` both laws. What was left out is said in the attribute
    ``left_out``. Raises InputError before any computing, also where a size of ``tokens`` exceeds the memory.
    """
    return compare_until(lambda: False, **locals())


@checked_arguments
def compare_until(stop: Callable[[], bool], model: Model, initial: Initial, **arguments: Any) -> Result:
    """:func:`compare`, ended in order once ``stop``, which is asked between two steps, says yes.

    The runs that are complete then make the Dataset, if one of tokens is among them: its attribute ``stopped`` says how
    many they are, ``left_out`` what is missing, W_2 and the transformer's law too. Raises Interrupted otherwise.
    """
    given = _given(model, initial, arguments)
    scheme, progress = given.pop("scheme"), given.pop("progress")
    check.checked_law(model, initial, given["seed"], given["member"])
    ladder = check.ladder("tokens", given["tokens"], 2, check.LARGEST_N)
    check.checked_memory(ladder)
    some, highest = check.checked_degrees(given["degrees"], given["lmax"], given["reference_lmax"])
    check.checked_counts(given)
    low, members = given["moments_lmax"], given["members"]
    kappa = check_number("kappa", given["kappa"], 0, 500, above=True)
    targets = check.checked_targets(given["targets"])
    table = check.checked_transformer(given["transformer"])
    degree = max(low, discrepancy_degree(kappa))
    scheme_name, problem = check.checked_problem(model, initial, given, scheme, degree)  # type: ignore[arg-type]
    model = check.prepared_model(problem, some[0])
    problem = replace(problem, model=model, stop=stop)
    plan = _plan(problem, (*some, highest), ladder, given["samples"])
    chain = None if table is None else chain_of(model, problem, **table)
    if isinstance(chain, str):
        plan.left_out.append(chain)
    cells = _cells(given["wasserstein_cells"], plan.left_out)
    bar = shows_progress() if progress is None else progress
    paths = members if isinstance(chain, RandomTransformer) else 0
    with tqdm(total=len(plan.rungs) + paths, disable=not bar, unit="run", desc="fpsolve") as shown:
        outcomes = _run_all(problem, plan, shown.update)
        reference, witness = _reference(problem, outcomes, highest)
        findings = Findings(problem, outcomes, reference, witness, low, kappa, cells, targets)
        law = _law(chain, findings, plan, members, shown.update)
    findings = _with_distances(findings, plan)
    config = {"model": to_plain(model), "initial": to_plain(initial)}
    ds = dataset(findings, law, {**config, "compare": {**given, "scheme": scheme_name}}, plan.left_out + plan.stopped)
    complete = f"{len(outcomes)} of {len(plan.rungs)} runs are complete"
    return ds.assign_attrs(stopped=complete) if plan.stopped else ds


def _given(model: Model, initial: Initial, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of :func:`compare`, defaults included. Raises TypeError as a call of it does."""
    bound = signature(compare).bind(model, initial, **arguments)
    bound.apply_defaults()
    return {key: value for key, value in bound.arguments.items() if key not in ("model", "initial")}


@dataclass(frozen=True)
class Ladder:
    """The runs to make, sentences on those that cannot be made, and on what a stop left undone."""

    rungs: list[Rung]
    left_out: list[str]
    stopped: list[str] = field(default_factory=list)


def _plan(problem: Problem, degrees: tuple[int, ...], tokens: tuple[int, ...], samples: int) -> Ladder:
    """Raises InputError where no route or no token can run."""
    plan = Ladder([], [])
    wrong = refusal(problem, Rung("tokens", 1))
    if wrong is not None:
        raise wrong
    for route in MEAN_FIELD:
        refused = {degree: refusal(problem, Rung(route, degree)) for degree in degrees}
        plan.rungs.extend(Rung(route, degree) for degree, error in refused.items() if error is None)
        if refused[degrees[-1]] is not None:
            plan.left_out.append(f"{route}: {refused[degrees[-1]]}")
        else:
            plan.left_out.extend(f"{route} of degree {k}: {error}" for k, error in refused.items() if error)
        wrong = refused[degrees[-1]] or wrong
    if not any(rung.size == degrees[-1] for rung in plan.rungs):
        assert wrong is not None
        raise wrong
    count = 0
    for n in tokens:
        draws = min(samples, max(2, MOST_TOKENS // n))
        plan.rungs.extend(Rung("tokens", n, count + k) for k in range(draws))
        count += draws
    return plan


def _run_all(problem: Problem, plan: Ladder, tick: Callable[[], object]) -> list[LadderRun]:
    """Those that are complete. Raises Interrupted for a stop before the first run of tokens is."""
    outcomes: list[LadderRun] = []
    try:
        for rung in plan.rungs:
            if rung.route == "tokens":
                outcomes.append(follow(problem, rung, warm=rung.sample == 0))
            else:
                found = attempted(problem, rung, warm=True)
                plan.left_out.append(found) if isinstance(found, str) else outcomes.append(found)
            tick()
    except Interrupted:
        if not any(outcome.rung.route == "tokens" for outcome in outcomes):
            raise
        plan.stopped.extend(_undone(plan.rungs, [outcome.rung for outcome in outcomes]))
    return outcomes


def _undone(planned: list[Rung], complete: list[Rung]) -> list[str]:
    """What is missing of the tokens, which come last."""
    wanted, done = (Counter(rung.size for rung in rungs if rung.route == "tokens") for rungs in (planned, complete))
    return [f"tokens of N = {n}: stopped after {done[n]} of {wanted[n]} samples" for n in wanted if done[n] < wanted[n]]


def _reference(problem: Problem, outcomes: list[LadderRun], degree: int) -> tuple[LadderRun, LadderRun | None]:
    """The reference, and the run against which its own error is estimated.

    The reference is the cloud of this degree, else the density. The other is the density of this degree if it is
    resolved, which shares no transport code with the cloud; else the next coarser run of the reference's own route.
    """
    finest = {o.rung.route: o for o in outcomes if o.rung.size == degree and o.rung.route != "tokens"}
    if not finest:
        raise FPSolveError(f"no mean-field run of degree {degree} reached t = {problem.t_end:g}: shorten t_end")
    reference = finest.get("cloud") or finest["density"]
    density = finest.get("density")
    if density is not None and density is not reference and is_resolved(density.last, problem.model):
        return reference, density
    coarser = [o for o in outcomes if o.rung.route == reference.rung.route and o.rung.size < degree]
    return reference, max(coarser, key=lambda o: o.rung.size, default=None)


def _cells(cells: int, left_out: list[str]) -> int:
    """The cells of W_2; none, and a sentence, without the library."""
    if cells:
        try:
            transport_library()
        except MissingDependencyError as error:
            left_out.append(f"wasserstein: {error}")
            return 0
    return cells


def _with_distances(findings: Findings, plan: Ladder) -> Findings:
    """The findings with their W_2 computed; without it once there was a stop, as it may take longer than is left."""
    if not findings.cells:
        return findings
    try:
        if not plan.stopped:
            findings.distances  # noqa: B018 - computed once, here where it may be interrupted
            return findings
    except Interrupted:
        pass
    plan.stopped.append("wasserstein: stopped before it was complete")
    return replace(findings, cells=0)


def _law(
    chain: RandomTransformer | str | None, findings: Findings, plan: Ladder, members: int, tick: Callable[[], object]
) -> InLaw | None:
    """The transformer in law, its limit on the cheapest mean-field run that is resolved and right to a hundredth."""
    if not isinstance(chain, RandomTransformer):
        return None
    fields = [o for o in findings.outcomes if o.rung.route != "tokens" and is_resolved(o.last, findings.problem.model)]
    good = [o for o in fields if findings.errors(o)["moments"][-1] <= 1e-2]
    best = min(good, key=lambda o: o.cpu_seconds) if good else findings.reference
    try:
        if not (plan.stopped or findings.problem.stop()):
            return in_law(findings.problem, chain, best.rung, members, tick)
    except Interrupted:
        pass
    plan.stopped.append("transformer: stopped before its law was complete")
    return None
