"""
Lost in the middle
==================

In causal attention with decaying memory, what a prompt's end retrieves of an earlier position σ₀ is a U: the first and
the last positions are found best, those between are lost :cite:`lostmiddle2026`. The influence of a small perturbation
of the uniform law of the circle is Σ_n ω_n g_{a_n}(t, 1; σ₀) over its modes; ``fp.theory.retrieval`` has it. The points
are the linear response of a ``CausalDensity``: one of P cells of positions is perturbed, and the last one is read. The
recent end of the U fades at t_crit, ``fp.theory.critical_time``.

Asserted: the responses agree with the closed form to 2/P of the largest, as the end is a cell; at t = t_crit/2 the
least lies inside.
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
CELLS, READ = (96, 14) if FULL else (32, 6)
BETA, DECAY, WIDTH, MODES, SIZE = 2.0, 1.0, 8.0, 8, 1e-4
CRITICAL = float(fp.theory.critical_time(BETA, DECAY, WIDTH, MODES))
TIMES = (0.25 * CRITICAL, 0.5 * CRITICAL, CRITICAL)

# %%
# The response of the last cell to the modes ω_n put into one cell.

modes = np.arange(1, MODES + 1)
weights = fp.theory.mode_weight(modes, WIDTH)


def responses(cell: int) -> tuple[float, np.ndarray]:
    """σ₀ of the cell, and Σ_n of the modes of the last cell at TIMES, per unit."""
    coefficients = np.zeros((CELLS, MODES + 5), complex)
    coefficients[:, 0] = 1 / np.sqrt(2 * np.pi)
    coefficients[cell, modes] = SIZE * weights
    start = fp.CausalDensity(coefficients, rtol=1e-8, d=2)
    dt = TIMES[0]
    states = fp.run(
        fp.models.CausalAttention(BETA, DECAY), start, fp.BrownianPath(0), t_end=TIMES[-1], dt=dt, scheme="rk4"
    )
    found = {round(t / dt): state.coefficients[-1, modes].real.sum() * CELLS / SIZE for t, state in states}
    return float(start.positions[cell]), np.array([found[round(t / dt)] for t in TIMES])


# %%
# Against the closed form.

cells = np.unique(np.linspace(0.04 * CELLS, CELLS - 3, READ).round().astype(int))
places, found = zip(*(responses(int(cell)) for cell in cells), strict=True)
places, found = np.array(places), np.array(found)
fine = np.linspace(places[0], places[-1], 200)
figure = Figure(figsize=(5.6, 3.8), layout="constrained")
axes = figure.add_subplot(xlabel="position σ₀ in the prompt", ylabel="retrieval at the end, relative to σ₀ = 1/2")
for n, (time, name) in enumerate(zip(TIMES, ("t_crit/4", "t_crit/2", "t_crit"), strict=True)):
    exact = fp.theory.retrieval(time, places, BETA, DECAY, WIDTH, MODES)
    off = np.abs(found[:, n] - exact).max() / exact.max()
    print(f"t = {name}: off by {off:.1e} of the largest, least at σ₀ = {places[found[:, n].argmin()]:.2f}")
    middle = fp.theory.retrieval(time, 0.5, BETA, DECAY, WIDTH, MODES)
    curve = fp.theory.retrieval(time, fine, BETA, DECAY, WIDTH, MODES) / middle
    axes.plot(fine, curve, color=COLOURS[n], linewidth=1.2)
    axes.plot(places, found[:, n] / middle, "osD"[n], color=COLOURS[n], markersize=4, label=f"t = {time:.3f} = {name}")
    assert off < 2 / CELLS
inside = found[:, 1].argmin()
assert 0 < inside < len(cells) - 1
axes.set_ylim(0, None)
axes.legend(title="closed form (lines), density (points)", fontsize="small")
