"""
Aligned or split by sign
========================

With a symmetric matrix S as key-query and value matrix, tokens end at one end of an eigenvector, or split between its
two ends :cite:`spectral2026`; how often which, from random starts, depends on the spectrum :cite:`layernorm2025`. Here
S = diag(1, d₂), or diag(-1, d₂) for negative definite S, and four tokens start uniformly on the circle. Linear theory
(``SpectralSelection.rates``) tells which ends can be: an even split along e₁ until d₂ = tanh β, from there on only
aligned tokens; a split along e₂ where d₂ < 0 and d₂ tanh βd₂ > 1; and only splits where S is negative definite.

Asserted: every single end is one that linear theory finds stable; no pair of clusters is antipodal for d₂ > tanh β,
and all are for negative definite S. Bars are 95 % intervals of the share.
"""

import os

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import binomtest

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
RUNS, LAYERS = (400, 2000) if FULL else (60, 600)
VALUES = (-2.0, -1.5, -1.2, -0.8, -0.4, 0.0, 0.4, 0.6, 0.9) if FULL else (-2.0, -1.2, -0.4, 0.0, 0.4, 0.9)
BETA, TOKENS, STEP = 1.0, 4, 0.1

# %%
# Many runs at once, as layers x ← N(x + 0.1 S F(βSx)) of fixed weights: where the tokens of each end, as (eigenvector,
# share of the tokens at its positive end).


def ends(model: fp.models.SpectralSelection) -> list[tuple[int, float]]:
    """The ends of all runs."""
    chain = fp.transformer.RandomTransformer(
        n=TOKENS, d=2, heads=1, depth=LAYERS, step=STEP, beta=BETA, value=model.matrix, key_query=model.matrix
    )
    starts = np.array([fp.initial.samples(fp.initial.uniform(2), TOKENS, 1, member).x for member in range(RUNS)])
    along = chain.run_members(starts, RUNS, save_points=True).points.values[:, -1] @ model.eigenvectors.T
    modes = np.argmax(np.sum(along**2, axis=1), axis=1)
    heights = along[np.arange(RUNS), :, modes]
    assert (np.abs(heights) > 0.9).all()
    return list(zip(modes.tolist(), np.mean(heights > 0, axis=1).tolist(), strict=True))


# %%
# Shares of split ends by d₂.

figure = Figure(figsize=(5.6, 3.8), layout="constrained")
axes = figure.add_subplot(xlabel="second eigenvalue d₂", ylabel="share of antipodal ends", ylim=(-0.03, 1.03))
for first, colour, marker in ((1.0, COLOURS[0], "o"), (-1.0, COLOURS[1], "s")):
    for value in [value for value in VALUES if first > 0 or value < 0]:
        model = fp.models.SpectralSelection(BETA, np.diag([first, value]))
        found = ends(model)
        assert all(model.is_stable(mode, share) for mode, share in found)
        split = sum(0 < share < 1 for _, share in found)
        interval = binomtest(split, RUNS).proportion_ci()
        bar = [[split / RUNS - interval.low], [interval.high - split / RUNS]]
        label = f"S = diag({first:g}, d₂)" if value == VALUES[0] else None
        axes.errorbar(value, split / RUNS, bar, color=colour, fmt=marker, markersize=5, capsize=2, label=label)
        print(f"S = diag({first:g}, {value:g}): {split / RUNS:.0%} antipodal")
        assert first > 0 or split == RUNS
        assert value < np.tanh(BETA) or split == 0
axes.axvline(np.tanh(BETA), color="0.5", linewidth=0.8, linestyle="--")
axes.annotate("tanh β", (np.tanh(BETA), 0.9), (-4, 0), textcoords="offset points", ha="right", fontsize="small")
axes.legend(loc="lower left")
