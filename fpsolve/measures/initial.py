"""Initial laws by name, and their recipes for configurations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.cached import read_only
from fpsolve.errors import InputError, check_number
from fpsolve.measures.base import Measure
from fpsolve.measures.laws import (
    AxialLaw,
    Bell,
    Expanded,
    Exponential,
    FunctionLaw,
    Mixture,
    Prompt,
    Tokens,
    last_axis,
    off_sphere,
)
from fpsolve.measures.laws import Law as Law  # fp.initial.Law, too
from fpsolve.measures.named import in_order, is_named
from fpsolve.memory import check_memory
from fpsolve.noise import BrownianPath
from fpsolve.plain.arguments import arguments_of
from fpsolve.sphere.circle import CircleGrid
from fpsolve.sphere.grid import THETA_LAYOUT_FROM, Grid
from fpsolve.sphere.harmonics import Real
from fpsolve.surroundings import usual_arithmetic

Initial = Law | Tokens | Prompt | Measure

_Made = TypeVar("_Made")

TOKEN_BYTES = 64
"""Memory that drawing takes, for each component of a token."""

CELL_BYTES = 1 << 15
"""Memory of a density of one position, at a moderate degree."""

LARGEST_RECIPE = 1000
"""Arrays of more numbers are described by their shape and checksum, not repeated, in a configuration."""


def with_recipe(make: Callable[..., _Made]) -> Callable[..., _Made]:
    """Let what ``make`` returns carry its own name and arguments, as plain data, in the attribute ``recipe``."""

    @wraps(make)
    @usual_arithmetic()
    def recorded(*args: Any, **kwargs: Any) -> _Made:
        bound = arguments_of(make, args, kwargs)
        for key, value in bound.arguments.items():
            bound.arguments[key] = in_order(key, value) if is_named(value) else value
        law = make(*bound.args, **bound.kwargs)
        bound.apply_defaults()
        recipe = {"name": make.__name__, **{key: _plain(value) for key, value in bound.arguments.items()}}
        object.__setattr__(law, "recipe", recipe)
        return law

    return recorded


def _plain(value: Any) -> Any:
    """Numbers, strings, lists and nested recipes for a configuration."""
    if hasattr(value, "recipe"):
        return value.recipe
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value] if np.size(value) <= LARGEST_RECIPE else _plain(np.asarray(value))
    if isinstance(value, np.ndarray):
        short = value.size <= LARGEST_RECIPE
        return value.tolist() if short else {"shape": list(value.shape), "crc32": crc32(value.tobytes())}
    return value if isinstance(value, str | int | float | type(None)) else getattr(value, "__name__", repr(value))


@with_recipe
def uniform(d: int = 3) -> Law:
    """The uniform law on S^{d-1}. Raises InputError unless d ≥ 2 is an integer."""
    if isinstance(d, bool) or not isinstance(d, int | np.integer) or d < 2:
        raise InputError("d", d, "the dimension must be an integer >= 2", "pass d=3 for the sphere S²")
    check_memory("d", int(d), TOKEN_BYTES)
    return AxialLaw(last_axis(int(d)), np.zeros_like)


@with_recipe
def axial(d: int, kappa: float) -> Law:
    """The von Mises–Fisher law around the last axis of R^d, ρ ∝ e^{κ x_d}, for large d; κ < 0: around -e_d."""
    if isinstance(d, bool) or not isinstance(d, int | np.integer) or d < 2:
        raise InputError("d", d, "the dimension must be an integer >= 2", "pass d=512, for example")
    check_number("kappa", kappa)
    check_memory("d", int(d), TOKEN_BYTES)
    return AxialLaw(last_axis(int(d)), Exponential(float(kappa)))


@with_recipe
def von_mises_fisher(mean: ArrayLike, kappa: float) -> Law:
    """ρ ∝ e^{κ⟨x, mean⟩}, the direction of ``mean`` normalised; d from its length, κ ≥ 0 :cite:`mardia2000`."""
    axis = _direction("mean", mean)
    _positive("kappa", kappa, zero=True)
    return AxialLaw(axis, Exponential(float(kappa)))


@with_recipe
def band(axis: ArrayLike, height: float = 0.0, width: float = 0.2) -> Law:
    """A smooth band around the circle of latitude ⟨x, axis⟩ = height: ρ ∝ exp(-(⟨x, axis⟩ - height)²/(2 width²))."""
    direction = _direction("axis", axis)
    check_number("height", height, -1, 1)
    check_number("width", width, 1e-3)
    return AxialLaw(direction, Bell(float(height), float(width)))


@with_recipe
def mixture(components: Sequence[Law], weights: ArrayLike | None = None) -> Law:
    """Σ p_j law_j; ``weights`` p_j ≥ 0 that sum to one (equal by default)."""
    if not isinstance(components, Sequence) or not components or not all(isinstance(law, Law) for law in components):
        raise InputError("components", components, "must be a list of laws with densities", "build them by name first")
    if len({law.dimension for law in components}) > 1:
        raise InputError("components", [law.dimension for law in components], "dimensions differ", "use one d")
    p = np.full(len(components), 1 / len(components)) if weights is None else _numbers("weights", weights)
    if p.shape != (len(components),) or not (p >= 0).all() or abs(p.sum() - 1) > 1e-9:
        raise InputError("weights", weights, "must be non-negative, one a component, with sum 1", "divide by their sum")
    return Mixture(tuple(components), p / p.sum())


@with_recipe
def function(density: Callable[[Real], Real], d: int = 3) -> Law:
    """A density given by a function of points (..., d) -> (...), with integral one (checked when it is used)."""
    if not callable(density):
        raise InputError("density", density, "not callable", "pass a function of points, or use fp.Density")
    return FunctionLaw(density, d)


@with_recipe
def array(values: ArrayLike) -> Law:
    """A density by its values on a grid, like a result's ``density``.

    On S² the Gauss grid (nlat, nlon), from north to south; on S¹ the angles 2πk/n, shape (n,). An xarray.DataArray is
    read by its dimensions and coordinates, in any order of them. The harmonics that the
    grid holds (degree < 2 nlat/3 and < nlon/3, < n/3 on S¹, as for products) are kept; nlat ≥ 32, n ≥ 32.
    Raises InputError for other shapes, values that are not finite or masked, and coordinates of another grid.
    """
    table = _numbers("values", values)
    if table.ndim == 1 and len(table) >= 32 and np.isfinite(table).all():
        coefficients = CircleGrid((len(table) - 1) // 3, len(table)).to_modes(table)
        return FunctionLaw(Expanded(read_only(coefficients), float(np.abs(table).max()), 2), 2)
    if table.ndim != 2 or table.shape[0] < 32 or not np.isfinite(table).all():
        raise InputError(
            "values",
            table.shape,
            "must be a finite array (nlat >= 32, nlon) on S², (n >= 32,) on S¹",
            "sample ρ on a Gauss grid, north first, or at the angles 2πk/n",
        )
    degree = min(2 * table.shape[0] // 3, table.shape[1] // 3) - 1
    coefficients = Grid(min(degree, THETA_LAYOUT_FROM - 1), *table.shape).to_modes(table, degree)
    return FunctionLaw(Expanded(read_only(coefficients), float(np.abs(table).max()), 3))


@with_recipe
def points(x: ArrayLike, weights: ArrayLike | None = None, labels: ArrayLike | None = None) -> Tokens:
    """Given tokens, rows of ``x`` on the unit sphere, with equal weights unless given (sum one).

    ``labels``: the position of each token in the sequence, for causal models.
    """
    rows = _numbers("x", x)
    if rows.ndim != 2 or not np.isfinite(rows).all() or rows.shape[1] < 2:
        raise InputError("x", x, "must be a finite array (n, d), d >= 2", "pass one row for each token")
    norms = np.sqrt(np.einsum("na,na->n", rows, rows))
    if np.abs(norms - 1).max(initial=0.0) > off_sphere(x):
        raise InputError("x", float(np.abs(norms - 1).max()), "points off the unit sphere", "divide rows by their norm")
    w = np.full(len(rows), 1 / len(rows)) if weights is None else _numbers("weights", weights)
    if w.shape != (len(rows),) or not (w >= 0).all() or abs(w.sum() - 1) > 1e-9:
        raise InputError("weights", weights, "must be non-negative, one a token, with sum 1", "divide by their sum")
    positions = None if labels is None else _numbers("labels", labels)
    if positions is not None and (positions.shape != (len(rows),) or not np.isfinite(positions).all()):
        raise InputError("labels", labels, "must be one finite position a token", "pass np.arange(1, n + 1) / n")
    return Tokens(rows / norms[:, None], w, positions)


@with_recipe
def simplex(n: int, overlap: float, d: int) -> Tokens:
    """n tokens with equal overlaps ⟨x_i, x_j⟩ = overlap, -1/(n-1) ≤ overlap < 1.

    They span n dimensions (n-1 at the lower end). Raises InputError for other overlaps and for d too small.
    """
    for name, value, low in (("n", n, 2), ("d", d, 2)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
            raise InputError(name, value, f"must be an integer >= {low}", f"pass {name}={low + 1}, for example")
    check_number("overlap", overlap)
    check_memory("n", int(n), TOKEN_BYTES * int(n))
    check_memory("d", int(d), TOKEN_BYTES * int(n))
    least = -1 / (n - 1)
    if not least - 1e-12 <= overlap < 1:
        raise InputError("overlap", overlap, f"{n} tokens allow [{least:.6g}, 1)", "choose an overlap in this range")
    gram = (1 - overlap) * np.eye(n) + overlap
    values, vectors = np.linalg.eigh(gram)
    rows = (vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1]
    if d < n and np.abs(rows[:, d:]).max(initial=0.0) > 1e-6:
        raise InputError("d", d, f"{n} tokens with overlap {overlap} span more dimensions", f"pass d >= {n}")
    placed = np.zeros((n, d))
    placed[:, : min(n, d)] = rows[:, :d]
    return points(placed / np.linalg.norm(placed, axis=1, keepdims=True))


@with_recipe
def prompt(laws: Law | Sequence[Law], cells: int = 32) -> Prompt:
    """A law for each position s in (0, 1] of a sequence, for causal models.

    laws: one for all positions, or a list for equal stretches of the sequence, in order. cells: P, a multiple of their
    number; the mean field is that of P positions in the middles of equal cells.
    """
    each = [laws] if isinstance(laws, Law) else list(laws)
    if not each or not all(isinstance(law, Law) for law in each):
        raise InputError("laws", laws, "must be a law or a list of laws with densities", "build them by name first")
    if len({law.dimension for law in each}) > 1:
        raise InputError("laws", [law.dimension for law in each], "dimensions differ", "use one d")
    if isinstance(cells, bool) or not isinstance(cells, int | np.integer) or cells < 1 or cells % len(each):
        problem = f"must be a positive multiple of the number of laws, {len(each)}"
        raise InputError("cells", cells, problem, f"pass cells={32 * len(each)}")
    check_memory("cells", int(cells), CELL_BYTES)
    return Prompt(tuple(each), int(cells))


@with_recipe
def samples(law: Law | Prompt, n: int, seed: int, member: int = 0) -> Tokens:
    """n iid tokens of a law, a pure function of (seed, member); of a prompt one at each position (j - 1/2)/n."""
    if isinstance(law, Prompt):
        return _samples_of_prompt(law, n, seed, member)
    if not isinstance(law, Law):
        raise InputError("law", law, "not a law with a density", "pass fp.initial.uniform(), von_mises_fisher(...), …")
    _check_count(n, law.dimension)
    return points(law.draw(int(n), BrownianPath(seed, member)))


def check_count(n: int) -> None:
    """Raise InputError for a number of tokens that is none."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InputError("n", n, "the number of tokens must be a positive integer", "pass n=1000, for example")


