"""
Two tokens under value noise
============================

Random heads V m(x) with iid entries of V move two tokens by common noise alone. In the limit of many layers their
overlap q = ⟨x,y⟩ is a diffusion on [-1, 1] :cite:`homogenized2026`; ``fp.theory.value_noise_overlap`` gives its drift
and variance, and E q(t) by the backward equation. The points are means over finite random transformers (one head,
step η, time η²L; the same members for all starts), the bars four standard errors. A pair ends antipodal or together
by chance, so that the mean stays in between.

Asserted: every mean lies within four standard errors and the weak error of the layers, O(η²), of E q(t).
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
MEMBERS, STEP = (40_000, 0.1) if FULL else (2_000, 0.2)
BETA, D, T_END = 1.0, 3, 4.0
STARTS = (-0.8, -0.3, 0.3, 0.8)

# %%
# The same members for all starts: a pair at overlap q₀, then L = T/η² layers.


def simulated(start: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, mean of q over the members and its standard error, shape (times,); two tokens have |∫x dμ|² = (1+q)/2."""
    chain = fp.transformer.RandomTransformer(
        n=2, d=D, heads=1, depth=round(T_END / STEP**2), step=STEP, beta=BETA, value_std=1.0, seed=1
    )
    every = chain.depth // 10
    ds = chain.run_members(fp.initial.simplex(2, start, D), MEMBERS, save_every=every)
    q = 2 * ds.overlap.values - 1
    return np.arange(q.shape[1]) * every * STEP**2, q.mean(0), q.std(0, ddof=1) / np.sqrt(MEMBERS)


def exact(start: float, times: np.ndarray) -> np.ndarray:
    """E q(t) from the backward equation."""
    diffusion = fp.theory.value_noise_overlap(BETA, D, value_std=1.0)
    return np.array([float(diffusion.expect(lambda q: q, start, t)) if t else start for t in times])


# %%
# Means against theory.

figure = Figure(figsize=(5.6, 3.8), layout="constrained")
axes = figure.add_subplot(xlabel="time η²L", ylabel="mean overlap E⟨x,y⟩", ylim=(-1, 1))
fine = np.linspace(0, T_END, 41)
worst = 0.0
for start, colour, marker in zip(STARTS, ("#0072B2", "#D55E00", "#009E73", "#CC79A7"), "osD^", strict=True):
    times, mean, error = simulated(start)
    axes.plot(fine, exact(start, fine), color=colour, label=f"q₀ = {start:g}")
    axes.errorbar(times, mean, 4 * error, color=colour, fmt=marker, markersize=4, capsize=2)
    off = np.abs(mean - exact(start, times))
    worst = max(worst, off.max())
    assert (off <= 4 * error + 0.5 * STEP**2).all(), (start, off, error)
axes.legend(title="theory (lines), transformers (points)", ncols=2, fontsize="small")
print(f"largest distance of a mean from theory: {worst:.4f} ({MEMBERS} members, η = {STEP})")
