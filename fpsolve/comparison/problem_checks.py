"""Arguments of a comparison, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fpsolve.comparison.routes import Problem
from fpsolve.errors import InputError, check_number
from fpsolve.measures.build import build
from fpsolve.measures.laws import Law
from fpsolve.memory import check_memory, installed_memory
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.schemes import SCHEMES, Scheme, named
from fpsolve.settings import check_cells, saved_stride
from fpsolve.sphere.geometry import GEOMETRIES, LARGEST_DEGREE, check_degree
from fpsolve.stepping import count_steps, default_scheme

LEAST_DEGREE = 11
"""Ladders of degrees go down to about this."""

LARGEST_N = 10**8
"""Tokens of one run: a thousand million numbers in the stages of a step."""

TOKEN_BYTES = 800
"""Memory that a token takes in a run: 430 to 510 measured at N = 10⁶ and 3·10⁵, 890 where fields leave the sphere."""

MOST_RUNGS = 1000
"""Sizes in one ladder."""

MOST_DRAWS = 1_000_000
"""Samples, and members of the comparison in law: each of them is a run."""

CELL_BYTES = 16
"""Of the matrix of costs between two sets of cells."""

SAVED = 8
"""Times after the start at which observables are kept where nothing else is said, at most."""

MOST_PAIRS = 10**12
"""Pairs of tokens in all heads and layers of one member: a quarter of an hour and more."""

TRANSFORMER = {"n": 64, "heads": 4, "depth": 64}
"""Tokens, heads and layers of the finite random transformer where nothing else is said."""


def whole(argument: str, value: Any, least: int, most: int | None = None) -> int:
    """The value as an integer. Raises InputError unless it is one in [least, most]."""
    bad = isinstance(value, bool) or not isinstance(value, int | np.integer)
    if bad or value < least or (most is not None and value > most):
        bound = f">= {least}" if most is None else f"in [{least}, {most}]"
        raise InputError(argument, value, f"must be an integer {bound}", f"pass {argument}={least}, for example")
    return int(value)


def ladder(argument: str, values: Any, least: int, most: int) -> tuple[int, ...]:
    """A list of different integers in ascending order. Raises InputError for anything else."""
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray) or len(values) == 0:
        raise InputError(argument, values, "must be a list of integers", f"pass {argument}=({least}, {10 * least})")
    if len(values) > MOST_RUNGS:
        raise InputError(argument, f"{len(values)} values", f"more than {MOST_RUNGS}", "take fewer of them")
    numbers = [whole(f"{argument}[{k}]", value, least, most) for k, value in enumerate(values)]
    if sorted(set(numbers)) != numbers:
        raise InputError(argument, values, "must ascend", f"pass {argument}={tuple(sorted(set(numbers)))}")
    return tuple(numbers)


def checked_memory(tokens: tuple[int, ...]) -> None:
    """Raise InputError where a run of so many tokens does not fit into the machine's memory."""
    memory = installed_memory()
    for k, n in enumerate(tokens):
        if memory is not None and n * TOKEN_BYTES > memory:
            problem = f"a run of them takes about {n * TOKEN_BYTES / 1e9:.3g} GB, the machine has {memory / 1e9:.3g} GB"
            remedy = f"take at most {memory // TOKEN_BYTES} tokens: what more of them cost is extrapolated"
            raise InputError(f"tokens[{k}]", n, problem, remedy)


def checked_counts(given: Mapping[str, Any]) -> None:
    """Raise InputError for numbers of runs and cells that are none, or that no machine would come to an end of."""
    for name, least, most in (("samples", 1, MOST_DRAWS), ("members", 2, MOST_DRAWS)):
        whole(name, given[name], least, most)
    check_degree("moments_lmax", given["moments_lmax"], 1)
    cells = whole("wasserstein_cells", given["wasserstein_cells"], 0)
    check_memory("wasserstein_cells", cells, CELL_BYTES * cells)


