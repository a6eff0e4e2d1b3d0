"""A density step: what its transport's bare transforms leave of its time, and the share that makes its field.

The aims are those of a flow of a given spectrum, whose step is transport alone. The homogenized models also compute
F or a spectrum from μ in every step: ``making_field`` is all of that up to the field's values on the grid, in compiled
calls whose transforms cannot be told apart, and stands in ``outside_shtns`` too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from statistics import median
from typing import Any

import numpy as np

import fpsolve as fp
from benchmarks.common import aim, interleaved
from fpsolve.cli.profiling import Clock
from fpsolve.instrument import Wrapped, wrapped
from fpsolve.measures.build import build
from fpsolve.sphere._shtns import shtns
from fpsolve.transport import operators
from fpsolve.transport import velocity as velocities
from fpsolve.transport.operators import smooth_field, transport_grid

AIMS = {31: 0.10, 63: 0.10, 127: 0.10, 255: 0.10}
"""Largest share of a step outside its transforms, by degree."""

FLOW = "isotropic flow"
DT = 0.01


def models() -> dict[str, fp.Model]:
    """What is stepped: noise of a given spectrum, and two whose noise depends on μ."""
    return {
        FLOW: fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.45 * t + 0.1 * t**3, 8),
        "value noise, beta 4": fp.models.Homogenized(beta=4.0),
        "gaussian A, beta 4": fp.models.Homogenized(beta=4.0, key_query="gaussian", noise_lmax=16),
    }


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: model, degree, applications a step, milliseconds of a step and of its transforms alone, shares, aim."""
    sizes = {name: (63,) if quick else (31, 63, 127, 255) if name == FLOW else (63, 127, 255) for name in models()}
    return [_row(name, model, lmax, quick) for name, model in models().items() for lmax in sizes[name]]


def first_state(lmax: int) -> fp.Density:
    """The density that is moved."""
    return build(fp.initial.von_mises_fisher([0, 0, 1], 2.0), "density", lmax, 1e-6)  # type: ignore[return-value]


def first_field(model: fp.Model, density: fp.Density) -> velocities.Velocity:
    """The field of the first step."""
    increment = fp.BrownianPath(1).increment(0.0, DT, model.channels(3))
    return DT * model.flow_drift(density.source) + model.noise_field(density.source, increment)


def _row(name: str, model: fp.Model, lmax: int, quick: bool) -> dict[str, object]:
    density, path = first_state(lmax), fp.BrownianPath(1)

    def step() -> None:
        fresh = density.at(density.coefficients)  # nothing kept from the last round
        fp.SCHEMES["lie_euler"].step(model, fresh, path, 0.0, DT)

    step()
    rounds = 3 if quick else 25 if name == FLOW else 9
    count = applications(step)
    field = smooth_field(density.grid, first_field(model, density), density.d, density.rtol)
    making = [_share(step, _field_places(model)) for _ in range(rounds)]
    works = {"step": step, "transforms": _transforms(transport_grid(density.grid, field), field, count)}
    times = interleaved(works, 1 if lmax > 127 else 3, rounds, min)
    outside = 1 - times["transforms"] / times["step"]
    return {
        "model": name,
        "lmax": lmax,
        "applications": count,
        "step_ms": 1e3 * times["step"],
        "transforms_ms": 1e3 * times["transforms"],
        "making_field": median(making),
        "outside_shtns": outside,
        "aim": aim(outside, "<=", AIMS[lmax]) if name == FLOW and lmax in AIMS else "",
    }


Place = tuple[Any, str, str]
"""An object, the name of one of its functions, and the row that the function's time belongs to."""


def applications(step: Callable[[], None]) -> int:
    """How often a step applies its operator: the analyses of one whose series runs from Python."""
    clock, compiled = Clock(), operators.BOUND
    operators.BOUND = False
    try:
        with wrapped([Wrapped(shtns.sht, "spat_to_SHsphtor", partial(clock.timed, "analyses"))]):
            step()
    finally:
        operators.BOUND = compiled
    return clock.calls["analyses"]


def _field_places(model: fp.Model) -> list[Place]:
    fields = (velocities.HarmonicField, velocities.AmbientField, velocities.SumField, velocities.ScaledField)
    made = [(type(model), name, "field") for name in ("flow_drift", "noise_field")]
    made += [(cls, "resolved", "field") for cls in (velocities.AmbientField, velocities.SumField)]
    return [*made, *((cls, "on", "field") for cls in fields)]


def _share(step: Callable[[], None], places: Iterable[Place]) -> float:
    """The share of one step inside these functions."""
    clock = Clock()
    with wrapped(Wrapped(owner, name, partial(clock.timed, row)) for owner, name, row in places):
        start = time.perf_counter()
        step()
        total = time.perf_counter() - start
    return sum(clock.seconds.values()) / total


def _transforms(sphere: fp.sphere.Grid, field: velocities.Velocity, count: int) -> Callable[[], None]:
    """The transforms of a step, alone: a synthesis and an analysis an application, and that of a field in harmonics."""
    plan = sphere.plan(sphere.lmax)
    u, s, t = (plan.spec_array() for _ in range(3))
    flux = np.zeros((2, *sphere.shape))

    def work() -> None:
        if isinstance(field, velocities.HarmonicField):
            field.on(sphere)
        for _ in range(count):
            plan.SH_to_spat(u, flux[1])
            plan.spat_to_SHsphtor(flux[0], flux[1], s, t)

    return work


if __name__ == "__main__":
    for row in run():
        print(row)
