"""Two tokens at long times: absorbed, stationary, or escaping from a metastable state."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from scipy.integrate import quad

from fpsolve import theory
from fpsolve.theory.overlap import OverlapDiffusion
from fpsolve.validate.rows import Row

START = 0.3


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """E q_t at t = 10⁶ against hitting probabilities and stationary laws, a small rate against its matrix."""
    form = OverlapDiffusion(lambda z: -2 * z * (1 - z * z), lambda z: 4 * (1 - z * z) ** 2)
    aligned = (1 + float(form.expect(lambda q: q, START, 1e6, 1e-9))) / 2
    yield Row("random quadratic form", "P(aligned), t = 1e6", float(theory.alignment_probability(START)), aligned, 1e-8)
    for beta, d in ((1.0, 3), (1.2, 7), (6.0, 64)):
        exact = float(theory.antipodal_probability(beta, START, d))
        found = (1 - float(theory.value_noise_overlap(beta, d, 1.0).expect(lambda q: q, START, 1e6))) / 2
        yield Row(f"value noise, β = {beta:g}, d = {d}", "P(antipodal), t = 1e6", exact, found, 1e-6)
    for beta, d, t in ((8.0, 16, 0.5), (6.0, 64, 0.05)):  # where a drift carries far
        form = theory.value_noise_overlap(beta, d, 1.0)
        antipodal = partial(theory.antipodal_probability, beta, d=d)
        later = float(form.expect(antipodal, START, t))
        exact = float(theory.antipodal_probability(beta, START, d))
        yield Row(f"value noise, β = {beta:g}, d = {d}", f"P(antipodal) from t = {t:g} on", exact, later, 1e-5)
    heat = OverlapDiffusion(lambda q: -0.6 * q, lambda q: 0.6 * (1 - q * q))
    decayed = float(heat.expect(lambda q: q, START, 5.0, 1e-9))
    yield Row("own noise on the circle", "E q, t = 5", START * np.exp(-3.0), decayed, 1e-8)
    yield stationary_row()
    yield escape_row()


def stationary_row() -> Row:
    """k(t) = t/2 + t⁹/2 in d = 16: both ends repel; E q² under the density (2/s) e^{∫2b/s}."""
    diffusion = theory.isotropic_overlap(lambda t: 0.5 * t + 0.5 * t**9, 16)

    def density(q: float) -> float:
        inner = quad(lambda y: float(2 * diffusion.drift(y) / diffusion.variance(y)), 0, q)[0]
        return float(np.exp(inner) / diffusion.variance(q))

    edge = 1 - 1e-6
    mass, second = (quad(lambda q, n=n: density(q) * q**n, 0, edge, limit=200)[0] for n in (0, 2))
    found = float(diffusion.expect(np.square, START, 1e6, 1e-9))
    return Row("odd steep kernel, d = 16", "E q², stationary", second / mass, found, 1e-6 * second / mass)


def escape_row() -> Row:
    """Wells at q = ±0.6: E q_t decays at 1/T up to terms of e^{-depth}, T the mean time from a well to the barrier.

    T = ∫_0^w e^{-Φ} ∫_y^∞ τ e^Φ :cite:`karlin1981`.
    """
    noise = 0.008
    well = OverlapDiffusion(lambda q: (1 - q * q) * 2 * q * (0.36 - q * q), lambda q: 2 * noise * (1 - q * q) ** 2)
    w = np.linspace(0, 2, 80001)
    q, step = np.tanh(w), w[1] - w[0]
    steepness = 2 * q * (0.36 - q * q) / noise + 2 * q
    phi = np.concatenate([[0.0], np.cumsum((steepness[1:] + steepness[:-1]) / 2 * step)])
    beyond = np.cumsum((np.exp(phi) / noise)[::-1])[::-1] * step
    rate = float(1 / np.sum((np.exp(-phi) * beyond)[w <= np.arctanh(0.6)] * step))
    first, second = (float(well.expect(lambda q: q, 0.6, t / rate, 1e-8)) for t in (1, 2))
    return Row("double well", "rate of escape", rate, float(np.log(first / second)) * rate, 1e-3 * rate)
