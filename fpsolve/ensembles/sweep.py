"""Sweeps: lists of values by parameter, their product, and the model, law and arguments of every point of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from fpsolve.errors import InputError, unknown_name
from fpsolve.measures.initial import LAWS
from fpsolve.models import Model, Sum
from fpsolve.plain import from_plain, to_plain
from fpsolve.plain.annotations import LARGEST
from fpsolve.plain.identity import ADDRESS, Unidentified, mark, name_of
from fpsolve.plain.numbers import as_annotated
from fpsolve.settings import OF_THE_CALL, SETTINGS, Settings

NOT_SWEPT = ("member", "save_every", "save_flow", "observe", *OF_THE_CALL)
"""Arguments of ``solve`` that no sweep may change."""

MOST_POINTS = 1_000_000
"""Points of a sweep; each has its own model, and a block or more."""

LONGEST_ARRAY = 16
"""Arrays of more numbers are called by their shape."""

TAKEN = ("member", "time", "status", "cause", "config")
"""Names that a store has already."""


@dataclass(frozen=True)
class Axis:
    """One swept parameter: where its values go.

    places: ``model`` (``model.0`` for a term of a sum), ``law``, ``solve`` and ``initial``.
    """

    key: str
    name: str
    parameter: str
    places: tuple[str, ...]
    values: tuple[Any, ...]

    @property
    def labels(self) -> Any:
        """The values as a coordinate: numbers if all are, otherwise texts, equal ones of unequal values marked."""
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in self.values):
            numbers = np.array(self.values)
            if numbers.dtype.kind in "if" and numbers.tolist() == list(self.values):
                return numbers  # others, as seeds beyond 2^63 among small ones, are exact as texts alone
        texts = [label(value) for value in self.values]
        count = Counter(texts)
        both = zip(texts, self.values, strict=True)
        return np.array([text if count[text] == 1 else f"{text} {self._mark(value)}" for text, value in both])

    def _mark(self, value: Any) -> str:
        """What tells values of one text apart. Raises InputError where nothing does."""
        try:
            return mark(value)
        except Unidentified as error:
            problem, remedy = f"cannot be told from others: {error}", "use functions, arrays or dataclasses"
            raise InputError(f"sweep.{self.key}", label(value), problem, remedy) from error


@dataclass(frozen=True)
class SweepPoint:
    """One point of a sweep: what ``prepare`` takes."""

    index: tuple[int, ...]
    model: Model
    initial: Any
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Sweep:
    """The product of the axes around a model, an initial law and arguments of ``solve``; no axes: one point."""

    model: Model
    initial: Any
    arguments: Mapping[str, Any]
    axes: tuple[Axis, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values along each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    def points(self) -> Iterator[SweepPoint]:
        """Every point, the last axis fastest."""
        return (self.point(index) for index in product(*map(range, self.shape)))

    def point(self, index: tuple[int, ...]) -> SweepPoint:
        """The point of these indices. Raises InputError naming the swept parameter for values that do not fit."""
        changes: dict[str, dict[str, Any]] = defaultdict(dict)
        for axis, i in zip(self.axes, index, strict=True):
            for place in axis.places:
                changes[place][axis.parameter] = axis.values[i]
        model, initial = self.model, changes["initial"].get("initial", self.initial)
        for place in [one for one in changes if one.partition(".")[0] == "model"]:
            model = self._changed(place, changes[place], lambda new, old=model, at=place: changed_model(old, at, new))
        if changes["law"]:
            initial = self._changed("law", changes["law"], lambda new, law=initial: changed_law(law, new))
        return SweepPoint(index, model, initial, {**self.arguments, **changes["solve"]})

    def _changed(self, place: str, changes: Mapping[str, Any], change: Any) -> Any:
        try:
            return change(changes)
        except InputError as error:
            named = error.argument.removeprefix("initial.")
            key = next((a.key for a in self.axes if a.parameter == named and place in a.places), None)
            if key is None:
                raise
            raise InputError(f"sweep.{key}", error.value, error.problem, error.remedy) from error

    def renamed(self, taken: AbstractSet[str]) -> Sweep:
        """Axes whose names are ``taken`` by variables of a run get the full key of their parameter, ``solve.lmax``."""
        tables = {"law": "initial"}
        full = {a.key: f"{tables.get(a.places[0], a.places[0])}.{a.parameter}" for a in self.axes}
        axes = (replace(a, name=full[a.key]) if a.name in taken else a for a in self.axes)
        return replace(self, axes=tuple(axes))

    def describe(self, index: tuple[int, ...]) -> str:
        """``beta = 2, d = 3``, for messages; empty without a sweep."""
        return ", ".join(f"{axis.name} = {label(axis.values[i])}" for axis, i in zip(self.axes, index, strict=True))


def make_sweep(model: Model, initial: Any, arguments: Mapping[str, Any], sweep: Mapping[str, Any] | None) -> Sweep:
    """The sweep of ``{key: values}``.

    A key is an argument of ``solve``, a parameter of the model or of the initial law (a bare name that both have, as
    ``d``, changes both; of a sum of models it changes all terms that have it), one of them as ``solve.key``,
    ``model.key``, ``model.0.key`` of a term, or ``initial.key``, or ``initial`` itself with a list of laws. Raises
    InputError for unknown keys and for values that are no list, none at all or repeated.
    """
    if not isinstance(model, Model):
        raise InputError("model", model, "not a model", "use fp.models.Homogenized(beta=4.0), for example")
    _check_size(sweep or {})
    axes = tuple(_axis(key, values, model, initial) for key, values in (sweep or {}).items())
    _check_arguments({**arguments, **{axis.parameter: None for axis in axes if "solve" in axis.places}})
    names = [axis.name for axis in axes]
    for n, axis in enumerate(axes):
        if axis.name in names[:n]:
            raise InputError("sweep", axis.key, f"{axis.name} is swept twice", "leave one of them out")
    return Sweep(model, initial, dict(arguments), axes)


def _check_size(sweep: Mapping[str, Any]) -> None:
    """Raise InputError for a product of lists that is too long, before any of them is looked at."""
    points = 1
    for key, values in sweep.items():
        try:
            points *= len(values)
        except TypeError:
            continue  # told by what looks at it
        except OverflowError:
            points = MOST_POINTS + 1
        if points > MOST_POINTS:
            problem = f"more than {MOST_POINTS} points"
            raise InputError(f"sweep.{key}", type(values).__name__, problem, "sweep fewer values")


def _check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raise InputError for arguments that ``solve`` does not know, lacks, or that belong to each member."""
    known = [*SETTINGS, *OF_THE_CALL]
    for name, value in arguments.items():
        if name in NOT_SWEPT and name not in ("save_every", "observe") and value is not None:
            remedy = "choose members=, and output= to keep what is done"
            raise InputError(name, value, "is not for all members of an ensemble", remedy)
        if name not in known:
            raise unknown_name("arguments", name, known)
    for name, one in SETTINGS.items():
        if one.default is MISSING and name not in arguments:
            raise InputError(name, None, "is required", f"pass {name}=..., or sweep it")


