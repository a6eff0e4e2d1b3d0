"""
How fast the zero-temperature limit is reached
==============================================

At low temperature attention projects a law onto the ends of the top eigenspace of A = V: on the circle, with
V = diag(1, 0.4), each half of it to one end :cite:`lowtemperature2026`. The bound proved there falls as √(log β/β). Two
distances are measured by characteristics of a smooth law: at t = 1 from the limit flow, and at t = 10 from the
projected law. A share 1/β of the mass is late on the wrong side of the separatrix, at the distance 2 from where it
should be, so that W₂ falls as β^{-1/2}; at a fixed time a smooth law of full support is within O(1/β) of the limit.

Asserted: the exponents -1 ± 0.1 and -1/2 ± 0.04 of the two, by least squares in log β.
"""

import os

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
BETAS, POINTS = ((100.0, 200.0, 400.0, 800.0), 1000) if FULL else ((100.0, 200.0, 400.0), 400)
VALUE = np.diag([1.0, 0.4])

# %%
# ρ ∝ e^{cos(φ - 1.1)} by weighted points, dense at the separatrix φ = ±90°.

u = 2 * np.pi * (np.arange(POINTS) + 0.5) / POINTS
angle = u + 0.495 * np.sin(2 * u)
weights = (1 + 0.99 * np.cos(2 * u)) * np.exp(np.cos(angle - 1.1))
START = fp.Cloud(np.stack([np.cos(angle), np.sin(angle)], -1), weights / weights.sum(), rtol=1e-4)


def moved(model: fp.Model, time: float) -> np.ndarray:
    """The points at ``time``."""
    *_, (_, last) = fp.run(model, START, fp.BrownianPath(0), t_end=time, dt=time / 4, scheme="rk4")
    return last.x


def to_ends(x: np.ndarray) -> float:
    """W₂ to the projected law: the points furthest to the right go to +e₁, as many as its share there."""
    right = START.weights[START.x[:, 0] > 0].sum()
    order = np.argsort(-x[:, 0])
    along, before = x[order, 0], np.concatenate([[0.0], np.cumsum(START.weights[order])])
    plus = np.diff(np.minimum(before, right))
    return float(np.sqrt(plus @ (2 - 2 * along) + (np.diff(before) - plus) @ (2 + 2 * along)))


# %%
# Both distances against β.

limit = moved(fp.models.LowTemperatureLimit(VALUE, VALUE), 1.0)
models = [fp.models.SelfAttention(beta, VALUE, VALUE) for beta in BETAS]
early = [np.sqrt(START.weights @ np.sum((moved(model, 1.0) - limit) ** 2, axis=1)) for model in models]
late = [to_ends(moved(model, 10.0)) for model in models]

figure = Figure(figsize=(5.6, 3.8), layout="constrained")
axes = figure.add_subplot(xlabel="inverse temperature β", ylabel="distance of the laws", xscale="log", yscale="log")
for name, values, exact, tolerance, colour, marker in (
    ("from the limit flow, t = 1", early, -1.0, 0.1, COLOURS[0], "o"),
    ("W₂ from the projected law, t = 10", late, -0.5, 0.04, COLOURS[1], "s"),
):
    exponent = np.polyfit(np.log(BETAS), np.log(values), 1)[0]
    axes.plot(BETAS, values, marker, color=colour, markersize=5, label=f"{name}: {exponent:.3f}")
    axes.plot(BETAS, values[-1] * (np.array(BETAS) / BETAS[-1]) ** exact, color=colour, linewidth=1)
    print(f"{name}: exponent {exponent:.3f}, derived {exact:g}")
    assert abs(exponent - exact) < tolerance
axes.set_xticks(BETAS, [f"{beta:g}" for beta in BETAS])
axes.set_xticks([], minor=True)
axes.set_ylim(1e-3, 0.5)
axes.legend(title="exponent measured (points), lines -1 and -1/2", fontsize="small")
