"""
A noise level that depends on the configuration
===============================================

Random heads move a token at x by noise of the strength κ(x) = σ_V²|m(x)|², m attention's output at x. It is small where
tokens are spread out and σ_V² when they have gathered: the level depends on the configuration, a remark that
:cite:`homogenized2026` leaves open. Here it is measured in finite random transformers. In the limit of many layers
E dx = -½(d-1) κ(x) x dt, so that the mean over the transformers of x(t) + ½(d-1) ∫κ(x) x ds stays x(0): the decay of
the mean measures the level.

Asserted: that mean is the start to four standard errors and the weak error of the layers, η²/2, at all times; with the
level frozen at its first value, x(0) e^{-½(d-1)κ(x(0))t}, the mean is missed by more than that.
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
MEMBERS, STEP = (8_000, 0.15) if FULL else (5_000, 0.2)
BETA, D, TOKENS, T_END = 0.5, 3, 12, 2.0
START = fp.initial.samples(fp.initial.von_mises_fisher([0, 0, 1], 1.0), TOKENS, seed=0)

# %%
# All layers of all transformers, and the level κ(x) of each token in each.

chain = fp.transformer.RandomTransformer(
    n=TOKENS, d=D, heads=1, depth=round(T_END / STEP**2), step=STEP, beta=BETA, value_std=1.0, seed=3
)
x = chain.run_members(START, MEMBERS, save_every=1, save_points=True).points.values
times = STEP**2 * np.arange(chain.depth + 1)
kappa = np.empty(x.shape[:-1])  # member, layer, token
for member, tokens in enumerate(x):
    weights = np.exp(BETA * tokens @ tokens.swapaxes(1, 2))
    outputs = weights @ tokens / weights.sum(-1, keepdims=True)
    kappa[member] = np.sum(outputs**2, axis=-1)

# %%
# Heights x₃, averaged over the tokens: their mean, what the measured level says of it, and what a frozen one does.

height = x[..., 2].mean(-1)
drift = 0.5 * (D - 1) * (kappa * x[..., 2]).mean(-1) * STEP**2
lost = np.concatenate([np.zeros((MEMBERS, 1)), np.cumsum(drift[:, :-1], axis=1)], axis=1)
derived = height[0, 0] - lost.mean(0)
error = (height + lost).std(0, ddof=1) / np.sqrt(MEMBERS)
frozen = (x[0, 0, :, 2, None] * np.exp(-0.5 * (D - 1) * kappa[0, 0, :, None] * times)).mean(0)
off, missed = np.abs(height.mean(0) - derived), np.abs(height.mean(0) - frozen)
print(f"level from {kappa[:, 0].mean():.3f} to {kappa[:, -1].mean():.3f}")
print(f"mean height off by {off.max():.4f}, with a frozen level by {missed.max():.4f}; error {4 * error.max():.4f}")
assert (off <= 4 * error + STEP**2 / 2).all()
assert (missed > 4 * error + STEP**2 / 2).any()

figure = Figure(figsize=(6.8, 3.4), layout="constrained")
left, right = figure.subplots(1, 2)
level = kappa.mean(-1)
left.plot(times, level.mean(0), color=COLOURS[0], label="mean")
spread = np.quantile(level, [0.25, 0.75], axis=0)
left.fill_between(times, *spread, color=COLOURS[0], alpha=0.2, linewidth=0, label="quartiles")
left.axhline(1, color="0.5", linewidth=0.8, linestyle="--")
left.set(xlabel="time η²L", ylabel=r"noise level $\kappa/\sigma_V^2$", ylim=(0, 1.05), title="level of the noise")
left.legend(fontsize="small", loc="lower right")
some = slice(None, None, chain.depth // 12)
mean = height.mean(0)
right.errorbar(times[some], mean[some], 4 * error[some], color=COLOURS[1], fmt="o", ms=4, label="transformers")
right.plot(times, derived, color=COLOURS[0], label="by the measured level")
right.plot(times, frozen, color="0.4", linestyle="--", label="by the first level")
right.set(xlabel="time η²L", ylabel="mean height", ylim=(0, None), title="decay of the mean")
right.legend(fontsize="small")
