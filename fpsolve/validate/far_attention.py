"""Concentrated laws under sharp attention: log densities against clouds, on one path, and against a closed form."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fpsolve.measures import initial
from fpsolve.measures.build import build
from fpsolve.models.homogenized import Homogenized
from fpsolve.noise import BrownianPath
from fpsolve.validate.measure import end
from fpsolve.validate.rows import Row

CASES = ((16.0, 4.0, 0.1, 1e-6), (20.0, 8.0, 0.2, 1e-6), (2.0, 4.0, 0.2, 1e-5))
"""κ, β, t, and what a log density of degree 31 may be off by; one of 63 by ``FINE``."""

DT, FINE, CLOUD = 0.02, 1e-8, 31
"""The cloud of this degree is right to a tenth of ``FINE``."""


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """log M of a von Mises-Fisher law opposite to it; means after some steps, log density against a converged cloud.

    On one path, whatever the seed: what a degree leaves out depends on it.
    """
    for kappa in (2.0, 20.0, 300.0):
        source = build(initial.von_mises_fisher([0.0, 0.6, 0.8], kappa), "log_density", 31, 1e-6).source
        for size in (40.0, 200.0):
            exact = log_sinhc(abs(kappa - size)) - log_sinhc(kappa)
            computed = float(source.log_M(-size * np.array([[0.0, 0.6, 0.8]]))[0])
            yield Row(f"vMF({kappa:g}), log density", f"log M opposite to it, |g| = {size:g}", exact, computed, 1e-8)
    for kappa, beta, t_end, allowed in CASES[:1] if quick else CASES:
        model, law = Homogenized(beta=beta, key_query="gaussian"), initial.von_mises_fisher([0.0, 0.0, 1.0], kappa)

        def mean(measure: str, lmax: int, model: Homogenized = model, law: initial.Law = law, t_end: float = t_end):  # type: ignore[no-untyped-def]
            return end(model, build(law, measure, lmax, 1e-8), t_end, DT, BrownianPath(0, cell=DT)).mean

        exact_mean = mean("cloud", CLOUD)
        for lmax, tolerance in ((31, allowed), (63, FINE)):
            off = float(np.abs(mean("log_density", lmax) - exact_mean).max())
            name = f"vMF({kappa:g}), gaussian A, β = {beta:g}"
            yield Row(name, f"mean at t = {t_end:g} off a cloud's, log density {lmax}", 0.0, off, tolerance)


def log_sinhc(r: float) -> float:
    """log(sinh r / r)."""
    return float(r + np.log1p(-np.exp(-2 * r)) - np.log(2 * r))
