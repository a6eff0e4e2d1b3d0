"""
Where clustering is mitigated
=============================

How long the tokens of a random transformer take to cluster, by inverse temperature β, number of tokens n and dimension
d :cite:`homogenized2026`. n orthogonal tokens keep, for large d, one overlap γ with γ̇ = ``fp.theory.simplex_drift``: a
large β and many tokens delay clustering, and a small d does; none prevents it. The map has the time from γ = 0 to 0.9
for d → ∞, in η²L/H. Beside it, for n = 8, the equation in d dimensions and the medians (bars: quartiles) of finite
transformers, ``fp.scaling``, which have the fluctuations of order 1/d too.

Asserted: at β = 0 the map has log(9n + 1), its closed form, to 1e-6, and grows with β and n; in the largest d the
medians are those of the equation to 10 %, the finite step of the layers included.
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import CMAP, COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
BETAS, NUMBERS = (np.linspace(0, 8, 17), 2 ** np.arange(2, 9)) if FULL else (np.linspace(0, 8, 5), 4 ** np.arange(1, 4))
DIMENSIONS, MEMBERS = ((8, 16, 32, 64, 128, 256), 100) if FULL else ((8, 128), 24)
STEP, LAYERS, N = 0.25, 300, 8

# %%
# ∫ dγ/γ̇ from 0 to 0.9 by Gauss quadrature in u = log((γ + 1/n)/(1 - γ)); d = 10⁹ stands for d → ∞.

nodes, rule = np.polynomial.legendre.leggauss(24)


def duration(beta: float, n: int, d: int = 10**9) -> float:
    """The time from γ = 0 to 0.9."""
    length = np.log(9 * n + 10)
    e = np.exp(length * (nodes + 1) / 2) / n
    gamma, slope = (e - 1 / n) / (1 + e), e * (1 + 1 / n) / (1 + e) ** 2
    f, g = fp.theory.simplex_shares(gamma, beta, n, key_query="gaussian")
    return float(length / 2 * rule @ (slope / fp.theory.simplex_drift(gamma, f, g, d)))


times = np.array([[duration(beta, int(n)) for beta in BETAS] for n in NUMBERS])
print(f"β = 0: off the closed form by {np.abs(times[:, 0] - np.log(9 * NUMBERS + 1)).max():.1e}")
assert np.abs(times[:, 0] - np.log(9 * NUMBERS + 1)).max() < 1e-6
assert (np.diff(times, axis=0) > 0).all() and (np.diff(times, axis=1) > 0).all()

figure = Figure(figsize=(7.2, 3.6), layout="constrained")
left, right = figure.subplots(1, 2)
image = left.pcolormesh(BETAS, NUMBERS, times, cmap=CMAP, shading="gouraud")
contours = left.contour(BETAS, NUMBERS, times, colors="white", linewidths=0.8)
left.clabel(contours, fontsize="small")
left.set(xlabel="inverse temperature β", ylabel="tokens n", yscale="log", title="time to overlap 0.9, d → ∞")
left.set_yticks(NUMBERS, [str(n) for n in NUMBERS])
left.minorticks_off()
figure.colorbar(image, ax=left, label="time η²L/H")

# %%
# Finite d: the equation, and transformers with orthogonal tokens.

for beta, colour, marker in ((1.0, COLOURS[0], "o"), (6.0, COLOURS[1], "s")):
    law = fp.transformer.HeadLaw(beta=beta, key_query="gaussian", value="gaussian")
    exact = np.array([duration(beta, N, d) for d in DIMENSIONS])
    runs = [fp.scaling(N, d, 1, LAYERS, STEP, law, np.eye(d)[:N], members=MEMBERS).collapse for d in DIMENSIONS]
    layers = np.array([run.first_layers for run in runs])
    low, median, high = STEP**2 * np.quantile(layers, [0.25, 0.5, 0.75], axis=1)
    right.plot(DIMENSIONS, exact, color=colour)
    right.errorbar(DIMENSIONS, median, [median - low, high - median], color=colour, fmt=marker, ms=5, capsize=2)
    right.plot([], [], marker + "-", color=colour, label=f"β = {beta:g}")
    print(f"β = {beta:g}: median over equation {np.round(median / exact, 3)} in d = {DIMENSIONS}")
    assert abs(median[-1] / exact[-1] - 1) < 0.1
right.set(xlabel="dimension d", ylabel="time η²L/H", xscale="log", ylim=(0, None), title=f"n = {N}")
right.set_xticks(DIMENSIONS, [str(d) for d in DIMENSIONS])
right.minorticks_off()
right.legend(title="equation (lines),\ntransformers (points)", fontsize="small", loc="lower left")
