"""The flow of a cloud run: the fields of every step, in harmonics.

A field is kept by its potentials, v = ∇S + ∇T × x, rather than by the moments of μ that made it: far from a
concentrated μ moments do not determine F_μ, as their sum cancels; the potentials of the field that was used always do.
A step is one flow or several, one after the other. A frozen field makes a flow exact (``lie_euler``, ``heun``,
``ninomiya`` without drift). A field that lives, v(s), is known at nodes and interpolated in between: at Chebyshev's
points within a flow (``ninomiya``), or at the ends of the steps (``rk4``, whose field is smooth through the run).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fpsolve.cached import cached_property
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.velocity import HarmonicField

if TYPE_CHECKING:
    import xarray as xr

    from fpsolve.observe.result import Result

NEIGHBOURS = 8
"""Fields known at the ends of the steps are interpolated in time through so many of their values."""

FROZEN = (1,)
"""The nodes of a step that is the flow of one frozen field."""


@dataclass(frozen=True, eq=False)
class Flow:
    """Displacement fields of the steps of a run on S^{d-1}.

    potentials: (S, T), complex, shape (steps, Σ nodes, 2, modes), or (steps + 1, 1, 2, modes) at the ends of the steps
    when ``living``. nodes: for each flow of a step, in their order, the number of its fields: 1 where it is frozen,
    otherwise at so many of Chebyshev's points of s ∈ [0, 1], ends included. start: (x, weight, log ρ) of the cloud at
    t = 0, shape (points, d + 2), where the run was given one, as no law tells it.
    """

    potentials: Coefficients
    dt: float
    d: int
    living: bool = False
    nodes: tuple[int, ...] = FROZEN
    start: Real | None = None

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.potentials) - self.living

    def field(self, step: int, part: int, s: float) -> HarmonicField:
        """The field at ``s`` in flow ``part`` of a step, as a displacement per flow."""
        if self.living:
            spheroidal, toroidal = self._between(step + s, NEIGHBOURS)
        else:
            values = self._values(step, part)
            weights = lagrange(s, chebyshev(len(values))) if len(values) > 1 else None
            spheroidal, toroidal = values[0] if weights is None else np.tensordot(weights, values, 1)
        return HarmonicField(spheroidal, toroidal, d=self.d)

    def _values(self, step: int, part: int) -> Coefficients:
        """(S, T) at the nodes of one flow."""
        first = sum(self.nodes[:part])
        return self.potentials[step, first : first + self.nodes[part]]

    def _between(self, at: float, nodes: int) -> Coefficients:
        """(S, T) at a time in steps, by the polynomial through the nearest values."""
        first, weights = _nearest(at, len(self.potentials), nodes)
        return np.asarray(np.tensordot(weights, self.potentials[first : first + len(weights), 0], 1))

    @cached_property
    def interpolation_error(self) -> float:
        """An estimate, from above, of the displacement that interpolation misses, over all steps: 0 when frozen.

        It is a sum of largest speeds: of the last Chebyshev coefficient of each flow; for values at the ends of the
        steps, of the difference of the interpolants through eight and six of them in the middle of the steps.
        """
        if self.living:
            return self._missed_between() if len(self.potentials) >= NEIGHBOURS else np.inf
        parts = [part for part, nodes in enumerate(self.nodes) if nodes > 1]
        last = {part: _last_coefficient(self.nodes[part]) for part in parts}
        fields = (np.tensordot(last[part], self._values(n, part), 1) for n in range(self.steps) for part in parts)
        return sum(map(self._speed, fields), 0.0)

    def _missed_between(self) -> float:
        middles = np.arange(self.steps) + 0.5
        return sum(self._speed(self._between(at, NEIGHBOURS) - self._between(at, NEIGHBOURS - 2)) for at in middles)

    def _speed(self, pair: Coefficients) -> float:
        """max |v| on a grid that resolves the fields."""
        v = self._grid.tangent(*pair)
        return float(np.sqrt((v**2).sum(axis=0).max()))

    @cached_property
    def _grid(self):  # type: ignore[no-untyped-def]
        sphere = geometry(self.d)
        return sphere.grid(max(31, sphere.degree_of(self.potentials)))

    def to_dataset(self, ds: Result) -> Result:
        """The result with the flow in it; the dimension ``node`` is there where a step has several fields."""
        about = {
            "long_name": "potentials S, T of the field v = grad S + grad T x x of every step, a displacement",
            "flow_dt": self.dt,
            "flow_living": int(self.living),
            "flow_dimension": self.d,
        }
        if self.start is not None:
            attributes = {"long_name": "position, weight and log-density of the points at t = 0"}
            ds = ds.assign(flow_start=(("start", "start_part"), self.start, attributes))
        pairs = np.ascontiguousarray(self.potentials).view(float).reshape(*self.potentials.shape, 2)
        if self.nodes == FROZEN:
            return ds.assign(flow=(("step", "potential", "mode", "part"), pairs[:, 0], about))
        about["flow_nodes"] = " ".join(map(str, self.nodes))
        return ds.assign(flow=(("step", "node", "potential", "mode", "part"), pairs, about))

    @classmethod
    def of_dataset(cls, ds: xr.Dataset) -> Flow:
        """The flow that a result holds."""
        flow = ds["flow"].transpose("step", "node", "potential", "mode", "part", missing_dims="ignore")
        kept, about = np.ascontiguousarray(flow.values), flow.attrs
        potentials = kept.view(complex)[..., 0]
        nodes = tuple(map(int, about["flow_nodes"].split())) if "flow_nodes" in about else FROZEN
        d, living = int(about["flow_dimension"]), bool(about["flow_living"])
        potentials = potentials if nodes != FROZEN else potentials[:, None]
        start = ds["flow_start"].transpose("start", "start_part").values if "flow_start" in ds else None
        return cls(potentials, float(about["flow_dt"]), d, living, nodes, start)


def chebyshev(count: int) -> Real:
    """The ``count`` ≥ 2 Chebyshev–Lobatto points (1 - cos(πj/(count - 1)))/2 of [0, 1]."""
    return np.asarray(np.sin(np.pi * np.arange(count) / (2 * (count - 1))) ** 2)


def lagrange(at: float, points: Real) -> Real:
    """The weights with which values at ``points`` give their interpolating polynomial at ``at``."""
    same = np.eye(len(points), dtype=bool)
    ratios = (at - points + np.zeros((len(points), 1))) / (points[:, None] - points + same)
    return np.asarray(np.prod(np.where(same, 1.0, ratios), axis=1))


def _last_coefficient(count: int) -> Real:
    """What takes values at Chebyshev's points to the coefficient of the interpolant's last polynomial."""
    weights = (-1.0) ** np.arange(count - 1, -1, -1) / (count - 1)
    weights[[0, -1]] /= 2
    return weights


def _nearest(at: float, count: int, nodes: int) -> tuple[int, Real]:
    """Lagrange weights at ``at`` of the nearest ``nodes`` of 0, 1, …, count - 1, and the first of them."""
    nodes = min(nodes, count)
    first = int(np.clip(np.floor(at) - nodes // 2 + 1, 0, count - nodes))
    return first, lagrange(at - first, np.arange(float(nodes)))
