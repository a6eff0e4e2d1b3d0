"""A density step: the share of its time that is spent outside SHTns, and its bare transforms."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np

import fpsolve as fp
from benchmarks.common import interleaved
from fpsolve.cli.profiling import Clock, watched
from fpsolve.measures.build import build
from fpsolve.sphere._shtns import shtns
from fpsolve.transport.operators import transport_grid

TRANSFORMS = ("SH_to_spat", "SHsphtor_to_spat", "SHsph_to_spat", "spat_to_SH", "spat_to_SHsphtor")


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: degree, applications a step, milliseconds of a step and of its transforms alone, share outside SHTns."""
    return [_row(lmax, quick) for lmax in ((63,) if quick else (31, 63, 127, 255))]


def _row(lmax: int, quick: bool) -> dict[str, object]:
    model = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.45 * t + 0.1 * t**3, 8)
    density = build(fp.initial.von_mises_fisher([0, 0, 1], 2.0), "density", lmax, 1e-6)
    path = fp.BrownianPath(1)

    def step() -> None:
        velocity = model.noise_field(density.source, path.increment(0.0, 0.01, model.channels(3)))
        density.transport(velocity)

    step()
    rounds = 3 if quick else 25
    shares = [_outside(step) for _ in range(rounds)]
    count = shares[0][1]
    velocity = model.noise_field(density.source, path.increment(0.0, 0.01, model.channels(3)))
    works = {"step": step, "transforms": _transforms(transport_grid(density.grid, velocity), count)}
    times = interleaved(works, 1 if lmax > 127 else 3, rounds, min)
    return {
        "lmax": lmax,
        "applications": count,
        "step_ms": 1e3 * times["step"],
        "transforms_ms": 1e3 * times["transforms"],
        "outside_shtns": median(share for share, _ in shares),
    }


def _outside(step: Callable[[], None]) -> tuple[float, int]:
    """The share of one step outside SHTns's functions, and the number of vector analyses."""
    clock = Clock()
    with watched(clock, [(shtns.sht, name, name) for name in TRANSFORMS]):
        start = time.perf_counter()
        step()
        total = time.perf_counter() - start
    return 1 - sum(clock.seconds.values()) / total, clock.calls["spat_to_SHsphtor"]


def _transforms(sphere: fp.sphere.Grid, count: int) -> Callable[[], None]:
    """The transforms of a step, alone: one vector synthesis, then a synthesis and an analysis an application."""
    plan, noise = sphere.plan(sphere.lmax), sphere.plan(9)
    u, s, t, a, b = (p.spec_array() for p in (plan, plan, plan, noise, noise))
    flux = np.zeros((2, *sphere.shape))

    def work() -> None:
        noise.SHsphtor_to_spat(a, b, flux[0], flux[1])
        for _ in range(count):
            plan.SH_to_spat(u, flux[1])
            plan.spat_to_SHsphtor(flux[0], flux[1], s, t)

    return work


if __name__ == "__main__":
    for row in run():
        print(row)
