"""
The logistic regime: one, three halves or two
=============================================

Two tokens in the noise of a uniform mean field, at low temperature and in large d :cite:`homogenized2026`: in units
of t/d their overlap follows du = -k u(1-u²) dt + √2 (1-u²) dB. The noise has the kernel E cos∠(Ax, Ay), which is
q(1 - c(1-q²)/d + …) for q = ⟨x,y⟩, and as the drift multiplies the correction by d, k = 1 + c: 1 for linear layers,
3/2 for one Gaussian matrix A, 2 for a product WW'ᵀ. For k < 2 a pair ends aligned with the probability
I_{(1+u)/2}(1-k/2, 1-k/2), a regularised incomplete beta function; only k = 1 gives the arcsine law. Points: k from
sampled matrices, and ``fp.theory.hitting_probability`` for the kernel of one Gaussian A with the c that was sampled.

Asserted: k tends to 3/2 and 2, to four standard errors and 3/d; the probability for one Gaussian A is its law to 1/d,
and not the arcsine law.
"""

import os

import numpy as np
from matplotlib.figure import Figure
from scipy.special import betainc

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
DIMENSIONS, DRAWS = ((16, 32, 64, 128, 256), 400) if FULL else ((16, 64), 200)
OVERLAPS = np.array([0.3, 0.6])

# %%
# k of one matrix: x are the axes, y = q x ± √(1-q²) x', x' the next axis. From cos∠(Ax, Ay) the same form of Ax and
# Ay themselves is taken away, whose mean is zero and which has most of the fluctuations.


def sampled(a: np.ndarray) -> float:
    """k from all pairs."""
    d, found = len(a), []
    for q in OVERLAPS:
        for sign in (1, -1):
            x, y = a, q * a + sign * np.sqrt(1 - q**2) * np.roll(a, 1, axis=1)
            xx, xy, yy = np.sum(x * x, 0), np.sum(x * y, 0), np.sum(y * y, 0)
            excess = np.mean(xy / np.sqrt(xx * yy) - q - (xy - q * (xx + yy) / 2) / (a**2).sum(0).mean())
            found.append(1 - (d - 2 + q**2) * excess / (q * (1 - q**2)))
    return float(np.mean(found))


def matrices(product: bool, d: int):
    """The sampled matrices A, or WW'ᵀ."""
    rng = np.random.default_rng(d)
    for _ in range(DRAWS):
        a = rng.normal(size=(d, d))
        yield a @ rng.normal(size=(d, d)) if product else a


figure = Figure(figsize=(7.2, 3.6), layout="constrained")
left, right = figure.subplots(1, 2)
correction: dict[str, float] = {}
left.axhline(1.0, color=COLOURS[0], label="linear layers")
for product, exact, name, colour, marker in (
    (False, 1.5, "one Gaussian A", COLOURS[1], "s"),
    (True, 2.0, "A = WW'ᵀ", COLOURS[2], "D"),
):
    draws = np.array([[sampled(a) for a in matrices(product, d)] for d in DIMENSIONS])
    k, error = draws.mean(1), draws.std(1, ddof=1) / np.sqrt(DRAWS)
    left.axhline(exact, color=colour)
    left.errorbar(DIMENSIONS, k, 4 * error, color=colour, fmt=marker, markersize=5, capsize=2, label=name)
    print(f"{name}: k = {k.round(3)} ± {error.round(3)} in d = {DIMENSIONS}, limit {exact:g}")
    assert (np.abs(k - exact) <= 4 * error + 3 / np.array(DIMENSIONS)).all()
    correction[name] = float(k[-1] - 1)
left.set(xlabel="dimension d", ylabel="k", xscale="log", ylim=(0, 2.2), title="drift -k u(1-u²)")
left.set_xticks(DIMENSIONS, [str(d) for d in DIMENSIONS])
left.minorticks_off()
left.legend(fontsize="small", loc="lower right", title="limits (lines), sampled (points)", title_fontsize="small")

# %%
# Where the pair ends.

u, d = np.linspace(-1, 1, 201), DIMENSIONS[-1]
at = np.linspace(-0.9, 0.9, 7)
pair = fp.theory.isotropic_overlap(lambda t: t * (1 - correction["one Gaussian A"] * (1 - t**2) / d), d)
aligned = fp.theory.hitting_probability(pair, at)
right.plot(u, fp.theory.alignment_probability(u), color=COLOURS[0], label="k = 1: arcsine law")
right.plot(u, betainc(0.25, 0.25, (1 + u) / 2), color=COLOURS[1], label="k = 3/2")
right.plot(at, aligned, "s", color=COLOURS[1], markersize=5)
right.axhline(0.5, color=COLOURS[2], linestyle="--", label="k = 2: no limit")
right.set(xlabel="overlap at first", ylabel="probability to end aligned", title=f"ends of the pair, d = {d}")
right.legend(fontsize="small")
off = np.abs(aligned - betainc(0.25, 0.25, (1 + at) / 2)).max()
print(f"probability off its law by {off:.4f}")
assert off < 1 / d < np.abs(aligned - fp.theory.alignment_probability(at)).max()
