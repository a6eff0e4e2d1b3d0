"""
Continuous or not: branches of the noisy transformer
====================================================

With each token's own noise ν the uniform law is stable above a threshold, ν_c = λ_1(β)/β for attention without
denominators. The branch of ordered states that leaves it there bends to smaller ν where β is below β_*(d), with
I_{d/2+1}(β_*)/I_{d/2}(β_*) = 1/d, and to larger ν, unstable at first, above :cite:`phasetransitions2026`: the
transition is continuous or discontinuous. Shown are states about an axis in d = 2, 3 and 8, below and above β_*.

Asserted: the branches bend as ν/ν_c = 1 - κa² + …, a the amplitude, κ = (d - (d-1)/(1-r))/(d+2),
r = I_{d/2+1}(β)/I_{d/2}(β), to 1 %; and only those above β_* go through a fold.
"""

import os

import numpy as np
from matplotlib.figure import Figure
from scipy.special import ive

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
DIMENSIONS, LMAX, STEP = ((2, 3, 8), 63, 0.1) if FULL else ((2, 3, 8), 31, 0.3)
SETTINGS = {"measure": "zonal", "solver": "numpy"}

# %%
# The branch from a small amplitude on, through folds.


def branch(beta: float, d: int):
    """(ν/ν_c, |∫ x dμ|, unstable modes, folds, κ measured) along the branch."""
    threshold = float(fp.theory.critical_diffusion(beta, d))
    model = fp.models.NoisyTransformer(beta, threshold)
    first = fp.stationary.branch_off(model, 1, amplitude=0.02, lmax=LMAX, d=d, **SETTINGS)
    ds = fp.stationary.continuation(first.model, first, to=0.93 * threshold, step=STEP, max_points=60, **SETTINGS)
    bend = (1 - first.model.diffusion / threshold) / 0.02**2
    folds = int((ds.event.values == "fold").sum())
    return ds.diffusion.values / threshold, ds.order_parameter.values, ds.unstable.values, folds, bend


# %%
# Stable parts solid, unstable ones dotted; black: the uniform law.

figure = Figure(figsize=(6.8, 3.4), layout="constrained")
for axes, d in zip(figure.subplots(1, len(DIMENSIONS), sharey=True), DIMENSIONS, strict=True):
    star = float(fp.theory.transition_beta(d))
    for factor, colour in ((0.6, COLOURS[0]), (1.2, COLOURS[1])):
        beta = factor * star
        r = ive(d / 2 + 1, beta) / ive(d / 2, beta)
        kappa = (d - (d - 1) / (1 - r)) / (d + 2)
        nu, mean, unstable, folds, bend = branch(beta, d)
        print(f"d = {d}, β = {beta:.3f}: bend {bend:.5f}, exact {kappa:.5f}, folds {folds}")
        axes.plot(nu, np.where(unstable > 0, np.nan, mean), color=colour, label=f"β = {beta:.2f}")
        axes.plot(nu, np.where(unstable > 0, mean, np.nan), ":", color=colour)
        assert abs(bend / kappa - 1) < 0.01
        assert folds == (factor > 1)
    axes.plot([1.0, 1.03], [0, 0], "k", [0.92, 1.0], [0, 0], "k:", clip_on=False)
    axes.set(xlabel=r"$\nu/\nu_c$", ylabel="|∫ x dμ|", title=rf"$d = {d},\ \beta_* = {star:.2f}$")
    axes.set(xlim=(0.92, 1.03), ylim=(0, 1))
    axes.legend(fontsize="small", loc="lower left")