def _axis(key: str, values: Any, model: Model, initial: Any) -> Axis:
    places = _places(key, model, initial)
    parameter = key.rpartition(".")[2]
    if isinstance(values, str | Mapping) or not hasattr(values, "__len__") or len(values) == 0:
        raise InputError(f"sweep.{key}", values, "not a list of values", f"write {parameter} = [1, 2], for example")
    law = LAWS.get(getattr(initial, "recipe", {}).get("name", ""))
    takes: dict[str, Callable[..., Any] | None] = {place: type(one) for place, one in _parts(model).items()}
    call = (takes | {"law": law}).get(places[0]) or Settings
    large = next((one for one in values if isinstance(one, int) and abs(one) >= LARGEST), None)
    if large is not None:
        raise InputError(f"sweep.{key}", large, "beyond every number of a run", "list smaller values")
    listed = tuple(as_annotated(call, {parameter: value})[parameter] for value in values)
    of_term = key.count(".") > 1
    axis = Axis(key, key if of_term or parameter in TAKEN else parameter, parameter, places, listed)
    if len(set(axis.labels.tolist())) < len(listed):
        raise InputError(f"sweep.{key}", values, "a value stands there twice", "list every value once")
    return axis


def _places(key: str, model: Model, initial: Any) -> tuple[str, ...]:
    where, dot, parameter = key.rpartition(".")
    if key == "initial":
        return ("initial",)
    terms = {place: parameters(one) for place, one in _parts(model).items()}
    of_model = [place for place, taken in terms.items() if parameter in taken]
    known = {"solve": _solve_arguments(), "model": _distinct(terms), "initial": law_parameters(initial), **terms}
    if dot:
        if where not in known:
            raise unknown_name("sweep", key, [f"{table}.{parameter}" for table in known])
        if parameter not in known[where]:
            raise unknown_name(f"sweep.{key}", parameter, known[where])
        return tuple(of_model) if where == "model" else ("law" if where == "initial" else where,)
    if key in known["solve"]:
        return ("solve",)
    places = (*of_model, *(("law",) if key in known["initial"] else ()))
    if not places:
        raise unknown_name("sweep", key, [*known["model"], *known["initial"], *known["solve"], "initial"])
    return places


