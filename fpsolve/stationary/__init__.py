"""Stationary states of attention with each token's own noise: Newton–Krylov, stability, branches and bifurcations."""

from fpsolve.stationary.arclength import continuation
from fpsolve.stationary.branching import branch_off
from fpsolve.stationary.eigenvalues import Stability, stability
from fpsolve.stationary.state import StationaryState, solve
from fpsolve.stationary.uniform import uniform_stability

__all__ = ["Stability", "StationaryState", "branch_off", "continuation", "solve", "stability", "uniform_stability"]


def __dir__() -> list[str]:
    return sorted(__all__)
