"""The share of a step that the update of the noise spectrum C_ℓ[μ] takes, for broad and for concentrated μ."""

from __future__ import annotations

import numpy as np

import fpsolve as fp
from benchmarks.common import aim, interleaved
from fpsolve.measures.build import build

NORTH, OTHER = [0.0, 0.0, 1.0], [1.0, 0.0, -0.5]

CASES = (
    ("vmf(2)", 31),
    ("vmf(2)", 63),
    ("vmf(2)", 127),
    ("vmf(2)", 255),
    ("vmf(20)", 31),
    ("vmf(20)", 63),
    ("vmf(100)", 127),
    ("two vmf(100)", 127),
    ("collapsed cloud of 32,000", 0),
)
"""Measure and degree."""

AIMS = {"vmf(2)": 0.3, "vmf(20)": 0.5}
"""Largest share at degrees 31 and 63 and β = 4: a broad law's, and of a concentrated one no more than the rest."""


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: law, β, measure, degree, milliseconds of a step and of its spectrum update (the fastest round), share."""
    if quick:
        return [_row("gaussian", 4.0, *case, quick) for case in (CASES[0], CASES[4])]
    settings = [(law, beta) for law in ("gaussian", "product") for beta in (4.0, 10.0)]
    return [_row(law, beta, *case, quick) for law, beta in settings for case in CASES]


def _row(law: str, beta: float, name: str, lmax: int, quick: bool) -> dict[str, object]:
    model = fp.models.Homogenized(beta=beta, key_query=law, noise_lmax=16)
    measure = _measure(name, lmax)
    path = fp.BrownianPath(1)
    step = fp.SCHEMES["lie_euler"].step
    works = {
        "step": lambda: step(model, _fresh(measure), path, 0.0, 0.01),
        "update": lambda: model.spectrum(_fresh(measure).source),
    }
    times = interleaved(works, repeats=1, rounds=3 if quick else 7, statistic=min)
    share = times["update"] / times["step"]
    return {
        "key_query": law,
        "measure": f"{name}, beta {beta:g}, lmax {lmax}",
        "beta": beta,
        "lmax": lmax,
        "step_ms": 1e3 * times["step"],
        "update_ms": 1e3 * times["update"],
        "share": share,
        "aim": aim(share, "<=", AIMS[name]) if name in AIMS and beta == 4 and lmax < 127 else "",
    }


def _measure(name: str, lmax: int) -> fp.Density | fp.Cloud:
    """A density of the degree ``lmax``, or equal tokens of deviation 0.02."""
    if "cloud" in name:
        x = NORTH + 0.02 * np.random.default_rng(1).normal(size=(32_000, 3))
        return fp.Cloud(x / np.linalg.norm(x, axis=1)[:, None], np.full(len(x), 1 / len(x)))
    kappa = float(name[name.index("(") + 1 : -1])
    one = _vmf(NORTH, kappa, lmax)
    return fp.Density((one + _vmf(OTHER, kappa, lmax)) / 2) if "two" in name else fp.Density(one)


def _vmf(axis: list[float], kappa: float, lmax: int) -> np.ndarray:
    return build(fp.initial.von_mises_fisher(axis, kappa), "density", lmax, 1e-6).coefficients  # type: ignore


def _fresh(measure: fp.Density | fp.Cloud) -> fp.Density | fp.Cloud:
    """The same state without anything cached."""
    if isinstance(measure, fp.Cloud):
        return fp.Cloud(measure.x, measure.weights)
    return fp.Density(measure.coefficients.copy(), measure.rtol)
