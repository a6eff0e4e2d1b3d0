"""What an observable is: how it is computed from a state, and all that a result, a picture and a summary say of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fpsolve.cached import cached_property
from fpsolve.measures.base import Measure
from fpsolve.measures.build import MEASURES
from fpsolve.models.base import Model
from fpsolve.observe.free_energy import energy_variables
from fpsolve.values import Checked

if TYPE_CHECKING:
    from fpsolve.observe.record import Recorder


@dataclass(frozen=True)
class Panel:
    """How an observable is drawn against time.

    kind: a ``line``; its ``log``arithm; the components of a ``vector`` and its norm; a ``density``, which ought to be
    positive; five of the ``positions`` of a sequence. overview: the lower, the rather it is one of the four curves of
    an overview; None: in none. stands_for: the observable in whose absence it is drawn.
    """

    title: str
    kind: Literal["line", "log", "vector", "density", "positions"] = "line"
    overview: int | None = None
    stands_for: str = ""


class Context:
    """What beside the state an observable may depend on: the run's ``model``, and ``saved``, what the run keeps."""

    def __init__(self, saved: Recorder, state: Measure) -> None:
        self.saved, self._state = saved, state

    @property
    def model(self) -> Model | None:
        """The model of the run; None for the chain of a random transformer."""
        return self.saved.model

    @cached_property
    def energies(self) -> dict[str, Any]:
        """The energies of the state, which share their sums."""
        return energy_variables(self._state, self.saved.beta, self.saved.interaction)


@dataclass(frozen=True)
class Observable(metaclass=Checked):
    """A quantity of the states of a run, as a variable of its result.

    name: of the variable. compute: ``(state, context)`` to a number, an array of numbers, or None where the state does
    not have it; the variable is absent where no state has it, NaN where some have not. dims: its dimensions beside
    ``time``, or a function of the state that gives them; None: ``name_0``, ``name_1``, …, as many as it has. measures:
    the names of the measures that have it, None for all; others of the package are not asked. where: what else it
    takes to have it, in words. panel: how it is drawn, a text for a line of that title, None for not at all. summary:
    whether ``fpsolve run`` tells its first and last value. once: of the last state alone, without ``time``.
    coordinate: whether it is kept as a coordinate of ``time``.
    """

    name: str
    compute: Callable[[Any, Context], Any]
    long_name: str = ""
    dims: tuple[str, ...] | Callable[[Any], tuple[str, ...]] | None = ()
    units: str | Callable[[Any], str] = "1"
    measures: tuple[str, ...] | None = None
    where: str = ""
    panel: Panel | str | None = None
    summary: bool = False
    once: bool = False
    coordinate: bool = False

    def of(self, state: Measure, context: Context) -> Any:
        """Its value, or None."""
        applies = self.measures is None or state.name in self.measures or state.name not in MEASURES
        return self.compute(state, context) if applies else None

    def dims_of(self, state: Measure, rank: int = 0) -> tuple[str, ...]:
        """Its dimensions beside ``time`` where it has so many."""
        if self.dims is None:
            return tuple(f"{self.name}_{k}" for k in range(rank))
        return self.dims(state) if callable(self.dims) else self.dims

    def variable(self, state: Measure, values: Any) -> tuple[tuple[str, ...], Any, dict[str, str]]:
        """Its dimensions, values and attributes in a result; ``state``: one of those that have it."""
        dims = self.dims_of(state, values.ndim - (not self.once))
        attributes = {"long_name": self.long_name or self.name}
        if not self.coordinate:
            attributes["units"] = self.units(state) if callable(self.units) else self.units
        return dims if self.once else ("time", *dims), values, attributes
