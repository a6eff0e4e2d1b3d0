"""Normals and uniforms at addressable positions, from raw Philox4x64-10 bits.

Counter layout
--------------
The 128-bit key is the pair (seed, member). The 256-bit counter is four 64-bit words:

    word 0   block b = 1, 2, 3, …; block b holds channels 4(b-1) … 4(b-1)+3
    word 1   number k of the cell [kh, (k+1)h], h = cell·2^-level
    word 2   level, two's complement (level > 0: finer than the root cells)
    word 3   purpose·2^32 + stream

Blocks start at 1 because NumPy's Philox increments its counter before it computes. Channel c is always
word c of its sequence, so asking for more channels only appends. A raw word w becomes the uniform
u = ((w >> 11) + ½) 2^-53, which is never 0 or 1, and the normal Φ^-1(u), |Φ^-1(u)| < 8.3. NumPy promises the
raw bits across its versions, but not those of its ``normal``.
"""

from __future__ import annotations

import threading
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.random import Philox
from numpy.typing import NDArray
from scipy.special import ndtri

_WORD = (1 << 64) - 1


class Purpose(IntEnum):
    """What the bits of a stream are for; a different purpose never shares a bit."""

    INCREMENT = 0
    NORMAL = 1
    INITIAL_UNIFORM = 2
    INITIAL_NORMAL = 3


class Address(NamedTuple):
    """Where a sequence of channels lives, and the number of the first that is meant."""

    seed: int
    member: int
    stream: int
    purpose: Purpose
    level: int = 0
    cell: int = 0
    first: int = 0


class _OfThread(threading.local):
    """A generator for every thread, set to where it draws: a new one asks the system for entropy that nobody needs."""

    def __init__(self) -> None:
        self.philox = Philox(key=0)

    def words(self, counter: tuple[int, int, int, int], key: tuple[int, int], count: int) -> NDArray[np.uint64]:
        """Those that ``Philox(key=key, counter=counter)`` begins with."""
        self.philox.state = {
            "bit_generator": "Philox",
            "state": {"counter": counter, "key": key},  # type: ignore[typeddict-item]
            "buffer": (0, 0, 0, 0),  # type: ignore[typeddict-item]
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }
        return self.philox.random_raw(count)


_GENERATOR = _OfThread()


def raw_words(at: Address, count: int) -> NDArray[np.uint64]:
    """``count`` 64-bit words of the sequence at an address, from its first channel on; shape (count,)."""
    purpose_and_stream = (int(at.purpose) << 32) | at.stream
    block, within = divmod(at.first, 4)
    counter = block, at.cell, at.level & _WORD, purpose_and_stream
    return _GENERATOR.words(counter, (at.seed, at.member), within + count)[within:]


def uniforms(at: Address, count: int) -> NDArray[np.float64]:
    """Independent uniforms on the open interval (0, 1); shape (count,)."""
    # In doubles (2^53 - 1) + 1/2 rounds to 2^53: without the bound the largest word would give u = 1.
    u = (raw_words(at, count) >> np.uint64(11)).astype(np.float64)
    u += 0.5
    u *= 2.0**-53
    return np.minimum(u, 1.0 - 2.0**-53, out=u)


def normals(at: Address, count: int) -> NDArray[np.float64]:
    """Independent standard normals by the inverse distribution function; shape (count,)."""
    u = uniforms(at, count)
    return ndtri(u, out=u)
