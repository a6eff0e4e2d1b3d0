"""What a position of a sequence sees of its past, and sums over it that are never differences of running sums."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpsolve.sphere.harmonics import Real

EDGE = 1e-9
"""Positions nearer than this to the far end of a window count as its end, which is not seen: labels are rounded."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Past:
    """The weight k(σ, σ') with which position σ sees σ': e^{-λ(σ-σ')} for 0 < σ - σ' < window, ``own`` for σ' = σ.

    decay: λ ≥ 0; 0 is the uniform past, k/Z = 1/s in the mean field. window: None for all of the past. own: the weight
    of its own position, all of it: 0 for strictly earlier tokens, 1 for a decoder's mask, 1/2 for cells of a mean
    field, whose own half is past.
    """

    decay: float = 0.0
    window: float | None = None
    own: float = 1.0

    def seen(self, apart: Real) -> Real:
        """k at distances σ - σ', of any shape."""
        earlier = (apart > 0) & (apart < self.reach)
        return np.where(earlier, np.exp(-self.decay * np.where(earlier, apart, 0.0)), self.own * (apart == 0))

    @property
    def reach(self) -> float:
        """Distances below it are seen."""
        return np.inf if self.window is None else self.window - EDGE


class RunningSum:
    """Σ e^{-λ(σ - σ_k)} u_k over a window of what was added, whose both ends only advance: O(1) additions a step.

    A queue of two stacks: suffix sums of an older part, and one sum of the newer part. Nothing is ever subtracted: a
    difference of running sums would lose what attention needs, M e^{-r} far from the past. windowed: whether anything
    will be dropped; else nothing is kept but the sum.
    """

    def __init__(self, decay: float, windowed: bool = True) -> None:
        self._decay, self._windowed = decay, windowed
        self._older: list[Array] = []
        self._newer: deque[tuple[Array, float]] = deque()
        self._sum: Array | None = None
        self._older_at = self._newer_at = 0.0
        self._dropped = 0

    def add(self, u: Array, at: float) -> None:
        """Take in the next ``u`` at position ``at``, behind all others."""
        self._sum = u if self._sum is None else u + self._faded(at - self._newer_at) * self._sum
        self._newer_at = at
        if self._windowed:
            self._newer.append((u, at))

    def drop_before(self, first: int) -> None:
        """Leave out all but those of number ``first`` and later, counted from 0 as they were added."""
        while self._dropped < first:
            if not self._older:
                self._turn_over()
            self._older.pop()
            self._dropped += 1

    def _turn_over(self) -> None:
        """The newer part becomes the older one, by suffix sums about its end."""
        self._older_at = self._newer_at
        while self._newer:
            u, at = self._newer.pop()
            u = self._faded(self._older_at - at) * u
            self._older.append(u if not self._older else u + self._older[-1])
        self._sum = None

    def seen_from(self, at: float) -> Array | None:
        """The sum as position ``at``, behind all, sees it; None where nothing is left in it."""
        parts = []
        if self._older:
            parts.append(self._faded(at - self._older_at) * self._older[-1])
        if self._sum is not None:
            parts.append(self._faded(at - self._newer_at) * self._sum)
        return sum(parts[1:], parts[0]) if parts else None

    def _faded(self, apart: float) -> float:
        return float(np.exp(-self._decay * apart))


def past_of_cells(masses: Array, positions: Real, width: float, past: Past) -> Array:
    """Σ_k k(σ_j, σ_k) u_k for cells of a mean field, rows ``u`` (P, n) at their middles, ascending; O(P).

    The cell at the far end of a window is seen in part, as far as it lies inside: with ``own`` = 1/2 the rule is of
    second order in the ``width`` of the cells, whatever the window.
    """
    running, out = RunningSum(past.decay, past.window is not None), np.zeros_like(masses)
    window = np.inf if past.window is None else past.window
    last_unseen = np.searchsorted(positions, positions - window - (0.5 - EDGE) * width, side="right") - 1
    for j, at in enumerate(positions.tolist()):
        whole = np.searchsorted(positions[:j], at - window + (0.5 - EDGE) * width, side="left")
        running.drop_before(int(whole))
        inside = running.seen_from(at)
        out[j] = past.own * masses[j] if inside is None else past.own * masses[j] + inside
        for k in range(max(0, int(last_unseen[j]) + 1), int(whole)):
            share = float(np.clip((positions[k] + 0.5 * width - (at - window)) / width, 0.0, 1.0))
            out[j] += share * np.exp(-past.decay * (at - positions[k])) * masses[k]
        running.add(masses[j], at)
    return out


def past_of_cells_direct(masses: Array, positions: Real, width: float, past: Past) -> Array:
    """The same by its (P, P) matrix: the readable twin."""
    apart = positions[:, None] - positions[None, :]
    window = np.inf if past.window is None else past.window
    share = np.clip((window - apart + 0.5 * width) / width, 0.0, 1.0)
    k = np.where(apart > 0, np.exp(-past.decay * np.maximum(apart, 0)) * share, past.own * (apart == 0))
    return np.einsum("jk,k...->j...", k, masses)
