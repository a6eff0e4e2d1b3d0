"""Where a branch meets the uniform state: there the branch of all uniform states crosses it, and modes are multiple."""

from __future__ import annotations

import numpy as np
from scipy.optimize import root_scalar

from fpsolve.sphere.harmonics import Real
from fpsolve.stationary.bordered import NOTHING
from fpsolve.stationary.points import Branch, Point

AT_REST = 1e-9
"""|E| up to which the uniform state is stationary."""

ASIDE = 0.5
"""A chord meets the uniform state when it passes it at less than this part of its nearer end's distance."""

FAR = 0.1
"""The threshold lies within this part of the parameter from where the chord says."""


def uniform_between(branch: Branch, a: Point, b: Point) -> tuple[Point, float] | None:
    """The uniform state at which the branch passes from a to b, and its place on their chord; None if it does not."""
    u, v = a.y[:-1], b.y[:-1]
    nearer = float(min(np.linalg.norm(u), np.linalg.norm(v)))
    if nearer < NOTHING or u @ v >= 0:
        return None
    along = v - u
    s = float(-(u @ along) / (along @ along))
    if np.linalg.norm(u + s * along) > ASIDE * nearer:
        return None
    point = uniform_point(branch, along, float(a.y[-1] + s * (b.y[-1] - a.y[-1])))
    return None if point is None else (point, s)


def uniform_point(branch: Branch, direction: Real, q: float) -> Point | None:
    """The uniform state at which a mode along ``direction`` is neutral, the parameter being near q·scale.

    None where the uniform state is not stationary, or has no such mode nearby.
    """
    phi = direction / np.linalg.norm(direction)
    zero = np.zeros_like(phi)
    scale = branch.family.scale
    if np.linalg.norm(branch.family.equation(q * scale).residual(zero)) > AT_REST:
        return None

    def growth(p: float) -> float:
        """The growth rate of the mode that resembles φ."""
        spectrum = branch.spectrum(zero, p)
        return float(spectrum.eigenvalues[int(np.abs(spectrum.modes @ phi).argmax())].real)

    try:
        found = root_scalar(growth, x0=q * scale, x1=q * scale * 1.001, xtol=1e-13 * q * scale, maxiter=30)
    except ValueError:
        return None
    if not found.converged or not abs(found.root / (q * scale) - 1) <= FAR:
        return None
    return branch.at_rest(zero, float(found.root) / scale, np.append(phi, 0.0))