def default_degrees(lmax: int) -> tuple[int, ...]:
    """lmax and its halvings, (d + 1)/2 - 1, down to about ``LEAST_DEGREE``."""
    degrees = [lmax]
    while (degrees[0] + 1) // 2 - 1 >= LEAST_DEGREE:
        degrees.insert(0, (degrees[0] + 1) // 2 - 1)
    return tuple(degrees)


def checked_law(model: Any, initial: Any, seed: int, member: int) -> None:
    """Raise InputError unless the model acts on laws of S¹ or S² and the law can be sampled."""
    if not isinstance(model, Model):
        raise InputError("model", model, "not a model", "use fp.models.Homogenized(beta=4.0), for example")
    if model.measures is not None and "density" not in model.measures:
        problem = "it acts on laws and tokens of positions, which are not compared here"
        remedy = 'compare fp.solve(…, measure="causal_density") with tokens, measure="cloud"'
        raise InputError("model", type(model).__name__, problem, remedy)
    if not isinstance(initial, Law):
        problem = "not a law that tokens can be drawn from"
        raise InputError("initial", initial, problem, "give the law itself, fp.initial.von_mises_fisher(...), …")
    if initial.dimension not in GEOMETRIES:
        problem = "harmonics, in which routes are compared, exist for d = 2 and d = 3"
        remedy = 'start there, or compare fp.solve(…, measure="zonal") with tokens, measure="cloud"'
        raise InputError("initial", f"d = {initial.dimension}", problem, remedy)
    path = BrownianPath(seed, member)
    try:
        initial.draw(1, path)
    except InputError as error:
        raise InputError("initial", error.value, error.problem, error.remedy) from error


def checked_problem(
    model: Model, law: Law, arguments: Mapping[str, Any], scheme: str | Scheme | None, degree: int
) -> tuple[str, Problem]:
    """The name of the scheme and the problem, of which everything but the measures is checked."""
    name, chosen = named(SCHEMES, default_scheme(model) if scheme is None else scheme)
    steps = count_steps(arguments["t_end"], arguments["dt"])
    path = BrownianPath(arguments["seed"], arguments["member"], arguments["path_cell"])
    if model.is_stochastic:
        check_cells(path, arguments["t_end"], arguments["dt"])
    for key in ("rtol", "tokens_rtol"):
        check_number(key, arguments[key], 1e-14, 1)
    if arguments["filter"] is not None:
        check_number("filter", arguments["filter"], 0)
    stride = _stride(arguments["save_every"], arguments["dt"], steps)
    kept = {key: arguments[key] for key in ("t_end", "dt", "rtol", "tokens_rtol", "filter")}
    return name, Problem(model, law, path, scheme=chosen, stride=stride, degree=degree, **kept)


def prepared_model(problem: Problem, lmax: int) -> Model:
    """The model with one degree of noise for all routes, which the grid of the lowest degree holds."""
    start = build(problem.law, "density", lmax, problem.rtol) if problem.law.dimension in GEOMETRIES else None
    if start is None or not problem.model.is_stochastic:
        return problem.model
    problem.model.check(start)
    return problem.model.prepared(start)


def checked_degrees(degrees: Any, lmax: Any, reference_lmax: Any) -> tuple[tuple[int, ...], int]:
    """The ladder of degrees and that of the reference, which lies above it."""
    least = 4
    top = whole("lmax", lmax, least, LARGEST_DEGREE)
    some = default_degrees(top) if degrees is None else ladder("degrees", degrees, least, LARGEST_DEGREE)
    reference = min(2 * some[-1] + 1, LARGEST_DEGREE) if reference_lmax is None else reference_lmax
    return some, whole("reference_lmax", reference, some[-1] + 1, LARGEST_DEGREE)


def checked_transformer(transformer: Any) -> dict[str, int] | None:
    """n, heads and depth of the finite transformer; None where it is not wanted."""
    if transformer is False:
        return None
    if transformer is True:
        return dict(TRANSFORMER)
    if not isinstance(transformer, Mapping):
        remedy = "pass transformer={'n': 64, 'heads': 4, 'depth': 64}, or False"
        raise InputError("transformer", transformer, "neither true, false nor a table", remedy)
    for key, value in transformer.items():
        if key not in TRANSFORMER:
            problem = f"unknown key, a transformer has {', '.join(TRANSFORMER)}"
            raise InputError(f"transformer.{key}", value, problem, "remove it")
        whole(f"transformer.{key}", value, 2 if key == "n" else 1)
    table = {**TRANSFORMER, **transformer}
    pairs = table["n"] ** 2 * table["heads"] * table["depth"]
    if pairs > MOST_PAIRS:
        problem = f"{pairs:.3g} pairs of tokens a member, more than {MOST_PAIRS:.0e}"
        raise InputError("transformer", transformer, problem, "take fewer tokens n, heads or layers")
    return table


def checked_targets(targets: Any) -> tuple[float, ...]:
    """Errors to reach, each in (0, 1)."""
    if isinstance(targets, str) or not isinstance(targets, Sequence | np.ndarray) or len(targets) == 0:
        raise InputError("targets", targets, "must be a list of errors", "pass targets=(1e-2, 1e-3)")
    for k, value in enumerate(targets):
        if not 0 < check_number(f"targets[{k}]", value) < 1:
            raise InputError(f"targets[{k}]", value, "must be in (0, 1)", f"pass targets[{k}] = 1e-2, for example")
    return tuple(map(float, targets))


def _stride(every: Any, dt: float, steps: int) -> int:
    """Steps between saved states; by default the run in as many parts, up to ``SAVED``, as are whole."""
    if every is None:
        return steps // next(parts for parts in range(SAVED, 0, -1) if steps % parts == 0)
    return saved_stride(every, dt, steps)
