"""Symmetric key-query-value matrices: rates at which perturbed aligned and sign-split states grow or decay."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fpsolve.measures.cloud import Cloud
from fpsolve.models.spectral_selection import SpectralSelection
from fpsolve.sphere.harmonics import Real
from fpsolve.validate.measure import end, tokens, unit
from fpsolve.validate.rows import Row

BETA, TOKENS, SIZE = 1.2, 8, 1e-7

STATES = (
    ("aligned, dominant", (-0.5, 0.4, 0.7, 1.0), 3, 8),
    ("aligned, not dominant", (-0.5, 0.4, 0.7, 1.0), 2, 8),
    ("split evenly, most negative", (-1.0, -0.6, -0.3, -0.2), 0, 4),
    ("split unevenly, 1.10 < 2β|λ|", (-1.0, -0.6, -0.3, -0.2), 0, 2),
    ("split unevenly, 1.10 > 2β|λ|", (-0.4, -0.2, -0.1, -0.1), 0, 2),
    ("split evenly, λ_k > |λ| tanh β|λ|", (-1.0, -0.6, 0.3, 0.9), 0, 4),
    ("split evenly, λ_k < |λ| tanh β|λ|", (-1.0, -0.6, 0.3, 0.8), 0, 4),
)
"""What it is, the eigenvalues, the mode of the axis ±v, and how many of the eight tokens are at +v."""


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """The leading rate of each state, in a run from a small perturbation, against the linear theory.

    The last half of a run is fitted, when slower modes have gone: they leave about e^{-gap·t}; a second rate within
    0.1 of the first is left out of the catalogue.
    """
    for name, eigenvalues, mode, plus in STATES[:4] if quick else STATES:
        model = SpectralSelection(BETA, rotated(eigenvalues))
        exact = float(model.rates(mode, plus / TOKENS)[-1])
        yield Row("spectral selection, d = 4", f"rate, {name}", exact, measured(model, mode, plus, exact), 2e-3)


def measured(model: SpectralSelection, mode: int, plus: int, guess: float) -> float:
    """Exponential rate of the distance from the axis: amplitude e^{±8} at most, linear throughout."""
    signs = np.where(np.arange(TOKENS) < plus, 1.0, -1.0)
    start, half = perturbed(model, mode, signs), 4 / max(abs(guess), 0.1)
    middle = end(model, start, half, half)
    last = end(model, middle, half, half)
    return float(np.log(off_axis(model, mode, last) / off_axis(model, mode, middle)) / half)


def perturbed(model: SpectralSelection, mode: int, signs: Real) -> Cloud:
    """Tokens at ±v with a perturbation of SIZE off the axis."""
    v = model.eigenvectors[mode]
    u = SIZE * np.random.default_rng(6).normal(size=(len(signs), len(v)))
    return tokens(unit(signs[:, None] * v + u - (u @ v)[:, None] * v), rtol=1e-12)


def off_axis(model: SpectralSelection, mode: int, cloud: Cloud) -> float:
    """Distance from the axis, root mean square."""
    return float(np.linalg.norm(cloud.x @ np.delete(model.eigenvectors, mode, axis=0).T))


def rotated(eigenvalues: tuple[float, ...]) -> Real:
    """A symmetric matrix of these eigenvalues in a general frame."""
    q = np.linalg.qr(np.random.default_rng(4).normal(size=(len(eigenvalues),) * 2))[0]
    return np.asarray(q @ np.diag(eigenvalues) @ q.T)
