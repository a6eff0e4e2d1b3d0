"""What far attention makes of a density's floor: the estimate against the error of the spectra after one step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fpsolve.defects import attention_floor
from fpsolve.measures import initial
from fpsolve.measures.build import build
from fpsolve.models.homogenized import Homogenized
from fpsolve.noise import BrownianPath
from fpsolve.schemes import SCHEMES
from fpsolve.stepping import Stepper
from fpsolve.validate.rows import Row

DT, FACTOR = 0.02, 30.0
"""The step; the factor within which the estimate is to be."""

QUICK = (("gaussian", 2, 12.0, 4.0), ("gaussian", 2, 40.0, 8.0), ("gaussian", 3, 16.0, 4.0))
"""Law of A, d, κ of a von Mises–Fisher law, β."""

MORE = (
    *(("gaussian", d, kappa, 4.0) for d in (2, 3) for kappa in (12.0, 20.0)),
    *(("product", d, kappa, 4.0) for d in (2, 3) for kappa in (12.0, 16.0)),
    ("gaussian", 3, 20.0, 8.0),
    ("gaussian", 3, 40.0, 16.0),
    ("two bumps", 3, 30.0, 10.0),
)


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """log₁₀ of max_ℓ|δC_ℓ|/C_0 over the estimate; the cloud's C_ℓ are taken as exact."""
    path, scheme = BrownianPath(seed, cell=DT), SCHEMES["lie_euler"]
    for kind, d, kappa, beta in QUICK if quick else dict.fromkeys((*QUICK, *MORE)):
        model = Homogenized(beta, "gaussian" if kind == "two bumps" else kind, noise_lmax=16)  # type: ignore[arg-type]
        law = initial.von_mises_fisher([0.3, -0.5, 1.0][3 - d :], kappa)
        if kind == "two bumps":  # of the Gaussian law of A
            law = initial.mixture([law, initial.von_mises_fisher([-1.0, 0.2, -0.3], kappa)])
        cloud = build(law, "cloud", 95 if d == 2 else 47 if kappa <= 20 else 63, 1e-7)
        step = Stepper(model, path, DT, scheme)
        exact = model.spectrum(step(cloud, 0).source)
        for rtol in (1e-6, 1e-9):
            density = step(build(law, "density", 63, rtol), 0)
            error = float(np.abs(model.spectrum(density.source) - exact).max() / exact[0])
            estimate = attention_floor(density, model)
            assert estimate is not None
            text = f"the error of C_ℓ/C_0 is {error:.1e}, its estimate {estimate:.1e}; they are to be within {FACTOR:g}"
            start = f"gaussian A, two vMF({kappa:g})" if kind == "two bumps" else f"{kind} A, vMF({kappa:g})"
            named = f"{start}, β = {beta:g}, S{'²' if d == 3 else '¹'}"
            off = float(np.log10(max(error, 1e-300) / max(estimate, 1e-300)))
            yield Row(named, f"log₁₀ of error / estimate at rtol = {rtol:g}", 0.0, off, float(np.log10(FACTOR)), text)
