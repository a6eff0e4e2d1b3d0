"""Steps of ensembles' members, timed by a version of the package: ``python -m benchmarks.peers.steps [FOLDER]``.

Reads lines ``NAME LMAX COUNT MEASURE`` and answers each with the seconds of a step. FOLDER: a package installed there
with ``pip install --target`` takes the place of the one that is installed.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import Any

DT, SEED = 0.01, 1


def models(fp: Any) -> dict[str, Any]:
    """The four noises."""
    random_values = fp.models.Homogenized
    return {
        "isotropic flow": fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.45 * t + 0.1 * t**3, 8),
        "value noise, beta 4": random_values(beta=4.0),
        "gaussian A, beta 4": random_values(beta=4.0, key_query="gaussian", noise_lmax=16),
        "product A, beta 4": random_values(beta=4.0, key_query="product", noise_lmax=16),
    }


def stepping(fp: Any, name: str, lmax: int, kappa: float = 2.0, measure: str = "density") -> Any:
    """``step(count)``: so many steps of one member from vMF(κ); seconds of each."""
    from fpsolve.measures.build import build
    from fpsolve.stepping import Stepper

    law = fp.initial.von_mises_fisher([0, 0, 1], kappa)
    first = build(law, measure, lmax, 1e-6)
    one = Stepper(models(fp)[name], fp.BrownianPath(SEED), DT, fp.SCHEMES["lie_euler"])

    def steps(count: int) -> float:
        state, start = first.at(first.coefficients) if measure == "density" else replace(first), time.perf_counter()
        for n in range(count):
            state = one(state, n)
        return (time.perf_counter() - start) / count

    return steps


def main() -> None:
    """Answer until the input ends."""
    if len(sys.argv) > 1:  # an editable install finds its package before every folder
        sys.meta_path = [finder for finder in sys.meta_path if not type(finder).__name__.startswith("ScikitBuild")]
        sys.path.insert(0, sys.argv[1])
    import fpsolve as fp

    known: dict[tuple[str, int, str], Any] = {}
    print(fp.__file__, flush=True)
    for line in sys.stdin:
        name, lmax, count, measure = line.rstrip("\n").split("\t")
        key = name, int(lmax), measure
        if key not in known:
            known[key] = stepping(fp, name, int(lmax), measure=measure)
            known[key](2)
        print(known[key](int(count)), flush=True)


if __name__ == "__main__":
    main()
