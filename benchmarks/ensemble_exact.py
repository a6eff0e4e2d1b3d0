"""4096 members of frozen isotropic noise against exact means and two-token statistics: χ² and its probability."""

from __future__ import annotations

import sys

import numpy as np
from scipy import stats

import fpsolve as fp
from fpsolve.ensembles import ensemble
from fpsolve.measures.build import build
from fpsolve.models import IsotropicFlow
from fpsolve.sphere.harmonics import power
from fpsolve.theory import isotropic_overlap

MEMBERS, T_END, DT, NOISE, KAPPA, LMAX = 4096, 0.2, 0.1, 0.5, 3.0, 31
FALSE_ALARM = 1e-4


def kernel(t):  # type: ignore[no-untyped-def]
    """k(t) of the noise, k(1) = 1."""
    return 0.2 + 0.3 * t + 0.2 * t**2 + 0.3 * t**3


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: statistic, members, numbers compared, T² (χ² for many members), its probability, largest relative error."""
    members = 256 if quick else MEMBERS
    law = fp.initial.von_mises_fisher([1, 2, 2], KAPPA)
    ds = ensemble(
        IsotropicFlow.from_kernel(kernel, 3, noise=NOISE), law, members=members, t_end=T_END, dt=DT, path_cell=DT,
        scheme="ninomiya", save_every=T_END, lmax=LMAX, rtol=1e-4, moments_lmax=5, seed=41,
    )  # fmt: skip
    after, degree = ds.moments.values[:, -1], ds.degree.values
    decayed = ds.moments.values[0, 0] * np.exp(-(NOISE**2) * degree * (degree + 1) * T_END / 2)
    powers = np.stack([(after[:, degree == ell] ** 2).sum(-1) for ell in range(1, 5)], -1)
    overlap, start = isotropic_overlap(kernel, 3, NOISE), power(build(law, "density", LMAX, 1e-4).coefficients)
    expected = np.array([overlap.expected_power(ell, start, T_END) for ell in range(1, 5)])
    return [
        _row("mean of the moments, degrees 1 to 3", after[:, 1:16], decayed[1:16]),
        _row("power of degrees 1 to 4", powers, expected),
    ]


def _row(name: str, samples: np.ndarray, expected: np.ndarray) -> dict[str, object]:
    """Hotelling's T² of the mean of (members, numbers); it passes above the false-alarm rate."""
    n, p = samples.shape
    off = samples.mean(0) - expected
    t_square = float(n * off @ np.linalg.solve(np.cov(samples.T), off))
    probability = float(stats.f.sf(t_square * (n - p) / (p * (n - 1)), p, n - p))
    size = float(np.sqrt((expected**2).sum()))
    return {
        "statistic": name, "members": n, "numbers": p, "chi2": t_square, "probability": probability,
        "error": float(np.sqrt((off**2).sum())) / size, "passed": probability > FALSE_ALARM,
    }  # fmt: skip


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(run("--quick" in sys.argv)))
