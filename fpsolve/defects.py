"""What of a state is no longer resolved: numbers with limits, told apart by what helps against each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from fpsolve.attention.floor import Floor
from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.notes import ATTENTION, CLOUD, UNRESOLVED, Note

ATTENTION_UNRESOLVED = 2e-5
"""A density whose floor may change C_ℓ by more than this part of C_0: √C_ℓ soon drives low moments off by 1e-4."""

CLOUD_UNRESOLVED = 1e-3
"""A cloud whose quadrature is off by more than this in the moments ℓ ≤ 8."""

ATTENTION_REFINE_FROM = 2e-6
"""``refine`` acts at this already: a floor that transports have left behind no later accuracy takes away."""


@dataclass(frozen=True)
class Defect:
    """A number of a state that may say that it is not resolved.

    name: the variable of a result that keeps it. since: the note of a result with the time from which on it was above
    ``limit``. early: the value from which ``refine`` acts. is_truncation: whether the degree is too low, where
    accuracy may be to blame instead.
    """

    name: str
    since: Note
    value: float
    limit: float
    early: float
    is_truncation: bool = True

    def exceeds(self, limit: float) -> bool:
        """Whether the size of the number is beyond this; a NaN is."""
        return not abs(self.value) <= limit

    def __str__(self) -> str:
        return f"{self.name} = {self.value:.2g}"


Limit = Callable[[Defect], float]
"""The size from which a defect counts."""


def usual(defect: Defect) -> float:
    """The limit that a defect has of its own."""
    return defect.limit


def defects(measure: Measure, model: Model | None = None, limit: Limit = usual) -> list[Defect]:
    """Those that a state shows: of its own, and with a model what that makes of its floor."""
    tail, off = measure.tail, measure.mass_defect
    floor = None if model is None else attention_floor(measure, model)
    known = []
    if tail is not None:
        known.append(Defect("tail", UNRESOLVED, tail, measure.tail_limit, measure.refine_from))
    if off is not None:
        known.append(Defect("mass_defect", UNRESOLVED, off, measure.mass_limit, measure.mass_limit))
    if floor is not None:
        limits = ATTENTION_UNRESOLVED, ATTENTION_REFINE_FROM
        truncation = measure.floor is not None and measure.floor.is_truncation
        known.append(Defect("attention_floor", ATTENTION, floor, *limits, truncation))
    if (error := measure.cloud_error) is not None:
        known.append(Defect("cloud_error", CLOUD, error, CLOUD_UNRESOLVED, CLOUD_UNRESOLVED))
    return [one for one in known if one.exceeds(limit(one))]


def is_resolved(measure: Measure, model: Model | None = None, limit: Limit = usual) -> bool:
    """Whether a state shows no defect."""
    return not defects(measure, model, limit)


_SEEN: WeakKeyDictionary[Floor, tuple[Model, float]] = WeakKeyDictionary()


def attention_floor(measure: Measure, model: Model) -> float | None:
    """What the floor of a density may change in C_ℓ, in units of C_0, or in F, where the model asks for it.

    See :mod:`fpsolve.attention.floor`; of a sum the largest of its terms'. None for measures that have no floor and
    models that do not ask the measure.
    """
    floor = measure.floor
    settings = [] if floor is None else [heads for term in model.terms if (heads := term.queries(measure.dimension))]
    if floor is None or not settings:
        return None
    known = _SEEN.get(floor)
    if known is not None and known[0] is model:
        return known[1]
    value = max(floor.seen_by(heads) for heads in settings)
    _SEEN[floor] = model, value
    return value
