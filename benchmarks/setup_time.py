"""Set-up at lmax = 255: all that the first step of a fresh process needs beyond a later step, by parts and in sum.

Every round starts one process for each model, in turn; of every time the least counts. A process imports the package
and then times, in this order: grid and plan; the initial density; the model's own tables (channels of the noise, the
tensor of a Gaussian law); what the first step takes over a second one (thin grids, plans of the field, weights of the
polynomials). The sums leave out the import, which stands in a row of its own, and the step itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import pairwise

LMAX = 255
AIM = 1.0
"""Seconds of the sum of the parts."""

MODELS = ("isotropic flow", "value noise, beta 4", "gaussian A, beta 4", "product A, beta 4")
"""Models; the aim is for all."""

PARTS = ("grid and plan", "initial density", "model's tables", "first step over a second")


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: what, model, seconds, aim of the sums."""
    from benchmarks.common import aim

    models = MODELS[:1] if quick else MODELS
    rounds: dict[str, list[dict[str, float]]] = {model: [] for model in models}
    for _ in range(2 if quick else 5):
        for model in models:
            rounds[model].append(_process(model))
    rows = [_row("import fpsolve", "", min(each["import"] for found in rounds.values() for each in found))]
    for model, found in rounds.items():
        best = {key: min(each[key] for each in found) for key in found[0]}
        best["first step over a second"] = max(0.0, best["first step"] - best["second step"])
        shown = PARTS if model == models[0] else PARTS[2:]
        rows += [_row(part, model, best[part]) for part in shown]
        whole = sum(best[part] for part in PARTS)
        rows.append(_row("all but the import", model, whole, aim(whole, "<", AIM)))
    return rows


def _row(what: str, model: str, spent: float, judged: str = "") -> dict[str, object]:
    return {"what": what, "model": model, "seconds": spent, "aim": judged}


def _process(model: str) -> dict[str, float]:
    """The parts' seconds in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.setup_time", model]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def first_steps(name: str) -> dict[str, float]:
    """Seconds of every part, in this process, which must not have imported the package."""
    marks = [time.perf_counter()]
    import fpsolve as fp
    from fpsolve.measures.build import build

    marks.append(time.perf_counter())
    fp.sphere.grid(LMAX)
    marks.append(time.perf_counter())
    density = build(fp.initial.von_mises_fisher([0, 0, 1], 2.0), "density", LMAX, 1e-6)
    marks.append(time.perf_counter())
    model, path = _model(name), fp.BrownianPath(1)
    path.increment(0.0, 0.01, model.channels(3))
    if getattr(model, "is_isotropic", False):
        model.spectrum(build(fp.initial.uniform(), "density", 15, 1e-6).source)
    marks.append(time.perf_counter())
    first, second = (_step(model, density, path) for _ in range(2))
    spent = [after - before for before, after in pairwise(marks)]
    return dict(zip(("import", *PARTS[:3], "first step", "second step"), [*spent, first, second], strict=True))


def _model(name: str):  # type: ignore[no-untyped-def]
    import fpsolve as fp

    if name == MODELS[0]:
        return fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.45 * t + 0.1 * t**3, 8)
    law = {"value noise": "identity", "gaussian A": "gaussian", "product A": "product"}[name.partition(",")[0]]
    return fp.models.Homogenized(beta=4.0, key_query=law, noise_lmax=16)  # type: ignore[arg-type]


def _step(model, density, path) -> float:  # type: ignore[no-untyped-def]
    import fpsolve as fp

    start = time.perf_counter()
    fp.SCHEMES["lie_euler"].step(model, density.at(density.coefficients), path, 0.0, 0.01)
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(first_steps(sys.argv[1])))
