"""Observables of users: functions of the state, taken by name, told apart by their source, their values checked."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from fpsolve.errors import InputError, unknown_name
from fpsolve.measures.base import Measure
from fpsolve.measures.build import MEASURES
from fpsolve.notes import NOTES
from fpsolve.observe.observable import Context, Observable, Panel
from fpsolve.observe.observables import OBSERVABLES
from fpsolve.plain.source import Sourceless, source_mark

if TYPE_CHECKING:
    from fpsolve.observe.record import Recorder

Observe = Mapping[str, Callable[[Measure], Any] | Observable]
"""What ``fp.solve(observe=…)`` takes."""

TAKEN = (
    *OBSERVABLES,
    *("time", "component", "harmonic", "degree", "order", "head", "lat", "lon", "angle", "quadrature", "point"),
    *("flow", "flow_start", "step", "node", "potential", "mode", "part", "start", "start_part"),
    *("member", "status", "cause", "config", "layer", "diffusive_time", *NOTES),
)
"""Variables, coordinates and dimensions that results have already."""

KINDS = "fiub"
"""NumPy's kinds of real numbers."""


def own_observables(observe: Any) -> dict[str, Observable]:
    """The observables of ``{name: function or Observable}``, whose values are checked as they are computed.

    A function takes the measure and returns a number, an array of numbers or None. Raises InputError for what is no
    such table, names that results have already, and functions whose source cannot be read.
    """
    if observe is None:
        return {}
    if not isinstance(observe, Mapping):
        remedy = 'pass observe={"height": lambda measure: measure.mean[-1]}, for example'
        raise InputError("observe", observe, "not a table of functions by name", remedy)
    found = {}
    for name, given in observe.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise InputError("observe", name, "not a name of a variable", "use letters, digits and underscores")
        if name in TAKEN:
            raise InputError("observe", name, "results have this name already", "choose another name")
        found[name] = _checked(name, given)
    for one in found.values():
        for dim in one.dims if isinstance(one.dims, tuple) else ():
            if dim in found or (dim in TAKEN and dim != "component"):
                problem = f"its dimension {dim!r} is a name that the result has for something else"
                raise InputError(f"observe[{one.name}]", one.dims, problem, "choose another name")
    return found


def identities(observe: Mapping[str, Observable]) -> dict[str, str]:
    """What a configuration holds of them: the mark of each one's source."""
    return {name: _mark(name, one) for name, one in observe.items()}


def check_record(record: Mapping[str, Any], records: Sequence[Mapping[str, Any]], own: Mapping[str, Observable],
                 state: Measure) -> None:  # fmt: skip
    """Raise InputError where an array of a state has another shape than before, or than its dimensions say."""
    sizes = {"component": state.dimension}
    for name, one in own.items():
        value = record.get(name)
        before = next((earlier[name] for earlier in reversed(records) if name in earlier), value)
        if before is None:
            continue
        argument, shape = f"observe[{name}]", np.shape(before)
        if value is not None and np.shape(value) != shape:
            problem = f"its shape was {shape} before"
            raise InputError(argument, np.shape(value), problem, "return arrays of one shape, or None")
        dims = one.dims_of(state, len(shape))
        if len(dims) != len(shape):
            raise InputError(argument, shape, f"its dimensions are {dims}", "return an array that has these")
        for dim, size in zip(dims, shape, strict=True):
            if sizes.setdefault(dim, size) != size:
                raise InputError(argument, shape, f"{dim} has {sizes[dim]} entries", "return as many, or rename it")


def check_later(own: Mapping[str, Observable], first: Measure, later: Measure, saved: Recorder) -> None:
    """Try observables on a state of another kind that may come in a run, before any step of it.

    Raises their own errors, with a note that says what they were asked of, and InputError for other shapes.
    """
    records: list[dict[str, Any]] = []
    for state in (first, later):
        try:
            found = {name: one.of(state, Context(saved, state)) for name, one in own.items()}
        except Exception as error:
            if state is later:
                error.add_note(f"a {later.name} may take over in this run: return None for it, or pass measure=…")
            raise
        values = {name: value for name, value in found.items() if value is not None}
        check_record(values, records, own, state)
        records.append(values)


def imported(texts: Sequence[str]) -> dict[str, Any]:
    """The functions or observables ``module:name``, modules of the current folder too, by that name.

    Raises InputError for a text of another form and for what cannot be imported.
    """
    found: dict[str, Any] = {}
    for text in texts:
        module, colon, name = text.partition(":")
        if not colon or not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
            raise InputError("observe", text, "not of the form module:function", "write mymodule:height, for example")
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        try:
            given = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise InputError("observe", text, f"cannot be imported ({error})", "check name and folder") from error
        name = given.name if isinstance(given, Observable) else name
        if name in found:
            raise InputError("observe", text, f"a second observable {name}", "give them different names")
        found[name] = given
    return found


def _checked(name: str, given: Any) -> Observable:
    """One observable of a user. Raises InputError where it is none, or has no source."""
    argument = f"observe[{name}]"
    if isinstance(given, Observable):
        if given.name != name:
            raise InputError(argument, given.name, "has another name", f"enter it as {given.name!r}")
        one = replace(given, panel=Panel(given.panel) if isinstance(given.panel, str) else given.panel)
    elif callable(given):
        text = (inspect.getdoc(given) or "").partition("\n")[0].rstrip(".") if hasattr(given, "__code__") else ""
        one = Observable(name, partial(_without_context, given), text, None, panel=Panel(name), summary=True)
    else:
        remedy = "pass a function of the measure, or an fp.Observable"
        raise InputError(argument, given, "neither a function nor an observable", remedy)
    for measure in one.measures or ():
        if measure not in MEASURES:
            raise unknown_name(f"{argument}.measures", measure, MEASURES)
    if one.once or one.coordinate:
        raise InputError(argument, name, "kept once, or as a coordinate", "leave once= and coordinate= out")
    _mark(name, one)
    return replace(one, compute=partial(_value, one))


def _without_context(function: Callable[[Measure], Any], state: Measure, context: Context) -> Any:
    return function(state)


def _value(one: Observable, state: Measure, context: Context) -> Any:
    """The value as an array of its own. Raises InputError where it is none of real numbers."""
    try:
        value = one.compute(state, context)
    except Exception as error:
        error.add_note(f"in the observable {one.name!r} of a {state.name}")
        raise
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype.kind not in KINDS:
        problem = f"returned {type(value).__name__} {array.dtype}, no real numbers"
        raise InputError(f"observe[{one.name}]", value, problem, "return a float, an array of floats, or None")
    return np.array(array, float)


def _mark(name: str, one: Observable) -> str:
    """The mark of its source and of all that the result says of it."""
    function: Any = one.compute
    while isinstance(function, partial) and function.func in (_value, _without_context):
        function = function.args[0].compute if function.func is _value else function.args[0]
    about = [getattr(one, field.name) for field in fields(one) if field.name not in ("compute", "panel", "summary")]
    try:
        return source_mark(function, *about)
    except Sourceless as error:
        problem = f"its source cannot be read ({error}), and a checkpoint could not tell it from another"
        remedy = "define it with def, in a module, a script or a notebook"
        raise InputError(f"observe[{name}]", function, problem, remedy) from error
