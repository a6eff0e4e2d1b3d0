"""Times as results have them, and steps that fit the cells of a path."""

from __future__ import annotations

from math import log2

from fpsolve.errors import InputError, check_number
from fpsolve.noise import BrownianPath
from fpsolve.noise.path import COARSEST_LEVEL, FINEST_LEVEL

FINER = 12
"""Halvings of a step that a remedy looks at."""


def saved_time(t: float) -> float:
    """t = n·dt to 15 decimal digits: one float for one time, whatever dt.

    3·0.1 and 15·0.02 differ in the last bit, and so would the coordinates of two runs; to 15 digits both are 0.3. All
    times are equal so that are decimals of as many digits.
    """
    return float(f"{t:.15g}")


def check_cells(path: BrownianPath, t_end: float, dt: float) -> None:
    """Raise InputError for a step that is not the path's cell times a power of two; what it names fits t_end too."""
    for name, value in (("t_end", t_end), ("dt", dt)):
        check_number(name, value, 0, above=True)
    try:
        path.check_step(dt)
    except InputError as error:
        near = path.cell * 2.0 ** min(max(round(log2(dt / path.cell)), -FINEST_LEVEL), -COARSEST_LEVEL)
        steps = (near * 2.0**j for j in (0, 1, *range(-1, -FINER, -1)))
        step = next((h for h in steps if round(t_end / h) and abs(round(t_end / h) * h - t_end) <= 1e-9 * t_end), None)
        pair = f"dt = {near:.12g} and t_end = {max(1, round(t_end / near)) * near:.12g}"
        cell = f", or pass path_cell={dt!r}" if abs(round(t_end / dt) * dt - t_end) <= 1e-9 * t_end else ""
        remedy = f"take {pair if step is None else f'dt = {step:.12g}'}{cell}"
        raise InputError("dt", dt, error.problem, remedy) from None
