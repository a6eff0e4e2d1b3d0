"""Causal attention on the circle: the time at which the last tokens cease to be retrieved best."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fpsolve import theory
from fpsolve.course import run
from fpsolve.measures import CausalDensity, initial
from fpsolve.measures.cloud import Cloud
from fpsolve.models.causal import CausalAttention
from fpsolve.noise import BrownianPath
from fpsolve.sphere.harmonics import Real
from fpsolve.validate.rows import Row

DECAY, WIDTH, MODES = 1.0, 8.0, 20
ANGLES, SIZE = 64, 1e-6


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """t_crit for β = 1, 2, 3 (λ = 1, M = 8, n <= 20) from the linear response of runs, extrapolated in 1/N."""
    counts = (40, 80) if quick else (60, 120, 240)
    for beta in (2.0,) if quick else (1.0, 2.0, 3.0):
        exact = float(theory.critical_time(beta, DECAY, WIDTH, MODES))
        found = [response_time(beta, count, exact) for count in counts]
        computed = extrapolated(np.array(counts), np.array(found))
        yield Row("causal attention on S¹", f"t_crit, β = {beta:g}", exact, computed, (3e-3 if quick else 1e-4) * exact)


def profile_rows(quick: bool, seed: int) -> Iterator[Row]:
    """Linear response of mode 1 of the uniform mean field to one earlier position, against g_a, extrapolated in 1/N."""
    counts, time, source = (50, 100) if quick else (100, 200, 400), 0.5, 0.2
    for beta, sigma in ((1.0, 0.5), (1.0, 0.9)) if quick else ((1.0, 0.5), (1.0, 0.9), (2.0, 0.7)):
        strength = float(theory.mode_strength(1, beta))
        exact = float(theory.retrieval_profile(time, source, strength, DECAY, sigma))
        found = np.array([profile(beta, count, time, source, sigma) for count in counts])
        name = f"g_a at σ = {sigma:g}, σ₀ = {source:g}, β = {beta:g}"
        computed = extrapolated(np.array(counts), found)
        yield Row("causal attention on S¹", name, exact, computed, (1e-2 if quick else 1e-3) * exact)


def profile(beta: float, positions: int, time: float, source: float, sigma: float) -> float:
    """Response of the position nearest to σ per unit of perturbation at σ₀; positions are j/N."""
    angles_each, size = 16, 1e-4
    at, reader = round(source * positions) - 1, round(sigma * positions) - 1
    grid = 2 * np.pi * np.arange(angles_each) / angles_each
    angles = np.tile(grid, (positions, 1))
    angles[at] -= size * np.sin(grid)
    labels = np.repeat(np.arange(1, positions + 1) / positions, angles_each)
    x = np.stack([np.cos(angles), np.sin(angles)], -1).reshape(-1, 2)
    start = Cloud(x, np.full(len(x), 1 / len(x)), rtol=1e-10, tokens=True, labels=labels)
    *_, (_, last) = run(CausalAttention(beta, DECAY), start, BrownianPath(0), t_end=time, dt=time / 5, scheme="rk4")
    moved = last.x.reshape(positions, angles_each, 2)[reader]  # type: ignore[attr-defined]
    return float(moved[:, 0].mean() / (size / 2) * positions)


def density_rows(quick: bool, seed: int) -> Iterator[Row]:
    """The same response by densities of P positions, of order 2 in 1/P, extrapolated from two; and under 1/s."""
    counts, time = ((25, 75) if quick else (45, 135)), 0.4
    for decay, beta in ((1.0, 1.5),) if quick else ((1.0, 1.5), (0.0, 1.5), (1.0, 2.5)):
        ratios = []
        for count in counts:
            at, late = round(0.3 * count - 0.5), round(0.7 * count - 0.5)
            start = nearly_uniform(count, at)
            *_, (_, last) = run(CausalAttention(beta, decay), start, BrownianPath(0), t_end=time, dt=time, scheme="rk4")
            found = (last.coefficients[late, 1] / start.coefficients[at, 1]).real * count  # type: ignore[attr-defined]
            strength, where = theory.mode_strength(1, beta), start.positions
            ratios.append(found / float(theory.retrieval_profile(time, where[at], strength, decay, where[late])))
        name = f"response over g_a, density, λ = {decay:g}, β = {beta:g}"
        yield Row("causal attention on S¹", name, 1.0, (9 * ratios[1] - ratios[0]) / 8, 1e-5 if quick else 1e-6)


def nearly_uniform(cells: int, at: int, size: float = 1e-5) -> CausalDensity:
    """The uniform law at all positions but one, which has a little of mode 1."""
    coefficients = np.zeros((cells, 17), complex)
    coefficients[:, 0] = 1 / np.sqrt(2 * np.pi)
    coefficients[at, 1] = size
    return CausalDensity(coefficients, rtol=1e-9, d=2)


def correlation_rows(quick: bool, seed: int) -> Iterator[Row]:
    """N E cos(θ_j(t) - θ_k(0)) of N iid uniform tokens, j and k in two stretches, against the mean of g_a: 1/N."""
    tokens, members, beta, time = 64, 150 if quick else 1500, 1.5, 0.35
    positions = np.arange(1, tokens + 1) / tokens
    early, late = (positions > 0.2) & (positions <= 0.4), (positions > 0.7) & (positions <= 0.9)
    strength = theory.mode_strength(1, beta)
    profiles = theory.retrieval_profile(time, positions[early], strength, DECAY, positions[late][:, None])
    found = []
    for member in range(members):
        x = initial.samples(initial.uniform(2), tokens, seed, member).x
        start = Cloud(x, np.full(tokens, 1 / tokens), rtol=1e-3, tokens=True, labels=positions)
        *_, (_, last) = run(CausalAttention(beta, DECAY), start, BrownianPath(0), t_end=time, dt=time, scheme="rk4")
        change = (last.x - x)[late].mean(axis=0)  # type: ignore[attr-defined]
        found.append(tokens * float(np.sum(change * x[early].mean(axis=0))))
    error = float(np.std(found)) / np.sqrt(members)
    exact, note = float(np.mean(profiles)), f"4 standard errors and 1/N: 5 %, of {members} members"
    yield Row(
        "causal attention on S¹",
        f"1/N correlation, β = {beta:g}",
        exact,
        float(np.mean(found)),
        4 * error + 0.05 * exact,
        note,
    )


def extrapolated(counts: Real, values: Real) -> float:
    """The value at 1/N = 0 of the polynomial through them."""
    return float(np.polyfit(1 / counts, values, len(counts) - 1)[-1])


def response_time(beta: float, positions: int, guess: float) -> float:
    """When a perturbation of the last but one position starts to matter less at the end than one before it."""
    times = guess * np.array([0.5, 0.75, 1.0, 1.25])
    difference = response(beta, positions, times)
    line = np.polyfit(times, difference / times, 1)  # linear in t to first order in 1/N
    return float(-line[1] / line[0])


def response(beta: float, positions: int, times: Real) -> Real:
    """Σ_n Re û_n of the last position at multiples of a quarter of the guess, per unit of perturbation.

    Two perturbations of opposite sign: their difference has no part of second order, which counts, as the response to
    one position nearly cancels that to the other.
    """
    return (moved(beta, positions, times, SIZE) - moved(beta, positions, times, -SIZE)) / (2 * SIZE)


def moved(beta: float, positions: int, times: Real, size: float) -> Real:
    """Σ_n Re û_n of the last position.

    The mean field: a lattice of angles at every position, which rests; two of them are moved, by opposite signs.
    """
    grid, modes = 2 * np.pi * np.arange(ANGLES) / ANGLES, np.arange(1, MODES + 1)
    shift = -size * np.sin(np.outer(grid, modes)) @ (theory.mode_weight(modes, WIDTH) / modes)
    angles = np.tile(grid, (positions, 1))
    angles[-2] += shift
    angles[-3] -= shift
    labels = np.repeat(np.arange(1, positions + 1) / positions, ANGLES)
    x = np.stack([np.cos(angles), np.sin(angles)], -1).reshape(-1, 2)
    start = Cloud(x, np.full(len(x), 1 / len(x)), rtol=1e-12, tokens=True, labels=labels)
    model, dt = CausalAttention(beta, DECAY), times[1] - times[0]
    states = run(model, start, BrownianPath(0), t_end=times[-1], dt=dt, scheme="rk4")
    saved = [state.x[-ANGLES:] for t, state in states if t > times[0] * (1 - 1e-9)]  # type: ignore[attr-defined]
    waves = np.array([(x[:, 0] - 1j * x[:, 1])[:, None] ** modes for x in saved])
    return np.asarray(waves.mean(axis=1).real.sum(axis=1))
