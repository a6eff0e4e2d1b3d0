"""The share of a density step that the update of the noise spectrum C_ℓ[μ] takes."""

from __future__ import annotations

import fpsolve as fp
from benchmarks.common import interleaved
from fpsolve.measures.build import build


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: law, degree, milliseconds of a step and of its spectrum update, share."""
    cases = [("gaussian", 63)] if quick else [(law, lmax) for law in ("gaussian", "product") for lmax in (63, 127, 255)]
    return [_row(law, lmax, quick) for law, lmax in cases]


def _row(law: str, lmax: int, quick: bool) -> dict[str, object]:
    model = fp.models.Homogenized(beta=4.0, key_query=law)
    density = build(fp.initial.von_mises_fisher([0, 0, 1], 2.0), "density", lmax, 1e-6)
    path = fp.BrownianPath(1)
    step = fp.SCHEMES["lie_euler"].step
    works = {
        "step": lambda: step(model, _fresh(density), path, 0.0, 0.01),
        "update": lambda: model.spectrum(_fresh(density).source),
    }
    times = interleaved(works, repeats=2, rounds=3 if quick else 11)
    return {
        "key_query": law,
        "lmax": lmax,
        "step_ms": 1e3 * times["step"],
        "update_ms": 1e3 * times["update"],
        "share": times["update"] / times["step"],
    }


def _fresh(density: fp.Density) -> fp.Density:
    """The same state without anything cached."""
    return fp.Density(density.coefficients.copy(), density.rtol)
