"""Gaussian key-query laws by conditioning: drifts of the mean layer in high d, the noise's pair exponent on S¹."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.special import expit

from fpsolve.measures import initial
from fpsolve.measures.build import build
from fpsolve.measures.cloud import Cloud
from fpsolve.models.ballistic import Ballistic, ModifiedBallistic
from fpsolve.models.homogenized import Homogenized
from fpsolve.models.weights import Gaussian
from fpsolve.noise import isotropic
from fpsolve.sphere.harmonics import Real
from fpsolve.validate.rows import Row

BETA, STD, SHARES = 1.5, 0.8, np.array([0.7, 0.3])


def mean_layer(x: Real) -> Real:
    """E F(βAx) of two tokens of weights ``SHARES``: their scores differ by one Gaussian variable."""
    z, dz = np.linspace(-9, 9, 20_001, retstep=True)
    weight = np.exp(-(z**2) / 2) * dz / np.sqrt(2 * np.pi)
    odds = np.log(SHARES[0] / SHARES[1]) + BETA * STD * float(np.linalg.norm(x[0] - x[1])) * z
    first = float(np.sum(weight * expit(odds)))
    return first * x[0] + (1 - first) * x[1]


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """The drift in high d within its stated error, the modified limit against the plain one, the pair exponent."""
    law = Gaussian(STD)
    for d in (4,) if quick else (4, 8, 16):
        x = np.zeros((2, d))
        x[:, :2] = [[1, 0], [-0.2, np.sqrt(1 - 0.04)]]
        model = Ballistic(BETA, 1.0, law, seed=seed, tolerance=1e-3)
        source = Cloud(x, SHARES, tokens=True).source
        off = float(np.linalg.norm(model.mean_attention(source) - mean_layer(x)))
        stated = float(model.sampling_error(source) or 0.0)
        note = f"4 stated errors of {stated:.2g}"
        yield Row(f"mean layer, d = {d}", "distance from the exact drift", 0.0, off, 4 * stated, note)
        yield modified_row(x, law, seed)
    yield from pair_rows(quick)


def modified_row(x: Real, law: Gaussian, seed: int) -> Row:
    """Five exact mean layers η = 0.2: the error of the modified limit as a part of the plain one's."""
    step, depth, layers = 0.2, 5, x
    for _ in range(depth):
        moved = layers + step * mean_layer(layers)
        layers = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    errors = []
    for model in (
        Ballistic(BETA, 1.0, law, seed=seed, tolerance=1e-3),
        ModifiedBallistic(BETA, 1.0, step, key_query=law, seed=seed, tolerance=1e-3),
    ):
        start = Cloud(x, SHARES, rtol=1e-4, tokens=True)
        end = start.transport(lambda source, m=model: depth * step * m.drift_field(source))  # type: ignore[misc]
        errors.append(float(np.abs(end.x - layers).max()))
    quantity, ratio = "error of the modified over the plain limit", errors[1] / errors[0]
    return Row(f"mean layer, d = {x.shape[1]}", quantity, 0.0, ratio, 0.3)


def pair_rows(quick: bool) -> Iterator[Row]:
    """-½(κ + k'(1)) of the noise of two tokens on the circle, F = m + h tanh(βh·z), with ``noise_lmax="auto"``."""
    x = np.array([[1, 0], [-0.3, np.sqrt(1 - 0.09)]])
    start = build(initial.points(x), "cloud", 31, 1e-6)
    middle, half = x.mean(0), (x[0] - x[1]) / 2
    z, dz = np.linspace(-9, 9, 200_001, retstep=True)
    weight, size = np.exp(-(z**2) / 2) * dz / np.sqrt(2 * np.pi), float(half @ half)
    for beta in (4.0,) if quick else (4.0, 20.0):
        t = np.tanh(beta * np.sqrt(size) * z)
        kappa = float(middle @ middle + size * np.sum(weight * t**2))
        slope = float(beta**2 * size**2 * np.sum(weight * (1 - t**2) ** 2))
        model = Homogenized(beta, "gaussian", value_std=1.0).prepared(start)
        spectrum = model.spectrum(start.source)
        kept = sum(float(terms.sum()) for terms in isotropic(2, int(model.noise_lmax)).end_terms(spectrum))
        exact = -0.5 * (kappa + slope)
        name = f"noise of two tokens on S¹, β = {beta:g}"
        yield Row(name, f"pair exponent, {model.noise_lmax} degrees", exact, -0.5 * kept, 0.01 * abs(exact))
        few = replace(model, noise_lmax=4 if beta < 10 else 16)
        known = float(isotropic(2, int(few.noise_lmax)).end_terms(few.spectrum(start.source))[1].sum())
        quantity = f"part of k'(1) that {few.noise_lmax} degrees lose, as stated"
        yield Row(name, quantity, 1 - known / slope, few.noise_loss(start).slope, 1e-3)
