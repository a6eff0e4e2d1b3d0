"""
A noise level that depends on the configuration
===============================================

Random heads drive tokens by common noise of the strength κ(μ) = ∫E|m|²dμ, m attention's output: small for tokens that
are spread out, one for tokens in one place. So the noise grows as tokens gather; a limit with one fixed level, as for
separate terms of an architecture, does not have this :cite:`homogenized2026`. It is measured along ensembles
(``ds.noise_level``). As ∫x dμ + ½(d-1)∫κ(μ_s)∫x dμ_s ds is a martingale, κ(μ_t) alone decides how fast the mean over
the paths decays.

Asserted: over the ensemble the mean of this martingale stays ∫x dμ₀, to four standard errors and the weak error of the
steps, 0.1 dt; and a frozen level, e^{-½(d-1)κ(μ₀)t}, misses the mean by more than that.
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
MEMBERS, LMAX, DT = (600, 23, 0.05) if FULL else (40, 11, 0.1)
MODEL, KAPPA, T_END = fp.models.Homogenized(beta=2.0, key_query="gaussian", value_std=1.0), 1.0, 3.0
LAW = fp.initial.von_mises_fisher([0, 0, 1], KAPPA)

# %%
# One quadrature of the law on many paths.

levels, means = [], []
for member in range(MEMBERS):
    ds = fp.solve(
        MODEL, LAW, t_end=T_END, dt=DT, path_cell=DT, measure="cloud", lmax=LMAX, rtol=1e-4, seed=5, member=member
    )
    levels.append(ds.noise_level.values)
    means.append(ds.mean_vector.values[:, 2])
levels, means, times = np.array(levels), np.array(means), ds.time.values
