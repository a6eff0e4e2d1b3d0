"""Clusters of points as they are observed: single linkage within an angle, their number, and when they merge."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from fpsolve.errors import InputError, check_number
from fpsolve.measures.base import Measure
from fpsolve.measures.laws import Tokens
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.harmonics import Real

TOLERANCE = 0.01
"""Angle in radians up to which two points are linked."""

SHARE = 1e-3
"""Clusters of less mass are not counted."""

MOST_POINTS = 4096
"""Of clouds of more points a run does not count the clusters; ``fp.clusters`` does.

So many take about 15 ms a saved time on S², spread, on filaments or in one point, 70 ms in hundreds of clumps, and up
to 0.3 s in a few clumps in d = 64."""

NEAREST = 8
"""Neighbours of each point, itself among them, that are looked at first."""

NONE = -1
"""The label of points that lie in no cluster that counts."""

Labels = NDArray[np.intp]


@checked_arguments
def clusters(
    state: xr.Dataset | Measure | Tokens | ArrayLike,
    *,
    tolerance: float = TOLERANCE,
    share: float = SHARE,
    weights: ArrayLike | None = None,
) -> xr.Dataset:
    """Clusters by single linkage: points within the angle ``tolerance`` (radians) of each other are in one.

    state: a result with ``points`` (``save_points=True``), a measure or a law of points, or an array (n, d) or
    (times, n, d) of unit vectors with ``weights`` (n,), by default equal. share: clusters of less mass are not counted.

    Returns a Dataset: ``clusters`` their number, ``label`` (point) the first point of each one's cluster, -1 in none
    that counts, ``squared_masses`` Σ m_c². With times there are mergings, one for each cluster that is lost to
    another between two saved times: ``merged_cluster`` at ``merged_after`` has its first point in ``merged_into`` at
    ``merged_before``. They are known no better than the saved times; where clusters split, or points change sides,
    the first points decide. Raises InputError for what has no points, points off the sphere, a tolerance outside
    (0, π], a share outside [0, 1].
    """
    check_number("tolerance", tolerance, 0, np.pi, above=True)
    check_number("share", share, 0, 1)
    x, masses, times = _points_of(state, weights)
    found = [labels_of(one, masses, tolerance, share) for one in x]
    known = [bool(np.isfinite(one).all()) for one in x]
    numbers = np.array([count(one) if there else np.nan for one, there in zip(found, known, strict=True)])
    about = {"tolerance": tolerance, "share": share}
    label = ("time", "point"), np.array(found), {"long_name": "first point of the cluster, -1 for none", **about}
    squares = np.array([_squares(one, masses) for one in found])
    ds = xr.Dataset(
        {
            "clusters": ("time", numbers, {"long_name": "number of clusters", "units": "1", **about}),
            "label": label,
            "squared_masses": ("time", squares, {"long_name": "sum of the clusters' squared masses", "units": "1"}),
        }
    )
    return ds.isel(time=0) if times is None else _with_mergings(ds.assign_coords(time=times))


def number_of_clusters(state: Measure) -> float | None:
    """What a run records; None where there are no points, or too many to look at every time."""
    x = state.points
    if x is None or len(x) > MOST_POINTS:
        return None
    return float(count(labels_of(x, state.masses, TOLERANCE, SHARE)))


def count(labels: Labels) -> int:
    """The clusters that are not ``NONE``."""
    return len(np.unique(labels[labels != NONE]))


def labels_of(x: Real, masses: Real, tolerance: float, share: float) -> Labels:
    """The first point of each point's cluster, ``NONE`` in clusters below the share and for points without mass."""
    labels = np.full(len(x), NONE, np.intp)
    there = np.flatnonzero(masses > 0)
    if not np.isfinite(x).all():
        return labels
    labels[there] = there[linked(x[there], tolerance)]
    held = np.bincount(labels[there], masses[there], len(x))
    counted = held >= share * masses.sum() * (1 - 1e-9)
    labels[there] = np.where(counted[labels[there]], labels[there], NONE)
    return labels


def linked(x: Real, tolerance: float) -> Labels:
    """Connected components of the pairs within an angle, each by its first point; shape (n,).

    Pairs are listed by the nearest neighbours of each point, so that memory does not grow like n² once all points are
    close. A pair that is left out is one of two points with ``NEAREST`` neighbours within the angle: the components
    of these are compared with each other, so that no link is missing.
    """
    distinct, back = np.unique(x, axis=0, return_inverse=True)
    within = float(np.nextafter(2 * np.sin(tolerance / 2), np.inf))
    nearest = np.arange(1, min(NEAREST, len(distinct)) + 1)
    distances, others = KDTree(distinct).query(distinct, k=nearest, distance_upper_bound=within)
    near = np.isfinite(distances)
    parts = _components(np.nonzero(near)[0], others[near], len(distinct))
    crowded = np.flatnonzero(near.all(axis=1)) if len(distinct) > NEAREST else np.zeros(0, np.intp)
    parts = _joined(distinct[crowded], parts[crowded], within, parts)[back.ravel()]
    first = np.full(len(distinct), len(x), np.intp)
    np.minimum.at(first, parts, np.arange(len(x)))
    return first[parts]


