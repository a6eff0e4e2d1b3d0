"""The NumPy twin of the compiled ``fpsolve._kernels._sweep``: the same functions, to be read and to be compared with.

A table (n/2 + W, n + W, 4) belongs to nodes 2π/n apart, the first W/2 - 1 of rows and of columns before the angle 0.
``pieces`` (W/2, terms, 2): the weights of the first half of the W nodes around a place s in [-1, 1] of a cell, even and
odd powers, highest first; those of the other half are their mirror images. The angles here are NumPy's: both agree to
round-off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]


def at(width: int, n: int, pieces: Real, table: Real, x: Real, out: Real) -> None:
    """out (points, 4) = Σ_ij w_i(θ) w_j(φ) g_ij at points (points, 3), taken as directions."""
    nodes, down, along = _nodes(width, n, pieces, x)
    out[...] = np.einsum("pi,pj,pijf->pf", down, along, table[nodes])


def deposit(n: int, pieces: Real, x: Real, weights: Real, nodes: Real) -> None:
    """nodes (n/2 + 16, n + 16) += Σ_p weight_p w_i(θ_p) w_j(φ_p), the adjoint of :func:`at` for the width 16."""
    places, down, along = _nodes(16, n, pieces, x)
    np.add.at(nodes, places, np.einsum("p,pi,pj->pij", weights, down, along))


def _nodes(width: int, n: int, pieces: Real, x: Real) -> tuple[tuple[NDArray[np.int64], ...], Real, Real]:
    """Rows (points, W, 1) and columns (points, 1, W) of the nodes around points, and their weights."""
    theta, phi = np.arctan2(np.hypot(x[:, 0], x[:, 1]), x[:, 2]), np.mod(np.arctan2(x[:, 1], x[:, 0]), 2 * np.pi)
    row, down = weights_of(pieces, theta * n / (2 * np.pi), n // 2)
    column, along = weights_of(pieces, phi * n / (2 * np.pi), n - 1)
    near = np.arange(width)
    return ((row[:, None] + near)[:, :, None], (column[:, None] + near)[:, None, :]), down, along


def weights_of(pieces: Real, place: Real, last: int) -> tuple[NDArray[np.int64], Real]:
    """The cells of places in units of the spacing, and the weights of the W nodes around them, (points, W)."""
    cell = np.minimum(place.astype(np.int64), last)
    s = (2 * (place - cell) - 1)[:, None]
    even, odd = np.zeros((2, len(place), len(pieces)))
    for term in pieces.transpose(1, 2, 0):
        even, odd = even * s**2 + term[0], odd * s**2 + term[1]
    return cell, np.concatenate([even + s * odd, (even - s * odd)[:, ::-1]], axis=1)


def sweep(
    width: int, n: int, pieces: Real, table: Real,
    a: Real, b: Real, error: Real, h: float, inner: float, outer: float,
    state: Real, moved: Real, errors: Real,
) -> bool:  # fmt: skip
    """A sub-step h of y' = v(y) from ``state``, (points, 3 or 4), into ``moved``, its ``errors`` (kinds, *state.shape).

    False, with nothing said of the results, where the square of the length of a point of a stage is not from ``inner``
    to ``outer``.
    """
    k: list[Real] = []
    for row in (*a, b):
        stage = state + h * sum((c * slope for c, slope in zip(row, k, strict=False)), np.zeros_like(state))
        squares = np.sum(stage[:, :3] ** 2, axis=1)
        if not ((squares >= inner) & (squares <= outer)).all():
            return False
        slopes = np.empty((len(state), 4))
        at(width, n, pieces, table, stage[:, :3], slopes)
        k.append(slopes[:, : state.shape[1]])
    moved[...] = stage
    errors[...] = h * np.einsum("es,spc->epc", error, np.stack(k))
    return True
