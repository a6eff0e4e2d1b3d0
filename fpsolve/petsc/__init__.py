"""PETSc: implicit transport, time stepping, stationary states; petsc4py is imported when it is first used."""

from fpsolve.petsc.branching import branch_off
from fpsolve.petsc.continuation import continuation
from fpsolve.petsc.stability import Stability, stability
from fpsolve.petsc.stationary import StationaryState, stationary

__all__ = ["Stability", "StationaryState", "branch_off", "continuation", "stability", "stationary"]


def __dir__() -> list[str]:
    return sorted(__all__)
