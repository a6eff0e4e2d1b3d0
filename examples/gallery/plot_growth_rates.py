"""
Which degree grows fastest
==========================

Deterministic self-attention leaves the uniform law of S² degree by degree: a perturbation of degree ℓ grows at the
rate ℓ(ℓ+1) i_ℓ(β)/(β i_0(β)) :cite:`meanfield2025`. The larger β, the higher the fastest degree, and the more
metastable clusters a run passes through. The points are measured: a small harmonic on the uniform law, followed by
the density for a short time.

Asserted: each measured rate agrees with ``fp.theory.uniform_growth_rate`` to 1e-4 of the largest.
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
DEGREES = range(1, 11) if FULL else range(1, 6)
BETAS = (2.0, 9.0, 25.0, 60.0) if FULL else (2.0, 6.0)
SIZE, SPAN = 1e-5, 0.02

# %%
# A zonal harmonic P_ℓ of amplitude 1e-5, and the logarithm of the growth of its moment.


def measured(beta: float, degree: int) -> float:
    """The rate of growth of one degree."""
    legendre = np.polynomial.Legendre.basis(degree)
    start = fp.initial.function(lambda x: (1 + SIZE * legendre(x[..., 2])) / (4 * np.pi))
    ds = fp.solve(
        fp.models.SelfAttention(beta), start, t_end=SPAN, dt=SPAN / 2, lmax=31, rtol=1e-9, moments_lmax=degree
    )
    moment = ds.moments.values[:, (ds.degree == degree) & (ds.order == 0)][:, 0].real
    return float(np.log(moment[-1] / moment[0]) / SPAN)


# %%
# Measured rates on the curves of theory.

figure = Figure(figsize=(5.6, 3.8), layout="constrained")
axes = figure.add_subplot(xlabel="degree ℓ", ylabel="growth rate", xticks=DEGREES)
for beta, colour, marker in zip(BETAS, COLOURS, "osD^", strict=False):
    rates = np.array([measured(beta, degree) for degree in DEGREES])
    exact = fp.theory.uniform_growth_rate(np.array(DEGREES), beta)
    axes.plot(DEGREES, exact, color=colour, linewidth=1)
    axes.plot(DEGREES, rates, marker, color=colour, markersize=5, label=f"β = {beta:g}")
    print(f"β = {beta:g}: fastest degree {1 + int(rates.argmax())}, largest error {np.abs(rates - exact).max():.1e}")
    assert np.abs(rates - exact).max() < 1e-4 * exact.max()
    assert rates.argmax() == exact.argmax()
axes.legend(title="theory (lines), density (points)")
