"""
How many clusters at first
==========================

Self-attention at large β leaves the uniform law of the circle by the degree that grows fastest, and pauses at a
metastable state of as many clusters before these merge :cite:`metastable2024`: three at β = 5, four at β = 7. Here
all degrees start with amplitudes of one size, 1e-8, and random phases; time goes upwards, to where clusters form.

Asserted: when the clusters have formed, the density has as many peaks as the degree with the largest growth rate
n² I_n(β)/(β I_0(β)), and that degree grew at this rate to 1 %.
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import CMAP

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
BETAS, LMAX, STEPS = ((5.0, 7.0), 255, 240) if FULL else ((5.0, 7.0), 127, 100)
SIZE = 1e-8

# %%
# 1/2π + small waves of the same size and random phases.


def start(angles: np.ndarray, seed: int = 1) -> np.ndarray:
    """The density at these angles."""
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 8)
    waves = sum(np.cos(n * angles - phase) for n, phase in enumerate(phases, start=1))
    return (1 + SIZE * waves) / (2 * np.pi)


LAW = fp.initial.function(lambda x: start(np.arctan2(x[..., 1], x[..., 0])), d=2)


def peaks(row: np.ndarray) -> int:
    """Local maxima above the uniform density."""
    return int(np.sum((row > np.roll(row, 1)) & (row > np.roll(row, -1)) & (row > 1 / (2 * np.pi))))


# %%
# The runs, until the clusters have formed: the fastest degree has grown by log(1/SIZE)/rate.

figure = Figure(figsize=(6.4, 3.6), layout="constrained")
for axes, beta in zip(figure.subplots(1, 2), BETAS, strict=True):
    rates = fp.theory.uniform_growth_rate(np.arange(1, 9), beta, d=2)
    fastest = 1 + int(rates.argmax())
    formed = float(np.log(1 / SIZE) / rates.max())
    until = {"t_end": 1.05 * formed, "dt": 1.05 * formed / STEPS}
    ds = fp.solve(
        fp.models.SelfAttention(beta), LAW, **until, lmax=LMAX, rtol=1e-10, moments_lmax=8, save_density=True
    )
    moment = np.abs(ds.moments.values[:, (ds.degree == fastest) & (ds.order == fastest)][:, 0])
    early = ds.time.values < 0.5 * formed
    rate = np.polyfit(ds.time.values[early], np.log(moment[early]), 1)[0]
    rho = ds.density.squeeze().values
    image = axes.pcolormesh(ds.angle.values, ds.time.values, rho, cmap=CMAP, vmin=0, shading="nearest", rasterized=True)
    figure.colorbar(image, ax=axes, location="bottom", label="density  [1/rad]")
    axes.set(xlabel="angle [°]", ylabel="time", title=f"β = {beta:g}: {fastest} clusters", xticks=range(0, 361, 90))
    axes.set_ylim(0.75 * formed, 1.05 * formed)
    print(f"β = {beta:g}: {peaks(rho[-1])} peaks, fastest degree {fastest}, rate {rate:.4f}, exact {rates.max():.4f}")
    assert peaks(rho[-1]) == fastest
    assert abs(rate / rates.max() - 1) < 0.01
