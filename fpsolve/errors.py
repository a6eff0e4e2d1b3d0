"""Errors of fpsolve: every message names the argument, its value and the remedy."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from difflib import get_close_matches
from math import inf
from numbers import Integral, Real
from typing import Any

__all__ = [
    "CalculusError",
    "CheckpointWarning",
    "DivergedError",
    "FPSolveError",
    "InputError",
    "Interrupted",
    "MissingDependencyError",
    "NotGaussianWarning",
    "SamplingWarning",
    "UnderResolvedWarning",
    "UnresolvedError",
]


def __dir__() -> list[str]:
    return sorted(__all__)


class FPSolveError(Exception):
    """Base class of every error that fpsolve raises on purpose.

    Errors pickle, so that they come back from other processes; what does not pickle in them comes back as its repr.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _raised, (type(self), self.args, {name: _portable(value) for name, value in vars(self).items()})


class InputError(FPSolveError, ValueError):
    """An argument is wrong; raised before any computing.

    The message reads ``argument = value: problem; remedy``.
    """

    def __init__(self, argument: str, value: object, problem: str, remedy: str) -> None:
        self.argument, self.value, self.problem, self.remedy = argument, value, problem, remedy
        super().__init__(f"{argument} = {_short(value)}: {problem}; {remedy}")


class CalculusError(InputError):
    """A model and a scheme read the noise differently (Itô or Stratonovich)."""


class UnresolvedError(FPSolveError, RuntimeError):
    """A run stopped because its numbers can no longer be trusted."""

    def __init__(self, time: float, problem: str, remedy: str) -> None:
        self.time = time
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"stopped at t = {time:.6g}: {problem}; {remedy}")


class DivergedError(FPSolveError, RuntimeError):
    """A linear, nonlinear or time solver ended without a solution; what it reached is never returned."""

    def __init__(self, solver: str, reason: str, residual: float, remedy: str) -> None:
        self.solver, self.reason, self.residual, self.remedy = solver, reason, residual, remedy
        super().__init__(f"{solver} stopped: {reason} with residual {residual:.3g}; {remedy}")


class Interrupted(FPSolveError, RuntimeError):
    """A run or an ensemble stopped because it was asked to; the same call goes on from its checkpoint.

    lost: what of its progress could not be written, and why; empty where all was. kept_until: the time of the
    checkpoint that is there; by default ``time``, where nothing is lost.
    """

    def __init__(
        self, time: float, checkpoint: object = None, lost: str = "", kept_until: float | None = None
    ) -> None:
        self.time, self.checkpoint, self.lost = time, checkpoint, lost
        self.kept_until = time if kept_until is None and checkpoint is not None and not lost else kept_until
        kept = "nothing was kept" if checkpoint is None else f"the same call goes on from {str(checkpoint)!r}"
        if lost and self.kept_until is None:
            kept = f"{lost}; nothing was kept"
        elif lost:
            kept = f"{lost}; {kept}" + (f", at t = {self.kept_until:.6g}" if self.kept_until != time else "")
        super().__init__(f"stopped on request at t = {time:.6g}; {kept}")


class MissingDependencyError(FPSolveError, ImportError):
    """An optional package is not installed; the message says how to install it."""


class UnderResolvedWarning(UserWarning):
    """A density has outgrown its degree: what follows is no longer to be trusted in detail."""


class SamplingWarning(UserWarning):
    """A mean over random weights, or a spectrum of noise, falls short of its tolerance; the text says by how much."""


class NotGaussianWarning(UserWarning):
    """Weights of a network are not as at a Gaussian initialisation: trained, copied, or of another law."""


class CheckpointWarning(UserWarning):
    """A checkpoint was damaged, could not be written, or comes from other versions."""


UNBOUNDED = 1e12
"""Upper bounds from here on are told to nobody who is below them."""


def check_number(argument: str, value: object, low: float = -inf, high: float = inf, *, above: bool = False) -> float:
    """The value as a float; InputError unless it is finite and in [low, high], or (low, high] with ``above``."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(argument, value, "not a number", f"pass a number, {argument}=1.0 for example")
    try:
        number = float(value)
    except OverflowError:  # of an integer
        number = inf
    if not (low <= number <= high and abs(number) < inf) or (above and number == low):
        if number > high >= UNBOUNDED:
            raise InputError(argument, value, f"beyond {high:g}", f"pass {argument} <= {high:g}")
        high = inf if high >= UNBOUNDED else high
        bound = f"{'>' if above else '>='} {low:g}" if high == inf else f"in [{low:g}, {high:g}]"
        sign = "positive" if above else "non-negative"
        kind = f"finite and {sign}" if low == 0 and high == inf else f"finite and {bound}" if low > -inf else "finite"
        raise InputError(argument, value, f"must be {kind}", f"pass {argument} {bound}")
    return number


MOST = 1 << 40
"""Tokens, layers, heads and widths beyond are refused."""


def check_integer(argument: str, value: object, low: int, high: int = MOST) -> None:
    """Raise InputError unless the value is an integer in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < low:
        raise InputError(argument, value, f"must be an integer >= {low}", f"pass {argument}={max(low, 4)}, for example")
    if int(value) > high:
        raise InputError(argument, value, f"more than {high}", f"pass {argument} <= {high}")


def unknown_name(argument: str, value: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a table, naming the nearest known one."""
    names = list(known)
    near = get_close_matches(str(value), names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else "choose one of them"
    return InputError(argument, value, f"not one of {', '.join(map(repr, names))}", hint)


def exit_code(error: BaseException) -> int:
    """Of a program: 2 for bad input, 3 for a run that stopped because it was no longer resolved, 1 for the rest."""
    if isinstance(error, InputError):
        return 2
    return 3 if isinstance(error, UnresolvedError) else 1


def _raised(kind: type[FPSolveError], args: tuple[Any, ...], state: dict[str, Any]) -> FPSolveError:
    """An error as it was in another process: its constructor takes other arguments than the message."""
    error = kind.__new__(kind, *args)
    vars(error).update(state)
    return error


def _portable(value: Any) -> Any:
    try:
        pickle.loads(pickle.dumps(value))
    except Exception:  # whatever a class raises that does not pickle
        return _short(value)
    return value


def _short(value: object, limit: int = 80) -> str:
    try:
        text = " ".join(repr(value).split())  # an array's lines are one
    except Exception:  # of an object of the user's, or a number of more digits than Python writes
        text = f"<{type(value).__name__}>"
    return text if len(text) <= limit else f"{text[:limit]}…"