def _parts(model: Model) -> dict[str, Model]:
    """The models that a sweep changes, by place: the model, or the terms of a sum."""
    return {f"model.{k}": term for k, term in enumerate(model.terms)} if isinstance(model, Sum) else {"model": model}


def _distinct(terms: Mapping[str, list[str]]) -> list[str]:
    """Every parameter once."""
    return list(dict.fromkeys(name for taken in terms.values() for name in taken))


def changed_model(model: Model, place: str, changes: Mapping[str, Any]) -> Model:
    """The model with changed parameters, those of term k at the place ``model.k``."""
    if place == "model":
        return model.changed(**changes)
    number = int(place.partition(".")[2])
    return Sum(tuple(one.changed(**changes) if k == number else one for k, one in enumerate(model.terms)))


def _solve_arguments() -> list[str]:
    return [name for name in SETTINGS if name not in NOT_SWEPT]


def parameters(model: Model) -> list[str]:
    """The parameters of a model that a sweep can change."""
    return [one.name for one in fields(model) if one.init] if is_dataclass(model) else []


def law_parameters(initial: Any) -> list[str]:
    """The parameters of a law of ``fp.initial``."""
    return [name for name in getattr(initial, "recipe", {}) if name != "name"]


def changed_law(law: Any, changes: Mapping[str, Any]) -> Any:
    """The law of the same name with some parameters changed. Raises InputError where it does not keep them all."""
    recipe = getattr(law, "recipe", {})
    if recipe.get("name") not in LAWS:
        raise InputError("initial", dict(recipe), "this law does not keep its arguments", "sweep initial = [laws]")
    return from_plain({**recipe, **changes}, LAWS, "initial")


def label(value: Any) -> str:
    """A value as a short text: laws by name and arguments."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, np.ndarray) and value.size > LONGEST_ARRAY:
        return f"array{value.shape}"
    if callable(value) and not isinstance(value, np.ufunc):
        return name_of(value)
    if not hasattr(value, "recipe") and not hasattr(value, "source"):
        return ADDRESS.sub("", repr(value))
    name, *rest = to_plain(value).items()
    return f"{name[1]}({', '.join(f'{key}={_short(one)}' for key, one in rest)})"


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("name", value))
    if isinstance(value, list):
        return f"[{', '.join(map(_short, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
