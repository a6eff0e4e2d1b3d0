"""
A staircase of energies
=======================

Tokens on the circle at large β gather in clusters at once; neighbouring clusters then meet after times that are
exponentially long in β, and in between the energy E = (1/2β)∬e^{β⟨x,y⟩} rests :cite:`dynamic2024`: on each step
2βE e^{-β} is Σ m², summed over the clusters' masses. Pairs of clusters start around the circle, all of one mass and at
angles that grow from pair to pair. Two clusters of equal mass, alone, are two equiangular tokens, and
``fp.theory.equiangular_time`` has the time in which they meet; it grows as e^{β(1 - cos θ)}.

Asserted: each pair halves its angle at the derived time, to 1.5 %; from the first meeting on the
steps are the sums of squares, to 1e-3.
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
TOKENS, DECADES = (5, 4) if FULL else (3, 3)
BETA, ANGLES = 200.0, np.array([0.2, 0.26, 0.3, 0.352])[:DECADES]

# %%
# Clusters of tokens, followed through decades of time: each run starts where the last one ended.

middles = 2 * np.pi * (np.arange(DECADES) + 0.5) / DECADES
places = middles[:, None, None] + ANGLES[:, None, None] * np.array([-0.5, 0.5])[:, None]
angles = (places + np.linspace(-0.004, 0.004, TOKENS)).ravel()
x, times, energies, states = np.stack([np.cos(angles), np.sin(angles)], -1), [0.0], [], []
for decade in 10.0 ** np.arange(DECADES):
    ds = fp.solve(
        fp.models.SelfAttention(BETA), fp.initial.points(x), t_end=9 * decade, dt="auto", save_every=0.1 * decade,
        measure="cloud", save_points=True,
    )  # fmt: skip
    times = [*times[:-1], *(times[-1] + ds.time.values)]
    energies, states = [*energies[:-1], *ds.log_energy.values], [*states[:-1], *ds.points.values]
    x = states[-1]
times, states = np.array(times), np.array(states)
steps = 2 * BETA * np.exp(np.array(energies) - BETA)

# %%
# When the two clusters of a pair have halved their angle, and when they should.

pairs = states.reshape(len(times), DECADES, 2, TOKENS, 2).mean(axis=3)
overlap = np.sum(pairs[:, :, 0] * pairs[:, :, 1], -1) / np.linalg.norm(pairs, axis=-1).prod(-1)
halved = np.array([np.interp(np.cos(angle / 2), q, times) for angle, q in zip(ANGLES, overlap.T, strict=True)])
derived = fp.theory.equiangular_time(np.cos(ANGLES), np.cos(ANGLES / 2), BETA, 2)
print("halved at", halved.round(2), "derived", derived.round(2))
assert np.abs(halved / derived - 1).max() < 0.015

figure = Figure(figsize=(5.6, 4.6), layout="constrained")
top, bottom = figure.subplots(2, 1, sharex=True)
for n, colour in zip(range(DECADES), COLOURS, strict=False):
    top.plot(times[1:], np.rad2deg(np.arccos(np.minimum(overlap[1:, n], 1))), color=colour, linewidth=1.4)
    bottom.axvline(derived[n], color=colour, linewidth=1, linestyle="--")
bottom.plot(times[1:], steps[1:], color="black", linewidth=1.4)
for n in range(DECADES + 1):
    resting = times[-1] if n == DECADES else 0.3 * derived[n]
    height = (DECADES + n) / (2 * DECADES**2)  # n clusters of mass 1/P, 2(P-n) of half of it
    bottom.axhline(height, color="0.6", linewidth=0.8, zorder=0)
    step = float(np.interp(resting, times, steps))
    print(f"step {n}: {step:.5f}, derived {height:.5f}")
    assert n == 0 or abs(step - height) < 1e-3
top.set(xlabel="time", ylabel="angle of a pair [°]", title=f"{DECADES} pairs of clusters, β = {BETA:g}")
bottom.set(xlabel="time", ylabel=r"$2\beta E\,e^{-\beta}$", xscale="log")
bottom.set_title("energy; dashed: derived times, grey: Σ m²")
