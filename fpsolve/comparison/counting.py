"""Counts transforms, and pairs in direct sums, while a block runs, by wrapping the libraries' own entry points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any

import ducc0
import numpy as np

from fpsolve._kernels import _fields, _softmax, _sweep, _transport
from fpsolve.instrument import Wrapped, wrapped
from fpsolve.sphere import circle
from fpsolve.sphere._shtns import shtns
from fpsolve.sphere.scattered import SpherePoints

GRID_TRANSFORMS = {
    "SH_to_spat": 1,
    "spat_to_SH": 1,
    "SHsph_to_spat": 2,
    "SHtor_to_spat": 2,
    "SHsphtor_to_spat": 2,
    "spat_to_SHsphtor": 2,
}
"""Methods of a plan of SHTns, and how many scalar fields each transforms: a vector counts as two."""

POINT_TRANSFORMS = {"scalar": 1, "moments": 1, "gradient": 2, "tangent": 2, "jet": 4}
"""Methods of SpherePoints, counted likewise."""

TABLED = ("at", "sweep")
"""Functions of the compiled kernel of tabled fields: v, and div v where it is wanted, of one or of all stages."""

SERIES = {"polynomial_flux": (1, 3), "polynomial_skew": (1, 6), "polynomial_log": (2, 3)}
"""Compiled series of a generator: the place of the field among the arguments, and scalar fields of an application."""

SPHERES = ("log_m", "attention")
"""Compiled attention on grids: of all spheres of a spectrum, a synthesis and an analysis; M, F and (∇² log M)F."""

PAIR_SUMS = ("first", "first_and_second")
"""Functions of the compiled softmax kernel: every target with every source."""


class Counter:
    """Transforms on grids and at scattered points, in scalar fields, and the number of field values that they made.

    ``values`` is what compares routes of different sizes: a transform of N points or N grid points counts N.
    ``pairs``: exponentials e^{g·y} of direct sums, targets times sources, which take the place of transforms for few
    points and where fields are wanted off the sphere.
    """

    def __init__(self) -> None:
        self.grid, self.points, self.values, self.pairs = 0, 0, 0, 0
        self._lock = Lock()  # blocks of points are transformed in threads

    def add(self, kind: str, fields: int, values: int) -> None:
        """Count ``fields`` scalar fields of together ``values`` values, on a ``grid`` or at ``points``."""
        with self._lock:
            setattr(self, kind, getattr(self, kind) + fields)
            self.values += values

    def add_pairs(self, targets: int, sources: int) -> None:
        """Count a direct sum."""
        with self._lock:
            self.pairs += targets * sources


@contextmanager
def counting() -> Iterator[Counter]:
    """Within the block every transform is counted; the libraries are as before when it ends.

    One block at a time in a process. Transforms of other threads are counted as well.
    """
    counter = Counter()
    with wrapped(Wrapped(owner, name, partial(_counted, name, counter)) for owner, name in _entries()):
        yield counter


def _entries() -> list[tuple[Any, str]]:
    scattered = [(SpherePoints, name) for name in POINT_TRANSFORMS]
    circular = [(ducc0.nufft, "u2nu"), (ducc0.nufft, "nu2u"), (circle, "rfft"), (circle, "irfft")]
    kernels = [(_softmax, name) for name in PAIR_SUMS] + [(_sweep, name) for name in TABLED]
    kernels += [(_transport, name) for name in SERIES] + [(_fields, name) for name in SPHERES]
    return [(shtns.sht, name) for name in GRID_TRANSFORMS] + scattered + circular + kernels


def _counted(name: str, counter: Counter, original: Callable[..., Any]) -> Callable[..., Any]:
    if name in GRID_TRANSFORMS:
        fields = GRID_TRANSFORMS[name]

        def on_grid(plan: Any, *arrays: Any) -> Any:
            counter.add("grid", fields, fields * plan.nlat * plan.nphi)
            return original(plan, *arrays)

        return on_grid
    if name in POINT_TRANSFORMS:

        def on_sphere(points: Any, *arrays: Any) -> Any:
            fields = POINT_TRANSFORMS[name]
            counter.add("points", fields, fields * len(points.x))
            return original(points, *arrays)

        return on_sphere
    if name in SERIES:
        place, fields = SERIES[name]

        def in_series(*arguments: Any) -> Any:
            applied = original(*arguments)
            counter.add("grid", fields * abs(applied), fields * abs(applied) * arguments[place][0].size)
            return applied

        return in_series
    if name == "log_m":

        def on_spheres(*arguments: Any) -> Any:
            done = original(*arguments)
            counter.add("grid", 2 * done, 2 * int(np.sum(arguments[2][:done])))
            return done

        return on_spheres
    if name == "attention":

        def by_moments(*arguments: Any) -> Any:
            fields = 9 if arguments[11].size else 4
            counter.add("grid", fields, fields * arguments[9].size)
            return original(*arguments)

        return by_moments
    if name == "at":

        def from_table(width: int, n: int, pieces: Any, table: Any, x: Any, *arrays: Any) -> Any:
            counter.add("points", 3, 3 * len(x))
            return original(width, n, pieces, table, x, *arrays)

        return from_table
    if name == "sweep":

        def in_stages(*arguments: Any) -> Any:
            weights, errors, state = (arguments[k] for k in (5, 6, 10))
            fields = (state.shape[1] - 1) * (len(weights) + bool(errors[:, -1].any()))
            counter.add("points", fields, fields * len(state))
            return original(*arguments)

        return in_stages
    if name in PAIR_SUMS:

        def over_pairs(g: Any, y: Any, *arrays: Any) -> Any:
            counter.add_pairs(len(g), len(y))
            return original(g, y, *arrays)

        return over_pairs
    if name in ("rfft", "irfft"):

        def on_circle(field: Any, *args: Any, **options: Any) -> Any:
            counter.add("grid", 1, options.get("n", len(field)))
            return original(field, *args, **options)

        return on_circle

    def at_points(**options: Any) -> Any:
        counter.add("points", 1, len(np.asarray(options["coord"])))
        return original(**options)

    return at_points
