"""
Two tokens under value noise
============================

Random heads V m(x) with iid entries of V move two tokens by common noise alone. In the limit of many layers their
overlap q = ⟨x,y⟩ is a diffusion on [-1, 1] :cite:`homogenized2026`; ``fp.theory.value_noise_overlap`` gives its drift
and variance, and E q(t) by the backward equation. The points are means over finite random transformers (one head,
step η, time η²L), the bars four standard errors. A pair ends antipodal or together by chance, so that the mean stays
in between.

Asserted: every mean, and the mean over the four starts, lies within four standard errors and the weak error of the
layers, η²/4, of E q(t).
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
MEMBERS, STEP = (100_000, 0.1) if FULL else (8_000, 0.2)
BETA, D, T_END = 1.0, 3, 4.0
STARTS = (-0.8, -0.3, 0.3, 0.8)

# %%
# The transformers, members of their own for each start.


def simulated(start: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean of q over the members and its standard error at 11 times; two tokens have |∫x dμ|² = (1+q)/2."""
    chain = fp.transformer.RandomTransformer(
        n=2, d=D, heads=1, depth=round(T_END / STEP**2), step=STEP, beta=BETA, value_std=1.0, seed=seed
    )
    ds = chain.run_members(fp.initial.simplex(2, start, D), MEMBERS, save_every=chain.depth // 10)
    q = 2 * ds.overlap.values - 1
    return q.mean(0), q.std(0, ddof=1) / np.sqrt(MEMBERS)


# %%
# Theory: E q(t) from the backward equation, shape (times, starts).

times = np.linspace(0, T_END, 21)
diffusion = fp.theory.value_noise_overlap(BETA, D, value_std=1.0)
exact = np.array([diffusion.expect(lambda q: q, STARTS, t) for t in times])

# %%
# Means against theory.

figure = Figure(figsize=(5.6, 3.8), layout="constrained")
axes = figure.add_subplot(xlabel="time η²L", ylabel="mean overlap E⟨x,y⟩", ylim=(-1, 1))
off, errors = [], []
for n, (start, marker) in enumerate(zip(STARTS, "osD^", strict=True)):
    colour = COLOURS[n]
    mean, error = simulated(start, seed=n)
    axes.plot(times, exact[:, n], color=colour, label=f"q₀ = {start:g}")
    axes.errorbar(times[::2], mean, 4 * error, color=colour, fmt=marker, markersize=4, capsize=2)
    off.append(mean - exact[::2, n])
    errors.append(error)
axes.legend(title="theory (lines), transformers (points)", ncols=2, fontsize="small")
off, errors = np.array(off), np.array(errors)
print(f"largest distance of a mean from theory: {np.abs(off).max():.4f} ({MEMBERS} members, η = {STEP})")
assert (np.abs(off) <= 4 * errors + STEP**2 / 4).all()
assert (np.abs(off.mean(0)) <= np.sqrt((errors**2).mean(0)) * 2 + STEP**2 / 4).all()  # four deviations of four starts
