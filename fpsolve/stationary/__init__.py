"""Stationary states of attention with each token's own noise: Newton–Krylov, stability, branches and bifurcations."""

from fpsolve.stationary.arclength import continuation
from fpsolve.stationary.branching import branch_off
from fpsolve.stationary.eigenvalues import Stability, stability
from fpsolve.stationary.state import StationaryState, solve

__all__ = ["Stability", "StationaryState", "branch_off", "continuation", "solve", "stability"]


def __dir__() -> list[str]:
    return sorted(__all__)
