"""Bifurcations on a branch: where eigenvalues other than the rotations' cross zero between two of its points.

The modes of two consecutive points are paired by their overlaps, so that an eigenvalue that gains the positive side is
seen beside one that leaves it. Where modes turn too fast for that, the sorted real parts are followed instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, linear_sum_assignment

from fpsolve.sphere.harmonics import Real
from fpsolve.stationary.at_uniform import uniform_between
from fpsolve.stationary.eigenvalues import Stability
from fpsolve.stationary.points import Branch, Point

SAME = 1e-3
"""Eigenvalues this near to zero, relative to the change of the crossing one, cross together."""

NEUTRAL = 1e-6
"""Real parts at the uniform state below this part of ν vanish there."""

ALONG = 0.9
"""Least overlap of a fold's neutral mode with the branch's direction."""

Track = Callable[[Stability, float], int]
"""``track(spectrum, s)``: which eigenvalue at the place s is the followed one."""


@dataclass(frozen=True)
class Event:
    """A crossing between ``point`` number ``after`` and the next: a fold, a branch point or a Hopf point.

    share: its place on the chord between them, in (0, 1); ``after`` is -1 for the start of a branch before its first
    point. change: of the number of unstable eigenvalues, along the branch.
    mode: the neutral mode (real part), real harmonics without degree 0; degree: the one that carries most of it.
    """

    kind: str
    after: int
    share: float
    point: Point
    multiplicity: int
    change: int
    degree: int
    mode: Real


def events_between(branch: Branch, a: Point, b: Point, after: int) -> list[Event]:
    """Every crossing between two consecutive points, in their order along the branch."""
    crossing = uniform_between(branch, a, b)
    change = _spectrum(b).unstable - _spectrum(a).unstable
    if crossing is not None:
        return [at_uniform(crossing[0], after, crossing[1], change)]
    found = _by_modes(branch, a, b, after)
    if sum(event.change for event in found) != change:
        found = _by_order(branch, a, b, after)
    return sorted(found, key=lambda event: event.share)


def at_uniform(point: Point, after: int, share: float, change: int) -> Event:
    """The branch point at a uniform state."""
    spectrum, overlaps = _spectrum(point), np.abs(_spectrum(point).modes @ point.tangent[:-1])
    index = int(overlaps.argmax())
    together = int(np.sum(np.abs(spectrum.eigenvalues.real) <= NEUTRAL * point.state.model.diffusion))
    degree = int(spectrum.degrees[index])
    return Event("branch point", after, share, point, max(1, together), change, degree, point.tangent[:-1])


def _by_modes(branch: Branch, a: Point, b: Point, after: int) -> list[Event]:
    """Crossings of paired modes; a pair whose mode is lost on the way gives none."""
    one, other = _spectrum(a), _spectrum(b)
    overlaps = np.abs(one.modes.conj() @ other.modes.T) ** 2
    rows, columns = linear_sum_assignment(-overlaps)
    pairs = [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if (i < one.unstable) != (j < other.unstable)]
    search, found = _Search(branch, a, b), []
    while pairs:
        followed = search.followed(*pairs[0])
        s = search.crossing(followed)
        crossing = [pair for pair in pairs if s is not None and search.is_zero(search.followed(*pair), s)]
        if s is not None and crossing:
            change = sum(1 if i >= one.unstable else -1 for i, _ in crossing)
            found.append(search.event(s, followed, after, change))
        pairs = [pair for pair in pairs[1:] if pair not in crossing]
    return found


def _by_order(branch: Branch, a: Point, b: Point, after: int) -> list[Event]:
    """Crossings of the sorted real parts; those of two that pass each other at zero are not seen."""
    counts = _spectrum(a).unstable, _spectrum(b).unstable
    sign, search, found = int(np.sign(counts[1] - counts[0])), _Search(branch, a, b), []
    index, end = min(counts), max(counts)
    while index < end:
        track = _constant(index)
        s = search.crossing(track, exact=False)
        assert s is not None
        event = search.event(s, track, after, sign)
        number = min(event.multiplicity, end - index)
        found.append(search.event(s, track, after, sign * number))
        index += number
    return found


def _constant(index: int) -> Track:
    return lambda spectrum, s: index


class _Search:
    """Points between two of a branch, each corrected once."""

    def __init__(self, branch: Branch, a: Point, b: Point) -> None:
        self._branch, self._a, self._b = branch, a, b
        self._chord = b.y - a.y
        self._known = {0.0: a, 1.0: b}

    def at(self, s: float) -> Point:
        """The branch's point over the place s of the chord."""
        if s not in self._known:
            row = self._chord / np.linalg.norm(self._chord)
            self._known[s] = self._branch.corrected(self._a.y + s * self._chord, row)
        return self._known[s]

    def followed(self, i: int, j: int) -> Track:
        """The eigenvalue whose mode resembles mode i of the one end and mode j of the other."""
        ends = _spectrum(self._a).modes[i], _spectrum(self._b).modes[j]

        def track(spectrum: Stability, s: float) -> int:
            near, far = (np.abs(spectrum.modes @ mode.conj()) ** 2 for mode in ends)
            return i if s == 0 else j if s == 1 else int(np.argmax((1 - s) * near + s * far))

        return track

    def real_part(self, track: Track, s: float) -> float:
        """That of the followed eigenvalue."""
        spectrum = _spectrum(self.at(s))
        return float(spectrum.eigenvalues[track(spectrum, s)].real)

    def is_zero(self, track: Track, s: float) -> bool:
        """Whether the followed eigenvalue vanishes at s, beside its change from end to end."""
        return abs(self.real_part(track, s)) <= SAME * self._change(track)

    def crossing(self, track: Track, exact: bool = True) -> float | None:
        """The zero of the followed real part by Brent's method; None where it jumps, or has one sign, and ``exact``."""
        ends = [self.real_part(track, s) for s in (0.0, 1.0)]
        if ends[0] * ends[1] > 0:
            return None if exact else float(np.argmin(np.abs(ends)))
        s = float(brentq(lambda at: self.real_part(track, at), 0.0, 1.0, xtol=1e-9, rtol=1e-12))
        return s if not exact or self.is_zero(track, s) else None

    def event(self, s: float, track: Track, after: int, change: int) -> Event:
        """What crosses at s."""
        point, size = self.at(s), SAME * self._change(track)
        spectrum = _spectrum(point)
        index = track(spectrum, s)
        together = int(np.sum(np.abs(spectrum.eigenvalues.real) <= size))
        mode = _real_mode(spectrum, index)
        oscillates = abs(spectrum.eigenvalues[index].imag) > size
        kind = "Hopf point" if oscillates else "fold" if self._turns(point, mode, together) else "branch point"
        return Event(kind, after, s, point, max(1, together), change, int(spectrum.degrees[index]), mode)

    def _turns(self, point: Point, mode: Real, together: int) -> bool:
        """Whether the parameter turns along the one neutral mode."""
        along = point.tangent[:-1]
        overlap = abs(float(mode @ along)) / max(float(np.linalg.norm(along)), 1e-300)
        return together == 1 and self._a.tangent[-1] * self._b.tangent[-1] < 0 and overlap > ALONG

    def _change(self, track: Track) -> float:
        return abs(self.real_part(track, 1.0) - self.real_part(track, 0.0))


def _real_mode(spectrum: Stability, index: int) -> Real:
    """The mode's larger of real and imaginary part, of norm one."""
    vector = spectrum.modes[index]
    part = vector.real if np.linalg.norm(vector.real) >= np.linalg.norm(vector.imag) else vector.imag
    return np.asarray(part / np.linalg.norm(part))


def _spectrum(point: Point) -> Stability:
    assert point.spectrum is not None
    return point.spectrum
