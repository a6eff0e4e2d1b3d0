"""exp(L) u for the field of one step: Chebyshev polynomials, Runge-Kutta sub-steps and a Krylov space at equal error.

The field is that of ``density_step``'s isotropic flow, dt = 0.01; it moves a smooth density, vmf(2), and one whose
degrees are filled up to lmax, von Mises-Fisher of κ = lmax²/28 (a tail of 1e-6). All apply the same operator; the error
is that of the coefficients in the norm of L², relative. "chebyshev" is what every run does, its tolerance the error;
the other ways are given the fewest terms, sub-steps or dimensions that reach the error, which no run knows beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.linalg import expm

import fpsolve as fp
from benchmarks.common import interleaved
from benchmarks.density_step import FLOW, first_field, first_state, models
from benchmarks.implicit_transport import Counting
from fpsolve.measures.build import build
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.exponential import Generator, exponential
from fpsolve.transport.implicit import RealForm
from fpsolve.transport.operators import spectral_bound, transport_grid

Flow = Callable[[int], Coefficients]
"""exp(L) u by so many parts."""


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: degree, R, density, error asked, way, its parts, applications, error, milliseconds, over Chebyshev's."""
    return [
        row
        for lmax in ((63,) if quick else (63, 127))
        for filled in (False, True)
        for asked in (1e-6, 1e-10)
        for row in _rows(lmax, filled, asked, quick)
    ]


def _rows(lmax: int, filled: bool, asked: float, quick: bool) -> list[dict[str, object]]:
    density, radius, counted = _problem(lmax, filled)
    form = RealForm.of(counted.operator, density.coefficients)
    exact = exponential(counted.operator, density.coefficients, radius, 1e-15)

    def error(moved: Coefficients) -> float:
        return float(np.linalg.norm(form.unknowns(moved - exact)) / np.linalg.norm(form.unknowns(exact)))

    ways = _ways(form, density.coefficients, radius, asked, error)
    times = interleaved({name: work for name, (_, work) in ways.items()}, 1, 5 if quick else 11, min)
    told = {"lmax": lmax, "R": radius, "density": "filled" if filled else "vmf(2)", "error_asked": asked}
    rows = []
    for name, (parts, work) in ways.items():
        counted.count = 0
        reached = error(work())
        mine: dict[str, object] = {"way": name, "parts": parts, "applications": counted.count, "error": reached}
        spent = {"ms": 1e3 * times[name], "over_chebyshev": times[name] / times["chebyshev"]}
        rows.append({**told, **mine, **spent})
    return rows


def _problem(lmax: int, filled: bool) -> tuple[fp.Density, float, Counting]:
    """The density, the bound R on its operator's spectrum, and the operator, which counts."""
    start = first_state(lmax)
    field = first_field(models()[FLOW], start)
    v = field.on(transport_grid(start.grid, field))
    law = fp.initial.von_mises_fisher([0.0, 0.6, 0.8], lmax**2 / 28)
    density = build(law, "density", lmax, 1e-6) if filled else start
    return density, spectral_bound(v, lmax), Counting(start.generator(v))  # type: ignore[return-value]


def _ways(
    form: RealForm, u: Coefficients, radius: float, asked: float, error: Callable[[Coefficients], float]
) -> dict[str, tuple[str, Callable[[], Coefficients]]]:
    """Name: its parts and the work."""
    flows: dict[str, tuple[str, Flow]] = {
        "chebyshev, fewest terms": ("rtol {:.0e}", lambda n: exponential(form.operator, u, radius, _looser(asked, n))),
        "RK4": ("{} sub-steps", partial(runge_kutta, form.operator, u)),
        "krylov (Arnoldi)": ("{} dimensions", partial(krylov, form, u)),
    }
    own = partial(exponential, form.operator, u, radius, asked)
    ways: dict[str, tuple[str, Callable[[], Coefficients]]] = {"chebyshev": (f"rtol {asked:.0e}", own)}
    for name, (told, flow) in flows.items():
        n = fewest(lambda n, flow=flow: error(flow(n)) <= asked)  # type: ignore[misc]
        ways[name] = told.format(_looser(asked, n) if "rtol" in told else n), partial(flow, n)
    return ways


def _looser(asked: float, n: int) -> float:
    """Tolerances for Chebyshev's polynomial, from a loose one down, four to a decade."""
    return asked * 10 ** (4 - n / 4)


def runge_kutta(operator: Generator, u: Coefficients, steps: int) -> Coefficients:
    """Classical RK4, for a linear operator its Taylor polynomial of degree four, in equal sub-steps."""
    term, other = np.empty_like(u), np.empty_like(u)
    result = u.copy()
    for _ in range(steps):
        np.copyto(term, result)
        for k in range(1, 5):
            other[:] = 0
            operator.recur(term, other, 1 / (steps * k), 1.0, result)  # (hL)^k u / k!
            term, other = other, term
    return result


def krylov(form: RealForm, u: Coefficients, dimension: int) -> Coefficients:
    """‖y‖ V exp(H) e₁ in the Krylov space of L and y, the real form of u, by Arnoldi's process."""
    y = form.unknowns(u)
    norm = float(np.linalg.norm(y))
    V: Real = np.empty((dimension, len(y)))
    H: Real = np.zeros((dimension, dimension))
    V[0] = y / norm
    for j in range(dimension):
        w = form.times(V[j], 1.0)
        for _ in range(2):  # twice is enough for round-off
            along = V[: j + 1] @ w
            w -= along @ V[: j + 1]
            H[: j + 1, j] += along
        if j + 1 < dimension:
            H[j + 1, j] = np.linalg.norm(w)
            V[j + 1] = w / H[j + 1, j]
    return form.coefficients(norm * (expm(H)[:, 0] @ V))


def fewest(does: Callable[[int], bool], most: int = 4096) -> int:
    """The least n that does, by doubling and bisection; every larger one is taken to do as well."""
    high = 2
    while high < most and not does(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if does(middle) else (middle, high)
    return high


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(run()))
