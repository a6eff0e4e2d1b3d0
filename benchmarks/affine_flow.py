"""A log density under the field of one step: Chebyshev polynomials, a Krylov space and embedded Runge-Kutta.

The field is that of Gaussian attention at β = 4 on von Mises-Fisher of κ = 10, after three steps of it; dt = 0.01 and
0.1. All apply the same affine operator, to the same ``rtol``; the error is the largest of φ anywhere on the grid.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import fpsolve as fp
from fpsolve.measures.build import build
from fpsolve.sphere.harmonics import Coefficients
from fpsolve.transport.exponential import Generator, Series, polynomial
from fpsolve.transport.flows import flow_of
from fpsolve.transport.operators import log_advection, spectral_bound
from fpsolve.transport.runge_kutta import DORMAND_PRINCE_5, DORMAND_PRINCE_8, RK4, Tableau, integrate

TABLEAUS = {"RK4": RK4, "Dormand-Prince 5": DORMAND_PRINCE_5, "Dormand-Prince 8": DORMAND_PRINCE_8}


class Counting:
    """An operator that counts its applications."""

    def __init__(self, operator: Generator) -> None:
        self.operator, self.count = operator, 0

    def recur(self, u: Coefficients, out: Coefficients, factor: float, weight: float, result: Coefficients) -> float:
        """As the operator."""
        self.count += 1
        return self.operator.recur(u, out, factor, weight, result)

    def add_to(self, u: Coefficients, out: Coefficients, factor: float) -> None:
        """As the operator."""
        self.count += 1
        self.operator.add_to(u, out, factor)

    def polynomial(self, u: Coefficients, series: Series) -> Coefficients | None:
        """Term by term, so that they are counted."""
        return polynomial(self, u, series)


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: degree, R, tolerance, way, applications of the operator, error of φ, applications over Chebyshev's."""
    degrees = (31,) if quick else (31, 63)
    cases = [(lmax, dt, rtol) for lmax in degrees for dt in (0.01, 0.1) for rtol in (1e-4, 1e-6, 1e-8)]
    return [row for case in cases for row in _rows(*case)]


def _rows(lmax: int, dt: float, rtol: float) -> list[dict[str, object]]:
    model, path = fp.models.Homogenized(beta=4.0, key_query="gaussian"), fp.BrownianPath(1)
    measure = build(fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 10.0), "log_density", lmax, rtol)
    assert isinstance(measure, fp.LogDensity)
    model = model.prepared(measure)
    for n in range(3):
        increment = path.increment(0.02 * n, 0.02 * (n + 1), model.channels(3))
        measure = measure.transport(model.noise_field(measure.source, increment))
    increment = np.sqrt(dt / 0.01) * path.increment(0.06, 0.07, model.channels(3))
    v = model.noise_field(measure.source, increment).on(measure.grid)
    radius, start = spectral_bound(v, lmax), np.append(measure.coefficients, 1.0 + 0j)
    exact = flow_of("chebyshev")(log_advection(measure.grid, v), start, radius, 1e-15)
    rows: list[dict[str, object]] = []
    for name, way in _ways(measure, start, radius).items():
        counted = Counting(log_advection(measure.grid, v))
        off = measure.error_norm((way(counted) - exact)[:-1])
        first = rows[0]["applications"] if rows else counted.count
        told = {"lmax": lmax, "R": radius, "rtol": rtol, "way": name, "applications": counted.count, "error": off}
        rows.append({**told, "over_chebyshev": counted.count / first})  # type: ignore[operator]
    return rows


def _ways(measure: fp.LogDensity, start: Coefficients, radius: float) -> dict[str, Callable[[Counting], Coefficients]]:
    """What moves (φ, 1) by an operator to the measure's ``rtol``, by name."""

    def exponential(name: str) -> Callable[[Counting], Coefficients]:
        return lambda operator: flow_of(name)(operator, start, radius, measure.relative(measure.rtol))

    def stages(tableau: Tableau) -> Callable[[Counting], Coefficients]:
        def way(operator: Counting) -> Coefficients:
            def rhs(u: Coefficients) -> Coefficients:
                out = np.zeros_like(u)
                operator.add_to(u, out, 1.0)
                return out

            longest = min(1.0, tableau.imaginary_limit / radius)
            norm = lambda error: measure.error_norm(np.ascontiguousarray(error[:-1]))  # noqa: E731
            return integrate(rhs, start, tableau=tableau, rtol=measure.rtol, norm=norm, longest=longest)

        return way

    explicit = {name: exponential(name) for name in ("chebyshev", "krylov")}
    return explicit | {name: stages(tableau) for name, tableau in TABLEAUS.items()}


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(run()))
