"""
Collapse under common noise
===========================

Random attention heads move all tokens by one noise. Given that noise, the law of a token is a random density on S²,
which gathers in one place :cite:`homogenized2026`. Tokens that are drawn from the start and see the same Brownian path
lie in the density, and their mean approaches its mean as N^{-1/2}.

Asserted: at every time the mean of N tokens is that of the density to three standard deviations of the mean of iid
draws, √((1-m²)/N), m the length of its mean; and a quadrature cloud of the start, on the same path, has the mean of the
density to 1e-5.
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import CMAP, COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
TOKENS, LMAX, T_END, DT = (2000, 95, 1.4, 0.05) if FULL else (300, 63, 1.0, 0.05)
MODEL = fp.models.Homogenized(beta=3.0, key_query="gaussian")
LAW = fp.initial.von_mises_fisher([0, 0.6, 0.8], 2.0)
COMMON = {"t_end": T_END, "dt": DT, "path_cell": DT, "seed": 2}

# %%
# The density by its logarithm, a quadrature cloud and tokens, on one path.

density = fp.solve(MODEL, LAW, measure="log_density", lmax=LMAX, save_density=True, **COMMON)
cloud = fp.solve(MODEL, LAW, measure="cloud", lmax=31, **COMMON)
tokens = fp.solve(MODEL, fp.initial.samples(LAW, TOKENS, seed=1), measure="cloud", save_points=True, **COMMON)

apart = np.linalg.norm(tokens.mean_vector.values - density.mean_vector.values, axis=1)
allowed = 3 * np.sqrt((1 - density.overlap.values) / TOKENS)
by_cloud = np.abs(cloud.mean_vector.values - density.mean_vector.values).max()
print(f"tokens: {(apart / allowed).max():.2f} of what is allowed; quadrature cloud: {by_cloud:.1e}")
assert (apart <= allowed).all()
assert by_cloud < 1e-5

# %%
# Density and tokens at three times, and how far the mean has come.

figure = Figure(figsize=(7.2, 5.0), layout="constrained")
grid = figure.add_gridspec(2, 3)
some = slice(None, None, max(1, TOKENS // 300))
for column, index in enumerate((0, density.sizes["time"] // 2, -1)):
    axes = figure.add_subplot(grid[0, column], xlabel="longitude [°]", ylabel="latitude [°]")
    rho = density.density.values[index]
    image = axes.pcolormesh(density.lon, density.lat, rho, cmap=CMAP, vmin=0, shading="nearest", rasterized=True)
    x, y, z = tokens.points.values[index][some].T
    east, north = np.rad2deg(np.arctan2(y, x)) % 360, np.rad2deg(np.arcsin(z))
    axes.plot(east, north, ".", color="white", markersize=3, markeredgecolor="black", markeredgewidth=0.3)
    axes.set(title=f"t = {density.time.values[index]:.1f}", xticks=(0, 180, 360), xlim=(0, 360), yticks=(-90, 0, 90))
    figure.colorbar(image, ax=axes, location="bottom", label="density [1/sr]")
axes = figure.add_subplot(grid[1, :], xlabel="time", ylabel="|∫ x dμ|", ylim=(0, 1))
length = np.sqrt(density.overlap.values)
axes.fill_between(density.time, length - allowed, length + allowed, color=COLOURS[0], alpha=0.2, linewidth=0)
axes.plot(density.time, length, color=COLOURS[0], label="density, and three deviations of iid draws")
axes.plot(tokens.time, np.sqrt(tokens.overlap.values), "o", color=COLOURS[1], ms=4, label=f"{TOKENS} tokens, same path")
axes.legend()
