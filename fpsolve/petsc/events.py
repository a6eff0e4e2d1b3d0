"""Bifurcations on a branch: where eigenvalues other than the rotations' cross zero between two of its points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from fpsolve.petsc.points import Branch, Point
from fpsolve.petsc.stability import Stability
from fpsolve.sphere.harmonics import Real

SAME = 1e-3
"""Eigenvalues this near to zero, relative to the change of the crossing one, cross together."""


@dataclass(frozen=True)
class Event:
    """A crossing between ``point`` number ``after`` and the next: a fold, a branch point or a Hopf point.

    share: its place on the chord between them, in (0, 1).
    mode: the neutral mode (real part), real harmonics without degree 0; degree: the one that carries most of it.
    """

    kind: str
    after: int
    share: float
    point: Point
    multiplicity: int
    degree: int
    mode: Real


def events_between(branch: Branch, a: Point, b: Point, after: int) -> list[Event]:
    """Every crossing between two consecutive points, in the order of the eigenvalues."""
    counts = [_spectrum(point).unstable for point in (a, b)]
    found: list[Event] = []
    index, end = min(counts), max(counts)
    while index < end:
        event = _located(branch, a, b, after, index)
        found.append(event)
        index += event.multiplicity
    return found


def _located(branch: Branch, a: Point, b: Point, after: int, index: int) -> Event:
    """The crossing of eigenvalue ``index``, real parts falling, by Brent's method along the chord from a to b."""
    chord = b.y - a.y
    row = chord / np.linalg.norm(chord)
    known = {0.0: a, 1.0: b}

    def real_part(s: float) -> float:
        if s not in known:
            known[s] = branch.corrected(a.y + s * chord, row)
        return float(_spectrum(known[s]).eigenvalues[index].real)

    s = float(brentq(real_part, 0.0, 1.0, xtol=1e-9, rtol=1e-12))
    change = abs(real_part(1.0) - real_part(0.0))
    real_part(s)
    point, spectrum = known[s], _spectrum(known[s])
    together = int(np.sum(np.abs(spectrum.eigenvalues.real) <= SAME * change))
    oscillates = abs(spectrum.eigenvalues[index].imag) > SAME * change
    turns = together == 1 and a.tangent[-1] * b.tangent[-1] < 0
    kind = "Hopf point" if oscillates else "fold" if turns else "branch point"
    mode = _real_mode(spectrum, index)
    return Event(kind, after, s, point, max(1, together), int(spectrum.degrees[index]), mode)


def _real_mode(spectrum: Stability, index: int) -> Real:
    """The mode's larger of real and imaginary part, of norm one."""
    vector = spectrum.modes[index]
    part = vector.real if np.linalg.norm(vector.real) >= np.linalg.norm(vector.imag) else vector.imag
    return np.asarray(part / np.linalg.norm(part))


def _spectrum(point: Point) -> Stability:
    assert point.spectrum is not None
    return point.spectrum
