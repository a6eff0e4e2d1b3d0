"""A transport step at lmax = 127 against the same step hand-coded in Dedalus 3, one core.

Dedalus is installed by hand, in an environment of its own (Debian: apt install libfftw3-mpi-dev libopenmpi-dev):

    python3 -m venv ~/dedalus
    MPI_PATH=/usr/lib/x86_64-linux-gnu/openmpi FFTW_PATH=/usr CC=mpicc ~/dedalus/bin/pip install dedalus
    FPSOLVE_DEDALUS_PYTHON=~/dedalus/bin/python python -m benchmarks --only dedalus_step

Both move the same density along the same frozen field for unit time: here the Chebyshev exponential at rtol 1e-6, there
classical RK4 on coefficients and Dedalus's own RK443 on ∂_s ρ = -div(ρ v), each with the fewest sub-steps that meet an
error, relative to the peak: 1e-6, or the one that is reached here ("same accuracy").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fpsolve as fp
from benchmarks.common import seconds
from benchmarks.peers import Peer, interpreter
from fpsolve.measures.build import build
from fpsolve.transport.velocity import AmbientField, sites_of

LMAX, KAPPA, RTOL = 127, 10.0, 1e-6
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
    """Rows: the peer's scheme, its sub-steps and error, our error, seconds of both, ratio."""
    python = interpreter("FPSOLVE_DEDALUS_PYTHON")
    if python is None:
        return [{"scheme": "Dedalus is not installed: see the docstring of benchmarks/dedalus_step.py"}]
    density = build(fp.initial.von_mises_fisher([0, 0, 1], KAPPA), "density", LMAX, RTOL)
    velocity = AmbientField(lambda sites: field(sites.x)).resolved()
    exact = fp.Density(density.coefficients, 1e-13).transport(velocity).coefficients
    with Peer(python, "dedalus_transport.py") as peer:
        version = peer.ask(lmax=LMAX, velocity=FIELD, kappa=KAPPA, scheme="RK443")["version"]
        x = np.array(peer.ask(values=True)["x"])
        reference = sites_of(x).scalar(exact)
        error = float(np.abs(sites_of(x).scalar(density.transport(velocity).coefficients) - reference).max())
        ours = {"peer": f"Dedalus {version}", "error": error / float(reference.max()), "quick": quick}
        cases = [("rk4", RTOL), ("rk4", ours["error"])] + [("stepper", RTOL)] * (not quick)
        return [_row(peer, *case, reference, lambda: density.transport(velocity), ours) for case in cases]


def _row(
    peer: Peer, kind: str, allowed: float, reference: np.ndarray, step: Callable[[], Any], ours: dict[str, Any]
) -> dict[str, object]:
    steps, error = _fewest(peer, kind, allowed, reference)
    rounds = 3 if ours["quick"] or kind == "stepper" else 9
    times = [(peer.ask(step=kind, steps=steps)["seconds"], seconds(step, 3)) for _ in range(rounds)]
    theirs, here = (min(column) for column in zip(*times, strict=True))
    return {
        "peer": ours["peer"],
        "scheme": {"rk4": "RK4 by hand", "stepper": "RK443"}[kind] + ", same accuracy" * (allowed < RTOL),
        "sub_steps": steps,
        "peer_error": error,
        "error": ours["error"],
        "peer_ms": 1e3 * theirs,
        "step_ms": 1e3 * here,
        "ratio": theirs / here,
    }


def _fewest(peer: Peer, kind: str, allowed: float, reference: np.ndarray) -> tuple[int, float]:
    """The fewest sub-steps with an error of at most ``allowed`` of the peak, and that error."""
    error = float("nan")
    for steps in SUB_STEPS:
        answer = peer.ask(step=kind, steps=steps, values=True)
        error = float(np.abs(np.array(answer["rho"]) - reference).max() / reference.max())
        if error <= allowed:
            return steps, error
    return SUB_STEPS[-1], error


if __name__ == "__main__":
    for row in run():
        print(row)
