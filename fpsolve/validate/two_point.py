"""Two-point statistics of the mean field under isotropic common noise, and the energy that the noise dissipates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.polynomial import Legendre
from numpy.polynomial.legendre import leggauss, legvander

from fpsolve import theory
from fpsolve.course import run
from fpsolve.measures import initial
from fpsolve.measures.build import build
from fpsolve.models.isotropic_flow import IsotropicFlow
from fpsolve.models.synchronisation import SynchronisationByNoise
from fpsolve.noise import BrownianPath
from fpsolve.sphere.harmonics import Real
from fpsolve.validate.conserved import overlaps, powers
from fpsolve.validate.exponents import by_rule
from fpsolve.validate.measure import pairs, statistical, tokens
from fpsolve.validate.rows import Row

SPECTRUM = (0.8, 2.0, 1.0, 0.5)
"""C_ℓ of a noise whose law does not depend on μ."""

TIME, STEPS, DEGREE = 0.08, 4, 3


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """E Σ_m|ρ_ℓm|² against the backward equation of two tokens, E ρ_ℓm against e^{-ε²κℓ(ℓ+1)t/2}; densities on S²."""
    model, law = IsotropicFlow(SPECTRUM), initial.von_mises_fisher([0, 0, 1], 2.0)
    kernel, start = model.kernel(), build(law, "density", 23, 1e-7)
    overlap, before = theory.isotropic_overlap(kernel, 3), powers(start, 23)
    for ell in range(1, DEGREE + 1):
        yield rate_row(model, law, ell)
    found, means = [], []
    for member in range(60 if quick else 1500):
        path = BrownianPath(seed, member, TIME / STEPS)
        *_, (_, last) = run(model, start, path, t_end=TIME, dt=TIME / STEPS, scheme="ninomiya")
        found.append(powers(last, DEGREE))
        means.append(last.mean[2])
    decay = np.exp(-float(kernel(1.0)) * TIME)
    yield statistical("frozen spectrum on S²", "E mean vector", decay * start.mean[2], means, 2e-4)
    for ell in range(1, DEGREE + 1):
        exact = overlap.expected_power(ell, before, TIME)
        samples = np.array(found)[:, ell]
        yield statistical("frozen spectrum on S²", f"E Σ_m|ρ_ℓm|², ℓ = {ell}", exact, samples, 1e-3 * exact)


def rate_row(model: IsotropicFlow, law: initial.Law, ell: int) -> Row:
    """The rate of E Σ_m|ρ_ℓm|² at the start, by the rule: no statistics."""
    start = build(law, "density", 23, 1e-13)
    exact = initial_rate(theory.isotropic_overlap(model.kernel(), 3), ell, powers(start, 23))
    computed = by_rule(model, start, lambda state: float(powers(state, ell)[ell]))
    return Row("frozen spectrum on S²", f"rate of E Σ_m|ρ_ℓm|², ℓ = {ell}", exact, computed, 1e-4 * abs(exact))


def initial_rate(overlap: theory.OverlapDiffusion, ell: int, before: Real) -> float:
    """d/dt E Σ_m|ρ_ℓm|² at t = 0: (2ℓ+1)/2 Σ_j S_j ∫ (b P_ℓ' + ½ s P_ℓ'') P_j dq."""
    nodes, weights = leggauss(64)
    polynomial = Legendre.basis(ell)
    generated = overlap.drift(nodes) * polynomial.deriv()(nodes)
    generated += 0.5 * overlap.variance(nodes) * polynomial.deriv(2)(nodes)
    projected = legvander(nodes, len(before) - 1).T @ (weights * generated)
    return float((2 * ell + 1) / 2 * (projected @ before))


def dissipation_rows(quick: bool, seed: int) -> Iterator[Row]:
    """E(1 - ⟨x,y⟩) under random MLP blocks alone: against the overlap's diffusion, and against the coercive bound."""
    d, overlap, time, dt = 6, -0.2, 0.5, 0.0625
    for activation in ("sigmoid",) if quick else ("sigmoid", "relu", "tanh"):
        model = SynchronisationByNoise(1.0, activation, value=0.0, draws=16)
        kernel = model.kernel()
        exact = 1 - float(theory.isotropic_overlap(kernel, d).expect(lambda q: q, overlap, time, 1e-4))
        samples = pair_energies(model, d, overlap, time, dt, 120 if quick else 400, seed)
        name = f"random {activation} blocks, d = {d}"
        yield statistical(name, f"E(1-⟨x,y⟩) at t = {time:g}", exact, samples, 0.01)
        if theory.is_coercive(kernel, d):
            bound = np.exp(-theory.dissipation_rate(kernel, d) * time) * (1 - overlap)
            excess = float(max(0.0, samples.mean() - bound))
            note = "4.5 standard errors, false alarm 3e-6"
            tolerance = 4.5 * float(samples.std()) / len(samples) ** 0.5
            yield Row(name, "excess over the coercive bound", 0.0, excess, tolerance, note)


def pair_energies(
    model: SynchronisationByNoise, d: int, overlap: float, time: float, dt: float, members: int, seed: int
) -> np.ndarray:
    """1 - ⟨x,y⟩ at ``time``, a pair in each member."""
    energies = []
    for member, (x, y) in enumerate(zip(*pairs(overlap, d, members, seed), strict=True)):
        states = run(model, tokens(np.stack([x, y])), BrownianPath(seed, member, dt), t_end=time, dt=dt)
        *_, (_, last) = states
        energies.append(1 - overlaps(last)[0])
    return np.array(energies)