def _check_count(n: int, d: int) -> None:
    check_count(n)
    check_memory("n", int(n), TOKEN_BYTES * d)


def _samples_of_prompt(prompt: Prompt, n: int, seed: int, member: int) -> Tokens:
    """Token j of the law at its position."""
    _check_count(n, prompt.dimension)
    positions = (np.arange(int(n)) + 0.5) / int(n)
    drawn = np.stack([law.draw(int(n), BrownianPath(seed, member)) for law in prompt.laws])
    return points(drawn[prompt.of_places(positions), np.arange(int(n))], labels=positions)


def tokens_of(argument: str, given: Any, n: int, d: int, seed: int, member: int = 0) -> Tokens:
    """n tokens of R^d from tokens, a measure of points, an array (n, d), or n draws of a law.

    Raises InputError, naming the ``argument``, for anything else and for another n or d.
    """
    if isinstance(given, Law):
        given = samples(given, n, seed, member)
    if isinstance(given, np.ndarray | list):
        try:
            given = points(given)
        except InputError as error:
            raise InputError(argument, given, error.problem, error.remedy) from None
    if not isinstance(given, Tokens) and getattr(given, "points", None) is not None:
        given = Tokens(given.points, given.masses)
    if not isinstance(given, Tokens):
        remedy = "pass fp.initial.von_mises_fisher(...), for example"
        raise InputError(argument, given, "not tokens, a law or an array (n, d)", remedy)
    if given.x.shape != (n, d):
        raise InputError(
            argument, given.x.shape, f"there are n = {n} tokens in d = {d}", "pass as many, or change n and d"
        )
    return given


