"""Moments of weighted points of S² by way of a grid on the torus: the adjoint of reading a table (torus.py).

Each point gives its weight to the 16² nodes around its angles; the Fourier transform of the nodes, over that of the
window, is Σ_i w_i e^{-i(kθ_i + mφ_i)}, and the moments are sums of it over k (:func:`waves.moments_of_waves`). Against
sums term by term, whose cost goes with the square of the degree, it costs about as much as degree 20.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import fft, rfft

from fpsolve._kernels import _sweep
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.sphere.torus import even_length, window
from fpsolve.sphere.waves import moments_of_waves

WIDTH, OVER = 16, 2.0
"""Nodes around a point, and n/2L: errors of waves below 1e-14."""


def moments(degree: int, x: Real, weights: Real) -> Coefficients:
    """Σ_i w_i Y*_ℓm(x_i) of points (n, 3), taken as directions, with weights (n,), up to ``degree``."""
    n, before = even_length(max(int(2 * OVER * degree), 2 * WIDTH)), WIDTH // 2 - 1
    pieces, factors, _ = window(WIDTH, OVER, n)
    nodes = np.zeros((n // 2 + WIDTH, n + WIDTH))
    _sweep.deposit(n, pieces, x, weights, nodes)
    around = nodes[:, before : before + n].copy()
    around[:, n - before :] += nodes[:, :before]
    around[:, : WIDTH - before] += nodes[:, before + n :]
    circles = np.zeros((degree + 1, n), complex)
    circles[:, np.arange(-before, len(nodes) - before) % n] = rfft(around, axis=1)[:, : degree + 1].T
    sums = fft(circles, axis=1, overwrite_x=True)
    waves = np.concatenate([sums[:, n - degree :], sums[:, : degree + 1]], axis=1)
    waves *= factors[: degree + 1, None] * factors[np.abs(np.arange(-degree, degree + 1))]
    return moments_of_waves(waves)
