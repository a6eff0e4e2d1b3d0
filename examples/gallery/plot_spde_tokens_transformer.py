"""
The equation, N tokens and a transformer
========================================

``fp.compare`` runs a stochastic mean-field equation by density and by characteristics, and N iid tokens on the same
Brownian path. The finite transformer whose limit the equation is (64 tokens, 4 heads, 64 layers) has no path to share
and is compared in law :cite:`homogenized2026`. The error of N tokens in the moments of degree up to 8 falls as N^{-1/2}
from its value for iid draws at first, √((81/4π - Σ|ρ_ℓm|²)/N).

Asserted: the 99 % interval of the measured rate holds -1/2 and is within 0.15 of it; at first the errors are those of
iid draws to a quarter; the transformers' means are those of the equation to 4.5 standard errors in every quantity.
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
TOKENS, SAMPLES = ((100, 1000, 10_000, 100_000), 8) if FULL else ((50, 300, 1800), 6)
MEMBERS, LMAX, T_END = (96, 31, 0.4) if FULL else (16, 15, 0.2)

# %%
# All routes at once; the page of the comparison is ``fpsolve.comparison.as_text(ds)``.

ds = fp.compare(
    fp.models.Homogenized(beta=2.0), fp.initial.von_mises_fisher([0, 0, 1], 2.0), t_end=T_END, dt=0.04, path_cell=0.04,
    seed=4, lmax=LMAX, tokens=TOKENS, samples=SAMPLES, members=MEMBERS, wasserstein_cells=0,
)  # fmt: skip
rate = ds.sel(quantity="moments")
print(f"rate {float(rate.rate):.3f} in [{float(rate.rate_low):.3f}, {float(rate.rate_high):.3f}], derived -1/2")
assert float(rate.rate_low) <= -0.5 <= float(rate.rate_high)
assert max(-0.5 - float(rate.rate_low), float(rate.rate_high) + 0.5) < 0.15

runs = ds.isel(run=np.flatnonzero(ds.route.values == "tokens"))
exact_law = ds.isel(run=0, time=0).moments.values
power = float(np.sum(exact_law**2))
numbers = np.array(TOKENS)
exact = np.sqrt((81 / (4 * np.pi) - power) / power / numbers)
first = np.array([np.sqrt(np.mean(runs.moments_error.values[runs["size"].values == n, 0] ** 2)) for n in TOKENS])
print(f"errors at first over those of iid draws: {(first / exact).round(3)}")
assert (np.abs(first / exact - 1) < 0.25).all()

# %%
# Errors against N, and the overlap's law: of transformers, and of as many tokens drawn from the equation's measures.

figure = Figure(figsize=(7.2, 3.6), layout="constrained")
left, right = figure.subplots(1, 2)
left.plot(numbers, exact, color=COLOURS[0], label="iid draws, exact")
for index, colour, marker in ((0, COLOURS[0], "o"), (-1, COLOURS[1], "s")):
    errors, label = runs.moments_error.values[:, index], f"tokens, t = {ds.time.values[index]:g}"
    left.plot(runs["size"].values, errors, marker, color=colour, markersize=4, alpha=0.6, label=label)
density = ds.isel(run=np.flatnonzero(ds.route.values == "density")[:1])
left.axhline(float(density.moments_error.values[0, -1]), color=COLOURS[2], label=f"density, degree {LMAX}")
left.set(xlabel="tokens N", ylabel="relative error of the moments", xscale="log", yscale="log", title="on one path")
left.legend(fontsize="small")

drawn, chains = (ds[f"{name}_values"].sel(observable="overlap").values for name in ("limit_drawn", "transformer"))
right.ecdf(drawn, color=COLOURS[0], label="64 tokens drawn from the equation")
right.ecdf(chains, color=COLOURS[1], label="transformers")
right.set(xlabel="overlap of distinct tokens", ylabel="share of members below", ylim=(0, 1.3))
right.set_yticks(np.linspace(0, 1, 6))
right.set_title(f"in law, {MEMBERS} members")
right.legend(fontsize="small", loc="upper left")

by_limit, by_chains = ds.limit_values.values, ds.transformer_values.values
error = np.sqrt((by_limit.var(1, ddof=1) + by_chains.var(1, ddof=1)) / MEMBERS)
off = np.abs(by_limit.mean(1) - by_chains.mean(1)) / error
print("means apart, in standard errors:", dict(zip(ds.observable.values.tolist(), off.round(1).tolist(), strict=True)))
assert (off < 4.5).all()