LAWS: dict[str, Callable[..., Law | Tokens | Prompt]] = {
    make.__name__: make
    for make in (
        uniform,
        von_mises_fisher,
        axial,
        mixture,
        band,
        simplex,
        samples,
        points,
        function,
        array,
        prompt,
    )
}
"""Every law by the name that configurations use."""

__all__ = ["LAWS", *LAWS]


def __dir__() -> list[str]:
    return sorted(__all__)


def _direction(argument: str, value: ArrayLike) -> Real:
    vector = _numbers(argument, value)
    if vector.ndim != 1 or len(vector) < 2 or not np.isfinite(vector).all() or not np.any(vector):
        raise InputError(argument, value, "must be a non-zero vector of length d >= 2", "pass [0, 0, 1], for example")
    return vector / np.linalg.norm(vector)


def _positive(argument: str, value: float, zero: bool = False) -> None:
    check_number(argument, value, 0, above=not zero)


def _numbers(argument: str, value: ArrayLike) -> Real:
    """An array of floats, or InputError for strings, complex numbers, masked entries and ragged lists."""
    if np.ma.is_masked(value):
        raise InputError(argument, value, "has masked entries", "leave them out, or fill them")
    try:
        if np.asarray(value).dtype.kind in "biufO":
            return np.array(value, float)
    except (TypeError, ValueError):
        pass
    raise InputError(argument, value, "not an array of real numbers", "pass a list or array of floats")
