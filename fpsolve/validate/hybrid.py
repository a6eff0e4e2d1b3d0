"""Two tokens under attention's drift and common noise together: how fast antipodal and aligned pairs close or part.

In one short step of a sum of models E log |x ± y| is averaged over the rule ±√n e_k for the n increments, exact to
third degree: no statistics, an error O(n dt).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from fpsolve import theory
from fpsolve.measures import Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.models.base import Model
from fpsolve.models.deep_stochastic import DeepStochasticTransformer
from fpsolve.models.random_linear import RandomQuadraticForm
from fpsolve.models.scalar_noise import ScalarNoise
from fpsolve.models.self_attention import SelfAttention
from fpsolve.models.unnormalised import UnnormalisedSelfAttention
from fpsolve.validate.exponents import by_rule
from fpsolve.validate.rows import Row

BETA, NOISE, CLOSE = 0.9, 0.8, 1e-4
"""β of both, ε, and the angle of a pair to its end."""


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """Growth rates of 1+q at q = -1 and of |x-y| at q = 1, SA and USA, four noises."""
    for drift in ("sa",) if quick else ("sa", "usa"):
        for by in ("value", "scalar", "scalar_layers", "quadratic_form"):
            for d in (3,) if quick else (2, 3, 6):
                yield from _rows_of(drift, by, d)


def _rows_of(drift: str, by: str, d: int) -> Iterator[Row]:
    name, model = f"{drift} drift, {by.replace('_', ' ')} noise, d = {d}", _hybrid(drift, by)
    closed = theory.hybrid_antipodal_exponent, theory.hybrid_aligned_exponent
    about = (("growth of 1+q at q = -1", -1, 2.0, closed[0]), ("exponent of |x-y|", 1, 1.0, closed[1]))
    for quantity, end, factor, exponent in about:
        exact = float(exponent(BETA, NOISE, d, drift, by))
        found = factor * by_rule(model, _pair(end, d), lambda state, end=end: _log_distance(state, end))  # type: ignore[misc]
        yield Row(name, quantity, exact, found, 1e-4 * (1 + abs(exact)), "one step averaged exactly, O(dt)")


def _hybrid(drift: str, by: str) -> Model:
    """Attention and noise."""
    attention: Model = SelfAttention(BETA) if drift == "sa" else UnnormalisedSelfAttention(BETA)
    if by == "value":
        return attention + DeepStochasticTransformer(BETA, value_std=1.0, noise=NOISE)
    if by == "quadratic_form":
        return attention + RandomQuadraticForm(NOISE)
    reading: Literal["ito", "layers"] = "layers" if by == "scalar_layers" else "ito"
    return attention + ScalarNoise(BETA, noise=NOISE, normalised=drift == "sa", reading=reading)


def _pair(end: int, d: int) -> Cloud:
    """Two equal tokens near q = ``end``."""
    x = np.zeros((2, d))
    x[0, 0], x[1, :2] = 1.0, (end * np.cos(CLOSE), np.sin(CLOSE))
    return Cloud(x, np.array([0.5, 0.5]), rtol=1e-12, tokens=True)


def _log_distance(state: Measure, end: int) -> float:
    """log |x - y| or log |x + y|."""
    x = state.points
    assert x is not None
    return float(np.log(np.linalg.norm(x[0] - end * x[1])))
