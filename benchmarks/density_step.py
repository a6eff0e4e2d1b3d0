"""A density step against the bare SHTns transforms that it needs."""

from __future__ import annotations

import numpy as np

import fpsolve as fp
from benchmarks.common import interleaved
from fpsolve.measures.build import build
from fpsolve.measures.density import spectral_radius
from fpsolve.transport import exponential as chebyshev
from fpsolve.transport.operators import AdvectionOperator


class CountingOperator:
    """An advection operator that counts its applications."""

    def __init__(self, inner: AdvectionOperator) -> None:
        self.inner, self.count = inner, 0

    def add_to(self, u, out, factor):  # type: ignore[no-untyped-def]
        self.count += 1
        self.inner.add_to(u, out, factor)


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: degree, applications a step, milliseconds of a step and of its transforms, share outside SHTns."""
    return [_row(lmax, quick) for lmax in ((63,) if quick else (31, 63, 127, 255))]


def _row(lmax: int, quick: bool) -> dict[str, object]:
    model = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.45 * t + 0.1 * t**3, 8)
    density = build(fp.initial.von_mises_fisher([0, 0, 1], 2.0), "density", lmax, 1e-6)
    path = fp.BrownianPath(1)
    increment = path.increment(0.0, 0.01, model.channels(3))
    sphere = density.grid
    v = model.noise_field(density.source, increment).on(sphere)
    operator = CountingOperator(AdvectionOperator(sphere, v))
    chebyshev.exponential(operator, density.coefficients, spectral_radius(v, lmax), density.rtol)
    count = operator.count
    plan, flux = sphere.plan(lmax), np.zeros((2, *sphere.shape))
    u, s, t = (plan.spec_array() for _ in range(3))
    u[:] = density.coefficients
    rho = np.empty(sphere.shape)

    def step() -> None:
        velocity = model.noise_field(density.source, path.increment(0.0, 0.01, model.channels(3)))
        density.transport(velocity)

    def transforms() -> None:
        noise = sphere.plan(9)
        noise.SHsphtor_to_spat(_noise[0], _noise[1], flux[0], flux[1])
        for _ in range(count):
            plan.SH_to_spat(u, rho)
            plan.spat_to_SHsphtor(flux[0], flux[1], s, t)

    _noise = [sphere.plan(9).spec_array() for _ in range(2)]
    repeats, rounds = (1 if lmax > 127 else 3), (3 if quick else 15)
    times = interleaved({"step": step, "transforms": transforms}, repeats, rounds)
    return {
        "lmax": lmax,
        "applications": count,
        "step_ms": 1e3 * times["step"],
        "transforms_ms": 1e3 * times["transforms"],
        "outside_shtns": 1 - times["transforms"] / times["step"],
    }


if __name__ == "__main__":
    for row in run():
        print(row)
