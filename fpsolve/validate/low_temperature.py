"""Self-attention at β in the hundreds: how the distance from the projected law falls with β."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fpsolve.measures.cloud import Cloud
from fpsolve.models.low_temperature import LowTemperatureLimit
from fpsolve.models.self_attention import SelfAttention
from fpsolve.validate.measure import end, order
from fpsolve.validate.rows import Row

PLANE = np.diag([1.0, 0.4])
"""A = V on the circle; the top eigenspace is ±e_x, each half circle is projected to one end."""


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """The plateau of W₂ above the projected law, and the distance from the limit flow at a fixed time.

    Mass ~ 1/β is on the wrong side of the separatrix, at distance 2, so that W₂ ~ β^{-1/2}; the bound has √(log β/β)
    :cite:`lowtemperature2026`, at these β an exponent of -1/2 + 1/(2 log β), about -0.4, which the tolerance tells
    apart. At a fixed time a smooth law of full support is within O(1/β) of the limit flow.
    """
    betas = (100.0, 200.0, 400.0) if quick else (100.0, 200.0, 400.0, 800.0)
    start, limit = circle_law(400 if quick else 1000), LowTemperatureLimit(PLANE, PLANE)
    target, moved = limit.projected(start), end(limit, start, 1.0, 0.5)
    plateau, gaps = [], []
    for beta in betas:
        model = SelfAttention(beta, PLANE, PLANE)
        plateau.append(to_two_atoms(end(model, start, 10.0, 2.0), target))
        gaps.append(paired(end(model, start, 1.0, 0.5), moved))
    system = "low temperature on S¹"
    yield Row(system, "exponent of W₂ in β at t = 10", -0.5, order(betas, plateau), 0.04, "up to the logarithm")
    yield Row(system, "exponent at t = 1, to the limit flow", -1.0, order(betas, gaps), 0.1, "corrections of O(1/β)")


def circle_law(n: int) -> Cloud:
    """ρ ∝ e^{cos(φ - 1.1)} on smoothly spaced angles (spectral quadrature), dense at the separatrix φ = ±π/2."""
    u = 2 * np.pi * (np.arange(n) + 0.5) / n
    weights = (1 + 0.99 * np.cos(2 * u)) * np.exp(np.cos(u + 0.495 * np.sin(2 * u) - 1.1))
    angles = u + 0.495 * np.sin(2 * u)
    return Cloud(np.stack([np.cos(angles), np.sin(angles)], -1), weights / weights.sum(), rtol=1e-4)


def paired(first: Cloud, second: Cloud) -> float:
    """The distance of the coupling that follows each point: a bound on W₂."""
    return float(np.sqrt(np.sum(first.weights * np.sum((first.x - second.x) ** 2, axis=1))))


def to_two_atoms(cloud: Cloud, target: Cloud) -> float:
    """W₂ to a law on ±e_x, exactly: the points furthest along e_x go to +e_x, one of them in two parts."""
    right = target.weights[target.x[:, 0] > 0].sum()
    order = np.argsort(-cloud.x[:, 0])
    x, before = cloud.x[order, 0], np.concatenate([[0.0], np.cumsum(cloud.weights[order])])
    plus = np.diff(np.minimum(before, right))
    return float(np.sqrt(np.sum(plus * (2 - 2 * x) + (np.diff(before) - plus) * (2 + 2 * x))))
