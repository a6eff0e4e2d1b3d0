"""Brownian increments as a pure function of (seed, member, interval, channel, stream).

The time axis is cut into root cells [kΔ, (k+1)Δ], Δ = ``cell``, which do not depend on the end of a
run. A step h = Δ·2^-level gets its increment from the root cells:

* level ≤ 0: the sum of 2^-level root increments in binary-tree order, parent = left + right;
* level > 0: Brownian bridges, left = parent/2 + (√H/2) Z, right = parent - left, H the parent's length.

Increments at and below the root are rounded to a lattice of spacing 2^-48·2^⌈log2 √Δ⌉. They stay below 2^52
spacings, so ``parent - left`` is exact and two halves add up to their parent in every bit; the rounding is
at most 2^-48 of the root's standard deviation.

The counters behind the draws are laid out in ``fpsolve/noise/_philox.py``.
"""

from __future__ import annotations

import math
import operator
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from fpsolve.errors import InputError, unknown_name
from fpsolve.memory import check_memory
from fpsolve.noise import _philox
from fpsolve.noise._philox import Address, Purpose
from fpsolve.values import Checked

Array = NDArray[np.float64]

STREAMS = {"common": 0, "second": 1, "tokens": 2, "initial": 3}
"""Independent streams of one path. In "tokens" channel = token·d + component, so more tokens only append."""

TERM_BITS, MOST_TERMS = 16, 1 << 16
"""Term k of a sum of models has the streams k·2^16 + those above; the 32 bits of a stream hold so many terms."""

FINEST_LEVEL = 32
"""Smallest step: cell·2^-32."""
COARSEST_LEVEL = -20
"""Largest step: cell·2^20, a sum of a million root cells."""

_TOLERANCE = 1e-9
_CACHE_BYTES = 1 << 28
_CACHE_ENTRIES = 256


