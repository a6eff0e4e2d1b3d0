"""Wrapping functions of the package and of its libraries while a block runs, for profiles and counts.

What is wrapped is named by its owner and its name, and a name that is not there is an error: a profile whose rows are
silently missing, or a count of nothing, would look like a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from fpsolve.errors import FPSolveError

Function = Callable[..., Any]

ABSENT = object()


class InstrumentError(FPSolveError, AttributeError):
    """A function that is to be timed or counted is not where it was."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__(
            f"cannot measure {', '.join(names)}: not found in this version; "
            "name what has taken its place where it is asked for, or install the versions that the package was made for"
        )


class Wrapped(NamedTuple):
    """A function ``name`` of a module or class, ``owner``, and what makes the function that stands in for it."""

    owner: Any
    name: str
    wrap: Callable[[Function], Function]


@contextmanager
def wrapped(places: Iterable[Wrapped]) -> Iterator[None]:
    """Within the block other functions stand in for these; then all are put back, inherited ones as inherited.

    Raises InstrumentError, before anything is changed, where one of them is missing or no function.
    """
    chosen = list(places)
    gone = [_told(place) for place in chosen if not callable(getattr(place.owner, place.name, None))]
    if gone:
        raise InstrumentError(gone)
    with ExitStack() as stack:
        for owner, name, wrap in chosen:
            own = vars(owner).get(name, ABSENT)
            setattr(owner, name, wrap(getattr(owner, name)))
            stack.callback(delattr, owner, name) if own is ABSENT else stack.callback(setattr, owner, name, own)
        yield


def _told(place: Wrapped) -> str:
    owner = place.owner
    module = f"{owner.__module__}." if isinstance(owner, type) else ""
    return f"{module}{getattr(owner, '__name__', repr(owner))}.{place.name}"
