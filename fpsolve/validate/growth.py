"""The uniform law on S²: growth of small perturbations by degree, and where own noise stops it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fpsolve import theory
from fpsolve.measures.density import Density
from fpsolve.models.base import Model
from fpsolve.models.noisy_transformer import NoisyTransformer
from fpsolve.models.self_attention import SelfAttention
from fpsolve.models.unnormalised import UnnormalisedSelfAttention
from fpsolve.sphere.harmonics import MASS_MOMENT, index, size
from fpsolve.validate.measure import end
from fpsolve.validate.rows import Row

BETA, LMAX, AMPLITUDE, TIME = 2.0, 15, 1e-6, 0.2
"""Second-order terms change the rates by about AMPLITUDE."""

MODELS = {"sa": SelfAttention, "usa": UnnormalisedSelfAttention}


def measured_rate(model: Model, degree: int) -> float:
    """Exponential rate of (1 + small Y_ℓ0)/4π in a run."""
    place = index(degree, 0, LMAX)
    coefficients = np.zeros(size(LMAX), complex)
    coefficients[0], coefficients[place] = MASS_MOMENT, AMPLITUDE
    last = end(model, Density(coefficients, rtol=1e-12), TIME, TIME / 8)
    return float(np.log(last.coefficients[place].real / AMPLITUDE) / TIME)


def growth_rows(quick: bool, seed: int) -> Iterator[Row]:
    """Growth rates of SA and USA for ℓ = 1..6, density against the closed form."""
    for kind, model in MODELS.items():
        for degree in range(1, 7):
            exact = float(theory.uniform_growth_rate(degree, BETA, kind))
            computed = measured_rate(model(BETA), degree)
            yield Row(f"{kind.upper()} on S²", f"growth rate of degree {degree}", exact, computed, 1e-5 * max(exact, 1))


def noisy_rows(quick: bool, seed: int) -> Iterator[Row]:
    """ν and β at which the uniform law loses stability, from the zero of measured growth rates."""
    for kind in ("usa", "sa"):
        for degree in (1,) if quick else (1, 2, 3):
            exact = float(theory.critical_diffusion(BETA, 3, kind, degree))

            def by_diffusion(nu: float, kind: str = kind, degree: int = degree) -> float:
                return measured_rate(NoisyTransformer(BETA, nu, kind), degree)  # type: ignore[arg-type]

            computed = secant(by_diffusion, 0.9 * exact, 1.1 * exact)
            yield Row(f"noisy {kind.upper()} on S²", f"threshold ν of degree {degree}", exact, computed, 1e-4 * exact)
        nu = float(theory.critical_diffusion(BETA, 3, kind))

        def by_beta(beta: float, nu: float = nu, kind: str = kind) -> float:
            return measured_rate(NoisyTransformer(beta, nu, kind), 1)  # type: ignore[arg-type]

        computed = secant(by_beta, 0.97 * BETA, 1.02 * BETA, steps=3)
        exact = float(theory.critical_beta(nu, 3, kind))
        yield Row(f"noisy {kind.upper()} on S²", "threshold β of degree 1", exact, computed, 1e-3)


def secant(f: Callable[[float], float], a: float, b: float, steps: int = 1) -> float:
    """A zero of f by the secant rule from a and b: exact after one step for a straight line."""
    values = f(a), f(b)
    for left in reversed(range(steps)):
        a, b = b, b - values[1] * (b - a) / (values[1] - values[0])
        if left:
            values = values[1], f(b)
    return b
