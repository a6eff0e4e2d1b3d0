"""The flow of a run backwards: where points came from, and by how much the density has grown on the way."""

from __future__ import annotations

import numpy as np

from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.runge_kutta import for_tolerance, integrate
from fpsolve.zoom.flow import Flow


def backward(flow: Flow, x: Real, step: int, rtol: float) -> tuple[Real, Real]:
    """χ(x) and log det Dχ(x), χ the flow from step ``step`` back to the start; shapes (n, d) and (n,).

    d/ds χ = -v, d/ds log det = -div v along it; so ρ(x) = ρ_0(χ) det Dχ. A step of several flows is gone back from its
    last to its first. ``rtol``: accuracy of one flow, of log det and of positions relative to the extent of the patch,
    which may be small.
    """
    state = np.column_stack([x, np.zeros(len(x))])
    for n in reversed(range(step)):
        for part in reversed(range(len(flow.nodes))):
            state = _flow_back(flow, state, n, part, rtol)
    return np.ascontiguousarray(state[:, : flow.d]), state[:, flow.d].copy()


def _flow_back(flow: Flow, state: Real, n: int, part: int, rtol: float) -> Real:
    d, points = flow.d, geometry(flow.d).points
    extent = max(float(np.abs(state[:, :d] - state[0, :d]).max()), 1e-15)

    def rhs(y: Real) -> Real:  # the last column is the part of the flow that has been gone back
        sites = points(np.ascontiguousarray(y[:, :d]))
        v = flow.field(n, part, 1.0 - float(y[0, -1]))
        return np.column_stack([-v.on(sites), -v.divergence(sites), np.ones(len(y))])

    def norm(error: Real) -> float:
        return float((np.abs(error[:, :d]).max(axis=1) / min(extent, 1.0) + np.abs(error[:, d])).max())

    def finish(y: Real) -> Real:
        y[:, :d] /= np.sqrt(np.einsum("na,na->n", y[:, :d], y[:, :d]))[:, None]
        return y

    start = np.column_stack([state, np.zeros(len(state))])
    moved = integrate(rhs, start, tableau=for_tolerance(rtol), rtol=rtol, norm=norm, finish=finish)
    return moved[:, :-1]
