"""What deterministic flows keep, raise or decay by a closed form: energy, free energy, heat, equiangular tokens."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fpsolve import theory
from fpsolve.course import run
from fpsolve.measures import initial
from fpsolve.measures.base import Measure
from fpsolve.measures.build import build
from fpsolve.models.base import Model
from fpsolve.models.isotropic_flow import IsotropicFlow
from fpsolve.models.multi_head import MultiHead
from fpsolve.models.noisy_transformer import NoisyTransformer
from fpsolve.models.random_linear import LinearGaussianLayers
from fpsolve.models.self_attention import SelfAttention
from fpsolve.models.unnormalised import UnnormalisedSelfAttention
from fpsolve.noise import BrownianPath
from fpsolve.observe.free_energy import dissipation, free_energy, head_energies, interaction_energy
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import Real
from fpsolve.validate.measure import end, estimate
from fpsolve.validate.rows import Row

BETA = 2.0
TWO_HEADS = ([[1.0, 0.3, 0.0], [-0.2, 0.8, 0.1], [0.0, 0.4, -0.5]], 0.7)
"""A matrix without symmetry, and a number."""


def two_bumps() -> initial.Law:
    """A law without symmetry."""
    return initial.mixture([initial.von_mises_fisher(m, 4.0) for m in ([0, 0, 1], [0, 1, -0.4])], [0.6, 0.4])


def states(model: Model, start: Measure, t_end: float, dt: float) -> list[Measure]:
    """All states of a run."""
    return [state for _, state in run(model, start, BrownianPath(0, cell=dt), t_end=t_end, dt=dt)]


def energy_rows(quick: bool, seed: int) -> Iterator[Row]:
    """The interaction energy never falls (SA, USA, several heads), nor does the free energy rise; at which rates."""
    start = build(two_bumps(), "density", 23 if quick else 31, 1e-9)
    for name, model in (("SA on S²", SelfAttention(BETA)), ("USA on S²", UnnormalisedSelfAttention(BETA))):
        values = [interaction_energy(state, BETA) for state in states(model, start, 0.4, 0.04)]
        yield Row(name, "largest fall of the energy", 0.0, largest_fall(values), 1e-10)
    heads = MultiHead.gradient_flow(BETA, TWO_HEADS, [1.0, -0.5])
    path = states(heads, start, 0.04, 0.01)
    values = [float(head_energies(heads, state).sum()) for state in path]
    yield Row("two heads on S²", "largest fall of the energy", 0.0, largest_fall(values), 1e-10)
    speed = dissipation(heads, path[2])
    yield Row("two heads on S²", "dE/dt, against ∫|v|²dμ", speed, slope(values, 0.01), 1e-4 * abs(speed))
    noisy, nu = NoisyTransformer(BETA, 0.1), 0.1
    path = states(noisy, start, 0.008, 0.002)
    values = [free_energy(state, BETA, nu) for state in path]
    rate = -dissipation(noisy, path[2])
    yield Row("noisy USA on S²", "dF/dt, against -∫|v - ν∇log ρ|²dμ", rate, slope(values, 0.002), 5e-4 * abs(rate))


def largest_fall(values: list[float]) -> float:
    """max(0, -Δ) over the steps."""
    return float(max(0.0, (-np.diff(values)).max()))


def slope(values: list[float], h: float) -> float:
    """The derivative in the middle of five values, of fourth order."""
    return (values[0] - 8 * values[1] + 8 * values[3] - values[4]) / (12 * h)


def heat_rows(quick: bool, seed: int) -> Iterator[Row]:
    """Own noise alone: a moment of degree ℓ decays at νℓ(ℓ+d-2), as densities (S², S¹) and as tokens (d = 5)."""
    nu, time = 0.3, 0.5
    for d, name in ((3, "S²"), (2, "S¹")):
        law = initial.von_mises_fisher([0.0] * (d - 1) + [1.0], 3.0)
        start = build(law, "density", 31, 1e-9)
        heat = IsotropicFlow([0.0], noise=0.0, diffusion=nu, d=d)
        last, degree = end(heat, start, time, time / 2), 3
        ratio = powers(last, degree) / powers(start, degree)
        for ell in range(1, degree + 1):
            exact, computed = nu * ell * (ell + d - 2), -np.log(ratio[ell]) / (2 * time)
            yield Row(f"heat on {name}", f"decay of degree {ell}", exact, float(computed), 1e-9)
    n = 4_000 if quick else 40_000
    for d, nu, steps in ((5, 0.3, 4), (64, 0.05, 2), (512, 0.01, 1)):  # from small to large ν(d-1)dt
        start = build(initial.points(np.tile(np.eye(d)[-1], (n, 1))), "cloud", 7, 1e-4)
        path = BrownianPath(seed, cell=time / 16)
        z = end(LinearGaussianLayers(noise=0.0, diffusion=nu), start, time, time / steps, path).x[:, -1]  # type: ignore[attr-defined]
        second = (d * z**2 - 1) / (d - 1)
        for values, ell in ((z, 1), (second, 2)):
            quantity, exact = f"mean of degree {ell} about the start", np.exp(-nu * ell * (ell + d - 2) * time)
            error = values.std() / np.sqrt(n)
            yield estimate(f"heat, tokens, d = {d}, dt = {time / steps:g}", quantity, exact, values.mean(), error)


def powers(measure: Measure, degree: int) -> Real:
    """Σ_m |ρ_ℓm|² for ℓ = 0..degree."""
    moments = measure.moments(degree)
    assert moments is not None
    return geometry(measure.dimension).power(moments)


def equiangular_rows(quick: bool, seed: int) -> Iterator[Row]:
    """n equal overlaps stay equal and follow one equation; synchrony is reached at rate 2 (SA) and 2e^β (USA)."""
    n, d, time = 5, 6, 1.0
    start = build(initial.simplex(n, 0.1, d), "cloud", 7, 1e-10)
    for kind, model in (("sa", SelfAttention(BETA)), ("usa", UnnormalisedSelfAttention(BETA))):
        name = f"equiangular {kind.upper()}, d = {d}"
        gram = overlaps(end(model, start, time, time / 4))
        exact = float(theory.equiangular_overlap(time, 0.1, BETA, n, kind))
        yield Row(name, f"overlap at t = {time:g}", exact, float(gram.mean()), 1e-7)
        yield Row(name, "spread of the overlaps", 0.0, float(np.ptp(gram)), 1e-7)
        near = build(initial.simplex(n, 1 - 1e-6, d), "cloud", 7, 1e-12)
        rate, last = float(theory.synchronisation_rate(BETA, kind)), None
        last = overlaps(end(model, near, 1 / rate, 1 / rate))
        wait = float(theory.equiangular_time(0.1, 0.9, BETA, n, kind))
        late = overlaps(end(model, start, wait, wait / 4))
        yield Row(name, f"overlap after {wait:.4g}, the time to 0.9", 0.9, float(late.mean()), 1e-7)
        yield Row(name, "rate of synchrony", rate, float(np.log(1e-6 / (1 - last.mean())) * rate), 1e-4 * rate)
    yield from large_beta_rows()


def large_beta_rows() -> Iterator[Row]:
    """USA where e^β is large: one step over the time to a given overlap, and stiff clusters of two."""
    for beta, overlap, target in ((8.0, 0.3, 0.9), (20.0, 0.9, 0.99), (300.0, 0.99, 0.999)):
        wait = float(theory.equiangular_time(overlap, target, beta, 4, "usa"))
        start = build(initial.simplex(4, overlap, 4), "cloud", 7, 1e-9)
        last = overlaps(end(UnnormalisedSelfAttention(beta), start, wait, wait))
        yield Row(f"equiangular USA, β = {beta:g}", f"overlap after {wait:.3g}", target, float(last.mean()), 1e-6)
    angles = np.array([-1e-3, 1e-3, 1.5 - 1e-3, 1.5 + 1e-3])
    start = build(initial.points(np.stack([np.cos(angles), np.sin(angles)], 1)), "cloud", 7, 1e-6)
    last = overlaps(end(UnnormalisedSelfAttention(20.0), start, 0.1, 0.1))
    exact = float(theory.equiangular_overlap(0.1, np.cos(1.5), 20.0, 2, "usa"))
    yield Row("two pairs, USA, β = 20", "overlap of the pairs, dt = 0.1", exact, float(last[1]), 1e-5)


def overlaps(measure: Measure) -> Real:
    """⟨x_i, x_j⟩, i < j."""
    x = measure.x  # type: ignore[attr-defined]
    return np.asarray((x @ x.T)[np.triu_indices(len(x), 1)])
