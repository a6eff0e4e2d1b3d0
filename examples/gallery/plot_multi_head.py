"""
A head that repels
==================

Two heads without denominators act on the same tokens. One attracts with weight 1 at β, one repels with weight -w at 2β:
the flow of a sum of energies :cite:`multihead2026`. On S^{d-1} degree ℓ of the uniform law grows at
ℓ(ℓ+d-2) (λ_ℓ(β)/β - w λ_ℓ(2β)/2β), so that each degree has a threshold w_ℓ = 2 λ_ℓ(β)/λ_ℓ(2β) beyond which it decays.
The thresholds fall with ℓ: the sharper head takes the high degrees first, and beyond w_1 the uniform law is stable.
Points are growth rates of a small harmonic, measured by runs of the density about an axis.

Asserted: measured rates agree with ``fp.stationary.uniform_stability`` to 1e-4 of the largest, and change their sign,
found by interpolation, at w_ℓ to 1e-3.
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
DEGREES, POINTS = ((1, 2, 3, 4), 13) if FULL else ((1, 2, 3), 5)
BETA, D, SIZE, SPAN = 2.0, 3, 1e-6, 0.05


def heads(weight: float) -> fp.models.MultiHead:
    """The flow with a repelling head of this weight."""
    return fp.models.MultiHead(BETA, [1.0, 2.0], [1.0, 1.0], [1.0, -weight], normalised=False)


def measured(weight: float, degree: int) -> float:
    """The growth rate of one degree on the uniform law, by a short run."""
    start = fp.ZonalDensity(np.eye(16)[0] + SIZE * np.eye(16)[degree], np.eye(D)[-1], rtol=1e-9)
    *_, (_, last) = fp.run(heads(weight), start, fp.BrownianPath(0), t_end=SPAN, dt=SPAN / 2, scheme="rk4")
    return float(np.log(last.coefficients[degree] / SIZE) / SPAN)


# %%
# Rates against the weight; each degree crosses zero at its threshold.

degrees = np.array(DEGREES)
multipliers = fp.theory.attention_multiplier(degrees[:, None], np.array([BETA, 2 * BETA]), D)
thresholds = 2 * multipliers[:, 0] / multipliers[:, 1]
weights = np.linspace(0, 1.2 * thresholds.max(), POINTS)
exact = np.array([fp.stationary.uniform_stability(heads(w), D).rate.values[degrees - 1] for w in weights])
rates = np.array([[measured(w, degree) for degree in DEGREES] for w in weights])
assert np.abs(rates - exact).max() < 1e-4 * np.abs(exact).max()

figure = Figure(figsize=(5.6, 3.8), layout="constrained")
axes = figure.add_subplot(xlabel="weight w of the repelling head", ylabel="growth rate")
axes.axhline(0, color="0.5", linewidth=0.8)
for n, degree in enumerate(DEGREES):
    crossing = np.interp(0, -rates[:, n], weights)
    print(f"degree {degree}: threshold {crossing:.6f}, exact {thresholds[n]:.6f}")
    assert abs(crossing - thresholds[n]) < 1e-3
    axes.plot(weights, exact[:, n], color=COLOURS[n], linewidth=1)
    axes.plot(weights, rates[:, n], "osD^"[n], color=COLOURS[n], markersize=5, label=f"degree {degree}")
    axes.axvline(thresholds[n], color=COLOURS[n], linewidth=0.8, linestyle=":")
axes.legend(title="theory (lines), runs (points)")
