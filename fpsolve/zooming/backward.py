"""The flow of a run backwards: where points came from, and by how much the density has grown on the way."""

from __future__ import annotations

import numpy as np

from fpsolve.errors import UnresolvedError
from fpsolve.observe.flow import Flow
from fpsolve.sphere.geometry import Geometry, geometry
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.runge_kutta import for_tolerance, integrate
from fpsolve.transport.velocity import HarmonicField

ROUND_OFF = 1e-15
"""Errors of v at points, relative to its size, for each degree and ten more (measured: 2e-15 to 5e-15, degrees to 49).

Below it no sub-step is short enough: an estimate of the error never gets smaller, for any of them.
"""


def backward(flow: Flow, x: Real, step: int, rtol: float) -> tuple[Real, Real]:
    """χ(x) and log det Dχ(x), χ the flow from step ``step`` back to the start; shapes (n, d) and (n,).

    d/ds χ = -v, d/ds log det = -div v along it; so ρ(x) = ρ_0(χ) det Dχ. A step of several flows is gone back from its
    last to its first. ``rtol``: accuracy of one flow, of log det and of positions relative to the extent of the patch,
    which may be small, down to the round-off of v. Raises UnresolvedError where a flow cannot be gone back so.
    """
    state = np.column_stack([x, np.zeros(len(x))])
    for n in reversed(range(step)):
        for part in reversed(range(len(flow.nodes))):
            try:
                state = _flow_back(flow, state, n, part, rtol)
            except UnresolvedError as error:
                problem = f"going back this step to rtol = {rtol:g}, {error.problem}"
                raise UnresolvedError((n + 1) * flow.dt, problem, "take a greater rtol, or a smaller dt") from error
    return np.ascontiguousarray(state[:, : flow.d]), state[:, flow.d].copy()


def _flow_back(flow: Flow, state: Real, n: int, part: int, rtol: float) -> Real:
    d, sphere = flow.d, geometry(flow.d)
    extent = float(np.abs(state[:, :d] - state[0, :d]).max())
    noise, noise_of_divergence = round_off(flow.field(n, part, 1.0), sphere)
    across, along = max(min(extent, 1.0), noise / rtol), max(1.0, noise_of_divergence / rtol)

    def rhs(y: Real) -> Real:  # the last column is the part of the flow that has been gone back
        sites = sphere.points(np.ascontiguousarray(y[:, :d]))
        v = flow.field(n, part, 1.0 - float(y[0, -1]))
        return np.column_stack([-v.on(sites), -v.divergence(sites), np.ones(len(y))])

    def norm(error: Real) -> float:
        return float((np.abs(error[:, :d]).max(axis=1) / across + np.abs(error[:, d]) / along).max())

    def finish(y: Real) -> Real:
        y[:, :d] /= np.sqrt(np.einsum("na,na->n", y[:, :d], y[:, :d]))[:, None]
        return y

    start = np.column_stack([state, np.zeros(len(state))])
    moved = integrate(rhs, start, tableau=for_tolerance(rtol), rtol=rtol, norm=norm, finish=finish)
    return moved[:, :-1]


def round_off(v: HarmonicField, sphere: Geometry) -> tuple[float, float]:
    """Bounds on the round-off in a field's values at points and in its divergence, by its root mean squares."""
    degree = max(map(sphere.degree_of, (v.spheroidal, v.toroidal)))
    slope = np.maximum(np.arange(degree + 1.0), 1.0) ** 2
    power = sum(sphere.power(sphere.resized(one, degree)) for one in (v.spheroidal, v.toroidal))
    relative = ROUND_OFF * (degree + 10)
    sizes = (np.sqrt(np.sum(weights * power) / sphere.area) for weights in (slope, slope**2))
    speed, divergence = (relative * float(size) for size in sizes)
    return speed, divergence
