"""Where attention with noise orders: the transition of USA turns from continuous to discontinuous at β_*.

The branch of ordered states that leaves the uniform law at ν_c = i_1(β)/β bends to smaller ν below β_*, and to larger
ν, unstable at first, above it. β_* is found from the bend of the branches alone; I_{5/2}(β_*)/I_{3/2}(β_*) = 1/3.
With a file's name the branches at β = 2.2 are drawn into it.
"""

import sys
from importlib.util import find_spec

import numpy as np
from scipy.optimize import brentq
from scipy.special import ive

import fpsolve as fp

SOLVER = "petsc" if find_spec("petsc4py") else "numpy"
UNIFORM = fp.initial.uniform()


def start(beta: float, amplitude: float, lmax: int = 9):
    """The ordered state of this amplitude near the uniform law, its ν solved for."""
    model = fp.models.NoisyTransformer(beta, diffusion=1.0)
    return fp.stationary.branch_off(model, 1, amplitude=amplitude, lmax=lmax, solver=SOLVER)


def bend(beta: float) -> float:
    """(ν(a) - ν_c)/a² as a → 0, from two amplitudes a."""
    threshold = fp.models.NoisyTransformer(beta, diffusion=1.0).threshold()
    coarse, fine = ((start(beta, a).model.diffusion - threshold) / a**2 for a in (0.04, 0.02))
    return (4 * fine - coarse) / 3


def main() -> None:
    star = brentq(bend, 1.5, 2.1, xtol=1e-6)
    print(f"β_* = {star:.4f} from the branches, {fp.theory.transition_beta(3):.4f} in closed form")
    assert abs(ive(2.5, star) / ive(1.5, star) - 1 / 3) < 1e-4

    folded = start(2.0, 0.03, lmax=13)
    ds = fp.stationary.continuation(
        folded.model, folded, to=0.98 * folded.model.diffusion, away_from=UNIFORM, step=0.15, solver=SOLVER
    )
    fold, threshold = float(ds.event_diffusion[1]), folded.model.threshold()
    print(f"β = 2: two stable states for ν from {threshold:.5f} to {fold:.5f}")
    assert ds.event.values.tolist() == ["branch point", "fold"] and fold > threshold
    assert ds.unstable.values[0] == 1 and ds.unstable.values[-1] == 0
    assert np.all(np.diff(ds.order_parameter) > 0)


def draw(name: str) -> None:
    """The uniform and the ordered branch at β = 2.2 by ν."""
    ordered = start(2.2, 0.03, lmax=19)
    threshold = ordered.model.threshold()
    model = fp.models.NoisyTransformer(2.2, diffusion=1.08 * threshold)
    uniform = fp.stationary.continuation(model, UNIFORM, to=0.9 * threshold, lmax=19, solver=SOLVER)
    branch = fp.stationary.continuation(ordered.model, ordered, to=0.9 * threshold, away_from=UNIFORM, solver=SOLVER)
    fp.plot.branches([uniform, branch], labels=["uniform", "ordered"]).savefig(name, dpi=120)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        draw(sys.argv[1])
    else:
        main()
