"""Errors of fpsolve: every message names the argument, its value and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class FPSolveError(Exception):
    """Base class of every error that fpsolve raises on purpose."""


class InputError(FPSolveError, ValueError):
    """An argument is wrong; raised before any computing.

    The message reads ``argument = value: problem; remedy``.
    """

    def __init__(self, argument: str, value: object, problem: str, remedy: str) -> None:
        self.argument = argument
        self.value = value
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


class MissingDependencyError(FPSolveError, ImportError):
    """An optional package is not installed; the message says how to install it."""


def unknown_name(argument: str, value: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a table, naming the nearest known one."""
    names = list(known)
    near = get_close_matches(str(value), names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else "choose one of them"
    return InputError(argument, value, f"not one of {', '.join(map(repr, names))}", hint)


def _short(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
