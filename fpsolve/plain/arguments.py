"""Arguments of public functions, checked against their annotations at the door, before any computing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from fpsolve.errors import InputError, unknown_name
from fpsolve.plain.annotations import checkable, hints
from fpsolve.plain.numbers import as_annotated
from fpsolve.plain.schema import NOTHING
from fpsolve.surroundings import usual_arithmetic

if TYPE_CHECKING:
    from pydantic import TypeAdapter

P = ParamSpec("P")
T = TypeVar("T")


def checked_arguments(function: Callable[P, T]) -> Callable[P, T]:
    """The function, called with arguments of the kinds that its annotations say, NumPy's scalars as Python's.

    NumPy's treatment of errors inside is its own.
    Raises InputError for an argument of another kind (text, truth values and complex numbers are no numbers, text no
    list), one that is missing, and one that there is not, with the nearest name.
    """

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        bound = arguments_of(function, args, kwargs)
        with usual_arithmetic():
            return function(*bound.args, **bound.kwargs)

    return called


def arguments_of(call: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
    """The arguments of ``call`` by name, checked."""
    signature = _signature(call)
    bound = _bound(call, signature, args, kwargs)
    named = {name: one for name, one in bound.arguments.items() if signature.parameters[name].kind not in _REST}
    bound.arguments |= checked_values(call, named)
    for name in bound.arguments.keys() - named.keys():
        rest = bound.arguments[name]  # **settings, or *args
        bound.arguments[name] = as_annotated(call, rest if isinstance(rest, dict) else {name: rest})
    return bound


_REST = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def checked_values(call: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``call`` by name as Python's numbers. Raises InputError where an annotation does not allow one."""
    found = as_annotated(call, values)
    known = _adapters(call)
    for name, value in found.items():
        if name in known:
            check_kind(name, value, *known[name])
    return found


def check_kind(name: str, value: Any, adapter: TypeAdapter[Any], wanted: str) -> None:
    """Raise InputError, by the argument's name, for a value that the adapter does not take."""
    from pydantic import ValidationError

    try:
        adapter.validate_python(value)
    except ValidationError as refused:
        messages = (str(one["msg"]).removeprefix("Value error, ") for one in refused.errors(include_url=False))
        problem = " or ".join(dict.fromkeys(text.removeprefix("Input ") for text in messages))
        raise InputError(name, value, problem, f"pass {wanted}") from None


def _bound(
    call: Callable[..., Any], signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> inspect.BoundArguments:
    """The arguments by name. Raises InputError for keywords that there are not, and for what is missing."""
    known, of = signature.parameters, f"argument of {call.__name__}"
    if not any(one.kind is one.VAR_KEYWORD for one in known.values()):
        for key in kwargs:
            if key not in known:
                raise unknown_name(of, key, (name for name in known if name != "self"))
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as refused:
        given = signature.bind_partial(*args[: len(known)]).arguments.keys() | kwargs.keys()
        required = [name for name, one in known.items() if one.default is one.empty and one.kind not in _REST]
        missing = [name for name in required if name not in given]
        if missing:
            raise InputError(missing[0], NOTHING, f"is required by {call.__name__}", f"pass {missing[0]}=…") from None
        raise InputError(f"arguments of {call.__name__}", args, str(refused), "pass them by name") from None


@cache
def _signature(call: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(call)


@cache
def _adapters(call: Callable[..., Any]) -> dict[str, tuple[TypeAdapter[Any], str]]:
    """What checks each parameter whose annotation says something, and the annotation in words."""
    from pydantic import ConfigDict, TypeAdapter

    strict = ConfigDict(strict=True)
    known = hints(call)
    kinds = {name: checkable(known[name], of_python=True) for name in _signature(call).parameters if name in known}
    return {
        name: (TypeAdapter(kind, config=strict), in_words(_signature(call).parameters[name].annotation))
        for name, kind in kinds.items()
        if kind is not Any
    }


def in_words(annotation: Any) -> str:
    """An annotation as a reader of the message understands it."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    for name, meaning in _MEANINGS.items():
        text = text.replace(name, meaning)
    return text.strip("'").replace(" | ", " or ")


_MEANINGS = {
    "os.PathLike[str]": "a path",
    "xr.Dataset": "an xarray Dataset",
    "ArrayLike": "a number or an array of numbers",
    "Model": "a model, fp.models.Homogenized(beta=4.0) for example",
    "Initial": "a law of fp.initial, fp.initial.uniform() for example",
}
