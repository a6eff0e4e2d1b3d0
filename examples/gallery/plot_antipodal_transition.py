"""
Together or antipodal
=====================

Two tokens under value noise, V of iid entries drawn anew in every layer, end together or antipodal by chance. An
antipodal pair attracts if and only if cosh 2β > d - 2 :cite:`deepstochastic2026`: on S² at every β, in d = 8 only
above β = 1.24, where the probability sets in. The lines are the scale function of the overlap's diffusion
(``fp.theory.antipodal_probability``), the points shares of finite random transformers (one head, step η, time η²L)
whose pair has a negative overlap after the last layer, the bars four standard errors.

Asserted: each share lies within four standard errors, the weak error η²/4 of the layers and the share 0.01 of pairs
still undecided of the probability; below the transition the probability is zero.
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
MEMBERS, STEP = (2_000, 0.2) if FULL else (1_000, 0.25)
CASES = ((3, 16.0), (5, 32.0), (8, 16.0)) if FULL else ((3, 12.0), (8, 12.0))
BETAS = (0.75, 1.0, 2.0, 3.0) if FULL else (0.75, 1.0, 3.0)
OVERLAP = -0.6

# %%
# Two tokens through the layers of many transformers.


def share(beta: float, d: int, time: float) -> float:
    """The share of transformers after which the two tokens are nearly antipodal."""
    chain = fp.transformer.RandomTransformer(
        n=2, d=d, heads=1, depth=round(time / STEP**2), step=STEP, beta=beta, value_std=1.0, seed=d
    )
    ds = chain.run_members(fp.initial.simplex(2, OVERLAP, d), MEMBERS, save_every=chain.depth)
    return float(np.mean(2 * ds.overlap.values[:, -1] - 1 < 0))  # two tokens have |∫ x dμ|² = (1+q)/2


# %%
# Shares against the probability.

figure = Figure(figsize=(5.6, 3.8), layout="constrained")
axes = figure.add_subplot(xlabel="inverse temperature β", ylabel="probability of an antipodal end", ylim=(-0.03, 1))
fine = np.linspace(0, 3.2, 129)
for (d, time), colour, marker in zip(CASES, COLOURS, "osD", strict=False):
    axes.plot(fine, fp.theory.antipodal_probability(fine, OVERLAP, d), color=colour, label=f"d = {d}")
    exact = fp.theory.antipodal_probability(BETAS, OVERLAP, d)
    shares = np.array([share(beta, d, time) for beta in BETAS])
    error = np.sqrt(exact * (1 - exact) / MEMBERS)
    axes.errorbar(BETAS, shares, 4 * error, color=colour, fmt=marker, markersize=5, capsize=2)
    print(f"d = {d}: largest distance of a share from the probability {np.abs(shares - exact).max():.4f}")
    assert (np.abs(shares - exact) <= 4 * error + STEP**2 / 4 + 0.01).all()
    assert (exact[~fp.theory.antipodal_attracts(BETAS, d)] == 0).all()
axes.axvline(np.arccosh(6) / 2, color="0.5", linewidth=0.8, linestyle=":")
axes.annotate("cosh 2β = d - 2, d = 8", (np.arccosh(6) / 2, 0.9), (4, 0), textcoords="offset points", fontsize="small")
axes.set_title(f"pairs of overlap {OVERLAP:g}: theory (lines), transformers (points)", fontsize="medium")
axes.legend(loc="upper left")
