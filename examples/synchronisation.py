"""Common noise alone brings tokens together: in d = 3 close pairs approach at the mean rate κ = k(1).

Two close tokens in an isotropic Brownian flow, E[W(x)W(y)ᵀ] = k(⟨x,y⟩) I, have E log|x_t - y_t| = λt + const with
λ = ½[(d-3) k'(1) - (d-1) κ], which is -κ on S² whatever k is.
"""

import numpy as np

import fpsolve as fp

MODEL = fp.models.IsotropicFlow.from_kernel(lambda t: 0.1 + 0.3 * t + 0.1 * t**3, noise_lmax=3)
KAPPA = 0.5
MEMBERS, T_END, DT, GAP = 50, 1.0, 0.1, 1e-4


def pairs(n: int = 10) -> np.ndarray:
    """n points uniform on S², then n partners at distance GAP in random directions."""
    x = fp.initial.uniform().draw(n, fp.BrownianPath(seed=1))
    y = fp.initial.uniform().draw(n, fp.BrownianPath(seed=2))
    tangent = y - np.sum(x * y, axis=1, keepdims=True) * x
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    return np.concatenate([x, np.cos(GAP) * x + np.sin(GAP) * tangent])


def rate(member: int) -> float:
    """(1/T) log of the ratio of final and initial distance, averaged over the pairs of one member."""
    ds = fp.solve(
        MODEL, fp.initial.points(pairs()), t_end=T_END, dt=DT, path_cell=DT, measure="cloud", rtol=1e-4,
        seed=1, member=member, save_every=T_END, save_points=True,
    )  # fmt: skip
    first, second = np.split(ds.points.values, 2, axis=1)
    distance = np.linalg.norm(first - second, axis=2)
    return float(np.log(distance[-1] / distance[0]).mean() / T_END)


def main() -> None:
    assert abs(MODEL.kernel()(1.0) - KAPPA) < 1e-12
    rates = [rate(member) for member in range(MEMBERS)]
    mean, error = np.mean(rates), np.std(rates, ddof=1) / np.sqrt(MEMBERS)
    print(f"exponent of the distance: {mean:.3f} ± {error:.3f} ({MEMBERS} members), theory {-KAPPA}")
    assert error < 0.1 and abs(mean + KAPPA) < 4 * error  # false alarms: 1e-4, and the seed is fixed


if __name__ == "__main__":
    main()