@dataclass(frozen=True)
class BrownianPath(metaclass=Checked):
    """One realisation of the driving Brownian motions, queried by interval.

    Equal arguments give equal bits, whatever was asked before. ``seed`` names an experiment and ``member``
    one path of its ensemble, both integers in [0, 2^64); ``cell`` = Δ > 0 is the length of the root cells,
    in units of time. ``term``: whose streams, of several independent noises of one path (:meth:`of_term`). Raises
    InputError for anything else.
    """

    seed: int
    member: int = 0
    cell: float = 0.01
    term: int = 0
    _halves: _Recent = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", _word("seed", self.seed))
        object.__setattr__(self, "member", _word("member", self.member))
        object.__setattr__(self, "cell", _length("cell", self.cell))
        if not 0 <= _integer("term", self.term) < MOST_TERMS:
            raise InputError("term", self.term, f"outside [0, {MOST_TERMS})", "number the terms of a sum from 0")
        object.__setattr__(self, "_halves", _Recent())

    def __reduce__(self) -> tuple[type[BrownianPath], tuple[int, int, float, int]]:
        return BrownianPath, (self.seed, self.member, self.cell, self.term)

    def of_term(self, term: int) -> BrownianPath:
        """The path with streams of its own for term ``term`` of a sum of models, independent of all others; 0: itself.

        A term's increments do not depend on how many channels the terms before it have.
        """
        if term == self.term:
            return self
        other = replace(self, term=term)
        object.__setattr__(other, "_halves", self._halves)  # kept by address, which tells terms apart
        return other

    def check_step(self, dt: float) -> int:
        """The level of a step: dt = cell·2^-level.

        Raises InputError, naming the nearest allowed steps, unless dt is cell·2^j to 1e-9 relative.
        """
        dt = _length("dt", dt)
        level = round(math.log2(self.cell) - math.log2(dt))
        if not COARSEST_LEVEL <= level <= FINEST_LEVEL or abs(dt - self._step(level)) > _TOLERANCE * dt:
            raise self._refused_step(dt)
        return level

    def increment(self, t0: float, t1: float, channels: int, stream: str = "common") -> Array:
        """Increments B(t1) - B(t0) of independent Brownian motions; shape (channels,), variance t1 - t0 each.

        [t0, t1] is a cell [k·dt, (k+1)·dt] of a step dt = cell·2^j, recognised to 1e-9 relative.
        Raises InputError for other intervals, unknown streams and a bad number of channels.
        """
        return self.later_increment(t0, t1, 0, channels, stream)

    def later_increment(self, t0: float, t1: float, first: int, channels: int, stream: str = "common") -> Array:
        """The same of the channels from number ``first`` on, whatever stands before them; shape (channels,)."""
        channels, first = _count("channels", channels), _place(first)
        at = Address(self.seed, self.member, self._stream(stream), Purpose.INCREMENT, *self._locate(t0, t1), first)
        return self._increment(at, channels)

    def normals(self, t0: float, t1: float, count: int, stream: str = "second") -> Array:
        """Independent standard normals that belong to the interval [t0, t1]; shape (count,).

        Unlike increments they are NOT refined: those of an interval and of its halves are independent. They
        serve a scheme's second Gaussian. Raises InputError as ``increment`` does.
        """
        count = _count("count", count)
        at = Address(self.seed, self.member, self._stream(stream), Purpose.NORMAL, *self._locate(t0, t1))
        return _philox.normals(at, count)

    def initial_uniforms(self, count: int, first: int = 0) -> Array:
        """Uniforms on (0, 1) for initial samples, from number ``first`` on, whatever ``cell`` is; shape (count,)."""
        at = Address(self.seed, self.member, STREAMS["initial"], Purpose.INITIAL_UNIFORM, first=_place(first))
        return _philox.uniforms(at, _count("count", count))

    def initial_normals(self, count: int, first: int = 0) -> Array:
        """Standard normals for initial samples, independent of ``initial_uniforms``; shape (count,)."""
        at = Address(self.seed, self.member, STREAMS["initial"], Purpose.INITIAL_NORMAL, first=_place(first))
        return _philox.normals(at, _count("count", count))

    def _stream(self, name: str) -> int:
        if name not in STREAMS:
            raise unknown_name("stream", name, STREAMS)
        return STREAMS[name] + (self.term << TERM_BITS)

    def _step(self, level: int) -> float:
        return math.ldexp(self.cell, -level)

    def _increment(self, at: Address, channels: int) -> Array:
        if at.level > 0:
            parent = at._replace(level=at.level - 1, cell=at.cell // 2)
            half: Array = self._split(parent, channels)[at.cell % 2]
            return half.copy()
        if at.level == 0:
            values = _philox.normals(at, channels)
            values *= math.sqrt(self.cell)
            return self._on_lattice(values)
        left = at._replace(level=at.level + 1, cell=2 * at.cell)
        right = left._replace(cell=left.cell + 1)
        return self._increment(left, channels) + self._increment(right, channels)

    def _split(self, parent: Address, channels: int) -> Array:
        """The increments over the two halves of a cell, by a Brownian bridge; shape (2, channels)."""
        halves = self._halves.get((parent, channels))
        if halves is None:
            whole = self._increment(parent, channels)
            bridge = _philox.normals(parent._replace(level=parent.level + 1), channels)
            spread = 0.5 * math.sqrt(self._step(parent.level))
            left = self._on_lattice(0.5 * whole + spread * bridge)
            halves = np.stack([left, whole - left])
            self._halves.put((parent, channels), halves)
        return halves

    def _on_lattice(self, values: Array) -> Array:
        """Rounded to the lattice, in place."""
        spacing = math.ldexp(1.0, math.ceil(math.log2(self.cell) / 2) - 48)
        values /= spacing
        np.rint(values, out=values)
        values *= spacing
        return values

    def _locate(self, t0: float, t1: float) -> tuple[int, int]:
        """(level, index) of the cell [t0, t1]."""
        t0, t1 = _time("t0", t0), _time("t1", t1)
        if t1 <= t0:
            raise InputError("t1", t1, f"not after t0 = {t0!r}", "intervals run forward in time")
        level = round(math.log2(self.cell) - math.log2(t1 - t0))
        dt = self._step(level)
        # t = n*dt is off by its own rounding, which grows with n; never by a good part of a step.
        allowed = min(_TOLERANCE * t1, 1e-3 * dt)
        if not COARSEST_LEVEL <= level <= FINEST_LEVEL or abs(t1 - t0 - dt) > allowed:
            raise self._refused_step(t1 - t0)
        index = round(t0 / dt)
        if abs(t0 - index * dt) > allowed:
            remedy = f"start at a multiple of the step, {index * dt!r} is the nearest"
            raise InputError("t0", t0, f"[{t0!r}, {t1!r}] is not [k*dt, (k+1)*dt] with dt = {dt!r}", remedy)
        return level, index

    def _refused_step(self, dt: float) -> InputError:
        below = math.floor(math.log2(dt) - math.log2(self.cell))
        powers = sorted({min(max(j, -FINEST_LEVEL), -COARSEST_LEVEL) for j in (below, below + 1)})
        nearest = " or ".join(f"{self._step(-j):.12g}" for j in powers)
        problem = f"not the path's cell {self.cell!r} times a power of two"
        return InputError("dt", dt, problem, f"take dt = {nearest}, or pass path_cell=dt to make it the cell")


class _Recent:
    """The halves split last: sequential steps then cost about one draw each. Bounded, safe in threads."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[Address, int], Array] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: tuple[Address, int]) -> Array | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: tuple[Address, int], halves: Array) -> None:
        with self._lock:
            if key in self._entries:
                return
            self._entries[key] = halves
            self._bytes += halves.nbytes
            while len(self._entries) > _CACHE_ENTRIES or self._bytes > _CACHE_BYTES:
                self._bytes -= self._entries.popitem(last=False)[1].nbytes


def _integer(argument: str, value: SupportsIndex) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise InputError(argument, value, "not an integer", "give a whole number") from None


def _word(argument: str, value: SupportsIndex) -> int:
    number = _integer(argument, value)
    if not 0 <= number < 1 << 64:
        raise InputError(argument, value, "outside [0, 2^64)", "give a non-negative integer below 2^64")
    return number


def _place(first: SupportsIndex) -> int:
    number = _integer("first", first)
    if not 0 <= number < 1 << 62:
        raise InputError("first", first, "outside [0, 2^62)", "number channels from 0")
    return number


def _count(argument: str, value: SupportsIndex) -> int:
    number = _integer(argument, value)
    if number < 0:
        raise InputError(argument, value, "negative", "give the number of channels wanted")
    check_memory(argument, number, 64)
    return number


def _number(argument: str, value: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(argument, value, "not a number", "give a number") from None


def _length(argument: str, value: float) -> float:
    number = _number(argument, value)
    if not (math.isfinite(number) and number > 0):
        raise InputError(argument, value, "not a positive length of time", "give a number > 0")
    return number


def _time(argument: str, value: float) -> float:
    number = _number(argument, value)
    if not (math.isfinite(number) and number >= 0):
        raise InputError(argument, value, "not a time", "give a number >= 0")
    return number
