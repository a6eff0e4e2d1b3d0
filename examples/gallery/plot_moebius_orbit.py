"""
A random Möbius orbit
=====================

At β = 0 attention is the mean of μ, and the noise of random value matrices is spatially constant: its flow consists
of Möbius maps of the sphere. A law ``ρ_a(x) = ((1-|a|²)/|x-a|²)²/4π`` on S² stays one, with a parameter a(t) in the
unit ball that the Brownian path alone determines :cite:`homogenized2026`. The lines are ∫ x dμ from the parameter,
composed boost by boost from the increments of the path; the points come from densities on the same paths.

Asserted: the two agree to 1e-6 in every step of every member.
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
MEMBERS, LMAX, STEPS = (5, 95, 16) if FULL else (2, 47, 8)
DT = 0.05
START = np.array([0.1, -0.2, 0.3])
MODEL = fp.models.Homogenized(beta=0.0, value_std=1.0)
LAW = fp.initial.function(lambda x: fp.theory.moebius_density(x, START))

# %%
# The parameter after each step: a ← b ⊕ a, b the boost of ΔV ∫ x dρ_a.


def mean(a: np.ndarray) -> np.ndarray:
    """∫ x ρ_a(x) dx."""
    size = np.linalg.norm(a)
    return fp.theory.moebius_moment(1, size) * a / size


def orbit(path: fp.BrownianPath) -> np.ndarray:
    """∫ x dμ after 0, 1, … steps, shape (STEPS + 1, 3), from the increments of the path alone."""
    a, means = START, [mean(START)]
    for n in range(STEPS):
        matrix = path.increment(n * DT, (n + 1) * DT, 9).reshape(3, 3)
        a = fp.theory.compose(fp.theory.boost_parameter(matrix @ mean(a)), a)
        means.append(mean(a))
    return np.array(means)


# %%
# Densities on the same paths.

figure = Figure(figsize=(5.6, 3.8), layout="constrained")
axes = figure.add_subplot(xlabel="time", ylabel="|∫ x dμ|")
worst = 0.0
for member, colour in zip(range(MEMBERS), COLOURS, strict=False):
    exact = orbit(fp.BrownianPath(1, member, cell=DT))
    ds = fp.solve(MODEL, LAW, t_end=STEPS * DT, dt=DT, path_cell=DT, lmax=LMAX, rtol=1e-9, seed=1, member=member)
    times, moved = ds.time.values, ds.mean_vector.values
    axes.plot(times, np.linalg.norm(exact, axis=1), color=colour, linewidth=1)
    axes.plot(times, np.linalg.norm(moved, axis=1), "o", color=colour, markersize=4, label=f"member {member}")
    worst = max(worst, np.abs(moved - exact).max())
print(f"largest distance of ∫ x dμ from the orbit: {worst:.1e}")
assert worst < 1e-6
axes.legend(title="orbit (lines), density (points)")