def _joined(x: Real, of: Labels, within: float, parts: Labels) -> Labels:
    """``parts`` with those united that have crowded points ``x``, in part ``of``, within the distance.

    Only parts whose balls, about the means of their points, come so near are compared: of many clumps hardly any.
    """
    names, sizes = np.unique(of, return_counts=True)
    x, first = x[np.argsort(of, kind="stable")], np.cumsum(sizes) - sizes
    pairs: list[tuple[int, int]] = []
    if len(names) > 1:
        centres = np.add.reduceat(x, first) / sizes[:, None]
        reach = np.maximum.reduceat(np.linalg.norm(x - np.repeat(centres, sizes, axis=0), axis=1), first) + within
        near = np.triu(cdist(centres, centres) <= reach[:, None] + reach, 1)
        owner = np.repeat(np.arange(len(names)), sizes)
        for part in np.flatnonzero(near.any(axis=1)):
            others = near[part][owner]
            distances, _ = KDTree(x[owner == part]).query(x[others], distance_upper_bound=within)
            found = np.unique(names[owner[others][np.isfinite(distances)]])
            pairs += [(int(names[part]), int(other)) for other in found]
    if not pairs:
        return parts
    one, other = np.array(pairs).T
    return _components(one, other, int(parts.max()) + 1)[parts]


def _components(one: Any, other: Any, size: int) -> Labels:
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], np.intp)


def _squares(labels: Labels, masses: Real) -> float:
    there = labels != NONE
    held = np.bincount(labels[there], masses[there], 1)
    return float(np.sum((held / masses.sum()) ** 2))


def _with_mergings(ds: xr.Dataset) -> xr.Dataset:
    """With a row for each cluster whose first point is found, at the next time, with that of an earlier one."""
    rows = []
    labels, times = ds["label"].values, ds["time"].values
    for k, (now, then) in enumerate(pairwise(labels)):
        holders: dict[int, int] = {}
        for cluster in np.unique(now[now != NONE]):
            into = int(then[cluster])
            if into != NONE and holders.setdefault(into, int(cluster)) != cluster:
                rows.append((times[k], times[k + 1], int(cluster), holders[into]))
    columns = {
        "merged_after": ("the last saved time at which a cluster is alone", float),
        "merged_before": ("the first saved time at which it has merged", float),
        "merged_cluster": ("label of a cluster that merges", np.intp),
        "merged_into": ("label of the cluster that it is found in", np.intp),
    }
    for place, (name, (text, kind)) in enumerate(columns.items()):
        ds[name] = ("merging", np.array([row[place] for row in rows], kind), {"long_name": text})
    return ds


def _points_of(state: Any, weights: Any) -> tuple[Real, Real, Any]:
    """Points (times, n, d), masses (n,) and the times, None of a single state."""
    times = None
    if isinstance(state, xr.Dataset):
        if "points" not in state or set(state["points"].dims) != {"time", "point", "component"}:
            raise InputError("state", "a result", "it has no points over time", "solve with save_points=True")
        times, x = state["time"].values, state["points"].transpose("time", "point", "component").values
        own = state["weights"].values if "weights" in state else None
    elif isinstance(state, Measure):
        if state.points is None:
            raise InputError("state", state.name, "it is not made of points", 'use measure="cloud"')
        x, own = state.points, state.masses
    elif isinstance(state, Tokens):
        x, own = state.x, state.weights
    else:
        x, own = _array("state", state), None
        times = np.arange(len(x)) if x.ndim == 3 else None
    if own is not None and weights is not None:
        raise InputError("weights", weights, "the points have weights of their own", "leave it out")
    if x.ndim not in (2, 3) or 0 in x.shape or x.shape[-1] < 2:
        raise InputError("state", x.shape, "points are an array (n, d) or (times, n, d)", "pass one row a point")
    norms = np.linalg.norm(x, axis=-1)
    if (times is None and np.isnan(norms).any()) or (abs(norms[np.isfinite(norms)] - 1) > 1e-6).any():
        raise InputError("state", x.shape, "points lie off the unit sphere", "divide each row by its norm")
    return x if x.ndim == 3 else x[None], _masses(weights if own is None else own, x.shape[-2]), times


def _masses(weights: Any, n: int) -> Real:
    if weights is None:
        return np.full(n, 1 / n)
    masses = _array("weights", weights)
    if masses.shape != (n,) or not (masses >= 0).all() or not 0 < masses.sum() < np.inf:
        raise InputError("weights", masses.shape, f"must be {n} numbers >= 0 with a sum", "pass one for each point")
    return masses


def _array(name: str, given: Any) -> Real:
    try:
        return np.asarray(given, float)
    except (TypeError, ValueError):
        raise InputError(name, given, "not an array of numbers", "pass points, or a result with points") from None
