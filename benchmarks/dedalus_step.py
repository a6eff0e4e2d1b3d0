"""A transport step at lmax = 127 against the same step hand-coded in Dedalus 3, one core.

Dedalus is installed by hand, in an environment of its own (Debian: apt install libfftw3-mpi-dev libopenmpi-dev):

    python3 -m venv ~/dedalus
    MPI_PATH=/usr/lib/x86_64-linux-gnu/openmpi FFTW_PATH=/usr CC=mpicc ~/dedalus/bin/pip install dedalus
    FPSOLVE_DEDALUS_PYTHON=~/dedalus/bin/python python -m benchmarks --only dedalus_step

Both move the same density along the same frozen field for unit time: here the exponential at rtol 1e-6, by Chebyshev
polynomials (the default) or in a Krylov space, there classical RK4 on coefficients and Dedalus's own RK443 on
∂_s ρ = -div(ρ v), each with the fewest sub-steps that meet an error, relative to the peak: 1e-6, or the one that is
reached here ("our accuracy"). The same step is one of the same accuracy, so the aim is carried by those rows and by any
other whose error is at most three times ours; in the rest the peer's result is coarser, as their ``aim`` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import fpsolve as fp
from benchmarks.common import aim, seconds, unmeasured
from benchmarks.peers import Peer, interpreter
from fpsolve.measures.build import build
from fpsolve.transport.velocity import AmbientField, sites_of

LMAX, KAPPA, RTOL = 127, 10.0, 1e-6
AIM = 20.0
"""Dedalus's time over ours, at equal accuracy."""
SAME = 3.0
"""Two steps to one tolerance are of the same accuracy if the peer's error is at most so many times ours."""
FIELD: dict[str, Any] = {
    "M": [[0.1, 0.05, 0], [0, -0.05, 0.02], [0.03, 0, 0.02]],
    "b": [0.1, 0.3, 0.2],
    "c": [0.3, 0.2, -0.1],
    "w": [0.05, 0.1, -0.05],
}
SUB_STEPS = (4, 6, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 64)


def field(x: np.ndarray) -> np.ndarray:
    """M x + (b·x) c + w × x; its tangential part is v."""
    M, b, c, w = (np.array(FIELD[name]) for name in "Mbcw")
    return x @ M.T + (x @ b)[..., None] * c + np.cross(w, x)


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: our transport, the peer's scheme, its sub-steps and error, our error, milliseconds of both, ratio, aim."""
    python = interpreter("FPSOLVE_DEDALUS_PYTHON")
    if python is None:
        told = unmeasured(">=", AIM, "Dedalus is not installed (how: benchmarks/dedalus_step.py)")
        return [{"peer": "Dedalus", "scheme": "RK4 by hand, our accuracy", "ratio": "", "aim": told}]
    velocity = AmbientField(lambda sites: field(sites.x)).resolved()
    density = build(fp.initial.von_mises_fisher([0, 0, 1], KAPPA), "density", LMAX, RTOL)
    exact = fp.Density(density.coefficients, 1e-13).transport(velocity).coefficients
    with Peer(python, "dedalus_transport.py") as peer:
        version = peer.ask(lmax=LMAX, velocity=FIELD, kappa=KAPPA, scheme="RK443")["version"]
        x = np.array(peer.ask(values=True)["x"])
        reference = sites_of(x).scalar(exact)
        rows = []
        for transport in ("chebyshev", "krylov"):
            mine = replace(density, flow=transport)
            error = float(np.abs(sites_of(x).scalar(mine.transport(velocity).coefficients) - reference).max())
            error /= float(reference.max())
            ours = {"peer": f"Dedalus {version}", "transport": transport, "error": error, "quick": quick}
            slow = [("stepper", RTOL)] * (transport == "chebyshev" and not quick)
            cases = [("rk4", RTOL), ("rk4", error), *slow]
            rows += [_row(peer, *case, reference, lambda: mine.transport(velocity), ours) for case in cases]  # noqa: B023
        return rows


def _row(
    peer: Peer, kind: str, allowed: float, reference: np.ndarray, step: Callable[[], Any], ours: dict[str, Any]
) -> dict[str, object]:
    steps, error = _fewest(peer, kind, allowed, reference)
    rounds = 3 if ours["quick"] or kind == "stepper" else 9
    times = [(peer.ask(step=kind, steps=steps)["seconds"], seconds(step, 3)) for _ in range(rounds)]
    theirs, here = (min(column) for column in zip(*times, strict=True))
    tighter, over, ratio = allowed < RTOL, error / ours["error"], theirs / here
    coarser = "" if tighter or over <= SAME else f"none: its error is {over:.2g} times ours"
    return {
        "transport": ours["transport"],
        "scheme": {"rk4": "RK4 by hand", "stepper": "RK443"}[kind] + (", our accuracy" if tighter else f", {RTOL:.0e}"),
        "peer": ours["peer"],
        "sub_steps": steps,
        "peer_error": error,
        "error": ours["error"],
        "peer_ms": 1e3 * theirs,
        "step_ms": 1e3 * here,
        "ratio": ratio,
        "aim": coarser or aim(ratio, ">=", AIM),
    }


def _fewest(peer: Peer, kind: str, allowed: float, reference: np.ndarray) -> tuple[int, float]:
    """The fewest sub-steps with an error of at most ``allowed`` of the peak, and that error."""

    def error_of(steps: int) -> float:
        answer = peer.ask(step=kind, steps=steps, values=True)
        return float(np.abs(np.array(answer["rho"]) - reference).max() / reference.max())

    low, steps, error = 0, 0, float("inf")
    for steps in SUB_STEPS:
        error = error_of(steps)
        if error <= allowed:
            break
        low = steps
    while steps - low > 1:
        middle = (low + steps) // 2
        tried = error_of(middle)
        if tried <= allowed:
            steps, error = middle, tried
        else:
            low = middle
    return steps, error


if __name__ == "__main__":
    for row in run():
        print(row)
