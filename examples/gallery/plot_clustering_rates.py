"""
How fast tokens cluster
=======================

Tokens of a smooth law gather exponentially fast :cite:`clustering2025`. The rate follows from the two slowest motions.
Near the cluster angles shrink as θ' = -θ, so that 1 - ⟨x,e⟩ falls as e^{-2t}; tokens that start near the antipode leave
it as θ' = θ, so that the mass left there falls as e^{-(d-1)t}. Hence 1 - ∫⟨x,e⟩dμ falls at the rate min(2, d-1), and on
S², where both are equal, as (a + bt)e^{-2t}. Without the softmax denominator the two are 2e^β and (d-1)e^{-β}: in low
dimension the mass at the antipode decides.

Asserted: the measured late rates agree with these to 2e-3, and on S² the factor a + bt grows evenly to 3 %.
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
DIMENSIONS, LMAX = ((3, 16, 64, 256), 191) if FULL else ((3, 16), 95)

# %%
# A law about an axis by its circles of latitude, in any dimension: von Mises–Fisher of κ = d/2.


def shortfall(model: fp.Model, d: int, t_end: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and 1 - ∫⟨x,e⟩dμ = ∫ 2 sin²(θ/2) dμ, without cancellation."""
    cloud = fp.ZonalCloud.from_law(fp.initial.axial(d, d / 2), lmax=LMAX, rtol=1e-5).without_density()
    states = list(fp.run(model, cloud, fp.BrownianPath(0), t_end=t_end, dt=t_end / 16, scheme="rk4"))
    times = [t for t, _ in states]
    return np.array(times), np.array([state.weights @ (2 * np.sin(state.theta / 2) ** 2) for _, state in states])


# %%
# With and without the denominator.

figure = Figure(figsize=(6.4, 3.6), layout="constrained")
left, right = figure.subplots(1, 2, sharey=True)
for n, d in enumerate(DIMENSIONS):
    for axes, kind, beta in ((left, "sa", 2.0), (right, "usa", 0.5)):
        model = fp.models.SelfAttention(beta) if kind == "sa" else fp.models.UnnormalisedSelfAttention(beta)
        rates = (2.0, d - 1.0) if kind == "sa" else (2 * np.exp(beta), (d - 1) * np.exp(-beta))
        t_end = 8.0 if kind == "sa" else 12 / min(rates)
        times, late = shortfall(model, d, t_end)
        axes.semilogy(times, late, color=COLOURS[n], label=f"d = {d}")
        axes.semilogy(times[-4:], 0.4 * late[-1] * np.exp(min(rates) * (times[-1] - times[-4:])), color="0.5", lw=0.8)
        if rates[0] == rates[1]:
            steps = np.diff((late * np.exp(rates[0] * times))[[12, 14, 16]])
            print(f"{kind}, d = {d}: a + bt grows by {steps[0]:.3f}, then {steps[1]:.3f}")
            assert abs(steps[1] / steps[0] - 1) < 0.03
            continue
        rate = np.log(late[-2] / late[-1]) / (times[-1] - times[-2])
        print(f"{kind}, d = {d}: rate {rate:.4f}, derived {min(rates):.4f}")
        assert abs(rate - min(rates)) < 2e-3
left.set(xlabel="time", ylabel="1 - ∫⟨x,e⟩dμ", title="softmax, β = 2: rate min(2, d-1)", ylim=(3e-8, 2))
right.set(xlabel="time", ylabel="1 - ∫⟨x,e⟩dμ", title="no denominator, β = 0.5")
left.legend(fontsize="small")
