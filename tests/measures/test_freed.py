"""States of a run are freed when the next one is there, not when cycles are collected: memory does not creep up."""

from __future__ import annotations

import gc
import weakref

import pytest

import fpsolve as fp
from fpsolve.measures.build import MOST_KEPT, build


@pytest.mark.parametrize("kind", ["density", "half_density", "log_density", "cloud"])
@pytest.mark.parametrize("axis", [[0.0, 0.0, 1.0], [0.0, 1.0]])
def test_a_measure_and_its_source_are_in_no_cycle(kind: str, axis: list[float]) -> None:
    """After a step, whose spectrum and whose attention take every route to a concentrated measure."""
    measure = build(fp.initial.von_mises_fisher(axis, 20.0), kind, 31, 1e-6)
    if kind == "cloud":
        measure = fp.Cloud(measure.x, measure.weights)  # type: ignore[attr-defined]
    else:  # the first state itself is kept for other members
        measure = measure.at(measure.coefficients)  # type: ignore[attr-defined]
    model = fp.models.Homogenized(beta=4.0, key_query="gaussian", noise_lmax=16)
    gc.collect()
    gc.disable()
    try:
        model.spectrum(measure.source)
        measure.source.F_sphere(40.0, getattr(measure, "grid", None) or measure.sites)  # type: ignore[attr-defined]
        fp.SCHEMES["lie_euler"].step(model, measure, fp.BrownianPath(1), 0.0, 0.01)
        kept = weakref.ref(measure), weakref.ref(measure.source)
        del measure
        assert [one() for one in kept] == [None, None]
    finally:
        gc.enable()


def test_only_the_last_first_states_are_kept() -> None:
    """The same law gives the same state, with all that is known of it; of many laws the last ones are kept."""
    laws = [fp.initial.von_mises_fisher([0.0, 0.0, 1.0], 1.0 + k) for k in range(MOST_KEPT + 2)]
    states = [weakref.ref(build(law, "density", 15, 1e-6)) for law in laws]
    gc.collect()
    assert [one() is not None for one in states] == [False, False] + [True] * MOST_KEPT
    again = fp.initial.von_mises_fisher([0.0, 0.0, 1.0], float(MOST_KEPT + 2))
    assert build(again, "density", 15, 1e-6) is states[-1]()
    assert build(again, "density", 15, 1e-7) is not states[-1]() and build(again, "log_density", 15, 1e-6).name
